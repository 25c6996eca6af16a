"""Runs the steps of action.yml as GitHub's runner does, without a container: expressions, files of outputs, bash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
RUNTIME_PACKAGES = ["torch", "numpy", "safetensors", "PIL"]
"""What `legoc github` must do without."""

_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
_COMPARISON = re.compile(r"(\S+) (==|!=) '([^']*)'")


def read_action() -> dict[str, Any]:
    """The metadata of the action."""
    yaml: Any = YAML(typ="safe", pure=True)
    return yaml.load((ROOT / "action.yml").read_text(encoding="utf-8"))


@dataclass
class Step:
    """A step that ran."""

    name: str
    code: int
    stdout: str
    stderr: str
    outputs: dict[str, str]


@dataclass
class Job:
    """What a run of the action left.

    Attributes:
        steps: those that ran, in order; one that `uses` another action has its inputs as outputs.
        outputs: of the action.
        summary: of the job.
    """

    steps: list[Step] = field(default_factory=list[Step])
    outputs: dict[str, str] = field(default_factory=dict[str, str])
    summary: str = ""

    @property
    def last(self) -> Step:
        """The step that ran last."""
        return self.steps[-1]

    @property
    def annotations(self) -> list[str]:
        """The workflow commands among what the last step printed."""
        return [line for line in self.last.stdout.splitlines() if line.startswith("::")]


def run_action(
    workspace: Path, folder: Path, inputs: dict[str, str], environment: dict[str, str], token: str = ""
) -> Job:
    """Run the action in a checked out repository.

    Args:
        workspace: the repository.
        folder: for what the runner keeps.
        inputs: of the action; the others have their defaults.
        environment: what GitHub sets.
        token: `github.token`.
    """
    action = read_action()
    folder.mkdir(parents=True, exist_ok=True)
    values = {"github.action_path": str(ROOT), "runner.temp": str(folder), "github.token": token}
    unknown = set(inputs) - set(action["inputs"])
    assert not unknown, f"unexpected inputs {unknown}"
    for name, declared in action["inputs"].items():
        values[f"inputs.{name}"] = inputs.get(name, _expanded(declared.get("default", ""), values))
    job = Job()
    summary = folder / "summary.md"
    summary.touch()
    for number, step in enumerate(action["runs"]["steps"]):
        if not _holds(step.get("if"), values):
            continue
        if "uses" in step:
            given = {key: _expanded(value, values) for key, value in step.get("with", {}).items()}
            job.steps.append(Step(step["uses"], 0, "", "", given))
            continue
        assert step["shell"] == "bash"
        output = folder / f"output-{number}"
        output.touch()
        own = {key: _expanded(value, values) for key, value in step.get("env", {}).items()}
        files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
        job.steps.append(_bash(step, workspace, folder, {**environment, **files, **own}))
        job.last.outputs |= read_outputs(output)
        values |= {f"steps.{step['id']}.outputs.{key}": value for key, value in job.last.outputs.items()}
        if job.last.code:
            break
    job.outputs = {name: _expanded(output["value"], values) for name, output in action["outputs"].items()}
    job.summary = summary.read_text(encoding="utf-8")
    return job


def clean_environment(folder: Path) -> dict[str, str]:
    """What a runner's shell starts with, and this `legoc` on its PATH, without what action.yml does not install."""
    commands = folder / "bin"
    commands.mkdir(parents=True, exist_ok=True)
    source = os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])
    code = f"import sys; sys.modules.update(dict.fromkeys({RUNTIME_PACKAGES})); import legoc.__main__ as legoc; "
    write_command(
        commands / "legoc",
        f'#!/bin/sh\nPYTHONPATH="{source}" exec "{sys.executable}" -c "{code}sys.exit(legoc.main())" "$@"\n',
    )
    return {
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def write_command(path: Path, text: str) -> None:
    """A script that can be called by its name."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _bash(step: dict[str, Any], workspace: Path, folder: Path, environment: dict[str, str]) -> Step:
    script = folder / f"{step['id']}.sh"
    script.write_text(step["run"], encoding="utf-8")
    # as the runner calls `shell: bash`
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    done = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, check=False)
    return Step(step["name"], done.returncode, done.stdout, done.stderr, {})


def read_outputs(path: Path) -> dict[str, str]:
    """What a step wrote to GITHUB_OUTPUT."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all("=" in line for line in lines)
    return dict(line.split("=", 1) for line in lines)


def _expanded(text: object, values: dict[str, str]) -> str:
    return _EXPRESSION.sub(lambda match: _value(match[1], values), str(text))


def _value(name: str, values: dict[str, str]) -> str:
    assert re.fullmatch(r"(inputs|github|runner|steps)\.[\w.-]+", name), f"this runner does not read `{name}`"
    return values.get(name, "")


def _holds(condition: str | None, values: dict[str, str]) -> bool:
    if condition is None:
        return True
    match = _COMPARISON.fullmatch(condition)
    assert match, f"this runner does not read `{condition}`"
    return (_value(match[1], values) == match[3]) == (match[2] == "==")
