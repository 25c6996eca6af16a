"""GitHub's REST API for comments, on loopback: it answers as the real one is documented to."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any

REPOSITORY = "someone/stacks"
MAX_BODY = 65_536
FORBIDDEN = {"message": "Resource not accessible by integration", "status": "403"}
NOT_FOUND = {"message": "Not Found", "status": "404"}
TOO_LONG = {
    "message": "Validation Failed",
    "errors": [
        {
            "resource": "IssueComment",
            "code": "unprocessable",
            "field": "data",
            "message": f"Body is too long (maximum is {MAX_BODY} characters)",
        }
    ],
}
ROBOT = {"login": "github-actions[bot]", "type": "Bot"}


@dataclass
class Account:
    """Whose a token is."""

    user: dict[str, str] = field(default_factory=lambda: dict(ROBOT))
    can_write: bool = True


@dataclass
class Reply:
    """An answer that is given instead of the usual one, to the next call of a method; `does` it all the same or not."""

    method: str
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    does: bool = False


class FakeApi:
    """The server; a context.

    Attributes:
        comments: of pull request 7, the oldest first.
        accounts: by token.
        replies: what is answered out of the ordinary.
        calls: what was asked, e.g. `GET /user`.
        page: the most comments on a page.
        max_body: the most characters of a comment.
    """

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.accounts = {"ghs_workflow": Account(), "ghs_fork": Account(can_write=False)}
        self.replies: list[Reply] = []
        self.calls: list[str] = []
        self.page, self.max_body = 100, MAX_BODY
        self._next = 1000

    def __enter__(self) -> FakeApi:
        api = self

        class Handler(_Handler):
            fake = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def says(self, body: str, user: dict[str, str] | None = None) -> dict[str, Any]:
        """A comment that is there already."""
        comment = {
            "id": self._next,
            "body": body,
            "user": user or dict(ROBOT),
            "html_url": f"https://github.com/{REPOSITORY}/pull/7#issuecomment-{self._next}",
        }
        self._next += 1
        self.comments.append(comment)
        return comment

    def bodies(self) -> list[str]:
        """The text of every comment."""
        return [comment["body"] for comment in self.comments]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeApi

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length)) if length else None
        self.fake.calls.append(f"{method} {self.path}")
        reply = next((reply for reply in self.fake.replies if reply.method == method), None)
        if reply is not None:
            self.fake.replies.remove(reply)
        if reply is None:
            status, body, headers = self._usual(method, sent)
        else:
            if reply.does:
                self._usual(method, sent)
            status, body, headers = reply.status, reply.body, reply.headers
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _usual(self, method: str, sent: Any) -> tuple[int, Any, dict[str, str]]:
        fake = self.fake
        account = fake.accounts.get((self.headers.get("Authorization") or "").removeprefix("Bearer "))
        if account is None:
            return 401, {"message": "Bad credentials", "status": "401"}, {}
        path, _, query = self.path.partition("?")
        if path == "/user":
            return (403, FORBIDDEN, {}) if account.user["type"] == "Bot" else (200, account.user, {})
        if method != "GET" and not account.can_write:
            return 403, FORBIDDEN, {}
        text: str = sent["body"] if sent else ""
        if len(text) > fake.max_body:
            return 422, TOO_LONG, {}
        if path == f"/repos/{REPOSITORY}/issues/7/comments":
            return self._list(path, query) if method == "GET" else (201, fake.says(text, account.user), {})
        match = re.fullmatch(rf"/repos/{REPOSITORY}/issues/comments/(\d+)", path)
        comment = next((one for one in fake.comments if match and one["id"] == int(match[1])), None)
        if comment is None:
            return 404, NOT_FOUND, {}
        if method == "DELETE":
            fake.comments.remove(comment)
            return 204, None, {}
        comment["body"] = text
        return 200, comment, {}

    def _list(self, path: str, query: str) -> tuple[int, Any, dict[str, str]]:
        asked = dict(pair.split("=") for pair in query.split("&") if pair)
        size, page = min(int(asked.get("per_page", 30)), self.fake.page), int(asked.get("page", 1))
        shown = self.fake.comments[(page - 1) * size : page * size]
        last = max(1, -(-len(self.fake.comments) // size))
        base = f"{self.fake.address}{path}?per_page={size}&page="
        links = [f'<{base}{page - 1}>; rel="prev"'] if page > 1 else []
        links += [f'<{base}{page + 1}>; rel="next"', f'<{base}{last}>; rel="last"'] if page < last else []
        return 200, shown, {"Link": ", ".join(links)} if links else {}
