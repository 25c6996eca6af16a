"""A small editor: speaks the Language Server Protocol with a server over its stdin and stdout."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 30
CAPABILITIES: dict[str, Any] = {
    "workspace": {"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}},
    "textDocument": {
        "publishDiagnostics": {"relatedInformation": True},
        "completion": {"completionItem": {"documentationFormat": ["markdown"], "snippetSupport": True}},
        "hover": {"contentFormat": ["markdown"]},
    },
}


class ServerError(Exception):
    """The server answered with an error."""


class LanguageClient:
    """A connection to a server, from its start to its exit.

    `stray` holds every byte of stdout that was not part of a message, `told` the documents that something was said of.
    """

    def __init__(self, command: Sequence[str], *, settings: dict[str, Any] | None = None) -> None:
        path = os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])
        self.settings = settings or {}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.stray = b""
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.notes: queue.Queue[dict[str, Any]] = queue.Queue()
        self.errors: list[bytes] = []
        self.told: set[str] = set()
        self.count = 0
        self.versions: dict[str, int] = {}
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._read_errors)]
        for thread in self.threads:
            thread.start()

    def __enter__(self) -> LanguageClient:
        self.capabilities = self.request(
            "initialize",
            {"processId": os.getpid(), "rootUri": ROOT.as_uri(), "capabilities": CAPABILITIES},
        )["capabilities"]
        self.notify("initialized", {})
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.request("shutdown", None)
            self.notify("exit", None)
            self.process.wait(TIMEOUT_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            for thread in self.threads:
                thread.join(TIMEOUT_SECONDS)
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()

    # What an editor does -------------------------------------------------------------------------------------------

    def open(self, uri: str, text: str) -> None:
        self.versions[uri] = 1
        self.notify(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1, "text": text}},
        )

    def change(self, uri: str, text: str) -> None:
        self.versions[uri] += 1
        document = {"uri": uri, "version": self.versions[uri]}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def close(self, uri: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """The next diagnostics that are published about a document."""
        while True:
            note = self.notes.get(timeout=TIMEOUT_SECONDS)
            if note["method"] == "textDocument/publishDiagnostics" and note["params"]["uri"] == uri:
                return note["params"]["diagnostics"]

    def ask(self, what: str, uri: str, position: dict[str, int], **more: Any) -> Any:
        """A request about a position, such as `hover`."""
        return self.request(f"textDocument/{what}", {"textDocument": {"uri": uri}, "position": position, **more})

    # The wire ------------------------------------------------------------------------------------------------------

    def request(self, method: str, params: Any) -> Any:
        self.count += 1
        self._send({"id": self.count, "method": method, "params": params})
        while True:
            answer = self.answers.get(timeout=TIMEOUT_SECONDS)
            if answer["id"] != self.count:
                continue
            if "error" in answer:
                raise ServerError(answer["error"]["message"])
            return answer["result"]

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        message = {key: value for key, value in message.items() if key != "params" or value is not None}
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        length = None
        while line := stream.readline():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            elif line.strip() or length is None:
                if not line.lower().startswith(b"content-type:"):
                    self.stray += line
            else:
                self._take(json.loads(stream.read(length)))
                length = None

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            self.answers.put(message)
        elif "id" in message:
            self._send({"id": message["id"], "result": self._answer(message)})
        else:
            if message["method"] == "textDocument/publishDiagnostics":
                self.told.add(message["params"]["uri"])
            self.notes.put(message)

    def _answer(self, message: dict[str, Any]) -> Any:
        """What a server asks of an editor: its settings, or to register something."""
        if message["method"] == "workspace/configuration":
            return [self.settings.get(item.get("section", "").split(".")[0]) for item in message["params"]["items"]]
        return None

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = list(self.process.stderr)


def position(text: str, needle: str, into: int = 0, *, nth: int = 0) -> dict[str, int]:
    """The position `into` characters into the nth occurrence of a needle, in UTF-16 code units."""
    at = -1
    for _ in range(nth + 1):
        at = text.index(needle, at + 1)
    before = text[: at + into]
    line = before.count("\n")
    return {"line": line, "character": len(before[before.rfind("\n") + 1 :].encode("utf-16-le")) // 2}


def labels(completions: Any) -> list[str]:
    """The labels of a completion answer, whichever of its two forms it has."""
    items = completions["items"] if isinstance(completions, dict) else completions
    return [item["label"] for item in items or []]
