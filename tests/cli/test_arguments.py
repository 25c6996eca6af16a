"""Command lines: the plain reader against typer, command by command, and who reads what."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import update_wrapper
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from legoc.__main__ import main
from legoc.cli.app import COMMANDS
from legoc.cli.parameters import Argument, Option, parameters
from legoc.cli.plain_arguments import plain_values
from legoc.cli.with_typer import run_with_typer
from tests.cli.small_run import write_run

HERE = str(Path(__file__))
LINES: dict[str, list[list[str]]] = {
    "check": [
        [HERE],
        ["a.yaml", "-", HERE],
        ["--format", "json", "a.yaml", "--fix", "--diff"],
        ["a.yaml", "--set", "name=x", "--set=sample.steps=40", "--format=github"],
        ["--format", "json", "a.yaml", "--format", "full"],
    ],
    "diff": [["main...HEAD", "--", "specs"], ["a", "--format", "markdown", "--", "b"], ["--", "a"], ["a", "b", "--"]],
    "explain": [[], ["LG201"]],
    "init": [["-o", "-", "--from", HERE]],
    "fmt": [["a b.yaml", "é.yaml", "--check"]],
    "cost": [["a.yaml", "--policy", "halfway", "--skip-policy", "none", "--batch", "4", "--guidance", "1.5", "--json"]],
    "estimate": [["--gpu", "h100", "a.yaml", "--images", "10k", "--batch=3"]],
    "migrate": [["run", "a.yaml", "-o", "x", "--rename", "a=b", "--rename=c=d", "--check-only", "-q", "--json"]],
    "git": [["install", "--global", "--specs", "a/*.yaml", "--dry-run"], ["patch", "a", "b"], ["uninstall", "--local"]],
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
        ["a.yaml", "--", "b.yaml", "--"],
        ["a.yaml", "--set", "-x"],
        [""],
        ["a\0b"],
    ],
    "explain": [["LG201", "LG202"]],
    "init": [["-ofile.yaml"], ["-o=file.yaml"]],
    "cost": [["a.yaml", "--batch", "0"], ["a.yaml", "--batch", "1.5"], ["a.yaml", "--guidance", "1_0"]],
    "migrate": [["run"], ["run", "a.yaml", "--rename"]],
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

    # signature and annotations are the command's
    update_wrapper(record, function, assigned=("__annotations__",), updated=())
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
    needed = {
        "estimate": ["a.yaml", "--gpu", "cpu"],
        "eval": ["a", "--ref", "b"],
        "bench": ["a.yaml"],
        "ema": ["run", "--sigma-rel", "0.1"],
        "migrate": ["run", "a.yaml"],
        "git": ["install"],
    }
    found = parameters(command_of(name))
    takes_one = any(isinstance(p.declared, Argument) and p.default is ... for p in found)
    arguments = needed.get(name, ["a.yaml"] if takes_one else [])
    assert plain_values(found, arguments) == read_by_typer(name, arguments)


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, line) for name, lines in LEFT_TO_TYPER.items() for line in lines], ids=repr
)
def test_what_is_not_plain_is_left_to_typer(name: str, arguments: list[str]) -> None:
    assert plain_values(parameters(command_of(name)), arguments) is None


def test_of_a_file_that_cannot_be_read_the_command_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.yaml"
    path.touch()

    def no_access(*_: object) -> bool:
        return False

    monkeypatch.setattr("os.access", no_access)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("legoc.spec.read.open", refuse, raising=False)
    for arguments in ([str(path)], ["--", "-a.yaml", str(path)]):
        assert main(["check", *arguments]) == 1
        assert "error[LG001]: no permission to read the file" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("check", ["missing argument `SPEC`", "`legoc check --help` says what it takes"]),
        ("check a --forma json", ["no such option: --forma", "did you mean `--format`? `legoc check --help` says"]),
        ("sample --xyz a=b", ["no such option: --xyz\nhelp: `legoc sample --help`"]),  # nothing there is near it
        ("check a --format xml", ["invalid value for `--format`: `xml` is not one of `full`, `concise`, "]),
        ("estimate a", ["missing option `--gpu`. Choose from: h100, a100, cpu\nhelp: "]),
        ("cost a b", ["got unexpected extra argument(s) (b)"]),
        ("cost a --batch", ["option `--batch` requires an argument"]),
    ],
)
def test_a_refused_line_is_told_like_every_other_error(line: str, said: list[str], capsys: Any) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert all(words in err for words in said)


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

    update_wrapper(command, command_of("explain"), assigned=("__annotations__",), updated=())
    monkeypatch.setattr("legoc.cli.explain.command", command)
    for arguments in (["LG201"], ["--", "-LG201"]):
        assert main(["explain", *arguments]) == 3


BAD_VALUES: dict[type, list[str]] = {int: ["x", "1.5"], float: ["x"], StrEnum: ["xml"], str: []}
TEXTS = {
    "device": "abacus",
    "backend": "abacus",
    "policy": "halfway:2",
    "skip_policy": "halfwy",
    "images": "3Q",
    "seeds": "5-2",
    "classes": "cat",
    "ema": "often",
    "resume": "nowhere",
    "overrides": "grid.height=x",
    "configuration": "nobody",
    "print_after": "nothing",
    "rename": "nothing",
}
"""Flags whose values are text with a form of its own: a wrong one."""

OF_A_RUN = ("sample", "migrate", "policy search", "study skip", "study refine")


def bad_values() -> Iterator[tuple[str, str, str]]:
    for name in COMMANDS:
        for found in parameters(command_of(name)):
            if not isinstance(found.declared, Option) or found.kind is bool or found.kind is Path:
                continue
            kind = StrEnum if issubclass(found.kind, StrEnum) else found.kind
            wrong = list(BAD_VALUES[kind])
            if found.declared.min is not None:
                wrong.append(str(int(found.declared.min) - 1))
            if kind is str and found.name in TEXTS:
                wrong = [TEXTS[found.name]]
            flag = (found.declared.flags or (f"--{found.name.replace('_', '-')}",))[-1]
            yield from ((name, flag, value) for value in wrong)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.mark.parametrize(("name", "flag", "value"), list(bad_values()))
def test_a_wrong_value_is_named_in_our_words(
    name: str, flag: str, value: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).parents[2]
    takes_one = any(isinstance(found.declared, Argument) for found in parameters(command_of(name)))
    path = [str(run if name in OF_A_RUN else root / "specs/emoji_32.yaml")] if takes_one else []
    if name == "import":
        path = [str(next(run.glob("checkpoints/*/weights.safetensors")))]
    more = {
        "migrate": [str(root / "specs/emoji_32.yaml")],
        "train": ["--data", str(root / "examples/data/noto-emoji-32.zip")],
        "estimate": ["--gpu", "cpu"],
        "eval": ["--ref", "data", "--features", "emoji"],
        "ema": ["--sigma-rel", "0.1"],
        "decode": ["--decoder", "vae"],
        "lpips": ["--weights", "alex.pth", "--crop", "32"],
        "study skip": ["--features", "none"],
        "study stack": ["--sweep", "parts.depth=1,2"],
    }
    code = main([name, *path, *more.get(name, []), flag, value])
    said = capsys.readouterr()
    assert code == (1 if name == "check" and flag == "--set" else 2)
    assert not re.search("Value error|Input should|unable to parse|pydantic|internal error|Traceback", "".join(said))
    assert value.partition("=")[0] in "".join(said) or flag in said.err
    assert not list(tmp_path.iterdir())
