"""Files that try to run code, fill the memory or break a reader, made by hand; with a canary that a running one leaves.

`ARMED` leave the canary under Python's own `pickle.loads`, which a test shows, so that they are no empty threats.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

PROTO2, PROTO4 = b"\x80\x02", b"\x80\x04"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(module: str, of: str) -> bytes:
    return f"c{module}\n{of}\n".encode()


def call(module: str, of: str, *arguments: bytes) -> bytes:
    return name(module, of) + b"(" + b"".join(arguments) + b"tR"


def armed(canary: Path) -> dict[str, bytes]:
    """Bare pickles that create the canary if they are unpickled."""
    shell, python = text(f"touch {canary}"), text(f"__import__('pathlib').Path({str(canary)!r}).touch()")
    command = b"](" + text("touch") + text(str(canary)) + b"e"
    return {
        "os.system": PROTO2 + call("os", "system", shell) + b".",
        "posix.system": PROTO2 + call("posix", "system", shell) + b".",
        "eval": PROTO2 + call("builtins", "eval", python) + b".",
        "exec": PROTO2 + call("builtins", "exec", python) + b".",
        "eval of Python 2": PROTO2 + call("__builtin__", "eval", python) + b".",
        "stack_global": PROTO4 + text("posix") + text("system") + b"\x93(" + shell + b"tR.",
        "inst": b"(" + shell + b"ios\nsystem\n.",
        "obj": PROTO2 + b"(" + name("subprocess", "Popen") + command + b"o.",
        "popen": PROTO2 + call("subprocess", "check_call", command) + b".",
        "getattr": PROTO2
        + call("builtins", "getattr", call("importlib", "import_module", text("os")), text("system"))
        + b"("
        + shell
        + b"tR.",
        "partial": PROTO2 + call("functools", "partial", name("os", "system"), shell) + b")R.",
        "map": PROTO2
        + call("builtins", "list", call("builtins", "map", name("os", "system"), b"](" + shell + b"e"))
        + b".",
        "pickle in a pickle": PROTO2
        + call("pickle", "loads", _bytes(PROTO2 + call("os", "system", shell) + b"."))
        + b".",
        "in a mapping": PROTO2 + b"}(" + text("weight") + call("os", "system", shell) + b"u.",
        "as a key": PROTO2 + b"}" + call("os", "system", shell) + b"Ns.",
        "behind an OrderedDict": PROTO2
        + call("collections", "OrderedDict")
        + b"("
        + text("a")
        + call("os", "system", shell)
        + b"u.",
        "in the arguments of a tensor": PROTO2
        + b"("
        + call("os", "system", shell)
        + b"N"
        + name("builtins", "list")
        + b"t.",
        "thrown away": PROTO2 + call("os", "system", shell) + b"0}.",
        "after a memo": PROTO2 + b"}q\x00" + call("os", "system", shell) + b"0h\x00.",
        "setstate": PROTO2
        + name("types", "SimpleNamespace")
        + b")\x81}("
        + text("__setstate__")
        + name("os", "system")
        + b"ub"
        + shell
        + b"b.",
        "runpy": PROTO2
        + call(
            "timeit",
            "timeit",
            python,
            text("pass"),
            call("time", "perf_counter_ns") + b"0" + name("time", "perf_counter"),
            b"K\x01",
        )
        + b".",
        "pathlib of protocol 4": PROTO4
        + text("pathlib")
        + text("Path.touch")
        + b"\x93"
        + call("pathlib", "Path", text(str(canary)))
        + b"\x85R.",
    }


def inert(canary: Path) -> dict[str, bytes]:
    """Others: what other readers would run, what fills a memory, and what is broken."""
    shell = text(f"touch {canary}")
    command = b"](" + text("touch") + text(str(canary)) + b"e"
    run = PROTO2 + call("os", "system", shell) + b"."
    laughs = b"".join(b"](h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60))
    shared = b"".join(
        name("torch.nn", "Module")
        + b")\x81}"
        + text("_modules")
        + b"}("
        + text("a")
        + b"h"
        + bytes([i])
        + text("b")
        + b"h"
        + bytes([i])
        + b"ussbq"
        + bytes([i + 1])
        + b"0"
        for i in range(40)
    )
    source = b"}(" + text("class_name") + text("Net") + text("module_src") + text(f"open({str(canary)!r}, 'w')")
    return {
        "source of a class": PROTO2
        + call("torch_utils.persistence", "_reconstruct_persistent_obj", source + text("state") + b"}u")
        + b".",
        "source of no class": PROTO2 + call("torch_utils.persistence", "_reconstruct_persistent_obj", b"}") + b".",
        "bytes of torch.save": PROTO2 + call("torch.storage", "_load_from_bytes", _bytes(run)) + b".",
        "bytes of torch.save that are no storage": PROTO2
        + call("torch.storage", "_load_from_bytes", _bytes(old(b"}.")))
        + b".",
        "a call of a network": PROTO2 + call("training.networks", "run", shell) + b".",
        "a call of torch.hub": PROTO2 + call("torch.hub", "load", shell) + b".",
        "a call of torch.nn": PROTO2
        + call("torch.nn.modules.module", "register_module_module_registration_hook", name("torch.nn", "Module"))
        + b".",
        "type behind from_type": PROTO2
        + call("torch._tensor", "_rebuild_from_type_v2", name("os", "system"), b"N", shell + b"\x85", b"}")
        + b".",
        "numpy.f2py": PROTO2 + call("numpy.f2py.crackfortran", "myeval", shell) + b".",
        "newobj": PROTO2 + name("subprocess", "Popen") + command + b"\x85\x81.",
        "newobj_ex": PROTO4 + name("subprocess", "Popen") + command + b"\x85}\x92.",
        "copyreg": PROTO2 + call("copyreg", "__newobj__", name("subprocess", "Popen"), command) + b".",
        "pathlib": PROTO2 + call("pathlib", "Path.touch", call("pathlib", "Path", text(str(canary)))) + b".",
        "ext1": PROTO2 + b"\x82\x01.",
        "ext4": PROTO2 + b"\x84\x01\x00\x00\x00.",
        "persid": PROTO2 + b"Pos.system\n.",
        "binpersid": PROTO2 + b"(" + text("storage") + name("os", "system") + b"tQ.",
        "binpersid without storages": PROTO2
        + b"("
        + text("storage")
        + name("torch", "FloatStorage")
        + text("0")
        + text("cpu")
        + b"K\x01tQ.",
        "next_buffer": b"\x80\x05\x97.",
        "billion laughs": PROTO2 + b"]q\x00" + laughs + b".",
        "endless paths of networks": PROTO2 + name("torch.nn", "Module") + b")\x81q\x000" + shared + b"h\x28.",
        "tuples in tuples": PROTO2 + b"]" + b"\x85" * 100_000 + b".",
        "a number of a gigabyte": PROTO2 + b"\x8b" + struct.pack("<I", 2**30) + b"\x01.",
        "a number of digits": b"I" + b"9" * 100_000 + b"\n.",
        "a text that is not there": PROTO4 + b"\x8d" + struct.pack("<Q", 2**60) + b"a.",
        "bytes that are not there": PROTO4 + b"\x8e" + struct.pack("<Q", 2**63) + b"a.",
        "a long name": PROTO2 + b"c" + b"a" * 1_000_000 + b"\n.",
        "a name of two lines": PROTO2 + b"\x8c\x09os\nsystem\x8c\x01a\x93.".replace(PROTO2, PROTO4),
        "no UTF-8": PROTO2 + b"X\x02\x00\x00\x00\xff\xfe.",
        "a list as a key": PROTO2 + b"}]Ns.",
        "a huge key": PROTO2 + b"}\x8a\x0a" + b"\xff" * 9 + b"\x01Ns.",
        "an unknown instruction": PROTO2 + b"\xff.",
        "an empty stack": PROTO2 + b"0.",
        "no mark": PROTO2 + b"t.",
        "two objects": PROTO2 + b"NN.",
        "a memo that never was": PROTO2 + b"h\x05.",
        "protocol 9": b"\x80\x09N.",
        "only a protocol": PROTO2,
        "bytes after it": PROTO2 + b"}." + run,
        "nothing": b"",
        "no pickle": b"hello, weights",
        "a tensor without numbers": PROTO2
        + call("torch._utils", "_rebuild_tensor_v2", b"N", b"K\x00", b")", b")")
        + b".",
        "a mapping of no pairs": PROTO2 + call("collections", "OrderedDict", b"](K\x01K\x02e") + b".",
        "an old file of a later version": old(b"}.", version=1002),
        "an old file of big-endian numbers": old(b"}.", little=False),
        "an old file without its storages": old(_tensor(storage="9") + b"."),
        "an old file that runs code": old(call("os", "system", shell) + b"."),
        "an old file that is cut short": old(_tensor(view=True) + b".", keys=b"](" + text("0") + b"e."),
    }


def zips(canary: Path) -> dict[str, bytes]:
    """Zips as `torch.save` writes them, with what it does not write."""
    shell = text(f"touch {canary}")
    good = _named(_tensor())
    numbers = struct.pack("<4f", 1, 2, 3, 4)
    compressed = PROTO2 + b"N0" * 10_000 + b"N."
    directory = b"PK\x01\x02\x14\x03\x14\x00"
    plain = {"x/data.pkl": good, "x/data/0": numbers}
    return {
        "runs code": archive({"x/data.pkl": PROTO2 + call("os", "system", shell) + b"."}),
        "runs code beside a tensor": archive(
            {**plain, "x/data.pkl": PROTO2 + b"(" + _tensor() + call("os", "system", shell) + b"t."}
        ),
        "a compressed bomb": archive({"x/data.pkl": good, "x/data/0": bytes(5_000_000)}, compressed=True),
        "a compressed pickle": archive({"x/data.pkl": compressed, "x/data/0": numbers}, compressed=True),
        "no pickle": archive({"x/data/0": numbers}),
        "two pickles": archive({**plain, "y/data.pkl": good}),
        "TorchScript": archive({**plain, "x/code/__torch__.py": b"import os"}),
        "big-endian": archive({**plain, "x/byteorder": b"big"}),
        "no storage": archive({"x/data.pkl": good}),
        "a short storage": archive({"x/data.pkl": good, "x/data/0": numbers[:8]}),
        "a storage outside": archive(
            {
                "x/data.pkl": PROTO2 + _tensor(storage="../../secret") + b".",
                "x/data/0": numbers,
                "x/data/../../secret": numbers,
            }
        ),
        "a storage of code": archive({**plain, "x/data.pkl": PROTO2 + _tensor(kind=("os", "system")) + b"."}),
        "a name in no language": archive({**plain, "x/data/\u00fc": b""}).replace("\u00fc".encode(), b"\xff\xff"),
        "a member twice": _twice(plain),
        "a flipped bit": archive(plain).replace(numbers, b"\xff" + numbers[1:]),
        "another name in the member": archive(plain).replace(b"x/data/0", b"x/data/1", 1),
        "encrypted": archive(plain).replace(directory + b"\0\0", directory + b"\1\0"),
        "cut short": archive(plain)[:-30],
        "only a beginning": archive(plain)[:40],
        "a directory that lies": _lies(archive(plain)),
        "a tensor beyond its storage": archive({**plain, "x/data.pkl": _named(_tensor(offset=2))}),
        "a tensor of a petabyte": archive(
            {**plain, "x/data.pkl": _named(_tensor(shape=b"J\xff\xff\xff\x7f", stride=b"K\x00"))}
        ),
        "a negative shape": archive({**plain, "x/data.pkl": _named(_tensor(shape=b"J\xff\xff\xff\xff"))}),
        "a shape of texts": archive({**plain, "x/data.pkl": _named(_tensor(shape=text("4")))}),
    }


def corpus(canary: Path) -> dict[str, bytes]:
    """All of them by name."""
    parts: tuple[tuple[str, Callable[[Path], dict[str, bytes]]], ...] = (("", armed), ("", inert), ("zip: ", zips))
    return {f"{prefix}{key}": data for prefix, make in parts for key, data in make(canary).items()}


def archive(members: dict[str, bytes], *, compressed: bool = False) -> bytes:
    """A zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as out:
        for member, data in members.items():
            out.writestr(zipfile.ZipInfo(member), data, out.compression)
    return stream.getvalue()


def old(body: bytes, *, version: int = 1001, little: bool = True, keys: bytes = b"].") -> bytes:
    """A file of torch's older format around a pickle."""
    head = (0x1950A86A20F9469CFC6C, version, {"little_endian": little})
    return b"".join(pickle.dumps(part, 2) for part in head) + PROTO2 + body + PROTO2 + keys


def _tensor(
    *,
    storage: str = "0",
    kind: tuple[str, str] = ("torch", "FloatStorage"),
    offset: int = 0,
    shape: bytes = b"K\x04",
    stride: bytes = b"K\x01",
    view: bool = False,
) -> bytes:
    """A tensor of four numbers, as torch pickles it."""
    reference = (
        b"(" + text("storage") + name(*kind) + text(storage) + text("cpu") + b"K\x04" + (b"N" if view else b"") + b"tQ"
    )
    sizes = bytes([0x4B, offset]) + b"(" + shape + b"t(" + stride + b"t\x89"
    return call("torch._utils", "_rebuild_tensor_v2", reference, sizes, call("collections", "OrderedDict"))


def _named(tensor: bytes) -> bytes:
    """A mapping with one tensor."""
    return PROTO2 + b"}(" + text("w") + tensor + b"u."


def _bytes(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def _twice(members: dict[str, bytes]) -> bytes:
    """The second `x/data/0` was written under a name of the same length."""
    return archive({**members, "x/data/9": b"\0" * 16}).replace(b"x/data/9", b"x/data/0")


def _lies(data: bytes) -> bytes:
    """The directory says that the second member begins where the first does."""
    at = data.rindex(b"PK\x01\x02") + 42
    return data[:at] + b"\0\0\0\0" + data[at + 4 :]
