"""The JSON Schema: complete, fresh, and of one mind with `legoc check`."""

# pyright: reportUnknownMemberType=false
# jsonschema is typed in part

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legoc.__main__ import main
from legoc.schema import SCHEMA_PATH, JsonSchema, choices_at, default_in_words, key_at, keys_at, schema, schema_text
from legoc.source import SourceFile
from legoc.spec import check_text, resolved_yaml
from legoc.spec.compose import compose
from legoc.spec.language import sections
from legoc.spec.language_from_models import models
from legoc.spec.suggest import pattern
from legoc.spec.tree import plain, walk
from legoc.spec.values import Count

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").rglob("*.yaml"))
BROKEN = sorted((ROOT / "tests/diagnostics/fixtures").glob("LG10[1-6]*.yaml"))
NOT_OF_A_SCHEMA = {
    # what a schema cannot know: counts that are whole, numbers with a meaning, the names of one's own bricks
    "LG102": "a number that neither the brick nor brick_defaults gives",
}
VALIDATOR = jsonschema.Draft7Validator(schema())


def data(text: str) -> Any:
    tree, _ = compose(SourceFile("spec.yaml", text))
    return plain(tree.root) if tree else None


def errors(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(data(text))]


def keys() -> Iterator[tuple[tuple[str | int, ...], JsonSchema]]:
    """Every key of the language with its schema, those of composition too."""
    for section in sections():
        for key, entry in keys_at(section).items():
            yield (*section, key), entry


KEYS = dict(keys())
TEXTS = [
    "edm",
    "ddpm",
    "x0",
    "raw",
    "image",
    "8x16",
    "8 x 16",
    "0x4",
    "10k",
    "1.5M",
    "1m",
    "a",
    "A",
    "heun",
    "none",
    "",
]


def test_the_schema_is_draft_07() -> None:
    VALIDATOR.check_schema(schema())
    assert schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert schema()["$id"].endswith(":v1")
    assert "$defs" not in schema_text()


def test_the_committed_file_is_fresh() -> None:
    committed = (ROOT / SCHEMA_PATH).read_text(encoding="utf-8")
    assert committed == schema_text(), f"stale: write it again with `legoc schema -o {SCHEMA_PATH}`"


@pytest.mark.parametrize("path", KEYS, ids=lambda path: ".".join(map(str, path)))
def test_every_key_has_description_default_and_examples(path: tuple[str | int, ...]) -> None:
    """A new key: `Field(None, description="what it is (the default, or words for it)", examples=[...])`."""
    entry = KEYS[path]
    assert entry["title"] == path[-1]
    assert entry["description"].endswith(".")
    assert len(entry["description"]) > 10
    assert entry["examples"]
    for example in entry["examples"]:
        jsonschema.Draft7Validator(entry).validate(example)
    if path[-1] not in getattr(sections()[path[:-1]], "required", ()):
        assert "Default: " in entry["description"], "end the description with the default in parentheses"
    if "default" in entry:
        jsonschema.Draft7Validator(entry).validate(entry["default"])


TWO_STACKS = (
    """
legoc: 1
name: one
grid: {height: 8, width: 8, channels: 1}
conditioning: {classes: 2}
bricks: [{id: a, size: 4, depth: 1, width: 8, heads: 1}]
""",
    """
legoc: 1
name: two
grid: {height: 32, width: 32, channels: 3}
conditioning: {classes: 5}
bricks: [{id: b, size: 16, depth: 3, width: 16, heads: 2}]
""",
)


@pytest.mark.parametrize("diffusion", ["", "diffusion: ddpm\n"], ids=["edm", "ddpm"])
def test_defaults_are_those_of_the_compiler(diffusion: str) -> None:
    """Two stacks that write nothing optional: where both resolve to one value, that is the default."""
    resolved: list[dict[Any, Any]] = []
    for text in TWO_STACKS:
        spec = check_text(text + diffusion, "spec.yaml").spec
        assert spec is not None
        resolved.append({pattern(path): plain(node) for path, node in walk(_tree(resolved_yaml(spec)).root)})
    said = {path: entry["default"] for path, entry in KEYS.items() if "default" in entry}
    checked = 0
    for path, default in said.items():
        if path in resolved[0] and path not in sections() and resolved[0][path] == resolved[1].get(path):
            assert _number(default) == resolved[0][path], path
            checked += 1
    assert checked >= 20


def _tree(text: str) -> Any:
    tree, _ = compose(SourceFile("resolved.yaml", text))
    assert tree is not None
    return tree


def _number(default: Any) -> Any:
    """`10k` as the number that it stands for."""
    from pydantic import TypeAdapter

    is_count = isinstance(default, str) and default[0].isdigit() and default[-1].isalpha()
    return TypeAdapter(Count).validate_python(default) if is_count else default


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_preset_is_valid(path: Path) -> None:
    assert errors(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_preset_finds_the_schema(path: Path) -> None:
    """Its first lines, for the YAML language server and for JetBrains; bases may lack them."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "$schema" in line]
    if not lines and path.parent.name == "base":
        return
    (modeline,) = [line for line in lines if line.startswith("# yaml-language-server: $schema=")]
    (jetbrains,) = [line for line in lines if line.startswith("# $schema: ")]
    for target in (modeline.split("=")[1], jetbrains.split(": ")[1]):
        assert (path.parent / target).resolve() == ROOT / SCHEMA_PATH


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_specs_are_invalid(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    codes = {d.code for d in check_text(text, str(path)).diagnostics}
    if not errors(text):
        assert codes & NOT_OF_A_SCHEMA.keys(), f"the schema lets {codes} pass"


BASE = SPECS[0].read_text(encoding="utf-8") if SPECS else ""


@pytest.mark.parametrize(
    ("old", "new", "valid"),
    [
        ("images: 4M", "images: 1.5M", True),
        ("images: 4M", "images: 4000000", True),
        ("images: 4M", "images: 4Q", False),
        ("images: 4M", "images: 0", False),
        ("size: 16,", "size: 8x16,", True),
        ("size: 16,", "size: 8by16,", False),
        ("size: 16,", "size: images,", False),
        ("classes: 9", "classes: null", True),
        ("channels: 3", "channels: null", False),
        ("carry: x0 ", "carry: x1 ", False),
        ("depth: 3", 'depth: "3"', False),
        ("depth: 3", "dept: 3", False),
        ("diffusion: edm", "diffusion: {kind: edm, rho: 5}", True),
        ("diffusion: edm", "diffusion: {kind: edm, roh: 5}", False),
        ("diffusion: edm", "diffusion: edn", False),
        ("id: parts", "id: Parts", False),
        ("  late:", "  halfway:", False),
        ("ema: [0.999]", "ema: 0.999", False),
        ("name: emoji_32\n", "", False),
        ("id: parts, ", "", False),
        ("channels: 3", "", False),
    ],
)
def test_what_the_schema_tells_apart(old: str, new: str, valid: bool) -> None:
    """And `legoc check` agrees with it."""
    text = (ROOT / "specs/emoji_32.yaml").read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new, 1)
    assert (not errors(text)) is valid
    refused = {d.code for d in check_text(text, "spec.yaml").errors if d.code <= "LG106"}
    assert (not refused) is valid or "halfway" in new


def test_a_file_that_extends_may_be_partial() -> None:
    child = """
legoc: 1
extends: emoji_32.yaml
grid: {height: 64}
bricks:
  - {id: parts, depth: 8, train_patches: {$delete: true}}
  - {id: windows, $delete: true}
  - {id: fine, size: 8, $before: parts}
skip_policies: {early: {$delete: true}, late: {parts: {$delete: true}}}
train: {clip_norm: {$delete: true}}
sample: {$delete: true}
"""
    assert errors(child) == []
    assert errors(child.replace("extends: emoji_32.yaml\n", ""))
    for old, new in [
        ("$before", "$under"),
        ("depth: 8", "depth: deep"),
        ("{id: parts, ", "{"),
        ("delete: true", "delete: no"),
    ]:
        assert errors(child.replace(old, new, 1)), new


FIELDS = [path for path in KEYS if path[-1] in sections()[path[:-1]].keys and path != ("legoc",)]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(FIELDS),
    st.one_of(st.integers(-5, 10**6), st.floats(-2, 100), st.booleans(), st.none(), st.sampled_from(TEXTS)),
)
def test_what_check_takes_the_schema_takes(path: tuple[str | int, ...], value: Any) -> None:
    """No squiggle under what is right: a value that the models read is valid by the schema."""
    try:
        models()[path[:-1]].model_validate({str(path[-1]): value})
    except ValueError:
        return
    jsonschema.Draft7Validator(KEYS[path]).validate(value)


def test_choices_and_keys_by_path() -> None:
    assert choices_at(("carry",)) == ["x0", "raw"]
    assert {"edm", "ddpm"} <= set(choices_at(("diffusion",)))
    assert "image" in choices_at(("bricks", 3, "size"))
    assert choices_at(("train", "flip")) == [True, False]
    assert list(keys_at(("bricks", 0)))[:2] == ["id", "size"]
    assert "lr" in keys_at(("train", "optimizer"))
    assert keys_at(("nowhere",)) == {}
    assert key_at(("bricks", 0, "nothing")) is None
    assert default_in_words("a share (of all) of it (0.5)") == "0.5"
    assert default_in_words("no default") is None


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
    path = tmp_path / "schema.json"
    assert main(["schema", "-o", str(path)]) == 0
    assert main(["schema", "-o", str(path), "--check"]) == 0
    path.write_text(path.read_text().replace("sigma", "sgima", 1))
    assert main(["schema", "-o", str(path), "--check"]) == 1
    assert "stale" in capsys.readouterr().err
    assert main(["schema", "--check"]) == 2
    assert main(["schema", "-o", str(tmp_path / "no" / "x.json"), "--check"]) == 3


def test_the_schema_needs_no_torch() -> None:
    code = "import sys, legoc.schema; legoc.schema.schema_text(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
