"""Native code in a build directory: what its index says, and whether it fits a machine.

`native/BACKEND/index.json` lists the files with their checksums, the machine that they were compiled on, and what they
hold. Programs, manifest and spec know nothing of it and stay byte-identical; native code is not, and it is run only for
those who say that they trust it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from legoc_runtime.contract import codec
from legoc_runtime.contract.attention_rule import AttentionForm
from legoc_runtime.contract.gelu_rule import GeluForm
from legoc_runtime.errors import RunError, UsageError

NATIVE = "native"
"""Folder of native code in a build directory, one folder a backend in it."""

INDEX_NAME = "index.json"
INDEX_VERSION = 1
MAX_INDEX_BYTES = 2**20


@dataclass(frozen=True)
class Environment:
    """What native code depends on.

    Python is no part of it, since the code calls none; nor is legoc, since what an operation means never changes.

    Attributes:
        torch: version of PyTorch.
        system: operating system and architecture, e.g. `Linux x86_64`.
        device: `cpu`, or the kind of GPU with its compute capability, e.g. `cuda sm_90`.
        instructions: extensions of the processor that the code may use, sorted; empty for a GPU.
        packages: further packages with their versions, e.g. `tensorrt 10.13`, sorted.
    """

    torch: str
    system: str
    device: str
    instructions: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def misfits(self, here: Environment) -> list[str]:
        """Why code of this environment cannot run in another one, a clause each. A processor may know more than it."""
        found = [
            f"{name} is {getattr(here, name)} here and was {getattr(self, name)}"
            for name in ("torch", "system", "device", "packages")
            if getattr(here, name) != getattr(self, name)
        ]
        if lacking := sorted(set(self.instructions) - set(here.instructions)):
            found.append(f"the processor here lacks {', '.join(lacking)}")
        return found


@dataclass(frozen=True)
class NativeFile:
    """A file of native code.

    Attributes:
        name: its path, relative to the index, with slashes.
        size_bytes: its size.
        sha256: of its content.
    """

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class BlockSignature:
    """What tells compiled blocks apart; weights, batch and number of windows do not.

    Attributes:
        width: features of a token.
        heads: attention heads.
        tokens: tokens of a window.
        hidden: hidden features of the MLP.
        dtype: type of weights and arithmetic, e.g. `float32`.
        attention: form of the attention.
        gelu: form of the GELU.
    """

    width: int
    heads: int
    tokens: int
    hidden: int
    dtype: str
    attention: AttentionForm
    gelu: GeluForm

    @property
    def name(self) -> str:
        """An identifier: `block_384x6_4_1536_float32_products_sigmoid`."""
        sizes = f"{self.width}x{self.heads}_{self.tokens}_{self.hidden}"
        return f"block_{sizes}_{self.dtype}_{self.attention}_{self.gelu}"


@dataclass(frozen=True)
class NativeIndex:
    """What a folder of native code holds.

    Attributes:
        backend: whose it is.
        environment: where it was compiled.
        files: its files.
        blocks: the blocks in it, for a backend that compiles blocks.
    """

    backend: str
    environment: Environment
    files: tuple[NativeFile, ...]
    blocks: tuple[BlockSignature, ...] = ()

    def to_json(self) -> str:
        """The index's text; ends with a newline."""
        return json.dumps({"index_version": INDEX_VERSION, **codec.encode_fields(self)}, indent=1) + "\n"


def native_folder(build: Path, backend: str) -> Path:
    """Where a build keeps the native code of a backend."""
    return build / NATIVE / backend


def read_index(build: Path, backend: str) -> NativeIndex:
    """The index of a build's native code. Reads no native code.

    Raises:
        UsageError: the build has none for this backend.
        RunError: the index is damaged or of another version.
    """
    path = native_folder(build, backend) / INDEX_NAME
    again = f"legoc build {build} --backend {backend}"
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_INDEX_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{build} holds no native code for backend `{backend}`", help=again) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}", help=again) from error
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not an index of native code: {error}", help=again) from error
    body = dict(cast("dict[str, object]", data)) if isinstance(data, dict) else {}
    version = body.pop("index_version", None)
    if version != INDEX_VERSION:
        raise RunError(f"{path} has version {version!r}; this legoc reads version {INDEX_VERSION}", help=again)
    index = codec.decode(NativeIndex, body, where=str(path))
    if index.backend != backend:
        raise RunError(f"{path} is of backend `{index.backend}`", help=again)
    return index


def check_files(build: Path, index: NativeIndex) -> None:
    """Hold every file against the index, before any of them is loaded.

    Raises:
        RunError: a file is missing, or is not the one that was written.
    """
    folder = native_folder(build, index.backend)
    for file in index.files:
        path = folder / file.name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise RunError(f"{folder / INDEX_NAME} names a file outside its folder: {file.name}")
        try:
            found = measure(path, file.name)
        except OSError as error:
            raise RunError(
                f"{path} cannot be read: {error.strerror}", help=f"legoc build {build} --backend {index.backend}"
            ) from error
        if found != file:
            raise RunError(
                f"{path} is not the file that was built (its checksum differs)",
                help=f"legoc build {build} --backend {index.backend}",
            )


def measure(path: Path, name: str) -> NativeFile:
    """A file's size and checksum, under the name that the index has for it."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
            size_bytes += len(chunk)
    return NativeFile(name, size_bytes, digest.hexdigest())
