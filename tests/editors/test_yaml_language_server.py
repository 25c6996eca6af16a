"""The committed schema in the language server that most editors have for YAML, over its own protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.editors.language_client import ROOT, LanguageClient, labels, position
from tests.editors.yaml_server import command

pytestmark = pytest.mark.yaml_language_server

MODELINE = "# yaml-language-server: $schema=../schema/legoc-v1.json\n"
SETTINGS = {"yaml": {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}}


def with_modeline(text: str) -> str:
    lines = [line for line in text.splitlines(keepends=True) if "$schema" not in line]
    return MODELINE + "".join(lines)


EMOJI = with_modeline((ROOT / "specs/emoji_32.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageClient]:
    with LanguageClient([*command(), "--stdio"], settings=SETTINGS) as client:
        yield client


@pytest.fixture
def uri(request: pytest.FixtureRequest) -> str:
    """A name beside the presets, where their modeline is true; nothing is written there. One a test: findings of the
    text before are published late."""
    return (ROOT / "specs" / f"unsaved-{abs(hash(request.node.name))}.yaml").as_uri()


@pytest.fixture
def client(server: LanguageClient, uri: str) -> Iterator[LanguageClient]:
    server.open(uri, EMOJI)
    assert server.diagnostics(uri) == []
    yield server
    server.close(uri)


def completions(client: LanguageClient, uri: str, text: str) -> list[str]:
    where = position(text, "|")
    client.change(uri, text.replace("|", "", 1))
    return labels(client.ask("completion", uri, where))


def test_a_preset_has_no_squiggles_and_hovers(client: LanguageClient, uri: str) -> None:
    card = client.ask("hover", uri, position(EMOJI, "train_patches", 3))["contents"]["value"]
    assert "Share of a patch-brick's windows that a step trains" in card
    assert "Default: 1." in card
    assert "0.75" in card
    assert "Allowed Values" in client.ask("hover", uri, position(EMOJI, "carry", 2))["contents"]["value"]
    predicate = client.ask("hover", uri, position(EMOJI, 'image: "sigma', 1))["contents"]["value"]
    assert "leaves this brick out where it holds" in predicate


def test_keys_are_completed(client: LanguageClient, uri: str) -> None:
    brick = completions(client, uri, EMOJI.replace("skip_policies:", "  - id: new\n    |\nskip_policies:"))
    assert {"size", "receptive_field", "depth", "train_patches", "skip", "$before"} <= set(brick)
    assert "id" not in brick
    top = completions(client, uri, EMOJI.replace("carry: x0", "|#"))
    assert {"carry", "extends", "compat"} <= set(top)
    assert "bricks" not in top
    assert len(top) == len(set(top))


def test_values_are_completed(client: LanguageClient, uri: str) -> None:
    assert {"x0", "raw"} <= set(completions(client, uri, EMOJI.replace("carry: x0", "carry: |\n")))
    assert {"edm", "ddpm"} <= set(completions(client, uri, EMOJI.replace("diffusion: edm", "diffusion: |\n")))
    assert {"true", "false"} <= set(completions(client, uri, EMOJI.replace("  batch: 128", "  flip: |\n  batch: 128")))


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("depth: 3", "dpth: 3", "dpth", "dpth is not allowed"),
        ("batch: 128", 'batch: "128"', '"128"', "Expected one of integer"),
        ("steps: 18", "steps: 1", "1, guidance", "below the minimum of 2"),
        ("carry: x0", "carry: x1", "x1", "not accepted"),
        ("channels: 3", "channel: 3", "channel: 3", "channel is not allowed"),
    ],
)
def test_what_is_wrong_is_underlined(client: LanguageClient, uri: str, old: str, new: str, at: str, words: str) -> None:
    text = EMOJI.replace(old, new, 1)
    client.change(uri, text)
    found = client.diagnostics(uri)
    assert any(words in d["message"] and d["range"]["start"] == position(text, at) for d in found), found


def test_a_spec_that_extends_may_be_partial(client: LanguageClient, uri: str) -> None:
    client.change(uri, MODELINE + "legoc: 1\nextends: emoji_32.yaml\nbricks:\n  - {id: parts, depth: 8}\n")
    assert client.diagnostics(uri) == []
    client.change(uri, MODELINE + "brick_defaults: {width: 384}\n")
    assert client.diagnostics(uri) == []
    client.change(uri, MODELINE + "legoc: 1\nbricks:\n  - {id: parts, depth: 8}\n")
    assert any('Missing property "name"' in found["message"] for found in client.diagnostics(uri))
