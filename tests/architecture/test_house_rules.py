"""Rules of the house that no linter knows: sizes, names, what never appears in the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "legoc").rglob("*.py"), *(ROOT / "runtime").rglob("*.py")])
PYTHON = sorted([*SOURCES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "examples").rglob("*.py")])
TEXT_SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".cfg", ""}
MAX_LINES = 450

CODE_FROM_DATA = {"eval", "exec", "compile", "__import__"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}

# written in pieces, so that this file does not contain what it looks for
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:" + "|".join(["work", "farm", "root", "home", "Users"]) + r")/\w")
REGISTRY_HOST = re.compile(r"\b(?:" + "|".join(["pypi", "npmjs", "pythonhosted"]) + r")\w*\.(?:org|com)\b")
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file that is part of the project: not what the tools and commands leave behind."""
    generated = {".git", ".venv", "build", "runs", "demo", "dist", "__pycache__"}
    for path in sorted(ROOT.rglob("*")):
        first = path.relative_to(ROOT).parts[0]
        if first in generated or (first.endswith("_cache") or first == ".hypothesis") or not path.is_file():
            continue
        if path.suffix in TEXT_SUFFIXES and "__pycache__" not in path.parts:
            yield path, path.read_text(encoding="utf-8", errors="replace")


def test_the_rules_see_the_sources() -> None:
    names = {relative(path) for path in PYTHON}
    assert {"legoc/source.py", "runtime/legoc_runtime/contract/stack.py", "tests/conftest.py"} <= names
    assert ROOT / "Makefile" in {path for path, _ in texts()}


def test_no_file_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    long = {name: lines for name, lines in lengths.items() if lines > MAX_LINES}
    assert not long, f"over {MAX_LINES} lines: a room with several families in it?"


def test_every_package_says_what_it_takes_gives_and_may_import() -> None:
    silent: list[str] = []
    for path in SOURCES:
        if path.name == "__init__.py" and path.parent.name not in {"legoc", "legoc_runtime"}:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            said = {line.split(": ")[0] for line in text.splitlines()}
            if not {"takes", "gives", "may import"} <= said:
                silent.append(relative(path))
    assert not silent


def test_no_drawer_for_odds_and_ends() -> None:
    odd = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert not [relative(path) for path in SOURCES if path.stem in odd or path.parent.name in odd]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_code_comes_from_data(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                assert name not in CODE_FROM_DATA, f"line {node.lineno}: {name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save" as name)):
                pytest.fail(f"line {node.lineno}: torch.{name} is a pickle; weights are safetensors")
            case ast.Import(names=names):
                roots = {alias.name.split(".")[0] for alias in names}
                assert not roots & UNSAFE_MODULES, f"line {node.lineno}"
            case ast.ImportFrom(module=str(module)):
                assert module.split(".")[0] not in UNSAFE_MODULES, f"line {node.lineno}"
            case _:
                pass


@pytest.mark.parametrize(
    ("pattern", "what"),
    [(MACHINE_PATH, "a path of one machine"), (REGISTRY_HOST, "a package registry's host")],
    ids=["path", "host"],
)
def test_nothing_ties_the_project_to_one_machine(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{relative(path)}:{number}: {what}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


def test_the_patterns_find_what_they_are_for() -> None:
    assert MACHINE_PATH.search("see /" + "home/someone/x")
    assert not MACHINE_PATH.search("specs/home/x")
    assert REGISTRY_HOST.search("https://" + "pypi" + ".org/simple")
    assert UNFINISHED.search("# TO" + "DO later")


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{relative(path)}:{number}: {line.strip()[:100]}"
        for path in PYTHON
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line) or ("raise NotImplementedError" in line and path in SOURCES)
    ]
    assert not found
