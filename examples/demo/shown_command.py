"""A command of legoc as a user would type it: printed, and run."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path


def legoc(*arguments: str | Path) -> None:
    """Run one command of legoc; stops the demo when it fails, with the command's own words and exit code."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ legoc {shlex.join(words)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "legoc", *words], check=False).returncode
    if code:
        sys.exit(code)
