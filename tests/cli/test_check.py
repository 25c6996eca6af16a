"""`legoc check`, `legoc explain`, and the frame that all commands share: what they import, print and return."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.cli import app
from legoc.diagnostics import SpecError
from legoc_runtime.errors import RunError, UsageError

ROOT = Path(__file__).parents[2]
EMOJI = str(ROOT / "specs" / "emoji_32.yaml")
HEAVY = ("torch", "numpy", "networkx", "rich", "pydantic", "ruamel", "typer", "PIL", "legoc_runtime.contract.program")


def legoc(*arguments: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in its own process; `code` runs after it, in that process."""
    script = f"import sys\nfrom legoc.__main__ import main\ncode = main({list(arguments)!r})\n{code}\nsys.exit(code)"
    path = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=False,
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text(Path(EMOJI).read_text(encoding="utf-8").replace("size: 16,", "size: 12,"), encoding="utf-8")
    return path


@pytest.fixture
def warned(tmp_path: Path) -> Path:
    path = tmp_path / "warned.yaml"
    plain = (ROOT / "specs" / "lego_pg_s.yaml").read_text(encoding="utf-8")
    path.write_text(plain.replace("sigma < 0.3", "sigma > 1000"), encoding="utf-8")
    return path


def test_findings_go_to_stdout_and_the_summary_to_stderr(
    broken: Path, warned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", EMOJI]) == 0
    assert capsys.readouterr() == ("", "1 file checked: no problems\n")
    assert main(["check", str(warned)]) == 0
    assert capsys.readouterr().out.startswith("warning[LG308]")
    assert main(["check", EMOJI, str(broken), str(warned)]) == 1
    captured = capsys.readouterr()
    assert "^^ 32 is no multiple" not in captured.err
    assert f"--> {broken}:29:" in captured.out
    assert captured.err == "3 files checked: 1 error and 1 warning\n"


def test_the_formats(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--format", "concise", str(broken)]) == 1
    assert capsys.readouterr().out.startswith(f"{broken}:29:25: error[LG201] brick `parts` is 12x12")
    assert main(["check", "--format", "json", str(broken), EMOJI]) == 1
    body = json.loads(capsys.readouterr().out)
    assert (body["version"], body["files"], body["errors"]) == (1, [str(broken), EMOJI], 1)


def given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_standard_input_is_checked(
    broken: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, broken.read_bytes())
    assert main(["check", "-", "--format", "concise"]) == 1
    assert capsys.readouterr().out.startswith("<stdin>:29:25: error[LG201]")
    given(monkeypatch, b"\xff")
    assert main(["check", "-", "--format", "json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert (body["files"], body["diagnostics"][0]["code"]) == (["<stdin>"], "LG002")
    assert main(["check", "-", "--fix"]) == 2
    assert "- is standard input" in capsys.readouterr().err


def test_a_wrong_override_is_said_once_for_all_specs(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", EMOJI, str(broken), "--set", "sample.steps=x", "--format", "concise"]) == 1
    out, err = capsys.readouterr()
    assert [line.partition(": ")[0] for line in out.splitlines()] == ["--set sample.steps=x:1:14", f"{broken}:29:25"]
    assert err == "2 files checked: 2 errors\n"


@pytest.mark.parametrize("command", ["show", "cost", "timeline", "graph", "estimate --gpu h100"])
def test_standard_input_is_described(
    command: str, broken: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, Path(EMOJI).read_bytes())
    assert main([*command.split(), "-", "--set", "name=piped"]) == 0
    assert "piped" in capsys.readouterr().out
    given(monkeypatch, broken.read_bytes())
    assert main([*command.split(), "-"]) == 2
    assert " --> <stdin>:29:25" in capsys.readouterr().err
    given(monkeypatch, b"\xff")
    assert main([*command.split(), "-"]) == 2
    assert "error[LG002]" in capsys.readouterr().err


def test_standard_input_is_formatted_to_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tidy = Path(EMOJI).read_text(encoding="utf-8")
    for text in (tidy, tidy.replace("carry: x0 ", "carry:    x0 ")):
        given(monkeypatch, text.encode())
        assert main(["fmt", "-"]) == 0
        assert capsys.readouterr().out == tidy
    given(monkeypatch, text.encode())
    assert main(["fmt", "-", "--check"]) == 1
    assert capsys.readouterr() == ("", "would format <stdin>\n")


def test_help_and_check_stay_light(broken: Path) -> None:
    loaded = "print(sorted(name for name in {heavy!r} if name in sys.modules))"
    overview = legoc("--help", code=loaded.format(heavy=HEAVY))
    assert overview.stdout.splitlines()[-1] == "[]"
    for name in app.COMMANDS:
        assert f"  {name} " in overview.stdout
    for arguments in (["check", EMOJI, str(broken)], ["explain", "LG201"]):
        done = legoc(*arguments, code=loaded.format(heavy=tuple({*HEAVY} - {"ruamel"})))
        assert done.stdout.splitlines()[-1] == "[]"


def test_the_overview_imports_nothing_that_takes_time() -> None:
    """What the overview loads beside what Python had loaded: `typing` alone takes as long as all of it."""
    script = (
        "import sys\nbefore = set(sys.modules)\nfrom legoc.__main__ import main\nmain(['--help'])\n"
        "print(sorted({'typing', 're', 'enum', 'dataclasses', 'pathlib', 'inspect'} & (set(sys.modules) - before)))"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_has_its_module_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("check", "explain"):
        assert main([name, "--help"]) == 0
        assert main(["help", name]) == 0
        assert main([name, "-h"]) == 0
        first, second, third = capsys.readouterr().out.split(f"Usage: legoc {name}")[1:]
        assert first == second == third
        assert "Args:" not in first


def test_explain_lists_codes_and_shows_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert "LG308  warning  a predicate that decides nothing\n" in capsys.readouterr().out
    assert main(["explain", "lg201"]) == 0
    assert capsys.readouterr().out.startswith("# LG201: a brick's size does not divide the grid (error)\n")
    assert main(["explain", "201"]) == 0
    assert capsys.readouterr().out.startswith("# LG201: ")
    assert main(["explain", "LG999"]) == 2
    assert "no diagnostic code `LG999`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chekc"], "did you mean `check`?"),
        (["--versoin"], "there is no option"),
        (["check"], "SPEC"),
        (["check", EMOJI, "--format", "xml"], "xml"),
        (["check", EMOJI, "--frmat", "json"], "--frmat"),
    ],
)
def test_bad_usage_is_exit_code_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_no_arguments_show_the_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out == app.overview()
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "legoc 0.1.0\n"


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("bad request", help="ask better"), 2, "error: bad request\nhelp: ask better\n"),
        (RunError("lost"), 3, "error: lost\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted\n"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), 3, "error: the disk is full (runs/x)\n"),
        (MemoryError(), 3, "error: out of memory\n"),
        (BrokenPipeError(), 1, ""),
        (ValueError("odd"), 70, "internal error: ValueError: odd\n"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), 3, "error: Permission denied: runs\n"),
        (OSError(errno.EBADF, "Bad file descriptor"), 70, "internal error: OSError"),
    ],
)
def test_every_end_of_a_command_has_its_code_and_words(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LEGOC_TRACEBACK", raising=False)
    monkeypatch.setattr("legoc.cli.explain.command", raising(error))
    assert main(["explain"]) == code
    err = capfd.readouterr().err
    assert err.startswith(said)
    assert "Traceback" not in err
    if code == 70:
        monkeypatch.setenv("LEGOC_TRACEBACK", "1")
        assert main(["explain"]) == code
        assert "Traceback (most recent call last)" in capfd.readouterr().err


def test_a_spec_that_does_not_check_ends_other_commands_with_2(
    broken: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from legoc.spec import load_spec

    with pytest.raises(SpecError):
        load_spec(broken)
    monkeypatch.setattr("legoc.cli.explain.command", lambda: load_spec(broken))
    assert main(["explain"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error[LG201]")
    assert err.endswith("1 file checked: 1 error\n")


def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    path = os.pathsep.join([str(ROOT), str(ROOT / "runtime")])
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "legoc", "explain"],
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=60,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


def test_names_that_the_terminal_cannot_write_do_not_end_the_command(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.yaml")
    for format in ("full", "concise", "json"):
        done = legoc("check", path, "--format", format, PYTHONIOENCODING="ascii")
        assert done.returncode == 1
        assert "LG001" in done.stdout
        assert "Traceback" not in done.stderr
