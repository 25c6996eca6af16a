"""`extends:`: layers of files, what they do to bricks and keys, and where errors point."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from legoc.hashes import spec_hashes
from legoc.source import SourceFile
from legoc.spec import check_file, check_text, extends, load_spec, resolved_yaml
from legoc.spec.compose import compose
from legoc.spec.resolved import StackSpec
from legoc.spec.tree import plain
from tests.spec.layered import BASE, codes, over_base, write

EMOJI = Path(__file__).parents[2] / "specs" / "emoji_32.yaml"


def ids(folder: Path, bricks: str) -> tuple[str, ...]:
    result = over_base(folder, f"bricks:\n{bricks}\n")
    assert result.spec is not None, result.diagnostics
    return result.spec.shape.ids


@pytest.mark.parametrize(
    ("bricks", "expected"),
    [
        ("  - {id: new, size: 8, depth: 1}", "windows parts image new"),
        ("  - {id: new, size: 8, depth: 1, $before: windows}", "new windows parts image"),
        ("  - {id: new, size: 8, depth: 1, $after: windows}", "windows new parts image"),
        ("  - {id: image, $before: windows}", "image windows parts"),
        ("  - {id: parts, $delete: true}", "windows image"),
        ("  - {id: parts, $delete: true, size: 8, depth: 1}", "windows parts image"),
        # a brick may be placed beside one that is listed later, and one order is kept
        (
            "  - {id: a, size: 8, depth: 1, $after: b}\n  - {id: b, size: 8, depth: 1, $before: parts}\n"
            "  - {id: c, size: 8, depth: 1, $after: b}",
            "windows b a c parts image",
        ),
    ],
)
def test_bricks_are_merged_by_id_and_placed(bricks: str, expected: str, tmp_path: Path) -> None:
    assert ids(tmp_path, bricks) == tuple(expected.split())


def test_mappings_merge_key_by_key_and_everything_else_is_replaced(tmp_path: Path) -> None:
    spec = over_base(
        tmp_path,
        """\
name: child
bricks: [{id: parts, depth: 7}]
skip_policies: {lean: {parts: "sigma > 20"}, late: {image: "sigma < 1"}}
train: {optimizer: {betas: [0.5, 0.6]}}
""",
    ).spec
    assert spec is not None
    parts = spec.shape.brick("parts")
    assert (spec.name, parts.depth, parts.window, spec.train.learning_rate) == ("child", 7, (16, 16), 1e-3)
    assert spec.train.betas == (0.5, 0.6)
    assert [id for id, _ in spec.policies["lean"].skips] == ["parts", "image"]
    assert set(spec.policies) == {"lean", "late"}
    assert set(spec.default_skips) == {"parts"}


@pytest.mark.parametrize(
    ("policy", "entry"),
    [
        ("{image: sigma < 0.3, parts: sigma > 9}", "{lean: {parts: {$delete: true}}}"),
        ("{parts: sigma > 9}", "{lean: {$delete: true}}"),
    ],
)
def test_the_help_takes_a_deleted_brick_out_of_a_bases_policy(tmp_path: Path, policy: str, entry: str) -> None:
    base = BASE.replace('lean: {image: "sigma < 0.3"}', f"lean: {policy}")
    child = "extends: base.yaml\nbricks: [{id: parts, $delete: true}]\n"
    write(tmp_path, {"base.yaml": base, "child.yaml": child})
    (finding,) = check_file(tmp_path / "child.yaml").diagnostics
    assert finding.code == "LG305"
    assert finding.primary is not None
    assert finding.primary.span.file.name == str(tmp_path / "base.yaml")
    written = f"skip_policies: {entry}"
    assert finding.help == f"to take it out of that policy, write in `child.yaml`: `{written}`"
    write(tmp_path, {"child.yaml": f"{child}{written}\n"})
    assert codes(check_file(tmp_path / "child.yaml")) == []


def test_delete_takes_mappings_away_and_beside_other_keys_replaces_them(tmp_path: Path) -> None:
    spec = over_base(
        tmp_path,
        """\
bricks: [{id: parts, $delete: true, size: 8, depth: 1}]
skip_policies: {lean: {$delete: true, image: "sigma < 1"}}
train: {$delete: true}
""",
    ).spec
    assert spec is not None
    assert spec.default_skips == {}
    assert [id for id, _ in spec.policies["lean"].skips] == ["image"]
    assert spec.train.batch == 128


def test_null_is_answered_with_how_a_key_is_taken_back(tmp_path: Path) -> None:
    found = over_base(tmp_path, "train: {batch: null}\nsample: {regions: null}\nname: null\n")
    said = {finding.primary.span.line: finding.help for finding in found.diagnostics if finding.primary}
    assert said == {
        2: "leave `batch` out; over a base that has it, `batch: {$delete: true}` takes it back",
        3: "leave `regions` out; over a base that has it, `regions: {$delete: true}` takes it back",
        4: None,  # there is no stack without a name
    }
    assert over_base(tmp_path, "train: {batch: {$delete: true}}\nname: child\n").spec


def test_a_word_for_a_section_is_merged_as_the_mapping_that_it_stands_for(tmp_path: Path) -> None:
    write(tmp_path, {"edm.yaml": "diffusion: edm\n", "base.yaml": BASE})
    (tmp_path / "child.yaml").write_text("extends: [base.yaml, edm.yaml]\ndiffusion: {sigma_max: 40}\n")
    assert load_spec(tmp_path / "child.yaml").shape.edm.sigma_max == 40


def test_spans_point_into_the_file_that_set_the_value(tmp_path: Path) -> None:
    spec = over_base(tmp_path, "bricks: [{id: parts, depth: 7}]\n").spec
    assert spec is not None

    def place(*path: str | int) -> str:
        return str(spec.span(*path)).removeprefix(f"{tmp_path}/")

    assert place("bricks", 1, "depth") == "child.yaml:2:29"
    assert place("bricks", 1, "size") == "base.yaml:8:23"
    assert place("bricks", 1, "id") == "base.yaml:8:10"
    assert place("brick_defaults", "width") == "base.yaml:5:25"


def test_paths_are_relative_to_the_file_that_says_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {"specs/a/top.yaml": "extends: ../b/mid.yaml\n", "specs/b/mid.yaml": "extends: base.yaml\n"}
        | {"specs/b/base.yaml": BASE + "data: {path: some/where}\n"},
    )
    monkeypatch.chdir(tmp_path / "specs")
    spec = load_spec("a/top.yaml")
    assert spec.data_path == "some/where"
    assert str(spec.span("name")) == "b/base.yaml:2:7"


def test_a_file_that_is_reached_twice_is_one_layer_where_it_is_first_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        tmp_path,
        {
            "base.yaml": BASE,
            "left.yaml": "extends: base.yaml\nname: left\nbricks: [{id: parts, $delete: true}]\n",
            "right.yaml": "extends: ./base.yaml\nbricks: [{id: image, depth: 9}]\n",
            "top.yaml": "extends: [left.yaml, right.yaml]\n",
        },
    )
    texts: list[str] = []
    monkeypatch.setattr(extends, "compose", lambda file: texts.append(file.text) or compose(file))
    extends._parse_base.cache_clear()
    spec = load_spec(tmp_path / "top.yaml")
    assert spec.name == "left"
    assert spec.shape.ids == ("windows", "image")
    assert spec.shape.brick("image").depth == 9
    assert texts.count(BASE) == 1
    load_spec(tmp_path / "right.yaml")
    assert texts.count(BASE) == 1


def test_what_is_missing_is_reported_on_the_file_that_is_checked(tmp_path: Path) -> None:
    write(tmp_path, {"base.yaml": BASE.replace("name: base\n", "").replace("legoc: 1\n", "")})
    path = tmp_path / "child.yaml"
    path.write_text("extends: base.yaml\nlegoc: 1\n", encoding="utf-8")
    (finding,) = check_file(path).diagnostics
    assert (finding.code, "`name`" in finding.message) == ("LG102", True)
    assert finding.primary is not None
    assert finding.primary.span.file.name == str(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bricks: [{id: nobody, $delete: true}]", ["LG604"]),
        ("train: {optimizer: {lr: {$delete: true}}}", []),
        ("train: {optimizer: {name: {$delete: true}}}", ["LG604"]),
        ("sample: {$delete: true}", ["LG604"]),
        ("$delete: true", ["LG606"]),
        ("bricks: [{id: parts, $before: parts}]", ["LG605"]),
        ("bricks: [{id: parts, $delete: true}, {id: image, $before: parts}]", ["LG605"]),
        ("bricks: [{id: parts, $delete: true, $before: image}]", ["LG606"]),
        ("bricks: [{id: parts, $before: image}, {id: image, $after: parts}]", ["LG605"]),
        ("bricks: [{id: parts, $delete: yes please}]", ["LG606"]),
        ("bricks: [{id: parts, $before: [image]}]", ["LG606"]),
        ("train: {$before: sample}", ["LG606"]),
        ("train: {ema: [{$delete: true}]}", ["LG606", "LG103"]),
        ("bricks: [{id: parts, depth: 1}, {id: parts, depth: 2}]", ["LG102", "LG204"]),
        ("bricks: [3, {size: 4}]", ["LG103", "LG102", "LG102"]),
        ("bricks: 3", ["LG103"]),
        ("extends: 3", ["LG005"]),
    ],
)
def test_directives_and_bricks_that_make_no_sense(text: str, expected: list[str], tmp_path: Path) -> None:
    result = over_base(tmp_path, text + "\n")
    assert [code for code in codes(result) if code not in ("LG103", "LG102")] == [
        code for code in expected if code not in ("LG103", "LG102")
    ]
    assert bool(expected) == (result.spec is None)


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        ("3", "LG103", "a path or a list of paths, found the number 3"),
        ("[base.yaml, {a: b}]", "LG103", "found a mapping"),
        ("", "LG103", "found nothing"),
        ("[]", "LG104", "at least 1 item"),
        ("bas.yaml", "LG601", "no such file"),
        ('"bas\\0e.yaml"', "LG601", "cannot be read"),
        (".", "LG601", "a directory"),
        ("/dev/zero", "LG601", "no regular file"),
        ("child.yaml", "LG602", "extends itself"),
        ("broken.yaml", "LG004", "not YAML"),
    ],
)
def test_bases_that_cannot_be(value: str, code: str, said: str, tmp_path: Path) -> None:
    write(tmp_path, {"base.yaml": BASE, "broken.yaml": "a: [", "child.yaml": f"extends: {value}\n"})
    finding = check_file(tmp_path / "child.yaml").diagnostics[0]
    assert (finding.code, said in finding.message) == (code, True), finding.message


def test_a_base_that_is_a_broken_link_says_where_it_leads(tmp_path: Path) -> None:
    write(tmp_path, {"child.yaml": "extends: link.yaml\n"})
    (tmp_path / "link.yaml").symlink_to("moved.yaml")
    (finding,) = check_file(tmp_path / "child.yaml").diagnostics
    assert "the symbolic link leads nowhere" in finding.message
    assert finding.help == "it leads to `moved.yaml`, which is not there"


def test_the_number_of_files_is_bounded(tmp_path: Path) -> None:
    names = [f"base_{i}.yaml" for i in range(extends.MAX_FILES)]
    write(tmp_path, dict.fromkeys(names, BASE) | {"top.yaml": {"extends": names[:-1]}})
    assert check_file(tmp_path / "top.yaml").spec is not None
    write(tmp_path, {"top.yaml": {"extends": names}})
    assert codes(check_file(tmp_path / "top.yaml")) == ["LG603"]
    big = "skip_policies:\n" + "".join(f"  a_policy_{i:06}: {{a: b}}\n" for i in range(4000))
    write(tmp_path, {"big.yaml": big, "more.yaml": big, "top.yaml": {"extends": ["big.yaml", "more.yaml"]}})
    assert codes(check_file(tmp_path / "top.yaml")) == ["LG603"]


def test_an_error_in_a_base_shows_the_way_there(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"base.yaml": BASE.replace("heads: 6", "heads: 7"), "mid.yaml": "extends: base.yaml\n"}
        | {"top.yaml": "name: top\nextends: [mid.yaml]\n"},
    )
    (finding,) = check_file(tmp_path / "top.yaml").diagnostics
    assert finding.primary is not None
    places = [str(label.span).removeprefix(f"{tmp_path}/") for label in (finding.primary, *finding.secondary)]
    assert places == ["base.yaml:5:37", "base.yaml:5:25", "mid.yaml:1:10", "top.yaml:2:11"]


# Splits ----------------------------------------------------------------------------------------------------------

Data = dict[str, Any]
LAYERS = 3
DECOY = "a decoy that a layer above replaces"


def split(draw: st.DrawFn, data: Data) -> list[Data]:
    """A mapping over layers, bottom to top: each value in one, with decoys in some of those below."""
    layers: list[Data] = [{} for _ in range(LAYERS)]
    for key in draw(st.permutations(list(data))):
        value = data[key]
        parts: list[Any] = []
        if key == "bricks":
            parts = split_bricks(draw, value)
        elif isinstance(value, dict):
            parts = split(draw, value)
        if parts:
            for layer, part in zip(layers, parts, strict=True):
                if part or draw(st.booleans()):
                    layer[key] = part
            layers[-1].setdefault(key, {} if isinstance(value, dict) else [])
            continue
        owner = draw(st.integers(0, LAYERS - 1))
        layers[owner][key] = value
        for below in range(owner):
            if key != "legoc" and draw(st.booleans()):
                layers[below][key] = DECOY
    return layers


def split_bricks(draw: st.DrawFn, bricks: list[Data]) -> list[list[Data]]:
    """Bricks over layers: shuffled below, in order at the top; the lowest layer has one that goes again."""
    parts = {brick["id"]: split(draw, {k: v for k, v in brick.items() if k != "id"}) for brick in bricks}
    layers: list[list[Data]] = []
    for i in range(LAYERS - 1):
        layer = [{"id": id, **part[i]} for id, part in parts.items() if part[i] or draw(st.booleans())]
        layers.append(draw(st.permutations(layer)))
    layers[0].insert(draw(st.integers(0, len(layers[0]))), {"id": "decoy", "size": DECOY})
    order = list(parts)
    placed = [{"id": id, **parts[id][-1]} | ({"$after": order[i - 1]} if i else {}) for i, id in enumerate(order)]
    layers.append([*placed, {"id": "decoy", "$delete": True}])
    return layers


def emoji() -> tuple[Data, StackSpec]:
    text = EMOJI.read_text(encoding="utf-8")
    tree, _ = compose(SourceFile("emoji", text))
    assert tree is not None
    return plain(tree.root), load_spec(EMOJI)


UNSPLIT, SPEC = emoji()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_spec_is_the_same_however_it_is_split(data: st.DataObject) -> None:
    draw = data.draw
    bottom, middle, top = split(draw, UNSPLIT)
    if draw(st.booleans()):
        middle["extends"], top["extends"] = "bottom.yaml", "middle.yaml"
    else:
        top["extends"] = ["bottom.yaml", "middle.yaml"]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), {"bottom.yaml": bottom, "middle.yaml": middle, "top.yaml": top})
        result = check_file(Path(folder) / "top.yaml")
    assert result.spec == SPEC, (json.dumps([bottom, middle, top]), result.diagnostics)
    assert spec_hashes(result.spec) == spec_hashes(SPEC)
    text = resolved_yaml(result.spec)
    again = check_text(text, "resolved").spec
    assert again == SPEC
    assert resolved_yaml(again) == text
