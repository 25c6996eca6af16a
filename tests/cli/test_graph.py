"""`legoc graph` as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from legoc.__main__ import main
from tests.cli.small_run import spec_text, write_run


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(spec_text())
    return path


def test_mermaid_goes_to_stdout_and_nothing_else(spec: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["graph", str(spec)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith('---\ntitle: "small"\n---\nflowchart BT\n')
    assert "ghost" not in out.replace("classDef ghost", "")
    assert err == ""


@pytest.mark.parametrize(
    ("name", "start"), [("g.svg", "<svg"), ("g.dot", "digraph"), ("g.gv", "digraph"), ("g.mmd", "---")]
)
def test_a_file_is_written_in_the_format_of_its_name(
    name: str, start: str, spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    picture = tmp_path / name
    assert main(["graph", str(spec), "--configuration", "image+windows", "-o", str(picture)]) == 0
    assert capsys.readouterr().out == f"{picture}\n"
    assert picture.read_text(encoding="utf-8").startswith(start)


def test_a_policy_shows_the_configurations_that_it_reaches(spec: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["graph", str(spec), "--skip-policy", "late", "--steps", "12"]) == 0
    out = capsys.readouterr().out
    assert "policy late: steps 0-7 (σ 80 to 0.658), every brick runs" in out
    assert "without image" in out


def test_a_run_is_drawn_as_its_spec_is(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["graph", str(spec), "--format", "svg"]) == 0
    expected = capsys.readouterr().out
    assert main(["graph", str(write_run(tmp_path / "run")), "--format", "svg"]) == 0
    assert capsys.readouterr().out == expected


def test_overrides_reach_the_picture(spec: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["graph", str(spec), "--set", "bricks.image.depth=7"]) == 0
    assert "depth 7" in capsys.readouterr().out


def test_print_after_shows_what_a_pass_made(spec: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["graph", str(spec), "--configuration", "windows+image", "--print-after", "reroute-estimates"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("// after reroute-estimates\ngraph windows+image {\n")
    assert "below=%estimate.windows" in out
    assert "parts" not in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--configuration", "windows+top"], "no brick `top`"),
        (["--configuration", "windows", "--skip-policy", "late"], "both say what runs"),
        (["--skip-policy", "lat"], "no skip policy `lat`"),
        (["--steps", "9"], "--steps"),
        (["--print-after", "fuse"], "no pass `fuse`"),
        (["--print-after", "all", "--format", "dot"], "--print-after"),
        (["-o", "picture.pdf"], "does not say the format"),
        (["-o", "picture.svg", "--format", "dot"], "--format says dot"),
    ],
)
def test_what_makes_no_sense_is_said(spec: Path, arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]):
    assert main(["graph", str(spec), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert word in err


def test_a_folder_that_is_not_there_is_said(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["graph", str(spec), "-o", str(tmp_path / "none" / "g.svg")]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_it_needs_no_torch(spec: Path):
    code = (
        "import sys; sys.modules['torch'] = None\n"  # any import of torch now fails
        "from legoc.__main__ import main\n"
        f"sys.exit(main(['graph', {str(spec)!r}, '--skip-policy', 'halfway']))"
    )
    environment = {"PYTHONIOENCODING": "utf-8", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
