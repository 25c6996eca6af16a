"""Where the YAML language server is: an npm package, which no Python extra brings."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAME = "yaml-language-server"
VERSION = "1.25.0"
VARIABLE = "YAML_LANGUAGE_SERVER"


def command() -> list[str]:
    """How to start it: what the variable says, else that of the Python environment, else that of the path."""
    if chosen := os.environ.get(VARIABLE):
        return [chosen]
    beside = Path(sys.prefix) / "node_modules" / ".bin" / NAME
    found = str(beside) if beside.exists() else shutil.which(NAME)
    return [found] if found else []


def lack() -> str | None:
    """Why it cannot run here, or None."""
    if shutil.which("node") is None:
        return "node is not installed; it runs yaml-language-server"
    if not command():
        prefix = os.path.relpath(sys.prefix) if Path(sys.prefix).is_relative_to(Path.cwd()) else sys.prefix
        return f"{NAME} is not installed; `npm install --no-save --prefix {prefix} {NAME}@{VERSION}` installs it"
    return None
