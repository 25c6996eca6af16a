"""Mutated specs: of the tree (structure-aware), and of the bytes. Everything follows from the random generator."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from legoc.source import SourceFile
from legoc.spec.compose import compose
from legoc.spec.language import sections
from legoc.spec.tree import MappingNode, Node, ScalarNode, SequenceNode

SCALARS = (
    *("0", "-1", "1e-4", "1e400", "-0.0", ".inf", ".nan", "0x1F", "0o17", "010", "1_000", "9" * 400, "1e99999", "4M"),
    *("", "~", "null", "true", "no", "image", "8x16", "0x0", "99999999x1", "4.5k", "edm", "raw", "[]", "{}"),
    *(
        '""',
        '"\\uD800"',
        '"\\x00"',
        '"\\n"',
        "'it''s'",
        '"sigma < 0.3"',
        '"sigma <"',
        '"((((((((sigma"',
        '"1 < sigma < 2"',
    ),
    *(
        "日本語",
        "e\u0301",
        "\u202egnp",
        "🧱",
        '"\u2028"',
        "\ufeff",
        "ª",
        "ſigma",
        '"σ ≤ 1"',
        "'!guided'",
        "a: b",
        "# c",
        "- d",
    ),
    *(
        "&x 1",
        "*x",
        "!!python/object:os.system 1",
        "!t 1",
        "<<",
        "? k",
        "@a",
        "`b`",
        "%c",
        "|\n   text",
        ">-\n   a\n\n   b",
    ),
    *('"' + "(" * 600 + '"', '"' + "not " * 100 + 'guided"', '"sigma' + " + 1" * 120 + ' > 0"', "x" * 3000),
    *("0-63", "9-2", "3,3", "0-9999999", "1-" + "9" * 900, "halfway:0.4", "halfway:9", "balanced", "[0, 3]", "late"),
    *(
        "[{train: [parts]}, {}]",
        "[{images: 1}]",
        "[null]",
        "[{}]",
        "{policy: late}",
        "[5, 0.3]",
        "nested",
        "bf16",
        "ddim",
    ),
    *("extends", "$delete", ".", "..", "/", "specs", "lego_pg_s.yaml", "emoji_32.yaml", "# legoc: ignore[LG308] x"),
)
KEYS = (
    *("sample", "skip_policy", "seeds", "classes", "batch", "ema", "skip_policies"),
    *("stages", "images", "drop", "policy", "rate", "patches", "precision", "schedule", "guidance_interval", "eta"),
    *("id", "size", "depth", "width", "skip", "bricks", "train", "lr", "optimizer", "extends", "legoc", "rf", "dim"),
    *(
        "",
        "<<",
        '"a b"',
        "日",
        "*x",
        "&y k",
        "? q",
        "x" * 200,
        "1",
        "null",
        "$delete",
        "$after",
        "pretrained",
        "compat",
    ),
)


@dataclass
class Tree:
    """A node that can be changed: a scalar's source text, or entries (key and value) and items (key None)."""

    text: str | None = None
    is_mapping: bool = False
    entries: list[tuple[str | None, Tree]] = field(default_factory=list["tuple[str | None, Tree]"])


def tree_of(text: str) -> Tree:
    """The tree of a spec that is YAML."""
    root, _ = compose(SourceFile("preset.yaml", text))
    assert root is not None
    return _tree(root.root)


def _tree(node: Node) -> Tree:
    match node:
        case ScalarNode():
            return Tree(node.span.file.text[node.span.start : node.span.end])
        case SequenceNode():
            return Tree(entries=[(None, _tree(item)) for item in node.items])
        case MappingNode():
            return Tree(is_mapping=True, entries=[(key.text, _tree(value)) for key, value in node.entries])


def mutated_tree(tree: Tree, rng: random.Random) -> str:
    """The text of a copy of a tree with one to four changes."""
    tree = _copy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        rng.choice(CHANGES)(tree, rng)
    return _emit(tree, 0, rng, flow_share=rng.choice((0.0, 0.3, 0.8))) + rng.choice(("", "\n", "\n# end\n"))


def mutated_bytes(text: str, rng: random.Random) -> str:
    """A text with one to eight changes of its bytes; what is no UTF-8 any more becomes a replacement character."""
    data = bytearray(text.encode("utf-8"))
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 8, 64)))
        match rng.randrange(6):
            case 0:
                del data[at:end]
            case 1:
                data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 1, 4))))
            case 2:
                data[at:at] = rng.choice(list("\t\n\r:#-{}[]\"'&*!|>%@`,?\\ ~<=")).encode()
            case 3:
                other = rng.randrange(len(data) + 1)
                data[at:at] = data[other : other + rng.choice((1, 16, 200))]
            case 4:
                data[at:end] = rng.choice(SCALARS).encode("utf-8", "replace")
            case _:
                data[at:] = b"" if rng.random() < 0.3 else data[at:]
        data = data or bytearray(b"a")
    return data.decode("utf-8", "replace").replace("\0", " ")


def misspelt(text: str, rng: random.Random) -> str:
    """A spec with one to five slips of the keyboard in its keys, and operators of another language."""
    for _ in range(rng.randint(1, 5)):
        keys = list(re.finditer(r"(?<=[{ \n])[a-z_]{4,}(?=:)", text))
        chosen = rng.choice(keys)
        word, at = chosen[0], rng.randrange(1, len(chosen[0]) - 1)
        slip = rng.choice(
            (
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            )
        )
        text = text[: chosen.start()] + slip + text[chosen.end() :]
    return text.replace(" < ", rng.choice((" < ", " ≤ ")), rng.randint(0, 2))


def broken_at(tree: Tree, at: int, text: str | None) -> str | None:
    """A spec in which the entry of number `at` holds something else, or (None) is gone; None after the last one."""
    tree = _copy(tree)
    places = [(node.entries, i) for node in _all(tree) for i in range(len(node.entries))]
    if at == len(places):
        return None
    entries, i = places[at]
    if text is None:
        del entries[i]
    else:
        entries[i] = (entries[i][0], Tree(text))
    return emitted(tree)


def emitted(tree: Tree) -> str:
    """A tree as a text in blocks."""
    return _emit(tree, 0, random.Random(0), flow_share=0.0)


# Changes of a tree --------------------------------------------------------------------------------------------------

Change = Callable[[Tree, random.Random], None]


def _copy(tree: Tree) -> Tree:
    return Tree(tree.text, tree.is_mapping, [(key, _copy(value)) for key, value in tree.entries])


def _all(tree: Tree) -> list[Tree]:
    return [tree, *(node for _, value in tree.entries for node in _all(value))]


def _parent(tree: Tree, rng: random.Random) -> tuple[list[tuple[str | None, Tree]], int]:
    """The entries of some collection that has any, and the index of one; of a new one where there is none."""
    holders = [node.entries for node in _all(tree) if node.entries]
    entries = rng.choice(holders) if holders else [("a", Tree("1"))]
    return entries, rng.randrange(len(entries))


def delete(tree: Tree, rng: random.Random) -> None:
    entries, i = _parent(tree, rng)
    del entries[i]


def duplicate(tree: Tree, rng: random.Random) -> None:
    entries, i = _parent(tree, rng)
    for _ in range(rng.choice((1, 1, 3, 70))):
        entries.insert(rng.randrange(len(entries) + 1), (entries[i][0], _copy(entries[i][1])))


def rename(tree: Tree, rng: random.Random) -> None:
    entries, i = _parent(tree, rng)
    key = entries[i][0]
    if key is None:
        return
    at = rng.randrange(len(key) + 1)
    entries[i] = (rng.choice((rng.choice(KEYS), key[:at] + key[at + 1 :], key + key[at:], key.upper())), entries[i][1])


def retype(tree: Tree, rng: random.Random) -> None:
    entries, i = _parent(tree, rng)
    entries[i] = (entries[i][0], Tree(rng.choice(SCALARS)))


def swap(tree: Tree, rng: random.Random) -> None:
    nodes = _all(tree)
    one, other = rng.choice(nodes), rng.choice(nodes)
    if one in _all(other) or other in _all(one):
        return
    one.text, other.text = other.text, one.text
    one.is_mapping, other.is_mapping = other.is_mapping, one.is_mapping
    one.entries, other.entries = other.entries, one.entries


def nest(tree: Tree, rng: random.Random) -> None:
    entries, i = _parent(tree, rng)
    key, value = entries[i]
    for _ in range(rng.choice((1, 1, 2, 30))):
        value = (
            Tree(is_mapping=True, entries=[(rng.choice(KEYS), value)])
            if rng.random() < 0.5
            else Tree(entries=[(None, value)])
        )
    entries[i] = (key, value)


def insert(tree: Tree, rng: random.Random) -> None:
    entries, i = _parent(tree, rng)
    key = None if entries[i][0] is None else rng.choice(KEYS)
    entries.insert(i, (key, Tree(rng.choice(SCALARS))))


def move(tree: Tree, rng: random.Random) -> None:
    entries, i = _parent(tree, rng)
    entry = entries.pop(i)
    others, j = _parent(tree, rng)
    others.insert(j, (None if others[j][0] is None else entry[0] or "k", entry[1]))


def number(tree: Tree, rng: random.Random) -> None:
    scalars = [node for node in _all(tree) if node.text is not None and re.fullmatch(r"[0-9.e-]+", node.text)]
    if scalars:
        huge = (
            str(rng.randrange(1000)),
            str(rng.random()),
            "1" + "0" * rng.randrange(60),
            str(-rng.randrange(9)),
            "1e308",
        )
        rng.choice(scalars).text = rng.choice(huge)


def bomb(tree: Tree, rng: random.Random) -> None:
    """Anchors that multiply, as far as it goes."""
    entries, i = _parent(tree, rng)
    text = "&a0 [x]"
    for level in range(1, rng.choice((2, 4, 9))):
        text = f"&a{level} [{text}, {', '.join([f'*a{level - 1}'] * rng.choice((1, 9)))}]"
    entries[i] = (entries[i][0], Tree(text))


def write_known(tree: Tree, rng: random.Random) -> None:
    """A key of the language where it belongs, with one of its examples: mutations meet whatever keys there are."""
    path = rng.choice([(*section, key) for section, found in sections().items() for key in found.keys])
    node = tree
    for part in path[:-1]:
        if part == "*":
            node.entries = node.entries or [(None, Tree(is_mapping=True))]
            node = rng.choice(node.entries)[1]
        else:
            node = _child(node, str(part))
        if node.text is not None:
            node.text, node.is_mapping = None, True
    example = rng.choice(sections()[path[:-1]].keys[str(path[-1])].examples)
    child = _child(node, str(path[-1]))
    child.text, child.entries = json.dumps(example, ensure_ascii=False), []


def _child(node: Tree, key: str) -> Tree:
    for name, value in node.entries:
        if name == key:
            return value
    node.entries.append((key, Tree(is_mapping=True)))
    return node.entries[-1][1]


CHANGES: tuple[Change, ...] = (
    delete,
    duplicate,
    rename,
    retype,
    retype,
    swap,
    nest,
    insert,
    move,
    number,
    number,
    write_known,
    write_known,
    bomb,
)


def _emit(tree: Tree, indent: int, rng: random.Random, *, flow_share: float) -> str:
    """YAML as people and programs write it: now in blocks, now in brackets."""
    if tree.text is not None:
        return tree.text
    if not tree.entries:
        return "{}" if tree.is_mapping else "[]"
    if indent and (rng.random() < flow_share or indent > 200):
        cells = [
            ("" if key is None else f"{key}: ") + _emit(value, indent + 2, rng, flow_share=1.0)
            for key, value in tree.entries
        ]
        return ("{" if tree.is_mapping else "[") + ", ".join(cells) + ("}" if tree.is_mapping else "]")
    lines: list[str] = []
    for key, value in tree.entries:
        body = _emit(value, indent + 2, rng, flow_share=flow_share)
        is_block = bool(value.entries) and body[:1] not in "{["
        head = " " * indent + ("-" if key is None else f"{key}:")
        lines.append(f"{head}\n{body}" if is_block else f"{head} {body}")
    return "\n".join(lines)
