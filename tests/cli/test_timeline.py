from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from legoc.__main__ import main
from tests.cli.small_run import spec_text


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(spec_text())
    return path


def test_text_goes_to_stdout(spec: Path, capsys):
    assert main(["timeline", str(spec), "--skip-policy", "late", "--steps", "12"]) == 0
    out, err = capsys.readouterr()
    assert "small · policy late" in out
    assert "sigma 0.227: image off" in out
    assert err == "steps: 12 instead of the spec's 5\n"


def test_an_svg_goes_to_its_file_and_its_name_to_stdout(spec: Path, tmp_path: Path, capsys):
    picture = tmp_path / "late.svg"
    assert main(["timeline", str(spec), "--skip-policy", "late", "-o", str(picture)]) == 0
    assert capsys.readouterr().out == f"{picture}\n"
    assert picture.read_text().startswith("<svg")


def test_without_a_policy_the_skip_keys_are_drawn(tmp_path: Path, capsys):
    path = tmp_path / "small.yaml"
    path.write_text(spec_text(skip="sigma > 20"))
    assert main(["timeline", str(path), "--ascii"]) == 0
    assert "policy default" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--skip-policy", "lat"], "no skip policy `lat`"),
        (["--policy", "lat"], "no skip policy `lat`"),
        (["--steps", "1"], "2 to 10,000 steps"),
        (["--guidance", "nan"], "guidance must be 0 or more"),
        (["--guidance", "-1"], "guidance must be 0 or more"),
        (["-o", "picture.pdf"], "not an SVG"),
        (["-o", "picture.svg", "--ascii"], "--ascii"),
    ],
)
def test_what_makes_no_sense_is_said(spec: Path, capsys, arguments: list[str], word: str):
    assert main(["timeline", str(spec), *arguments]) == 2
    assert word in capsys.readouterr().err


def test_guidance_of_an_unconditional_stack_is_refused(tmp_path: Path, capsys):
    path = tmp_path / "small.yaml"
    path.write_text(spec_text(classes=None))
    assert main(["timeline", str(path), "--guidance", "2"]) == 2
    assert "unconditional" in capsys.readouterr().err


def test_it_needs_no_torch_and_no_unicode(spec: Path):
    code = (
        "import sys; from legoc.__main__ import main; "
        f"code = main(['timeline', {str(spec)!r}, '--skip-policy', 'halfway']); "
        "sys.exit(code or ('torch' in sys.modules and 9))"
    )
    environment = {"PYTHONIOENCODING": "ascii", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "####" in done.stdout


def test_a_flag_over_set_says_whose_value_it_replaces(spec: Path, capsys):
    assert main(["timeline", str(spec), "--set", "sample.steps=7", "--steps", "12"]) == 0
    assert capsys.readouterr().err == "steps: 12 instead of 7, as --set said\n"
    assert main(["cost", str(spec), "--steps", "12"]) == 0
    assert capsys.readouterr().err == "steps: 12 instead of the spec's 5\n"
