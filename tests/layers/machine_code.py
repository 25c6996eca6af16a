"""Compile a kernel for an H100 without one: Triton and its assembler need no GPU when the target is named."""

from __future__ import annotations

import re
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from legoc_runtime.layers.kernels.packed import Launch


def copied(launch: Launch, folder: Path) -> Launch:
    """The kernel from the source that inductor writes into its modules, where `triton` and `tl` alone are known."""
    from torch._inductor.codegen.wrapper import user_defined_triton_kernel_transitive_closure_source_code as source_of

    name = launch.kernel.__name__
    file = folder / f"{name}.py"
    heading = "import triton\nimport triton.language as tl\n\n@triton.jit\n"
    file.write_text(heading + source_of(launch.kernel))
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return launch._replace(kernel=getattr(module, name))


def spilled_bytes(launch: Launch, tokens: int, head_dim: int, dtype: torch.dtype) -> int:
    """Bytes that a thread of the kernel writes to memory for want of registers."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = list(launch.kernel.arg_names)
    constants = {
        "length": tokens, "heads": 16, "dim": head_dim, "padded": launch.padded, "block": launch.block
    }  # fmt: skip
    pointer = {torch.bfloat16: "*bf16", torch.float32: "*fp32"}[dtype]
    given = {"count": "i32", "scale": "fp32"}
    signature = {name: "constexpr" if name in constants else given.get(name, pointer) for name in names}
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if signature[name] == pointer}
    source = ASTSource(launch.kernel, signature, {(names.index(k),): v for k, v in constants.items()}, aligned)
    code = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": launch.warps}).asm["ptx"]
    assembler = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    with TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.ptx"
        file.write_text(code)
        command = [str(assembler), "-v", "-arch=sm_90a", str(file), "-o", str(Path(folder) / "kernel.cubin")]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = re.search(r"(\d+) bytes spill stores", said)
    assert found is not None, said
    return int(found[1])
