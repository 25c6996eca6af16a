"""action.yml: its steps run as they stand there, in bash, and its metadata."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from legoc.review.classify import IMPACTS
from legoc.review.render.markdown import MARKER
from tests.github.fake_api import FakeApi
from tests.github.runner import ROOT, clean_environment, read_action, run_action, write_command
from tests.github.world import DEEPER, NARROWER, TINY, World


def _validate(schema: Any, instance: Any) -> None:
    validator: Any = jsonschema.Draft7Validator(schema)
    validator.validate(instance)


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi() as fake:
        yield fake


@pytest.fixture
def world(tmp_path: Path, fake: FakeApi) -> World:
    return World(tmp_path, fake)


def test_a_pull_request_gets_one_comment_that_is_updated(world: World) -> None:
    world.project.main(specs__a=TINY, specs__b=TINY)
    world.project.propose(specs__a=DEEPER)
    world.project.main(specs__b=TINY + "# main goes on\n")
    first = world.act({})
    assert (first.last.code, first.last.stderr.split()[:2]) == (0, ["comment:", "created"])
    assert first.outputs["class"] == "resumable"
    assert first.outputs["comment"] == world.fake.comments[0]["html_url"]
    assert [line.split("::")[1].split(",")[:2] for line in first.annotations] == [
        ["notice file=specs/a.yaml", "line=10"]
    ]
    (text,) = world.fake.bodies()
    assert text == first.summary
    assert text.startswith(f"{MARKER}\n\n### legoc diff: `main` → `feature`\n")
    assert "| `specs/a.yaml` | 🟢 resumable |" in text
    assert "specs/b.yaml" not in text  # what main did meanwhile is not of this pull request
    assert "**legoc check:** 2 files checked: no problems" in text
    assert f"commit {world.project.head[:10]}, [log](https://github.com/someone/stacks/actions/runs/42)" in text
    report = json.loads(Path(first.outputs["json"]).read_text(encoding="utf-8"))
    schema = json.loads((ROOT / "schema" / "legoc-diff-v1.json").read_text(encoding="utf-8"))
    _validate(schema, report)
    assert report["impact"] == "resumable"

    world.project.propose(specs__a=NARROWER)
    second = world.act({"fail-on": "breaks", "budget": "params<=1k"})
    assert second.last.code == 1
    assert "refused: specs/a.yaml: `params<=1k` is broken" in second.last.stderr
    assert second.outputs["class"] == "breaks"
    assert second.annotations[0].startswith("::error file=specs/a.yaml,line=10,")
    assert second.annotations[0].count("title=legoc diff%3A breaks weights") == 1
    (text,) = world.fake.bodies()
    assert "🔴 **Refused:**\n\n- ``specs/a.yaml: `params<=1k` is broken" in text
    assert "- `a change is of class breaks, and --fail-on breaks was asked for`" in text
    assert "🔴 breaks weights" in text


def test_inputs_reach_the_command_whole_and_never_the_shell(tmp_path: Path) -> None:
    mark = tmp_path / "run"
    hostile = f'"; touch {mark}; $(touch {mark}) `touch {mark}` * #'
    environment = clean_environment(tmp_path / "home")
    record = '#!/bin/bash\n[ "$1" = github ] && printf "%s\\0" "${@:2}"\n'
    write_command(tmp_path / "home" / "bin" / "legoc", record)

    def arguments(number: int, inputs: dict[str, str]) -> list[str]:
        job = run_action(tmp_path, tmp_path / f"temp-{number}", {"install": "none", **inputs}, environment)
        return job.last.stdout.split("\0")[:-1]

    names = ("base", "fail-on", "budget", "name")
    given = {"specs": f"{hostile}\n\n  specs/*.yaml", "comment": "false", **dict.fromkeys(names, hostile)}
    assert arguments(1, given) == [
        f"--out={tmp_path}/temp-1/legoc-diff.json",
        *(f"--{name}={hostile}" for name in names),
        "--no-comment",
        "--",
        hostile,
        "  specs/*.yaml",
    ]
    assert arguments(2, {}) == [f"--out={tmp_path}/temp-2/legoc-diff.json", "--"]
    job = run_action(tmp_path, tmp_path / "temp-3", {"install": "none", "comment": hostile}, environment)
    assert (job.last.code, job.annotations) == (2, ["::error title=legoc review::the input comment is true or false"])
    assert not mark.exists()


def test_the_installed_command_is_what_the_inputs_say(tmp_path: Path) -> None:
    """pip itself is stood in for: this test has no network."""
    environment = clean_environment(tmp_path / "home")
    commands = tmp_path / "home" / "bin"
    for name in ("python3", "made-python"):
        makes = (
            f'mkdir -p "$4/bin"; cp "{commands}/made-python" "$4/bin/python"; ln -sf "$(command -v legoc)" "$4/bin/"'
        )
        said = f'echo "{name} $*" >> "{tmp_path}/log"'
        write_command(commands / name, f'#!/bin/bash\n{said}\nif [ "$3" = venv ]; then {makes}; fi\n')
    write_command(commands / "legoc", "#!/bin/sh\n")
    for inputs, lines in (
        ({}, [f"-r {ROOT}/requirements-front-end.txt", f"--no-deps {ROOT}"]),
        ({"install": "legoc==0.1.0", "python-version": "3.13"}, ["legoc==0.1.0"]),
    ):
        (tmp_path / "log").unlink(missing_ok=True)
        job = run_action(tmp_path, tmp_path / "temp", inputs, environment)
        first, *rest = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
        assert first == f"python3 -I -m venv {tmp_path}/temp/legoc-review"
        assert rest == [f"made-python -I -m pip install --quiet --disable-pip-version-check {line}" for line in lines]
        names = [step.name for step in job.steps]
        assert (names[0] == "actions/setup-python@v6") == ("python-version" in inputs)
        install = next(step for step in job.steps if step.name == "Install legoc")
        assert install.outputs == {"legoc": f"{tmp_path}/temp/legoc-review/bin/legoc"}


def test_the_metadata_is_of_its_schema() -> None:
    schema = json.loads((ROOT / "tests" / "fixtures" / "github-action.json").read_text(encoding="utf-8"))
    action = read_action()
    _validate(schema, action)
    assert all(impact in action["inputs"]["fail-on"]["description"] for impact in IMPACTS)
    with pytest.raises(jsonschema.ValidationError):
        _validate(schema, {**action, "runs": {"using": "composite"}})


def test_no_expression_stands_in_a_script() -> None:
    for step in read_action()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert "github.event" not in json.dumps(step)


def test_the_front_end_is_installed_with_what_it_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = {"torch", "numpy", "safetensors", "pillow"}
    lines = (ROOT / "requirements-front-end.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in project["dependencies"] if re.split("[<>=]", line)[0] not in runtime]
    assert [line for line in lines if not line.startswith("#")] == wanted
    assert len(project["dependencies"]) == len(wanted) + len(runtime)


def test_the_workflow_of_the_documentation_is_the_example() -> None:
    workflow = (ROOT / "examples" / "github" / "review.yml").read_text(encoding="utf-8")
    documentation = (ROOT / "docs" / "review.md").read_text(encoding="utf-8")
    assert f"```yaml\n{workflow}```\n" in documentation
    inputs = read_action()["inputs"]
    given = workflow.split("legoc@")[1].split("with:\n")[1]
    assert set(re.findall(r"^ +([a-z-]+):", given, re.MULTILINE)) <= set(inputs)
    assert set(re.findall(r"^\| `([a-z-]+)` \|", documentation.split("| input |")[1], re.MULTILINE)) == set(inputs)
