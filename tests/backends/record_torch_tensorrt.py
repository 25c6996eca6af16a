"""Record what the tensorrt backend calls of torch-tensorrt, from its wheel, without importing it.

    pip download torch-tensorrt==2.13.* --no-deps
    python -m tests.backends.record_torch_tensorrt torch_tensorrt-2.13.0-*.whl

The stand-in of the tests is made from the record, so that a call which the real package would not understand fails.
`**kwargs` is left out on purpose: `compile` swallows keywords that it does not know.
"""

from __future__ import annotations

import ast
import json
import sys
import zipfile
from pathlib import Path

RECORD = Path(__file__).with_name("torch_tensorrt_signatures.json")
FUNCTIONS = {
    "dynamo.compile": ("torch_tensorrt/dynamo/_compiler.py", "compile"),
    "dynamo.refit_module_weights": ("torch_tensorrt/dynamo/_refit.py", "refit_module_weights"),
}
INPUT = "torch_tensorrt/_Input.py"


def signature(source: str, name: str) -> dict[str, object]:
    function = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name == name)
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    required = len(positional) - len(given.defaults)
    defaults = [None] * required + [ast.unparse(default) for default in given.defaults]
    keywords = {a.arg: d and ast.unparse(d) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True)}
    return {
        "positional": {a.arg: default for a, default in zip(positional, defaults, strict=True)},
        "keyword_only": keywords,
    }


def input_keywords(source: str) -> list[str]:
    """The keywords that `Input(**kwargs)` looks up."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=ast.Name(id="kwargs"), slice=ast.Constant(value=str(name))):
                found.add(name)
            case _:
                pass
    return sorted(found)


def main(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {path: archive.read(path).decode() for path in [INPUT, *(path for path, _ in FUNCTIONS.values())]}
    record = {
        "package": "torch-tensorrt",
        "version": wheel.name.split("-")[1],
        "functions": {name: signature(texts[path], function) for name, (path, function) in FUNCTIONS.items()},
        "input_keywords": input_keywords(texts[INPUT]),
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
