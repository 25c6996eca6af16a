"""The readable source of each module: what torch.fx made of its program, for people. Nothing imports these files.

takes: Manifest
gives: file name -> source text
may import: torch, `legoc_runtime.link`, `legoc_runtime.store`, `legoc_runtime.contract`
"""

from __future__ import annotations

import re

from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.program import Program
from legoc_runtime.link.link import link
from legoc_runtime.store import WeightStore


def module_sources(manifest: Manifest) -> dict[str, str]:
    """Link every program on the meta device, which allocates nothing, and print its graph."""
    store = WeightStore(manifest.shape, device="meta")
    programs = (*manifest.programs, *manifest.variants)
    return {f"{program.name}.py": _source(program, manifest, store) for program in programs}


def _source(program: Program, manifest: Manifest, store: WeightStore) -> str:
    module = link(program, store)
    left_out = [id for id in manifest.shape.ids if id not in program.bricks]
    header = [
        f'"""`{program.name}` of {manifest.name}, written by legoc {manifest.legoc_version} for people to read.',
        "",
        f"Runs {', '.join(program.bricks)}" + (f"; leaves out {', '.join(left_out)}." if left_out else "."),
        "Arguments:",
        *(f"    {name}: {type}" for name, type in program.inputs),
        "Results:",
        *(f"    {name}: {program.types[value]}" for name, value in program.outputs),
        '"""',
    ]
    return "\n".join(header) + "\n\n" + _tidy(module.code)


def _tidy(code: str) -> str:
    """Fx's own text without the statements that free values, and with block indices as people write them."""
    code = re.sub(r";  .*= None$", "", code.strip("\n"), flags=re.MULTILINE)
    code = re.sub(r'getattr\((self\.[\w.]+), "(\d+)"\)', r"\1[\2]", code)
    code = re.sub(r"\blegoc_runtime_layers_(patching|scaling)_", r"\1.", code)
    return "\n".join(line.rstrip() for line in code.splitlines()) + "\n"
