# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One blob fetched in parts, with partial files that a later pull resumes from."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp

from .errors import ApiError, Fatal, os_error_text
from .network import Client, RequestError, error_text

PART_COUNT = 16
PART_MIN = 100 * 1000 * 1000
PART_MAX = 1000 * 1000 * 1000
MAX_ATTEMPTS = 6
STALL_SECONDS = 30.0
DISCOVERY_SECONDS = 30.0
_CHUNK = 64 * 1024


class DownloadError(Exception):
    """A blob that could not be fetched; the message is the real server's."""


class CutOff(Exception):
    """A connection that broke in the middle of a body."""


@dataclass
class Part:
    """One range of a blob; the field names are those of the JSON file beside the data."""

    N: int
    Offset: int
    Size: int
    Completed: int = 0


def plan_parts(total: int) -> list[Part]:
    """The ranges that a blob of `total` bytes is fetched in."""
    size = min(max(total // PART_COUNT, PART_MIN), PART_MAX)
    return [Part(n, offset, min(size, total - offset)) for n, offset in enumerate(range(0, total, size))]


def read_part(text: str) -> Part:
    """A part from its file: the first JSON value, whatever follows; raises ApiError with Go's words."""
    try:
        data = json.JSONDecoder().raw_decode(text.lstrip())[0]
    except json.JSONDecodeError as error:
        rest = "" if error.msg.startswith("Unterminated") else text.lstrip()[error.pos :].strip()
        said = f"invalid character '{rest[0]}' looking for beginning of value" if rest else "unexpected EOF"
        raise ApiError(500, said if text.strip() else "EOF") from error
    if data is None:
        return Part(0, 0, 0)
    if not isinstance(data, dict):
        raise ApiError(
            500, f"json: cannot unmarshal {_go_kind(data)} into Go value of type server.jsonBlobDownloadPart"
        )
    # Go takes the names in any case
    given = {key.lower(): value for key, value in data.items()}
    values = {item.name: given.get(item.name.lower(), 0) for item in fields(Part)}
    for name, value in values.items():
        if type(value) is not int:
            kind = _go_kind(value) + (f" {value}" if isinstance(value, float) else "")
            told = f"into Go struct field jsonBlobDownloadPart.{name} of type int64"
            raise ApiError(500, f"json: cannot unmarshal {kind} {told}")
    return Part(**values)


def _go_kind(value: object) -> str:
    kinds = {list: "array", dict: "object", str: "string", bool: "bool"}
    return kinds.get(type(value), "number")


async def pause_to_the_end(seconds: float) -> None:
    """Waits before the next attempt. The real server's pause has its time even if nobody wants the blob any more."""
    pause = asyncio.ensure_future(asyncio.sleep(seconds))
    try:
        await asyncio.shield(pause)
    except asyncio.CancelledError:
        # the second time, the server is to end
        await pause
        raise


class Download:
    """A running fetch of one blob, shared by all who want it."""

    def __init__(self, client: Client, url: str, target: Path, scale: float, stall_before_first_byte: bool):
        self.client = client
        self.url = url
        self.target = target
        self.data = target.with_name(target.name + "-partial")
        self.scale = scale
        self.stall_before_first_byte = stall_before_first_byte
        self.parts: list[Part] = []
        self.users = 0
        self.prepared = False
        self.saved: dict[int, int] = {}
        self.task: asyncio.Task[None] | None = None

    @property
    def total(self) -> int:
        return sum(part.Size for part in self.parts)

    @property
    def completed(self) -> int:
        return sum(part.Completed for part in self.parts)

    def _part_file(self, part: Part) -> Path:
        return self.data.with_name(f"{self.data.name}-{part.N}")

    def _save(self, part: Part) -> None:
        self._part_file(part).write_text(json.dumps(asdict(part), separators=(",", ":")) + "\n", encoding="utf-8")

    async def prepare(self) -> None:
        """Reads what an earlier pull left, else asks the registry for the size."""
        for path in sorted(self.data.parent.glob(self.data.name + "-*")):
            try:
                self.parts.append(read_part(path.read_text(encoding="utf-8", errors="replace")))
            except IsADirectoryError as error:
                raise ApiError(500, os_error_text(error, "read", path)) from error
        if not self.parts:
            response = await self.client.request("HEAD", self.url)
            response.release()
            await check_status(response)
            self.parts = plan_parts(int(response.headers.get("Content-Length", "0")))
            for part in self.parts:
                self._save(part)
        self.prepared = True

    def start(self) -> asyncio.Task[None]:
        self.task = asyncio.get_running_loop().create_task(self._run())
        return self.task

    def release(self) -> None:
        """One user less; the last one who leaves stops the fetch and its progress is saved, after its pause if it is in one."""
        self.users -= 1
        if self.users > 0:
            return
        if self.task is None:
            # the real server calls a function that preparing has not set yet
            raise Fatal("panic: runtime error: invalid memory address or nil pointer dereference")
        if not self.task.done():
            self.task.cancel()

    async def _run(self) -> None:
        with self._open() as stream:
            if self.parts:
                url = await self._discover()
                await self._fetch_all(url, stream.fileno())
        # by number, whatever the numbers of the parts are
        for number in range(len(self.parts)):
            path = self.data.with_name(f"{self.data.name}-{number}")
            try:
                path.unlink()
            except OSError as error:
                raise DownloadError(os_error_text(error, "remove", path)) from error
        self.data.rename(self.target)

    def _open(self) -> io.BufferedRandom:
        stream = self.data.open("r+b" if self.data.exists() else "w+b")
        stream.truncate(self.total)
        return stream

    async def _fetch_all(self, url: str, descriptor: int) -> None:
        limit = asyncio.Semaphore(PART_COUNT)

        async def one(part: Part) -> None:
            async with limit:
                await self._fetch_part(url, part, descriptor)

        tasks = [asyncio.ensure_future(one(part)) for part in self.parts if part.Completed < part.Size]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def _discover(self) -> str:
        """The URL that the ranges come from: where the plain GET's Location says, or a redirect to another host."""
        deadline = asyncio.get_running_loop().time() + DISCOVERY_SECONDS * self.scale
        pause = 0.1
        while True:
            response = await self.client.request("GET", self.url)
            url = self.url
            while response.status in (301, 302, 303, 307, 308):
                target = urljoin(url, response.headers.get("Location", ""))
                response.release()
                if urlsplit(target).hostname != urlsplit(self.url).hostname:
                    if response.status == 307:
                        return target
                    raise DownloadError(f"unexpected status code {response.status}")
                url = target
                response = await self.client.request("GET", url)
            response.close()
            if response.status < 400:
                if "Location" not in response.headers:
                    raise DownloadError("http: no Location header in response")
                return urljoin(url, response.headers["Location"])
            if asyncio.get_running_loop().time() + pause * self.scale > deadline:
                await asyncio.sleep(max(0.0, deadline - asyncio.get_running_loop().time()))
                raise DownloadError("context deadline exceeded")
            await asyncio.sleep(pause * self.scale)
            pause = min(pause * 2, 10)

    async def _fetch_part(self, url: str, part: Part, descriptor: int) -> None:
        attempt = 0
        while True:
            try:
                await self._fetch_range(url, part, descriptor)
                return
            except asyncio.TimeoutError:
                continue  # a stall restarts the part, without a limit
            except (RequestError, EOFError, CutOff) as error:
                # also after the last one
                await pause_to_the_end(2**attempt * self.scale)
                attempt += 1
                if attempt >= MAX_ATTEMPTS:
                    raise DownloadError(f"max retries exceeded: {error}") from error

    async def _fetch_range(self, url: str, part: Part, descriptor: int) -> None:
        """Reads the rest of a part. Bytes of an attempt that was cut are kept, those of a stalled or short one are not."""
        start = self.saved.get(part.N, part.Completed)
        idle = STALL_SECONDS * self.scale
        headers = {"Range": f"bytes={part.Offset + start}-{part.Offset + part.Size - 1}"}
        progress = start
        try:
            request = self.client.request("GET", url, headers, idle=idle if self.stall_before_first_byte else None)
            async with await request as response:
                async for chunk in self._chunks(response, part.Size - start, idle):
                    self._write(descriptor, chunk, part.Offset + progress)
                    progress += len(chunk)
                    part.Completed = progress
            if progress < part.Size:
                raise EOFError("EOF")
        except (asyncio.CancelledError, CutOff):
            start = progress
            raise
        except (EOFError, DownloadError):
            part.Completed = start
            raise
        else:
            start = progress
        finally:
            # after a stall the shown number stays until new bytes come, the saved one does not
            self.saved[part.N] = start
            self._save(replace(part, Completed=start))

    async def _chunks(self, response: aiohttp.ClientResponse, size: int, idle: float) -> AsyncGenerator[bytes, None]:
        """At most `size` bytes of a body; raises asyncio.TimeoutError for a stall, CutOff for a broken connection."""
        first = not self.stall_before_first_byte
        while size > 0:
            read = response.content.read(min(_CHUNK, size))
            try:
                chunk = await (read if first else asyncio.wait_for(read, idle))
            except aiohttp.ClientPayloadError as error:
                raise CutOff("unexpected EOF") from error
            except aiohttp.ClientError as error:
                raise CutOff(await error_text(error, self.url)) from error
            if not chunk:
                return
            first = False
            size -= len(chunk)
            yield chunk

    def _write(self, descriptor: int, chunk: bytes, offset: int) -> None:
        try:
            os.pwrite(descriptor, chunk, offset)
        except OSError as error:
            raise DownloadError(os_error_text(error, "write", self.data)) from error


async def check_status(response: aiohttp.ClientResponse) -> None:
    """Raises ApiError with the real server's words for an answer of 400 and above."""
    if response.status == 404:
        raise ApiError(500, "file does not exist")
    if response.status >= 400:
        body = (await response.read()).decode("utf-8", "replace")
        raise ApiError(500, f"{response.status}: {body}")
