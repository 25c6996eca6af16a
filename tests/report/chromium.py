"""A real browser without a screen, told what to do over its debugging pipe: no driver, no port, no package."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers; it opens nothing but what the tests wrote
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE_SECONDS = 60
READ, WRITE = 3, 4
"""Where the browser reads commands and writes answers, as its documentation has it."""


@cache
def executable() -> str | None:
    """The browser, or None."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One browser with one tab.

    Attributes:
        events: what the tab told since it was last emptied, such as requests and lines of the console.
    """

    def __init__(self, profile: Path) -> None:
        program = executable()
        assert program is not None
        read, self._write = os.pipe()
        answers, write = os.pipe()
        # a shell moves the pipes to where they are expected, since Python cannot between fork and exec
        line = f'exec "$0" "$@" {READ}<&{read} {WRITE}>&{write}'
        command = ["bash", "-c", line, program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with (profile.parent / "browser.log").open("wb") as log:
            self._process = subprocess.Popen(command, pass_fds=(read, write), stdout=log, stderr=log)
        os.close(read)
        os.close(write)
        self._answers, self._read = answers, bytearray()
        self._number, self.events = 0, list[dict[str, Any]]()
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._session = None
        try:
            self.call("Browser.close")
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._answers)
            os.close(self._write)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Do something and wait for its answer; keep what is told meanwhile."""
        self._number += 1
        session = {} if self._session is None else {"sessionId": self._session}
        message = {"id": self._number, "method": method, "params": parameters, **session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def open(self, path: Path, *, width: int, theme: Literal["light", "dark"], medium: str = "screen") -> None:
        """Show a file in a window of a width, and wait until it is drawn."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, height: int = 900) -> str:
        """The upper part of the page as a PNG, in base64."""
        width = self.value("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        return self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]

    def _next(self) -> dict[str, Any]:
        while (end := self._read.find(b"\0")) < 0:
            ready, _, _ = select.select([self._answers], [], [], PATIENCE_SECONDS)
            assert ready, f"the browser said nothing for {PATIENCE_SECONDS} seconds"
            told = os.read(self._answers, 2**16)
            assert told, "the browser ended"
            self._read += told
        found: dict[str, Any] = json.loads(self._read[:end])
        del self._read[: end + 1]
        if "method" in found:
            self.events.append(found)
        return found
