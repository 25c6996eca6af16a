"""`legoc diff` as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from legoc.__main__ import main
from tests.review.repository import Made

ROOT = Path(__file__).parents[2]
TINY = (ROOT / "examples" / "tiny.yaml").read_text(encoding="utf-8")


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(TINY, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(
        TINY.replace("depth: 2", "depth: 3").replace("steps: 8", "steps: 9"), encoding="utf-8"
    )
    (tmp_path / "broken.yaml").write_text(TINY.replace("heads: 4", "heads: 5"), encoding="utf-8")
    return tmp_path


def test_the_text_shows_both_places_the_class_and_the_reason(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", "b.yaml"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert (
        captured.out
        == """\
a.yaml -> b.yaml
resumable: checkpoints load once migrated; 2 changes

~ resumable  bricks.image.depth 2 -> 3
  --> b.yaml:10:57
   |
10 |   - {id: image, size: image, receptive_field: 4, depth: 3}
   |                                                         ^ now
  ::: a.yaml:10:57
   |
10 |   - {id: image, size: image, receptive_field: 4, depth: 2}
   |                                                         - was
  = a new block begins with its gates at zero and passes its input on: outputs stay

~ sampling   sample.steps 8 -> 9
  --> b.yaml:15:17
   |
15 | sample: {steps: 9, guidance: 2}
   |                 ^ now
  ::: a.yaml:15:17
   |
15 | sample: {steps: 8, guidance: 2}
   |                 - was
  = noise levels that are sampled at are no part of the weights

                                        before        after   change
parameters                             281.6 k      356.3 k   +26.5%
a forward pass                     11.87 MMACs  15.57 MMACs   +31.1%
a training image                   32.85 MMACs  43.93 MMACs   +33.7%
sampling, none                     356.2 MMACs  529.3 MMACs   +48.6%
sampling, halfway                  226.3 MMACs  293.1 MMACs   +29.5%
sampling, late                     258.8 MMACs  387.6 MMACs   +49.8%
saving of halfway                        36.5%        44.6%  +8.2 pp
saving of late                           27.3%        26.8%  -0.6 pp
weights, float32                       1.13 MB      1.43 MB   +26.5%
activations of training, an image      1.19 MB      1.53 MB   +27.7%

`halfway` now skips image at 5 of 9 steps, was 4 of 8
`late` now skips image at 3 of 9 steps, was 3 of 8

carry a checkpoint over with `legoc migrate CHECKPOINT b.yaml`

1 spec changed (1 resumable)
"""
    )


def test_exit_codes(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", "a.yaml", "--fail-on", "cosmetic"]) == 0
    assert capsys.readouterr().out == "no changes in 1 spec\n"
    assert main(["diff", "a.yaml", "b.yaml", "--fail-on", "meaning"]) == 0
    assert main(["diff", "a.yaml", "b.yaml", "--fail-on", "resumable"]) == 1
    assert main(["diff", "a.yaml", "b.yaml", "--fail-on=sampling"]) == 1
    assert main(["diff", "a.yaml", "broken.yaml"]) == 2
    captured = capsys.readouterr()
    assert "error[LG203]" in captured.out
    assert "no changes" not in captured.out
    assert "nothing can be concluded" in captured.err
    assert main(["diff", "a.yaml", "b.yaml", "--fail-on", "everything"]) == 2
    assert main(["diff"]) == 2
    assert main(["diff", "a.yaml"]) == 2


def test_a_revision_and_paths_after_two_dashes(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Made(specs)
    made.commit(a=TINY)
    made.write(a=TINY.replace("depth: 2", "depth: 1"))
    assert main(["diff", "HEAD", "--fail-on", "breaks", "--", "a.yaml"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("a.yaml\nbreaks weights: checkpoints do not load; 1 change\n")
    assert "::: HEAD:a.yaml:10:57" in captured.out
    assert "bricks.image.blocks.1.adaln.weight (384, 64) is dropped" in captured.out


def test_the_report_goes_to_a_file(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", "b.yaml", "-o", "report.txt"]) == 0
    assert capsys.readouterr().out == ""
    assert (specs / "report.txt").read_text(encoding="utf-8").startswith("a.yaml -> b.yaml\n")
    assert main(["diff", "a.yaml", "b.yaml", "-o", "nowhere/report.txt"]) == 3
    assert "nowhere/report.txt cannot be written" in capsys.readouterr().err


def test_it_needs_no_torch(specs: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['safetensors'] = None\n"
        "from legoc.__main__ import main\n"
        "sys.exit(main(['diff', 'a.yaml', 'b.yaml']))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "runtime"), str(ROOT)])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("format", ["text", "markdown", "json", "github", "sarif"])
def test_every_format_ends_with_2_where_a_side_cannot_be_read(
    specs: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    assert main(["diff", "broken.yaml", "b.yaml", "--format", format, "--fail-on", "cosmetic"]) == 2
    assert "LG203" in capsys.readouterr().out
    assert main(["diff", "a.yaml", "b.yaml", "--format", format]) == 0


def test_a_broken_budget_ends_with_1(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "a.yaml", "b.yaml", "--budget", "params<=800M"]) == 0
    assert main(["diff", "a.yaml", "b.yaml", "--budget", "params<=+1%"]) == 1
    assert "b.yaml: `params<=+1%` is broken: +" in capsys.readouterr().err
    assert main(["diff", "a.yaml", "b.yaml", "--budget", "cheap"]) == 2
