"""Usage lines, and what is said of `-` where nothing reads it."""

from __future__ import annotations

import pytest

from legoc.__main__ import main


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("check", "legoc check [OPTIONS] SPEC...\n"),
        ("build", "legoc build [OPTIONS] SPEC\n"),
        ("train", "legoc train [OPTIONS] [PATH]\n"),
        ("diff", "legoc diff [OPTIONS] A B | REV[...REV] [-- PATH]...\n"),
    ],
)
def test_usage_lines_have_no_braces(name: str, usage: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: {usage}")


@pytest.mark.parametrize("name", ["build", "train", "inspect", "sample", "bench"])
def test_a_command_that_reads_no_standard_input_says_so(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "-"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0]) == ("", f"error: legoc {name} does not read standard input")
    assert "write the spec to a file first" in err
