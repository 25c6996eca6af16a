"""`legoc github` in clones of a bare repository, with an API on loopback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.review.render.markdown import MARKER, MAX_CHARACTERS
from tests.github.fake_api import FakeApi
from tests.github.world import BROKEN, DEEPER, TINY, World


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi() as fake:
        yield fake


@pytest.fixture
def world(tmp_path: Path, fake: FakeApi) -> World:
    return World(tmp_path, fake)


def test_a_fork_without_a_token_that_writes_gets_the_summary(world: World) -> None:
    world.project.main(specs__a=TINY)
    world.project.propose(specs__a=DEEPER)
    job = world.run(event=world.project.pull_request(fork=True), token="ghs_fork")
    assert job.last.code == 0
    assert world.fake.comments == []
    told = "No comment was written: the token of a pull request from a fork may not."
    assert job.annotations[-1] == f"::notice title=legoc github::{told}"
    assert "🟢 resumable" in job.summary
    assert job.summary.rstrip().endswith(told)
    # findings decide, not the comment
    fork = world.project.pull_request(fork=True)
    assert world.run("--fail-on", "resumable", event=fork, token="ghs_fork").last.code == 1
    job = world.run(token="ghs_fork")
    assert job.annotations[-1].startswith("::warning title=legoc github::No comment was written: ")
    assert "`permissions: pull-requests: write`" in job.summary


def test_a_spec_that_does_not_check_is_annotated_and_fails(world: World) -> None:
    world.project.main(specs__a=TINY, specs__b=BROKEN)
    world.project.propose(specs__c=BROKEN, specs__a=TINY + "# a comment\n")
    job = world.run()
    assert job.last.code == 1
    errors = [line for line in job.annotations if line.startswith("::error")]
    assert [re.search(r"file=([^,]*),line=(\d+),", line)[1] for line in errors] == ["specs/b.yaml", "specs/c.yaml"]  # type: ignore[index]
    assert all("title=legoc LG203::" in line for line in errors)
    (text,) = world.fake.bodies()
    assert "🔴 **legoc check:** 3 files checked: 2 errors" in text
    assert "- error LG203 `specs/b.yaml:" in text
    assert "no changes" not in text
    assert "nothing can be concluded" in text
    # nothing was asked to be refused; what is wrong now stands once, with what to do, under what checks it
    assert "asked to be refused" not in text
    assert "Because of errors that stand below: `main:specs/b.yaml`, `HEAD:specs/c.yaml`\n" in text
    assert text.count("specs/b.yaml:") == text.count("specs/c.yaml:") == 1
    assert "5 heads do not divide the width 64`; help: `use" in text


def test_a_broken_base_fails_only_where_it_leaves_a_limit_open(world: World) -> None:
    world.project.main(specs__a=BROKEN)
    world.project.propose(specs__a=TINY)
    job = world.run()
    assert job.last.code == 0
    (warning,) = job.annotations
    assert warning.startswith("::warning title=legoc LG203::main:specs/a.yaml cannot be compared: ")
    assert "nothing can be concluded" in job.summary
    job = world.run("--fail-on", "breaks")
    assert job.last.code == 2
    assert "cannot be told, since a side cannot be compared" in job.summary


def test_a_base_without_specs(world: World) -> None:
    world.project.main()
    world.project.propose(specs__a=TINY)
    job = world.run("specs", "--budget", "params<=800M")
    assert (job.last.code, job.outputs["class"]) == (0, "")
    assert "New: `specs/a.yaml`" in world.fake.bodies()[0]
    assert world.run("specs", "--budget", "params<=1k").last.code == 1


def test_a_renamed_spec_is_followed(world: World) -> None:
    world.project.main(specs__old=TINY)
    world.project.propose(specs__old=None, specs__new=DEEPER)
    job = world.run("specs/*.yaml")
    assert job.outputs["class"] == "resumable"
    assert "`specs/old.yaml -> specs/new.yaml`" in job.summary
    assert "file=specs/new.yaml" in job.annotations[0]


def test_the_job_does_not_depend_on_the_api(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legoc.github.api.ATTEMPTS", 1)
    world.project.main(specs__a=TINY)
    world.project.propose(specs__a=DEEPER)
    with FakeApi() as gone:
        address = gone.address
    job = world.run(address=address)
    assert job.last.code == 0
    assert job.annotations[-1].startswith("::warning title=legoc github::No comment was written: no answer: ")
    assert "No comment was written: no answer" in job.summary
    job = world.run(address="http://api.example.org")
    assert job.last.code == 0
    assert "is not https" in job.annotations[-1]
    assert world.fake.calls == []


def test_without_comment_nothing_is_asked_of_the_api(world: World) -> None:
    world.project.main(specs__a=TINY)
    world.project.propose(specs__a=DEEPER)
    job = world.run("--no-comment")
    assert (job.last.code, world.fake.calls) == (0, [])
    assert "🟢 resumable" in job.summary
    job = world.run(token="")
    assert "GITHUB_TOKEN is not set" in job.summary


def test_where_no_spec_changed_there_is_no_comment_but_one_is_kept_true(world: World) -> None:
    world.project.main(specs__a=TINY)
    world.project.propose(notes="not a spec: true\n")
    job = world.run()
    assert (job.last.code, world.fake.comments) == (0, [])
    assert "**No changes in 1 spec.**" in job.summary
    world.fake.says(f"{MARKER}\nbreaks everything")
    world.run()
    assert "**No changes in 1 spec.**" in world.fake.bodies()[0]


def test_a_push_is_compared_with_what_was_there(world: World) -> None:
    world.project.main(specs__a=TINY)
    before = world.project.base
    world.project.main(specs__a=DEEPER)
    job = world.run(event={"before": before}, name="push", ref="refs/heads/main")
    assert (job.last.code, job.outputs["class"], world.fake.calls) == (0, "resumable", [])
    assert f"`{before[:10]}` → `main`" in job.summary
    for event, name in (({"before": "0" * 40}, "push"), ({"inputs": None}, "workflow_dispatch")):
        job = world.run(event=event, name=name, ref="refs/heads/main")
        assert (job.last.code, job.outputs) == (0, {"class": "", "json": "", "comment": ""})
        assert f"nothing to compare with: `{name}` has no base" in job.summary
        assert "1 file checked: no problems" in job.summary
    job = world.run("--base", before, event={"inputs": None}, name="workflow_dispatch", ref="refs/heads/main")
    assert job.outputs["class"] == "resumable"


def test_what_was_not_fetched_is_told_and_never_taken_for_no_changes(world: World) -> None:
    world.project.main(specs__a=TINY)
    world.project.propose(specs__a=DEEPER)
    job = world.run(depth=1)
    assert job.last.code == 2
    assert "fetch-depth: 0" in job.last.stderr
    assert job.annotations == [
        "::error title=legoc github::the commits of the pull request are not here%0Ahelp: fetch the history: "
        "`actions/checkout` with `fetch-depth: 0`"
    ]
    # as `pull_request_target` checks it out: the base, in which the pull request is not
    job = world.run(ref="refs/heads/main", name="pull_request_target")
    assert job.last.code == 2
    assert "does not have the commits of the pull request" in job.last.stderr
    # GitHub's merge and its two parents are enough
    assert world.run(depth=2).outputs["class"] == "resumable"
    # and so is the branch alone, whose history says where it left main
    assert world.run(ref="refs/pull/7/head").outputs["class"] == "resumable"


def test_everything_wrong_at_once_fits_into_a_comment(world: World) -> None:
    broken = "\n".join(f"key_{number}: {'x' * 200}" for number in range(60))
    names = [f"specs__a_spec_with_a_rather_long_name_{number:03}" for number in range(24)]
    world.project.main(**dict.fromkeys(names[:12], BROKEN), **dict.fromkeys(names[12:], TINY))
    world.project.propose(**dict.fromkeys(names[:12], BROKEN + broken), **dict.fromkeys(names[12:], DEEPER))
    world.fake.max_body = 5_000
    job = world.run("--budget", "params<=1k")
    assert job.last.code == 1
    (comment,) = world.fake.bodies()
    assert 2_000 < len(comment) < 4_000
    assert 20_000 < len(job.summary) < MAX_CHARACTERS
    for text in (comment, job.summary):
        assert text.startswith(f"{MARKER}\n\n🔴 **Refused:**\n\n- ``specs/a_spec")
        assert text.count("<details>") == text.count("</details>")
        assert re.search(r"- and \d+ more\n\n### legoc diff", text)
        assert re.search(r"- and \d+ more\n\n<sub>legoc ", text)


def test_outside_of_a_workflow_it_says_what_to_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert main(["github"]) == 2
    assert "this is no workflow of GitHub" in capsys.readouterr().err
    monkeypatch.setenv("GITHUB_EVENT_NAME", "push")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    for text in ("{", "[]"):
        (tmp_path / "event.json").write_text(text)
        assert main(["github"]) == 2
        assert "the event of the workflow cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("event", [{}, {"pull_request": {"number": 7, "base": {"ref": "main"}}}])
def test_a_pull_request_without_a_base_is_not_taken_for_one_without_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], event: dict[str, object]
) -> None:
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    (tmp_path / "event.json").write_text(json.dumps(event))
    assert main(["github"]) == 2
    assert "names no base to compare with" in capsys.readouterr().err


def test_a_change_of_a_base_is_annotated_once(world: World) -> None:
    child = "legoc: 1\nextends: base.yaml\nname: {}\n"
    world.project.main(specs__base=TINY, specs__one=child.format("one"), specs__two=child.format("two"))
    world.project.propose(specs__base=DEEPER)
    job = world.run("specs")
    assert job.outputs["class"] == "resumable"
    assert len(job.annotations) == 1
