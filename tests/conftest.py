"""What this machine lacks, said aloud: a test that needs it is skipped with the reason, or fails in CI."""

from __future__ import annotations

import os
import shutil
from functools import cache
from importlib.util import find_spec

import pytest


@cache
def no_compiler() -> str | None:
    """Why the inductor backend cannot compile here, or None."""
    from legoc_runtime.backends.inductor import Inductor

    return Inductor().available()


@cache
def no_gpu() -> str | None:
    """Why nothing can run on a GPU here, or None."""
    import torch

    return None if torch.cuda.is_available() else "no CUDA device"


@cache
def no_diffusers() -> str | None:
    """Why no model of diffusers can be timed here, or None."""
    from legoc.bench.diffusers_dit import missing

    return missing()


@cache
def no_hub() -> str | None:
    """Why pipelines cannot be held against the Hub's own package here, or None."""
    return None if find_spec("huggingface_hub") else "huggingface_hub is not installed (the extra `[hub]`)"


@cache
def no_triton() -> str | None:
    """Why Triton kernels cannot be interpreted here, or None."""
    lack = "Triton is not installed; `pip install --target DIR --no-deps triton==3.6.0`, and DIR on PYTHONPATH"
    return None if find_spec("triton") else lack


@cache
def no_yaml_language_server() -> str | None:
    """Why the schema cannot be tried in yaml-language-server here, or None."""
    from tests.editors.yaml_server import lack

    return lack()


@cache
def no_graphviz() -> str | None:
    """Why pictures in DOT cannot be laid out here, or None."""
    return None if shutil.which("dot") else "Graphviz is not installed (its command `dot`)"


@cache
def no_browser() -> str | None:
    """Why pages cannot be drawn here, or None."""
    from tests.report.chromium import executable

    return None if executable() else "there is no Chromium or Chrome on PATH, and $CHROMIUM names none"


@cache
def no_pre_commit() -> str | None:
    """Why the hooks cannot be tried in pre-commit here, or None."""
    lacks = [name for name in ("pre_commit", "hatchling", "editables") if find_spec(name) is None]
    return f"not installed: {', '.join(lacks)} (the extra `[dev]` brings them)" if lacks else None


@cache
def no_datasets() -> str | None:
    """Why sets of Hugging Face's `datasets` cannot be tried here, or None."""
    return None if find_spec("datasets") else "not installed: datasets (the extra `[datasets]` brings it)"


LACKS = {
    "browser": no_browser,
    "compiler": no_compiler,
    "datasets": no_datasets,
    "gpu": no_gpu,
    "hub": no_hub,
    "triton": no_triton,
    "graphviz": no_graphviz,
    "peers": no_diffusers,
    "pre_commit": no_pre_commit,
    "yaml_language_server": no_yaml_language_server,
}

# CI machines have a compiler: a missing one there is a fault of the machine, not a reason to pass
REQUIRED_IN_CI = {"compiler"}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail in CI, a test that is marked as needing what this machine lacks."""
    for mark, lack in LACKS.items():
        if item.get_closest_marker(mark) is None or (reason := lack()) is None:
            continue
        if mark in REQUIRED_IN_CI and os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the tests marked `{mark}`: {reason}", pytrace=False)
        pytest.skip(f"{mark}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line nobody overlooks for each thing that this machine lacked."""
    skipped: list[pytest.TestReport] = terminalreporter.stats.get("skipped", [])
    for mark in LACKS:
        reasons = [str(report.longrepr) for report in skipped if f"Skipped: {mark}: " in str(report.longrepr)]
        if reasons:
            why = reasons[0].split(f"{mark}: ", 1)[1].rstrip("')")
            terminalreporter.write_sep("!", f"{len(reasons)} tests marked `{mark}` did NOT run", yellow=True)
            terminalreporter.write_line(why)
