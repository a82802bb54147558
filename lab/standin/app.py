# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application: routes, and what every answer has in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web

from . import answers, gate
from .create import Creator
from .embeddings import Embeddings
from .errors import ApiError, Fatal, HandlerDied
from .generation import Generator, Native
from .gguf import GGUFError
from .library import Library
from .openai import OpenAI
from .openai_more import MoreOpenAI
from .pull import Puller
from .scheduler import Scheduler
from .settings import Settings
from .store import Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """All parts of one server."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.store = Store(settings.models)
        self.puller = Puller(settings, self.store)
        self.scheduler = Scheduler(settings)
        self.library = Library(settings, self.store, self.puller)
        self.generator = Generator(settings, self.store, self.scheduler)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._common], client_max_size=1 << 40)
        app.on_response_prepare.append(self._headers)
        for method, path, handler in self._routes():
            app.router.add_route(method, path, handler)
        app.on_startup.append(self._start)
        return app

    def _routes(self) -> list[tuple[str, str, Handler]]:
        library, native = self.library, Native(self.generator)
        creator, embeddings = Creator(self.settings, self.store, self.puller), Embeddings(self.generator)
        openai, more = OpenAI(self.generator, library, embeddings), MoreOpenAI(self.generator)
        routes: list[tuple[str, str, Handler]] = [
            ("POST", "/api/show", library.show),
            ("POST", "/api/pull", library.pull),
            ("POST", "/api/copy", library.copy),
            ("DELETE", "/api/delete", library.delete),
            ("HEAD", "/api/blobs/{digest}", library.blob_head),
            ("POST", "/api/blobs/{digest}", library.blob_post),
            ("POST", "/api/create", creator.create),
            ("GET", "/api/ps", native.ps),
            ("POST", "/api/generate", native.generate),
            ("POST", "/api/chat", native.chat),
            ("POST", "/api/embed", embeddings.embed),
            ("POST", "/api/embeddings", embeddings.old),
            ("GET", "/api/status", self._status),
            ("POST", "/v1/chat/completions", openai.chat),
            ("POST", "/v1/completions", openai.completions),
            ("POST", "/v1/embeddings", openai.embeddings),
            ("GET", "/v1/models", openai.models),
            ("GET", "/v1/models/{model}", openai.model),
            ("POST", "/v1/messages", more.messages),
            ("POST", "/v1/responses", more.responses),
        ]
        for path, handler in (("/", self._root), ("/api/version", self._version), ("/api/tags", library.tags)):
            routes += [("GET", path, handler), ("HEAD", path, handler)]
        return routes

    async def _start(self, _app: web.Application) -> None:
        self.scheduler.start()

    async def _root(self, request: web.Request) -> web.StreamResponse:
        return answers.text_answer(200, "Ollama is running", "text/plain; charset=utf-8")

    async def _version(self, request: web.Request) -> web.StreamResponse:
        return answers.json_answer({"version": self.settings.profile.version})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        source = "env" if self.settings.no_cloud else "none"
        return answers.json_answer({"cloud": {"disabled": self.settings.no_cloud, "source": source}})

    async def _headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Server"] = f"alchemorsel-standin/{self.settings.profile.version}"
        if isinstance(response, web.Response) and not response.body:
            response.headers.popall("Content-Type", None)

    @web.middleware
    async def _common(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Origin and Host first, then the route; every error becomes the real server's answer."""
        if self.settings.request_log:
            with open(self.settings.request_log, "a", encoding="utf-8") as log:
                log.write(f"{request.method} {request.path}\n")
        host = request.headers.get("Host", "")
        if not gate.origin_allowed(request.headers.get("Origin", ""), host, self.settings.origins):
            return answers.empty_answer(403)
        if not gate.host_allowed(host, self.settings.host):
            return answers.empty_answer(403)
        if request.match_info.http_exception is not None and (moved := self._moved(request)):
            return moved
        try:
            return await handler(request)
        except ApiError as error:
            return answers.error_answer(error)
        except web.HTTPNotFound:
            return answers.text_answer(404, "404 page not found")
        except web.HTTPMethodNotAllowed as error:
            allow = ", ".join(sorted(error.allowed_methods))
            return answers.text_answer(405, "405 method not allowed", extra={"Allow": allow})
        except HandlerDied as error:
            print(f"panic recovered: {error}", file=sys.stderr)
            return answers.empty_answer(500)
        except Fatal as error:
            print(error, file=sys.stderr, flush=True)
            if request.transport is not None:
                request.transport.abort()
            os._exit(2)
        except (answers.ClientGone, ConnectionResetError):
            return answers.empty_answer(499)

    def _moved(self, request: web.Request) -> web.Response | None:
        """A redirect to the path without doubled or trailing slashes, where that one exists."""
        single = "/" + "/".join(part for part in request.path.split("/") if part)
        if single == request.path or not any(single == path for _method, path, _handler in self._routes()):
            return None
        status = 301 if request.method == "GET" and "//" not in request.path else 307
        return answers.text_answer(status, "", extra={"Location": single})

    def read_all(self) -> None:
        """Reads the models as the older version does when it starts, where no handler's end saves the process."""
        for model in self.library.models() if self.settings.profile.dies_on_bad_gguf else ():
            try:
                model.gguf()
            except OSError:
                continue  # a missing file is only a model that cannot be shown
            except GGUFError as error:
                raise Fatal(f"panic: {model.name.short}: {error}") from error

    async def stop(self) -> None:
        """Saves what runs: the progress of downloads; ends the runners."""
        await self.puller.stop()
        self.scheduler.stop()
