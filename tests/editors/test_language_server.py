"""`legoc lsp` as an editor meets it: over stdio, with texts that are half written."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from legoc_runtime.contract.predicate import BOOL_NAMES, FUNCTIONS, NUMBER_NAMES, TIMESTEP_NAMES
from tests.editors.language_client import ROOT, LanguageClient, ServerError, labels, position

COMMAND = [sys.executable, "-m", "legoc", "lsp"]
EMOJI = (ROOT / "specs/emoji_32.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageClient]:
    with LanguageClient(COMMAND) as client:
        yield client
    assert client.stray == b""
    assert client.process.returncode == 0
    assert client.errors == []  # refusals are answers, not tracebacks


@pytest.fixture
def client(server: LanguageClient) -> Iterator[LanguageClient]:
    yield server
    for uri in list(server.versions):
        server.close(uri)
        del server.versions[uri]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return (tmp_path / "a stack.yaml").as_uri()


def opened(client: LanguageClient, uri: str, text: str) -> list[dict[str, Any]]:
    client.open(uri, text)
    return client.diagnostics(uri)


def hover(client: LanguageClient, uri: str, where: dict[str, int]) -> str:
    answer = client.ask("hover", uri, where)
    return answer["contents"]["value"] if answer else ""


def placed(text: str) -> tuple[str, dict[str, int]]:
    """A text without its `|`, and where that was."""
    where = position(text, "|")
    return text.replace("|", "", 1), where


def completions(client: LanguageClient, uri: str, text: str) -> list[str]:
    text, where = placed(text)
    if uri in client.versions:
        client.change(uri, text)
    else:
        client.open(uri, text)
    return labels(client.ask("completion", uri, where))


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """A text after an editor has made the edits."""
    lines = text.split("\n")

    def offset(at: dict[str, int]) -> int:
        line = lines[at["line"]] if at["line"] < len(lines) else ""
        column = len(line.encode("utf-16-le")[: 2 * at["character"]].decode("utf-16-le"))
        return sum(len(before) + 1 for before in lines[: at["line"]]) + column

    spans = [(offset(e["range"]["start"]), offset(e["range"]["end"]), e["newText"]) for e in edits]
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


# Diagnostics -------------------------------------------------------------------------------------------------------


def test_findings_follow_what_is_typed(client: LanguageClient, uri: str) -> None:
    assert opened(client, uri, EMOJI) == []
    client.change(uri, EMOJI.replace("depth: 3", "dpth: 3"))
    (found,) = client.diagnostics(uri)
    assert (found["code"], found["severity"], found["source"]) == ("LG101", 1, "legoc")
    assert found["range"]["start"] == position(EMOJI, "depth: 3")
    assert "did you mean `depth`?" in found["message"]
    client.change(uri, EMOJI)
    assert client.diagnostics(uri) == []


def test_typing_is_debounced(client: LanguageClient, uri: str) -> None:
    opened(client, uri, EMOJI)
    for end in range(1, 6):
        client.change(uri, EMOJI.replace("depth: 3", "dpth_: 3"[:end] + ": 3"))
    client.change(uri, EMOJI.replace("carry: x0 ", "carry: x1 "))
    (found,) = client.diagnostics(uri)  # of the last text, not of the five before it
    assert found["code"] == "LG105"


def test_other_places_are_related(client: LanguageClient, uri: str) -> None:
    (found,) = opened(client, uri, EMOJI.replace("id: parts", "id: windows").replace("parts:", "image: 1 < 2 #"))[:1]
    assert found["relatedInformation"][0]["location"]["uri"] == uri


def test_findings_in_bases_go_to_the_bases(client: LanguageClient, tmp_path: Path) -> None:
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text(EMOJI.replace("heads: 6 ", "heads: 7 "), encoding="utf-8")
    client.open(child.as_uri(), "legoc: 1\nextends: base.yaml\nname: child\n")
    seen = {child.as_uri(): client.diagnostics(child.as_uri()), base.as_uri(): client.diagnostics(base.as_uri())}
    assert seen[child.as_uri()] == []
    assert {found["code"] for found in seen[base.as_uri()]} == {"LG203"}
    assert seen[base.as_uri()][0]["relatedInformation"][-1]["location"]["uri"] == child.as_uri()
    base.write_text(EMOJI, encoding="utf-8")
    client.notify("textDocument/didSave", {"textDocument": {"uri": base.as_uri()}})
    assert client.diagnostics(base.as_uri()) == []


def test_mistakes_of_a_base_are_said_once_however_many_specs_extend_it(client: LanguageClient, tmp_path: Path) -> None:
    (tmp_path / "children").mkdir()
    base = tmp_path / "base.yaml"
    base.write_text(EMOJI.replace("heads: 6 ", "heads: 7 "), encoding="utf-8")
    found = opened(client, base.as_uri(), base.read_text(encoding="utf-8"))
    for name in ("one", "two"):
        child = tmp_path / "children" / f"{name}.yaml"
        client.open(child.as_uri(), f"legoc: 1\nextends: ../base.yaml\nname: {name}\n")
        again = client.diagnostics(base.as_uri())
        assert client.diagnostics(child.as_uri()) == []
        assert [(d["code"], d["range"], d["message"]) for d in again] == [
            (d["code"], d["range"], d["message"]) for d in found
        ]
    assert found


def test_yaml_of_others_is_left_alone(client: LanguageClient, tmp_path: Path) -> None:
    workflow, child = tmp_path / "ci.yaml", tmp_path / "child.yaml"
    client.open(workflow.as_uri(), "on: push\njobs:\n  bricks: {runs-on: here}\n")
    assert opened(client, child.as_uri(), "legoc: 1\nname: x\n")
    assert workflow.as_uri() not in client.told
    # what a spec extends is a base, whatever it says
    workflow.write_text("on: push\n", encoding="utf-8")
    client.change(child.as_uri(), "legoc: 1\nextends: ci.yaml\nname: x\n")
    assert {found["code"] for found in client.diagnostics(workflow.as_uri())} == {"LG101"}


def test_files_to_extend_are_completed(client: LanguageClient, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for name in ("base/size-s.yaml", "base/notes.txt", "one.yaml", ".hidden.yaml", "a stack.yaml"):
        (tmp_path / name).write_text("brick_defaults: {width: 384}\n", encoding="utf-8")
    uri = (tmp_path / "a stack.yaml").as_uri()
    assert completions(client, uri, "legoc: 1\nextends: |\n") == ["one.yaml", "base/"]
    assert completions(client, uri, "legoc: 1\nextends: [one.yaml, base/|]\n") == ["size-s.yaml"]
    assert completions(client, uri, "legoc: 1\nextends:\n  - |\nname: x\n") == ["one.yaml", "base/"]
    text, where = placed("legoc: 1\nextends: base/size-s|\n")
    client.change(uri, text)
    (item,) = client.ask("completion", uri, where)
    assert applied(text, [item["textEdit"]]) == "legoc: 1\nextends: base/size-s.yaml\n"
    assert completions(client, uri, "legoc: 1\nextends: nowhere/|\n") == []


def test_a_base_need_not_be_complete(client: LanguageClient, uri: str) -> None:
    assert opened(client, uri, "brick_defaults: {width: 384, heads: 6}\n") == []
    client.change(uri, "brick_defaults: {width: 384, haeds: 6}\n")
    assert [found["code"] for found in client.diagnostics(uri)] == ["LG101"]


def test_closing_takes_findings_back(client: LanguageClient, uri: str) -> None:
    assert opened(client, uri, "legoc: 1\n")
    client.close(uri)
    del client.versions[uri]
    assert client.diagnostics(uri) == []


def test_a_fix_is_offered(client: LanguageClient, uri: str) -> None:
    text = EMOJI.replace("depth: 3", "dpeth: 3")
    (found,) = opened(client, uri, text)
    params = {"textDocument": {"uri": uri}, "range": found["range"], "context": {"diagnostics": [found]}}
    (action,) = client.request("textDocument/codeAction", params)
    assert action["kind"] == "quickfix"
    assert applied(text, action["edit"]["changes"][uri]) == EMOJI
    assert (
        client.request("textDocument/codeAction", {**params, "context": {"diagnostics": [], "only": ["source"]}}) == []
    )
    elsewhere = {**params, "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}}
    assert client.request("textDocument/codeAction", elsewhere) == []


def test_columns_are_utf_16(client: LanguageClient, uri: str) -> None:
    text = EMOJI.replace("bricks:\n", "bricks:\n  - {id: b, size: 4, depth: 1, skip: '😀😀 < 1', oops: 1}\n")
    found = {d["code"]: d["range"]["start"] for d in opened(client, uri, text)}
    assert found["LG301"] == position(text, "😀😀")
    assert found["LG101"] == position(text, "oops")
    text = EMOJI.replace("{id: parts, ", '{"😀": 1, id: parts, ')
    client.change(uri, text)
    client.diagnostics(uri)
    edits = client.ask("rename", uri, position(text, "parts"), newName="pieces")["changes"][uri]
    assert applied(text, edits) == text.replace("id: parts", "id: pieces").replace('parts: "', 'pieces: "')
    assert "depth" in completions(client, uri, EMOJI.replace("{id: parts, ", '{x: "😀", id: parts, |'))


# Hover -------------------------------------------------------------------------------------------------------------


def test_hover_on_a_brick_says_what_it_costs(client: LanguageClient, uri: str) -> None:
    opened(client, uri, EMOJI)
    card = hover(client, uri, position(EMOJI, "id: parts", 5))
    assert "patch-brick" in card
    assert "4 of 16x16 pixels; a training step runs 3" in card
    assert "2.11 M (30.0% of the stack)" in card
    assert "89.01 M an image (8.8% of a forward pass)" in card


def test_hover_on_predicates_and_policies_says_what_is_skipped(client: LanguageClient, uri: str) -> None:
    text = EMOJI.replace("receptive_field: 2, depth: 5}", 'receptive_field: 2, depth: 5, skip: "sigma < 0.01"}')
    opened(client, uri, text)
    whole = hover(client, uri, position(text, "  lean:", 3))
    assert "`parts` is left out in 5 of 18 steps: stops at step 6, sigma 8.4; runs again at step 11" in whole
    assert whole.count("- ") == 3
    own = hover(client, uri, position(text, "1 < sigma", 4))
    assert own.count("- ") == 1
    assert "saves" in own
    assert "policy `default`" in hover(client, uri, position(text, "sigma < 0.01", 4))
    key = hover(client, uri, position(text, "late: {image", 8))
    assert "image-brick" in key
    assert "sigma 0.296" in key


def test_hover_on_a_key_is_the_schema(client: LanguageClient, uri: str) -> None:
    opened(client, uri, EMOJI)
    card = hover(client, uri, position(EMOJI, "train_patches", 3))
    assert "Default: 1." in card
    assert "train_patches: 0.75" in card
    assert "One of `x0`, `raw`." in hover(client, uri, position(EMOJI, "carry:", 1))
    assert hover(client, uri, position(EMOJI, "# Bottom to top", 4)) == ""


def test_hover_while_there_are_errors(client: LanguageClient, uri: str) -> None:
    text = EMOJI.replace("carry: x0 ", "carry: x1 ")
    opened(client, uri, text)
    assert "No figures while" in hover(client, uri, position(text, "id: parts", 5))
    assert "No figures while" in hover(client, uri, position(text, "sigma < 0.3", 1))
    assert "One of" in hover(client, uri, position(text, "carry:", 1))


# Completion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected", "absent"),
    [
        ("conditioning: {", "con|\nconditioning: {", {"compat", "extends"}, {"name", "bricks", "depth"}),
        ("depth: 3}", "depth: 3, |}", {"skip", "width", "$before"}, {"depth", "lr"}),
        ("depth: 3}", "dep|: 3}", {"depth", "skip"}, {"size"}),
        ("- {id: parts,", "- {id: parts, si|", {"depth"}, {"id", "batch"}),
        ("{name: adamw,", "{|, name: adamw,", {"betas", "weight_decay"}, {"name", "depth"}),
        ("carry: x0 ", "carry: | ", {"x0", "raw"}, {"edm"}),
        ("diffusion: edm", "diffusion: |", {"edm", "ddpm"}, {"x0"}),
        ("size: image,", "size: im|,", {"image"}, {"x0"}),
        ("late: {image:", "late: {|:", {"windows", "parts", "image"}, {"depth"}),
        ("late: {image:", "late: {|, image:", {"windows", "parts"}, {"image"}),
        ("sigma < 0.3", "si|", {"sigma", "progress", "min", "not"}, {"image", "t"}),
        ("sigma < 0.3", "sigma < 0.3 and |", {"guided", "log_snr"}, {"image"}),
        ("depth: 3}", "depth: 3, $after: |}", {"windows", "image"}, {"depth"}),
        ("\ntrain:\n", "\ntrain:\n  |\n", {"fill", "seed"}, {"batch", "name"}),
        ("legoc: 1", "|\nlegoc: 1", {"extends", "compat"}, {"legoc"}),
    ],
)
def test_completion(client: LanguageClient, uri: str, old: str, new: str, expected: set[str], absent: set[str]) -> None:
    opened(client, uri, EMOJI)
    assert old in EMOJI
    found = completions(client, uri, EMOJI.replace(old, new, 1))
    assert expected <= set(found)
    assert not absent & set(found)
    assert len(found) == len(set(found))


def test_completion_of_the_policy_to_sample_with(client: LanguageClient, uri: str) -> None:
    text = EMOJI.replace("sample: {", "sample: {skip_policy: |, ")
    assert completions(client, uri, text) == ["none", "halfway", "late", "early", "lean"]


def test_completion_of_ddpm_predicates(client: LanguageClient, uri: str) -> None:
    text = EMOJI.replace("diffusion: edm", "diffusion: ddpm").replace("sampler: heun", "sampler: ddpm")
    assert "t" in completions(client, uri, text.replace("sigma < 0.3", "|"))


@pytest.mark.parametrize(
    "broken",
    [
        "legoc: 1\nbricks:\n  - {id: a, size: 4, |",
        "legoc: 1\nbricks:\n  - {id: a, size: 4}\n  - {id: b, |\nskip_policies: {p: {a: 'sigma < 1'}}\n",
        "grid: {height: 4\nbricks:\n  - id: a\n    |\n",
        "name: 'x\nbricks:\n  - id: a\n    |\n",
    ],
)
def test_completion_in_what_is_no_yaml_yet(client: LanguageClient, uri: str, broken: str) -> None:
    found = completions(client, uri, broken)
    assert {"depth", "skip"} <= set(found)
    assert "id" not in found


def test_completion_of_bricks_in_what_is_no_yaml_yet(client: LanguageClient, uri: str) -> None:
    text = EMOJI.replace("lean: {image", "lean: {im|, image").replace("grid: {height: 32,", "grid: {height: 32")
    found = completions(client, uri, text.replace("train:", "train: ]"))
    assert {"windows", "parts"} <= set(found)


def test_completions_replace_the_word_and_are_explained(client: LanguageClient, uri: str) -> None:
    text, where = placed(EMOJI.replace("depth: 3}", "depth: 3, loss_w|}"))
    client.open(uri, text)
    items = {item["label"]: item for item in client.ask("completion", uri, where)}
    item = items["loss_weight"]
    assert applied(text, [item["textEdit"]]) == text.replace("loss_w}", "loss_weight: }")
    assert item["detail"] == "default 1"
    assert "Weight of the brick's own loss" in item["documentation"]["value"]


def test_every_word_of_predicates_is_explained() -> None:
    from legoc.lsp.vocabulary import FUNCTIONS as EXPLAINED
    from legoc.lsp.vocabulary import NAMES

    assert set(NAMES) == {*NUMBER_NAMES, *TIMESTEP_NAMES, *BOOL_NAMES}
    assert set(EXPLAINED) == set(FUNCTIONS)


# Places ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def family(client: LanguageClient, tmp_path: Path) -> tuple[str, str, str]:
    """A spec over another one: the base's URI, the child's, and the child's text."""
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text(EMOJI, encoding="utf-8")
    text = (
        "legoc: 1\nextends: base.yaml\nname: child\nbricks:\n  - {id: parts, depth: 4}\n"
        "  - {id: fine, size: 8, depth: 1, $before: parts}\n"
        "skip_policies:\n  thin: {image: 'sigma < 1', fine: 'sigma > 20', parts: 'sigma > 3'}\n"
    )
    assert opened(client, child.as_uri(), text) == []
    return base.as_uri(), child.as_uri(), text


def test_definitions(client: LanguageClient, family: tuple[str, str, str]) -> None:
    base, child, text = family

    def target(needle: str, into: int) -> tuple[str, dict[str, int]] | None:
        answer = client.ask("definition", child, position(text, needle, into))
        return (answer["uri"], answer["range"]["start"]) if answer else None

    assert target("base.yaml", 3) == (base, {"line": 0, "character": 0})
    assert target("id: parts", 5) == (base, position(EMOJI, "id: parts", 4))
    assert target("{image", 2) == (base, position(EMOJI, "id: image", 4))
    assert target("fine: 'sigma", 1) == (child, position(text, "id: fine", 4))
    assert target("$before: parts", 10) == (child, position(text, "id: parts", 4))
    assert target("depth: 4", 1) is None


def test_inherited_bricks_are_known(client: LanguageClient, family: tuple[str, str, str]) -> None:
    _, child, text = family
    assert "4 of 16x16" in hover(client, child, position(text, "id: parts", 5))
    assert set(completions(client, child, text.replace("{image", "{|, image"))) == {"windows"}


# Edits -------------------------------------------------------------------------------------------------------------


def test_rename_everywhere(client: LanguageClient, uri: str) -> None:
    text = EMOJI.replace("depth: 5}", "depth: 5, $after: parts}")
    client.open(uri, text)
    assert client.ask("prepareRename", uri, position(text, "parts: ", 2))["start"] == position(text, "parts: ")
    edits = client.ask("rename", uri, position(text, 'parts: "', 2), newName="null")["changes"][uri]
    expected = (
        text.replace("id: parts,", 'id: "null",')
        .replace('parts: "1', '"null": "1')
        .replace("$after: parts", '$after: "null"')
    )
    assert applied(text, edits) == expected
    assert client.ask("prepareRename", uri, position(text, "depth", 1)) is None


@pytest.mark.parametrize(
    ("new", "why"), [("image", "already"), ("Parts", "cannot be a brick id"), ("a b", "cannot be a brick id")]
)
def test_a_rename_is_refused(client: LanguageClient, uri: str, new: str, why: str) -> None:
    client.open(uri, EMOJI)
    with pytest.raises(ServerError, match=why):
        client.ask("rename", uri, position(EMOJI, "id: parts", 5), newName=new)


def test_a_rename_of_what_a_base_has_is_refused(client: LanguageClient, family: tuple[str, str, str]) -> None:
    _, child, text = family
    with pytest.raises(ServerError, match=r"comes from base\.yaml"):
        client.ask("rename", child, position(text, "id: parts", 5), newName="pieces")
    edits = client.ask("rename", child, position(text, "id: fine", 5), newName="small")["changes"][child]
    assert applied(text, edits) == text.replace("fine", "small")


def test_formatting_is_legoc_fmt(client: LanguageClient, uri: str) -> None:
    from legoc.fmt import format_text

    untidy = EMOJI.replace("carry: x0 ", "carry:    'x0' ").replace("\nsample:", "\n\n\n\nsample:")
    client.open(uri, untidy)
    params = {"textDocument": {"uri": uri}, "options": {"tabSize": 2, "insertSpaces": True}}
    edits = client.request("textDocument/formatting", params)
    assert applied(untidy, edits) == format_text(untidy, "x")
    client.change(uri, format_text(untidy, "x"))
    assert client.request("textDocument/formatting", params) == []
    client.change(uri, "a: [\n")
    assert client.request("textDocument/formatting", params) is None


# Robustness --------------------------------------------------------------------------------------------------------


def test_a_spec_typed_letter_by_letter_never_fails(client: LanguageClient, uri: str) -> None:
    """Cut at random places, with a stray character: every question gets an answer, no diagnostics are missed."""
    random.seed(0)
    client.open(uri, "")
    for _ in range(60):
        cut = random.randrange(len(EMOJI))
        text = EMOJI[:cut] + random.choice(["", "{", "[", '"', "'", ":", "- ", "\t", "😀", "&a", "*a", "|", "\r", "$"])
        client.change(uri, text)
        end = position(text + "\0", "\0")
        client.ask("completion", uri, end)
        client.ask("hover", uri, end)
        client.ask("definition", uri, end)


def test_the_server_ends_with_its_editor() -> None:
    done = subprocess.run(COMMAND, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def test_without_pygls_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['pygls'] = None; from legoc.__main__ import main; sys.exit(main(['lsp']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'legoc[lsp]'" in done.stderr


def test_torch_is_not_loaded() -> None:
    code = "import sys, legoc.lsp.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
