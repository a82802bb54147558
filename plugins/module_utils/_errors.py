# Copyright (c) 2026, Alchemorsel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One family of exceptions for everything that can go wrong with an Ollama server or a model's source.

Every message names the thing, what was found, what is wanted and the remedy. Modules turn an error into a result
with :meth:`OllamaError.as_result`; nothing below the modules calls ``fail_json``.
"""

from __future__ import annotations

from typing import Any


class OllamaError(Exception):
    """Base of the family.

    :param message: one clear sentence for the operator
    :param url: address that was asked, without credentials
    :param http_status: status of the answer, where there was one
    :param error: the text the server itself gave, unchanged
    """

    #: worth trying again without any change by the operator
    retry = False

    def __init__(
        self,
        message: str,
        *,
        url: str | None = None,
        http_status: int | None = None,
        error: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.url = url
        self.http_status = http_status
        self.error = error

    @property
    def kind(self) -> str:
        """Name of the exception's class, for conditions in playbooks and tests."""
        return type(self).__name__

    def as_result(self) -> dict[str, Any]:
        """Return keyword arguments for ``fail_json``; keys without a value are left out."""
        result: dict[str, Any] = {"msg": self.message, "error_kind": self.kind}
        for key in ("url", "http_status", "error"):
            value = getattr(self, key)
            if value is not None:
                result[key] = value
        return result


# --- what the operator gave ---------------------------------------------------------------------------------------


class InvalidInput(OllamaError):
    """An option has a value that cannot work."""


class InvalidName(InvalidInput):
    """Not a model name that Ollama takes, or one that is refused here."""


class InvalidDigest(InvalidInput):
    """Not ``sha256:`` and 64 hexadecimal digits."""


class UnusableFile(InvalidInput):
    """A file on the host is not what was declared: not there, no GGUF, or truncated."""


class FileChanged(UnusableFile):
    """A file was changed while it was read."""


class LibraryMissing(OllamaError):
    """A Python library is missing where the module runs."""

    def __init__(self, library: str, trace: str) -> None:
        super().__init__(f"the Python library {library} is missing on the host where the module runs")
        self.library = library
        self.trace = trace


# --- the Ollama server --------------------------------------------------------------------------------------------


class ServerUnreachable(OllamaError):
    """No connection, or the connection broke before an answer.

    :param connected: whether a TCP connection was made
    """

    retry = True

    def __init__(self, message: str, *, connected: bool = True, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.connected = connected


class ServerTimeout(ServerUnreachable):
    """Connected, but no answer in time."""


class TLSFailure(OllamaError):
    """The TLS handshake failed."""


class NotOllama(OllamaError):
    """Something answers there, but it does not speak Ollama's API."""


class AccessRefused(OllamaError):
    """The server, or a gateway before it, refused the request (401, 403)."""


class ModelNotFound(OllamaError):
    """The server does not have this model, or has it without its blobs."""


class ServerBusy(OllamaError):
    """The server has too much to do (503, 429)."""

    retry = True


class BadAnswer(OllamaError):
    """The server answered with an error, or with something that cannot be read."""


class HandlerDied(BadAnswer):
    """The server answered 500 with an empty body: what it did for the request ended in a panic."""


class OldServer(OllamaError):
    """The server's version is below the floor."""


class StreamBroken(OllamaError):
    """A streamed answer ended before its final line."""

    retry = True


class ServerLocked(OllamaError):
    """Another run on this machine works on the server."""


class LockUnusable(OllamaError):
    """The lock of a server cannot be used."""


class Interrupted(OllamaError):
    """The run was given up while this went on."""


class DeadlinePassed(OllamaError):
    """A streamed answer was cut here because its time was up."""


class StoreBroken(OllamaError):
    """Files of a model are missing in the server's store, or are not what its manifest says."""


# --- the server's memory ------------------------------------------------------------------------------------------


class LoadFailed(OllamaError):
    """A model could not be brought into memory."""


class LoadTimeout(LoadFailed):
    """The load took longer than ``load_timeout``, or than the server allows."""


class NotEnoughMemory(LoadFailed):
    """The model does not fit into memory."""


class RunnerDied(LoadFailed):
    """The process of the model ended while it was loaded."""


class Evicted(LoadFailed):
    """The model was loaded, and another one that is declared loaded was unloaded for it."""


# --- pulls and sources --------------------------------------------------------------------------------------------


class PullFailed(OllamaError):
    """A pull did not end with success."""

    retry = True


class PullStalled(PullFailed):
    """No byte arrived for ``stall_timeout`` seconds."""


class PullTimeout(PullFailed):
    """The pull took longer than ``pull_timeout``."""

    retry = False


class DiskFull(PullFailed):
    """The server's store has no space left."""

    retry = False


class DigestMismatch(PullFailed):
    """A blob arrived with the right size and the wrong bytes; the server removed it."""


class SourceNotFound(PullFailed):
    """The source does not have this model or tag."""

    retry = False


class SourceRefused(PullFailed):
    """The source wants a login, or refuses (400, 401, 403)."""

    retry = False


class SourceBusy(PullFailed):
    """The source asks to come back later (429)."""

    #: after so many seconds, where it says so
    retry_after: float | None = None
    #: which is longer than is waited, so that there is no use in another request
    too_long = False


class SourceFailed(PullFailed):
    """The source has trouble of its own (5xx)."""


class SourceUnreachable(PullFailed):
    """The source cannot be reached."""


class SourceTLSFailure(PullFailed):
    """TLS between the reader and the source failed."""

    retry = False


class SourceUnusable(PullFailed):
    """The source speaks the registry protocol in a way that Ollama cannot use."""

    retry = False


class NewerServerWanted(PullFailed):
    """The model needs a newer Ollama (412)."""

    retry = False


class DigestNotServed(PullFailed):
    """The source has the model, but not with the wanted digest."""

    retry = False


class WeightsUnusable(PullFailed):
    """The weights of the model are no GGUF that the server can read, and it would not survive its next start."""

    retry = False


#: What a server with TLS says to plain http, with status 400.
HTTP_TO_HTTPS = r"HTTP request (?:was sent )?to (?:an )?HTTPS (?:port|server)"
