"""Command lines: the plain reader against typer, command by command, and who reads what."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from legoc.__main__ import main
from legoc.cli.app import COMMANDS
from legoc.cli.parameters import Argument, Option, parameters
from legoc.cli.plain_arguments import plain_values
from legoc.cli.with_typer import run_with_typer

HERE = str(Path(__file__))
LINES: dict[str, list[list[str]]] = {
    "check": [
        [HERE],
        ["a.yaml", "-", HERE],
        ["--format", "json", "a.yaml", "--fix", "--diff"],
        ["a.yaml", "--set", "name=x", "--set=sample.steps=40", "--format=github"],
        ["--format", "json", "a.yaml", "--format", "full"],
    ],
    "explain": [[], ["LG201"]],
    "init": [["-o", "-", "--from", HERE]],
    "fmt": [["a b.yaml", "é.yaml", "--check"]],
    "cost": [["a.yaml", "--policy", "halfway", "--skip-policy", "none", "--batch", "4", "--guidance", "1.5", "--json"]],
    "estimate": [["--gpu", "h100", "a.yaml", "--images", "10k", "--batch=3"]],
    "inspect": [["runs"], ["runs", "--no-checksums"], ["--no-checksums", "--checksums", "runs"]],
    "build": [["a.yaml", "-o", "build/x", "--policy", "halfway:0.4", "--steps", "18", "--dry-run"]],
    "train": [
        [],
        ["build/x", "--lr", "1e-4", "--images", "10k", "--batch", "4"],
        ["build/x", "--lr=0.5", "--ema", "0.9", "--ema", "1", "--seed", "7", "-q", "--device", "cpu"],
    ],
    "sample": [["--skip-policy", "halfway", "--seeds", "0-3", "--churn", "40", "-o", "out", "--overwrite"]],
}
LEFT_TO_TYPER: dict[str, list[list[str]]] = {
    "check": [
        [],
        ["--help"],
        ["-h"],
        ["a.yaml", "--frmat", "json"],
        ["a.yaml", "--format", "xml"],
        ["a.yaml", "--format"],
        ["a.yaml", "--format", ""],
        ["a.yaml", "--fix=yes"],
        ["--", "-a.yaml"],
        ["a.yaml", "--set", "-x"],
        [""],
        ["a\0b"],
    ],
    "explain": [["LG201", "LG202"]],
    "init": [["-ofile.yaml"], ["-o=file.yaml"]],
    "cost": [["a.yaml", "--batch", "0"], ["a.yaml", "--batch", "1.5"], ["a.yaml", "--guidance", "1_0"]],
    "estimate": [["a.yaml"], ["a.yaml", "--gpu", "H100"]],
    "train": [["--seed", "-1"], ["-qq"]],
}


def command_of(name: str) -> Callable[..., object]:
    return import_module(COMMANDS[name].module).command


def read_by_typer(name: str, arguments: list[str]) -> dict[str, Any]:
    """What typer gives to a command."""
    seen: dict[str, Any] = {}
    function = command_of(name)

    def record(*args: Any, **values: Any) -> None:
        assert not args
        seen.update(values)

    record.__annotations__ = function.__annotations__
    record.__wrapped__ = function  # signature and annotations are the command's
    with pytest.raises(SystemExit) as end:
        run_with_typer(name, "help", record, arguments)
    assert end.value.code in (0, None)
    return seen


@pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, line) for name, lines in LINES.items() for line in lines],
    ids=lambda value: value if isinstance(value, str) else " ".join(value).replace(HERE, "file")[:40],
)
def test_the_plain_reader_and_typer_agree(name: str, arguments: list[str]) -> None:
    plain = plain_values(parameters(command_of(name)), arguments)
    assert plain is not None
    typers = read_by_typer(name, arguments)
    assert plain == typers
    assert [type(value) for value in plain.values()] == [type(typers[key]) for key in plain]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_defaults_are_what_typer_gives(name: str) -> None:
    needed = {"estimate": ["a.yaml", "--gpu", "cpu"], "bench": ["a.yaml"]}
    found = parameters(command_of(name))
    takes_one = any(isinstance(p.declared, Argument) and p.default is ... for p in found)
    arguments = needed.get(name, ["a.yaml"] if takes_one else [])
    assert plain_values(found, arguments) == read_by_typer(name, arguments)


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, line) for name, lines in LEFT_TO_TYPER.items() for line in lines], ids=repr
)
def test_what_is_not_plain_is_left_to_typer(name: str, arguments: list[str]) -> None:
    assert plain_values(parameters(command_of(name)), arguments) is None


def test_a_file_that_cannot_be_read_is_left_to_typer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.touch()
    check = parameters(command_of("check"))
    assert plain_values(check, [str(path)]) is not None
    monkeypatch.setattr("os.access", lambda *_: False)
    assert plain_values(check, [str(path)]) is None


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    squeezed = "".join(text.split())
    assert text.startswith(f"Usage: legoc {name}")
    for parameter in parameters(command_of(name)):
        assert "".join(parameter.declared.help.split()) in squeezed
        if isinstance(parameter.declared, Option):
            flags = parameter.declared.flags or (f"--{parameter.name.replace('_', '-')}",)
            assert all(flag.partition("/")[0] in text for flag in flags)


@pytest.mark.parametrize("end", [KeyboardInterrupt(), OSError(28, "full"), EOFError()], ids=repr)
def test_typer_leaves_what_a_command_raises_alone(end: BaseException) -> None:
    def command() -> None:
        raise end

    with pytest.raises(type(end)) as raised:
        run_with_typer("explain", "help", command, [])
    assert raised.value is end


def test_an_exit_code_passes_both_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(code: Any = None) -> None:
        sys.exit(3)

    command.__annotations__ = command_of("explain").__annotations__
    command.__wrapped__ = command_of("explain")
    monkeypatch.setattr("legoc.cli.explain.command", command)
    for arguments in (["LG201"], ["--", "LG201"]):
        assert main(["explain", *arguments]) == 3
