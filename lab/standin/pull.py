# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling a model: the manifest, its blobs one after the other, verification, the tag."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

from . import names
from .download import Download, DownloadError, check_status
from .errors import ApiError, os_error_text
from .network import Client, RequestError
from .settings import Settings
from .store import MANIFEST_TYPE, Layer, Manifest, Store, parse_manifest, sha256_file

#: seconds between two progress lines
TICK = 0.06

Line = dict[str, Any]


class Puller:
    """All pulls of one server; downloads of one blob are shared between them."""

    def __init__(self, settings: Settings, store: Store):
        self.settings = settings
        self.store = store
        version = settings.profile.version
        self.client = Client(settings.environ, f"ollama/{version} (alchemorsel stand-in)")
        self.downloads: dict[str, Download] = {}

    async def pull(self, name: names.Name, insecure: bool) -> AsyncGenerator[Line, None]:
        """The status lines of one pull; raises ApiError where the real server reports an error."""
        name = self.store.existing(name)
        old = self._old_digests(name)
        yield {"status": "pulling manifest"}
        base = f"{'http' if insecure else 'https'}://{name.host}/v2/{name.namespace}/{name.model}"
        try:
            body, manifest = await self._fetch_manifest(base, name)
        except (RequestError, ApiError) as error:
            raise ApiError(500, f"pull model manifest: {error}") from error
        layers = [*manifest.layers, *([manifest.config] if manifest.config.digest else [])]
        fetched: list[Layer] = []
        for layer in layers:
            new = not self.store.blob(layer.digest).exists()
            async for line in self._fetch_blob(base, layer):
                yield line
            if new:
                fetched.append(layer)
        yield {"status": "verifying sha256 digest"}
        for layer in fetched:
            await self._verify(layer)
        yield {"status": "writing manifest"}
        try:
            self.store.write_manifest(name, body)
        except OSError as error:
            raise ApiError(500, os_error_text(error, "write", self.store.manifest_path(name))) from error
        unused = old - manifest.digests
        if unused and not self.settings.noprune:
            yield {"status": "removing unused layers"}
            self.store.remove_unused(unused)
        yield {"status": "success"}

    def _old_digests(self, name: names.Name) -> set[str]:
        try:
            manifest = self.store.manifest(name)
        except ApiError:
            return set()
        return manifest.digests if manifest else set()

    async def _fetch_manifest(self, base: str, name: names.Name) -> tuple[bytes, Manifest]:
        url = f"{base}/manifests/{name.tag}"
        async with await self.client.request("GET", url, {"Accept": MANIFEST_TYPE}) as response:
            if response.status == 401:
                challenge = response.headers.get("WWW-Authenticate", "")
                raise ApiError(500, _realm_error(challenge, urlsplit(url).netloc))
            await check_status(response)
            body = await response.read()
        return body, parse_manifest(body)

    async def _fetch_blob(self, base: str, layer: Layer) -> AsyncGenerator[Line, None]:
        target = self.store.blob(layer.digest)
        label = {"status": f"pulling {layer.digest.partition(':')[2][:12]}", "digest": layer.digest}
        if target.exists():
            size = target.stat().st_size
            yield label | _amounts(size, size)
            return
        self.store.blobs.mkdir(parents=True, exist_ok=True)
        download = self.downloads.get(layer.digest)
        fresh = download is None
        if download is None:
            download = Download(
                self.client,
                f"{base}/blobs/{layer.digest}",
                target,
                self.settings.time_scale,
                self.settings.profile.stall_before_first_byte,
            )
            self.downloads[layer.digest] = download
        if fresh:
            await self._prepare(download, layer.digest)
        download.users += 1
        try:
            async for amounts in self._wait(download, label):
                yield amounts
        finally:
            download.release()

    async def _prepare(self, download: Download, digest: str) -> None:
        try:
            await download.prepare()
        except RequestError as error:
            raise ApiError(500, str(error)) from error
        except OSError as error:
            raise _refused(error, download) from error
        finally:
            if not download.prepared:
                del self.downloads[digest]
        download.start().add_done_callback(lambda _task: self.downloads.pop(digest))

    async def _wait(self, download: Download, label: Line) -> AsyncGenerator[Line, None]:
        """A line every 60 ms until the blob is there; the newer version is silent about what takes less."""
        loop = asyncio.get_running_loop()
        earliest = loop.time() + self.settings.profile.blob_floor * self.settings.time_scale
        shown = not self.settings.profile.blob_floor
        await asyncio.sleep(0)
        while True:
            if _ended_early(download) or (_finished(download) and loop.time() >= earliest and shown):
                break
            if download.task is not None and not download.task.done():
                await asyncio.wait([download.task], timeout=TICK)
            else:
                await asyncio.sleep(TICK)
            if not _finished(download) or (not _ended_early(download) and (not shown or loop.time() < earliest)):
                shown = True
                yield label | _amounts(download.total, download.completed)
        task = download.task
        assert task is not None
        if task.cancelled():
            # it was left by all others before this one came
            raise ApiError(500, "context canceled")
        error = task.exception()
        if isinstance(error, (DownloadError, RequestError)):
            raise ApiError(500, str(error)) from error
        if isinstance(error, OSError):
            raise _refused(error, download) from error
        if error is not None:
            raise error

    async def _verify(self, layer: Layer) -> None:
        path = self.store.blob(layer.digest)
        got = await asyncio.get_running_loop().run_in_executor(None, sha256_file, path)
        if got != layer.digest.replace("-", ":"):
            path.unlink(missing_ok=True)
            text = f"digest mismatch, file must be downloaded again: want {layer.digest}, got {got}"
            raise ApiError(500, text)

    async def stop(self) -> None:
        """Ends all downloads; what they have is saved."""
        tasks = [download.task for download in self.downloads.values() if download.task and not download.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.sleep(0)
        for task in tasks:
            # a pause goes on after the first time
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2)


def _refused(error: OSError, download: Download) -> ApiError:
    """The error for a partial file that the disk does not take."""
    return ApiError(500, os_error_text(error, "open", error.filename or download.data))


def _finished(download: Download) -> bool:
    return download.task is not None and download.task.done()


def _ended_early(download: Download) -> bool:
    """Whether it failed while bytes were missing. What fails when all are there is noticed as late as a success."""
    task = download.task
    failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
    return failed and download.completed < download.total


def _amounts(total: int, completed: int) -> Line:
    """`total` and `completed`, each left out when 0."""
    return ({"total": total} if total else {}) | ({"completed": completed} if completed else {})


def _realm_error(challenge: str, host: str) -> str:
    realm = ""
    for part in challenge.partition(" ")[2].split(","):
        key, _, value = part.strip().partition("=")
        if key == "realm":
            realm = value.strip('"')
    return f'realm host "{urlsplit(realm).netloc}" does not match original host "{host}"'
