"""Calls of GitHub's REST API: bounded in time and size, repeated where that is safe, and never a word of the token.

Source: GitHub's "Best practices for using the REST API" (retries, rate limits, redirects) and "Using pagination".
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any, Literal, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from legoc.render.lines import visible
from legoc.version import __version__

TIMEOUT_SECONDS = 20.0
ATTEMPTS = 3
LONGEST_WAIT_SECONDS = 30.0
MAX_BYTES = 64 * 2**20
MAX_PAGES = 100
MAX_REDIRECTS = 3
MAX_WORDS = 300
_NEXT = re.compile(r'<([^<>]*)>[^,]*;\s*rel="next"')
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

Method = Literal["GET", "POST", "PATCH", "DELETE"]


class ApiError(Exception):
    """A call that did not succeed.

    Attributes:
        status: what the server answered; None where no answer came.
        perhaps_done: whether the server may have done what was asked all the same.
    """

    def __init__(self, message: str, *, status: int | None = None, perhaps_done: bool = False) -> None:
        super().__init__(message)
        self.status, self.perhaps_done = status, perhaps_done


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _NoRedirect(HTTPRedirectHandler):
    """Redirects are followed by `Api` alone: urllib would hand the token to whatever host they name."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        """Follow none."""
        return None


class Api:
    """The REST API of one server, as one token may use it.

    Args:
        address: e.g. `https://api.github.com`.
        token: what calls are signed with.
        sleep: waits so many seconds; a test need not.

    Raises:
        ApiError: the address is none that a token may be sent to, or the token none that can be sent.
    """

    def __init__(self, address: str, token: str, sleep: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(address)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ApiError("the address of the API is not https, so that the token is not sent to it")
        if not token or not re.fullmatch(r"[!-~]+", token):
            raise ApiError("the token is empty, or has characters that no token has")
        self._address, self._token, self._sleep = address.rstrip("/"), token, sleep
        self._opener = build_opener(_NoRedirect())

    def call(self, method: Method, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The answer to a call, as JSON; None where it is empty.

        Args:
            method: of HTTP.
            path: below the API's address.
            body: sent as JSON.

        Raises:
            ApiError: the server refused, or did not answer.
        """
        return _json(self._sent(method, self._address + path, body))

    def pages(self, path: str) -> Iterator[Any]:
        """The answers to a call, page by page, in the server's order.

        Raises:
            ApiError: the server refused or did not answer, or there are more than `MAX_PAGES`.
        """
        url: str | None = self._address + path
        for _ in range(MAX_PAGES):
            answer = self._sent("GET", url, None)
            yield _json(answer)
            found = _NEXT.search(answer.headers.get("link", ""))
            if found is None:
                return
            url = self._followed(url, found[1])
        raise ApiError(f"there are more than {MAX_PAGES} pages of comments")

    def _followed(self, url: str, target: str) -> str:
        """Where a link of the server leads, which must be the same server."""
        full = urljoin(url, target)
        if urlsplit(full)[:2] != urlsplit(self._address)[:2]:
            raise ApiError("the server refers to another one, which the token is not for")
        return full

    def _sent(self, method: Method, url: str, body: Mapping[str, object] | None) -> _Answer:
        """The answer to a call, repeated where the server asks for it or where repeating does no harm."""
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._redirected(method, url, data)
            except (URLError, OSError, http.client.HTTPException) as error:
                problem = ApiError(f"no answer: {_reason(error)}", perhaps_done=method == "POST")
                wait = None if method == "POST" else float(attempt)
            else:
                if answer.status < 300:
                    return answer
                problem = _refusal(answer, method)
                wait = _wait(answer, method, attempt)
            if wait is None or wait > LONGEST_WAIT_SECONDS or attempt == ATTEMPTS:
                raise problem
            self._sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _redirected(self, method: Method, url: str, data: bytes | None) -> _Answer:
        """The answer at the end of redirects on the same server: a repository that was renamed has one."""
        answer = self._once(method, url, data)
        for _ in range(MAX_REDIRECTS):
            if answer.status not in (301, 302, 307, 308) or "location" not in answer.headers:
                break
            url = self._followed(url, answer.headers["location"])
            answer = self._once(method, url, data)
        return answer

    def _once(self, method: Method, url: str, data: bytes | None) -> _Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": f"legoc/{__version__}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        request = Request(url, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return _Answer(response.status, _lower(response.headers), response.read(MAX_BYTES))
        except HTTPError as error:
            with error:
                return _Answer(error.code, _lower(error.headers), error.read(MAX_BYTES))


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _json(answer: _Answer) -> Any:
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise ApiError("the answer is no JSON", status=answer.status, perhaps_done=True) from error


def _said(answer: _Answer) -> str:
    """What the server says is wrong, errors of fields after it."""
    try:
        data: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(data, dict):
        return ""
    body = cast("dict[str, Any]", data)
    errors: object = body.get("errors")
    each = cast("list[Any]", errors) if isinstance(errors, list) else []
    words = [
        body.get("message"),
        *(cast("dict[str, Any]", one).get("message") for one in each if isinstance(one, dict)),
    ]
    return visible(": ".join(word for word in words if isinstance(word, str)))[:MAX_WORDS]


def _refusal(answer: _Answer, method: Method) -> ApiError:
    said = _said(answer)
    message = f"the server answered {answer.status}{f': {said}' if said else ''}"
    return ApiError(message, status=answer.status, perhaps_done=method == "POST" and answer.status >= 500)


def _wait(answer: _Answer, method: Method, attempt: int) -> float | None:
    """Seconds until a call may be repeated; None where it may not."""
    asked = answer.headers.get("retry-after", "")
    limited = answer.status == 429 or (answer.status == 403 and (asked or "rate limit" in _said(answer).lower()))
    if limited:
        if re.fullmatch(r"[0-9]{1,6}", asked):
            return float(asked)
        if answer.headers.get("x-ratelimit-remaining") == "0":
            reset = answer.headers.get("x-ratelimit-reset", "")
            return max(0.0, float(reset) - time.time()) if re.fullmatch(r"[0-9]{1,12}", reset) else None
        return 10.0 * attempt
    # a second POST could make a second comment
    return float(attempt) if answer.status >= 500 and method != "POST" else None


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    return visible(str(reason) or type(reason).__name__)[:MAX_WORDS]
