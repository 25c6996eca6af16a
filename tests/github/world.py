"""A project, its API, and runs of its workflow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from legoc.__main__ import main
from tests.github.fake_api import FakeApi
from tests.github.project import Project
from tests.github.runner import ROOT, Job, Step, clean_environment, read_outputs, run_action

TINY = (ROOT / "examples" / "tiny.yaml").read_text(encoding="utf-8")
DEEPER, NARROWER = TINY.replace("depth: 2", "depth: 3"), TINY.replace("depth: 2", "depth: 1")
BROKEN = TINY.replace("heads: 4", "heads: 5")
assert len({TINY, DEEPER, NARROWER, BROKEN}) == 4


class World:
    """A project whose workflow is run, with the API on loopback."""

    def __init__(self, folder: Path, fake: FakeApi) -> None:
        self.folder, self.fake = folder, fake
        self.project = Project(folder)
        self.environment = clean_environment(folder / "home")
        self._runs = 0

    def act(self, inputs: dict[str, str], event: dict[str, Any] | None = None, token: str = "ghs_workflow") -> Job:
        """Push, check out and run action.yml on the pull request, in bash."""
        clone, temporary = self._clone("refs/pull/7/merge", None)
        told = self.project.environment(event or self.project.pull_request(), self.fake.address, "pull_request")
        job = run_action(clone, temporary, {"install": "none", **inputs}, {**self.environment, **told}, token)
        assert token not in repr(job)
        return job

    def run(
        self,
        *arguments: str,
        event: dict[str, Any] | None = None,
        name: str = "pull_request",
        token: str = "ghs_workflow",
        address: str | None = None,
        ref: str = "refs/pull/7/merge",
        depth: int | None = None,
    ) -> Job:
        """Push, check out and run `legoc github`, in this process."""
        clone, temporary = self._clone(ref, depth)
        told = self.project.environment(event or self.project.pull_request(), address or self.fake.address, name)
        summary, output, report = (temporary / name for name in ("summary.md", "output", "report.json"))
        told |= {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output), "GITHUB_TOKEN": token}
        with pytest.MonkeyPatch.context() as patch:
            for key in [key for key in os.environ if key.startswith("GITHUB_")]:
                patch.delenv(key)
            for key, value in told.items():
                patch.setenv(key, value)
            patch.chdir(clone)
            step, printed = Step("legoc github", 0, "", "", {}), _Printed(patch, temporary)
            step.code = main(["github", *arguments, "--out", str(report)])
            step.stdout, step.stderr = printed.texts()
        job = Job([step], read_outputs(output) if output.exists() else {})
        job.summary = summary.read_text(encoding="utf-8") if summary.exists() else ""
        assert not token or token not in repr(job)
        return job

    def _clone(self, ref: str, depth: int | None) -> tuple[Path, Path]:
        self._runs += 1
        temporary = self.folder / f"temporary-{self._runs}"
        temporary.mkdir()
        return self.project.clone(f"clone-{self._runs}", ref, depth), temporary


class _Printed:
    """What is printed from here on, into files."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._files = {name: (folder / name).open("w+", encoding="utf-8") for name in ("stdout", "stderr")}
        for name, file in self._files.items():
            patch.setattr(f"sys.{name}", file)

    def texts(self) -> tuple[str, str]:
        """Both, and they are closed."""
        found: list[str] = []
        for file in self._files.values():
            with file:
                file.seek(0)
                found.append(file.read())
        return found[0], found[1]
