"""`legoc build`: the plan, printed programs, chosen passes, times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.lower.passes.share_equal import ShareEqual
from legoc.lower.pipeline import choose, pass_names
from legoc_runtime.contract.manifest import read_manifest

SPEC = str(Path(__file__).parents[2] / "specs" / "emoji_32.yaml")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def build(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["build", SPEC, *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["build", SPEC, *arguments]) == 2
    assert not list(Path().iterdir())
    return capsys.readouterr().err


def test_a_dry_run_prints_the_plan_and_writes_nothing(capsys):
    out = build(capsys, "--dry-run")
    assert out.startswith("emoji_32: 7,024,008 parameters")
    assert "  over brick graphs  infer-shapes, " in out
    assert not list(Path().iterdir())


def test_print_after_shows_each_program_after_that_pass(capsys):
    out = build(capsys, "--dry-run", "--print-after", "lower", "--print-after", "reroute-estimates")
    headers = [line for line in out.splitlines() if line.startswith("// ")]
    assert headers[:2] == ["// windows+parts+image, after reroute-estimates", "// windows+parts+image, after lower"]
    assert headers[-1] == "// training, after lower"
    assert "// windows+parts, after lower\nprogram windows+parts(%x: image[3x32x32]" in out
    assert "// windows+parts, after reroute-estimates\ngraph windows+parts {\n" in out


def test_print_after_all_shows_every_pass(capsys):
    out = build(capsys, "--dry-run", "--print-after", "all")
    assert {line.rpartition("after ")[2] for line in out.splitlines() if line.startswith("// ")} == set(pass_names())


def test_the_path_of_the_build_is_the_last_line(capsys):
    out = build(capsys, "--print-after", "lower", "--time-passes")
    assert out.splitlines()[-1] == "build/emoji_32"


def test_the_time_of_every_pass_is_told(capsys):
    rows = build(capsys, "--dry-run", "--time-passes").partition("\npass ")[2].splitlines()
    assert [row.split()[0] for row in rows[1:]] == [*pass_names(), "altogether"]
    programs = {row.split()[0]: row.split()[1] for row in rows[1:-1]}
    assert programs["lower"] == "5"
    assert programs["specialise-skips"] == "4"  # all but training


def test_a_disabled_pass_does_not_run_and_is_not_recorded(capsys):
    out = build(capsys, "--disable", "share-equal", "--print-after", "all")
    assert "after share-equal" not in out
    assert "share-equal" not in read_manifest(Path("build/emoji_32")).passes
    build(capsys, "-o", "whole")
    assert read_manifest(Path("whole")).passes == choose().names


@pytest.mark.compiler
def test_a_dry_run_says_what_native_code_would_be_for(capsys):
    asked = ["--dry-run", "--backend", "aoti", "--device", "cpu"]
    assert build(capsys, *asked).endswith("\nNative code\n  aoti for cpu in float32\n")
    native = json.loads(build(capsys, *asked, "--json"))["native"]
    assert native == {"backend": "aoti", "device": "cpu", "dtype": "float32"}
    assert not list(Path().iterdir())


def test_json_holds_plan_directory_and_times(capsys):
    report = json.loads(build(capsys, "--json", "--time-passes"))
    assert (report["build_version"], report["directory"], report["written"]) == (1, "build/emoji_32", True)
    assert report["plan"]["parameters"] == 7024008
    assert {time["pass"] for time in report["pass_times"]} == set(pass_names())
    assert {time["program"] for time in report["pass_times"]} >= {"training", "windows+parts"}
    dry = json.loads(build(capsys, "--json", "--dry-run", "-o", "other"))
    assert (dry["directory"], dry["written"]) == ("other", False)
    assert dry["native"] is None
    assert "pass_times" not in dry


def test_a_pass_that_stumbles_is_told_with_the_users_line_and_a_way_out(capsys, monkeypatch):
    def stumble(self, program, shape):
        raise ValueError("no such thing")

    monkeypatch.setattr(ShareEqual, "apply", stumble)
    message = refused(capsys)
    assert "error[LG401]: pass `share-equal` failed on `windows+parts+image`: ValueError: no such thing" in message
    assert "{id: windows, size: 4" in message
    assert "share-equal` ran after `infer-shapes`, `specialise-skips`, `eliminate-dead`" in " ".join(message.split())
    assert "Traceback" not in message
    build(capsys, "--disable", "share-equal", "--dry-run")
    monkeypatch.setenv("LEGOC_TRACEBACK", "1")
    assert "Traceback" in refused(capsys)


def test_what_cannot_be_is_refused_with_what_to_do(capsys):
    assert "did you mean `share-equal`?" in refused(capsys, "--print-after", "share-equl")
    assert "did you mean `share-equal`?" in refused(capsys, "--disable", "shareequal")
    both = ("--disable", "share-equal", "--print-after", "share-equal")
    assert "`share-equal` is disabled, so there is nothing after it" in refused(capsys, *both)
    assert "without it a configuration would compute" in refused(capsys, "--disable", "eliminate-dead")
    assert "leave one of them out" in refused(capsys, "--json", "--print-after", "all")
    assert "takes a build directory alone" in refused(capsys, "--check", "--time-passes")
    assert "--check takes a build directory, and" in refused(capsys, "--check")
