"""What `legoc explain` shows is true: every example has its fault, every correction has none.

Examples are parts of a spec. What they leave out comes from `REST`; files that they extend, and what else must be
there for a fault to show, lie beside them.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.codes import CODES
from legoc.spec import check_file

SPECS = Path(__file__).parents[2] / "specs"
REST = {
    "legoc": "legoc: 1",
    "name": "name: page",
    "grid": "grid: {height: 32, width: 32, channels: 3}",
    "conditioning": "conditioning: {classes: 9}",
    "brick_defaults": "brick_defaults: {width: 192, heads: 6, depth: 2}",
    "bricks": "bricks: [{id: windows, size: 4}, {id: parts, size: 16, receptive_field: 8}, {id: image, size: image}]",
}
WHOLE = {"LG003", "LG008"}
"""Pages whose examples are files as they stand."""

NOT_SHOWN = {"LG401"}
"""A fault of the compiler: its example is the command that may meet it."""

BESIDE = {
    "LG209": {"LG211"},  # the model of the example is not there
    "LG210": {"LG209", "LG211"},
    "LG211": {"LG209"},
    "LG212": {"LG209"},  # nor is a brick above it
    "LG312": {"LG311"},
    "LG313": {"LG308"},  # what the predicate then comes to
    "LG501": {"LG308"},  # what was not suppressed
    "LG502": {"LG308"},
    "LG503": {"LG201"},
}
"""What an example also shows."""


def blocks(code: str, heading: str) -> list[tuple[str, str]]:
    """The blocks of a page under a heading: language and text."""
    section = CODES[code].page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```(\w*)\n(.*?)```", section, re.DOTALL)


def completed(block: str) -> str:
    """A part of a spec with the rest of one. What extends another file needs nothing."""
    own = set(re.findall(r"^(\w+):", block, re.MULTILINE))
    rest = [] if "extends" in own else [text for key, text in REST.items() if key not in own]
    return "\n".join([*rest, block])


def a_model(folder: Path) -> None:
    unet = {"_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 3, "out_channels": 3}
    ddpm = {"_class_name": "DDPMScheduler", "num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02}
    for name, values in (("unet/config.json", unet), ("scheduler/scheduler_config.json", ddpm)):
        path = folder / "models/ddpm-cifar10-32" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))


def a_chain(folder: Path) -> None:
    for i in range(9):
        (folder / f"specs/step_{i:02}.yaml").write_text(f"extends: step_{i - 1:02}.yaml\n" if i else "legoc: 1\n")


def no_text(folder: Path) -> None:
    path = folder / "runs/emoji_32/checkpoints/4000000/ema-0.999.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x00\xff\xfe" * 100)


def many_policies(folder: Path) -> None:
    path = folder / "specs/spec.yaml"
    long = " + ".join(["log(sigma)"] * 20)
    more = "".join(f'  p{i}: {{image: "{long} > {i}"}}\n' for i in range(90))
    path.write_text(path.read_text().replace("skip_policies:\n", f"skip_policies:\n{more}"))


PREPARED: dict[str, Callable[[Path], None]] = {
    "LG002": no_text,
    "LG212": a_model,
    "LG314": many_policies,
    "LG603": a_chain,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(SPECS, tmp_path / "specs")
    (tmp_path / "specs/common.yaml").write_text(completed(""))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found_in(folder: Path, code: str, language: str, text: str, capsys: pytest.CaptureFixture[str]) -> list[set[str]]:
    """The codes that each spec, or each command line, of a block shows."""
    if language == "yaml":
        named = re.match(r"# (?:specs/)?(\S+\.yaml)\n", text)
        path = folder / "specs" / (named[1] if named else "spec.yaml")
        path.write_text(text if code in WHOLE else completed(text), encoding="utf-8")
        PREPARED.get(code, lambda folder: None)(folder)
        return [{finding.code for finding in check_file(path).diagnostics}]
    shown: list[set[str]] = []
    (folder / "spec.yaml").write_text(completed(""))
    PREPARED.get(code, lambda folder: None)(folder)
    for line in text.splitlines():
        assert line.startswith("legoc check ")
        main([*shlex.split(line, comments=True)[1:], "--format", "concise"])
        shown.append(set(re.findall(r"\[(LG\d{3})\]", capsys.readouterr().out)))
    return shown


@pytest.mark.parametrize("code", [code for code in CODES if code not in NOT_SHOWN])
def test_the_example_of_a_page_has_its_fault(code: str, folder: Path, capsys) -> None:
    shown = [found for block in blocks(code, "Example") for found in found_in(folder, code, *block, capsys)]
    assert shown, "a page shows its fault"
    assert code in shown[-1]
    assert shown[-1] <= {code, *BESIDE.get(code, ())}


FIXES = [(code, *block) for code in CODES for block in blocks(code, "Fix")]


@pytest.mark.parametrize(("code", "language", "text"), FIXES)
def test_the_correction_on_a_page_has_no_fault(code: str, language: str, text: str, folder: Path, capsys) -> None:
    assert found_in(folder, "", language, text, capsys) == [set()]
