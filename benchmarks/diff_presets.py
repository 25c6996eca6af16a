"""How long `legoc diff` takes over all presets between two revisions of a repository, each of them changed.

    python benchmarks/diff_presets.py [--rounds 9]

A repository is made in a temporary folder: the specs of this project, then each with another `name` and `carry: raw`
where nothing else was said. Every round is a process of its own; text and Markdown alternate.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WHO = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        count = make_repository(Path(folder))
        times: dict[str, list[float]] = {"text": [], "markdown": []}
        for _ in range(rounds):
            for format, taken in times.items():
                taken.append(time_once(Path(folder), format, count))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {count} specs")
    for format, taken in times.items():
        print(f"{format:<9} median {statistics.median(taken):.2f} s, {min(taken):.2f} to {max(taken):.2f}")


def make_repository(folder: Path) -> int:
    """Two commits; gives the number of specs."""
    shutil.copytree(ROOT / "specs", folder / "specs")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, *WHO, "commit", "-qm", "before")
    count = 0
    for path in sorted((folder / "specs").rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if "\nname: " not in text:
            continue  # a base
        changed = text.replace("\nname: ", "\nname: other_", 1)
        changed = changed if "\ncarry:" in changed else changed + "\ncarry: raw\n"
        path.write_text(changed, encoding="utf-8")
        count += 1
    git(folder, *WHO, "commit", "-qam", "after")
    return count


def time_once(folder: Path, format: str, count: int) -> float:
    """Seconds of one process; it must have compared every spec."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])}
    command = [sys.executable, "-m", "legoc", "diff", "HEAD~1..HEAD", "--format", format, "--", "specs"]
    start = time.perf_counter()
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - start
    assert result.returncode == 0, result.stderr
    assert f"{count} specs changed" in result.stdout
    return taken


def git(folder: Path, *arguments: str) -> None:
    """Run git there."""
    subprocess.run(["git", *arguments], cwd=folder, check=True)


if __name__ == "__main__":
    main()
