"""How long the front end takes to answer, beside a bare import of its libraries in the same run.

    python benchmarks/front_end.py [--runs 15]

Every command runs in its own process, one after the other, in rounds: a machine that drifts, drifts for all. The
statistic is the median of wall time; CPU time of the child (user and system) stands beside it, since it suffers less
from what else runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
BARE = "import pydantic, ruamel.yaml, typer"
AIM = 1.5
BROKEN = "tests/diagnostics/fixtures/LG101_misspelt.yaml"


def commands() -> dict[str, list[str]]:
    """Name -> arguments of the interpreter."""
    one = "specs/emoji_32.yaml"
    presets = sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "specs").rglob("*.yaml")
        if path.relative_to(ROOT / "specs").parts[0] != "base"
    )
    return {
        "python alone": ["-c", "pass"],
        "bare import": ["-c", BARE],
        "legoc --help": ["-m", "legoc", "--help"],
        "legoc check, one spec": ["-m", "legoc", "check", one],
        f"legoc check, {len(presets)} presets": ["-m", "legoc", "check", *presets],
        "legoc check, a misspelt key": ["-m", "legoc", "check", BROKEN],
        "legoc fmt --check, one spec": ["-m", "legoc", "fmt", "--check", one],
        "legoc explain LG201": ["-m", "legoc", "explain", "LG201"],
        "legoc check --help": ["-m", "legoc", "check", "--help"],
    }


def timed(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, check=False, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wall = time.perf_counter() - start
    assert done.returncode == (1 if BROKEN in arguments else 0), f"{arguments} ended with {done.returncode}"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="runs of each command")
    runs = parser.parse_args().runs
    # byte code is written, as it is for everybody who installed the package
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**inherited, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "runtime")])}
    table = commands()
    wall: dict[str, list[float]] = {name: [] for name in table}
    cpu: dict[str, list[float]] = {name: [] for name in table}
    for i in range(runs + 1):
        for name, arguments in table.items():
            one = timed(arguments, environment)
            if i:  # the first round warms the disk cache and the byte code
                wall[name].append(one[0])
                cpu[name].append(one[1])
    libraries = ", ".join(f"{name} {version(name)}" for name in ("pydantic", "ruamel.yaml", "typer"))
    print(f"Python {platform.python_version()}, {libraries}; {os.cpu_count()} cores; {runs} runs each, interleaved\n")
    print("| command | wall, median | fastest | CPU, median | CPU over bare import |\n|---|---|---|---|---|")
    bare = statistics.median(cpu["bare import"])
    for name in table:
        own = statistics.median(cpu[name])
        print(
            f"| {name} | {statistics.median(wall[name]) * 1e3:.0f} ms | {min(wall[name]) * 1e3:.0f} ms "
            f"| {own * 1e3:.0f} ms | {own / bare:.2f} |"
        )
    for what, times in (("wall", wall), ("CPU", cpu)):
        both = statistics.median(times["legoc --help"]) + statistics.median(times["legoc check, one spec"])
        ratio = both / statistics.median(times["bare import"])
        print(f"\n--help and check of one spec together over the bare import, {what}: {ratio:.2f} (aim: at most {AIM})")


if __name__ == "__main__":
    main()
