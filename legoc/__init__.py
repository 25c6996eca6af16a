"""legoc: a compiler for stacks of LEGO bricks (ICLR 2024, arXiv 2310.06389).

    result = legoc.check("specs/emoji_32.yaml")     # every problem of a spec, as data
    spec = legoc.load_spec("specs/emoji_32.yaml")   # the resolved spec, or SpecError
    directory = legoc.build("specs/emoji_32.yaml")  # its build directory, build/emoji_32

`import legoc` is cheap: the names below are imported on first use.

takes: the user's calls
gives: the compiler's public functions
may import: everything in `legoc`, lazily
"""

from __future__ import annotations

from importlib import import_module

from legoc.version import __version__

TYPE_CHECKING = False  # typing's own costs more to import than `legoc --help` takes
if TYPE_CHECKING:
    from legoc.diagnostics import Diagnostic as Diagnostic
    from legoc.diagnostics import SpecError as SpecError
    from legoc.driver import build as build
    from legoc.spec import CheckResult as CheckResult
    from legoc.spec import StackSpec as StackSpec
    from legoc.spec import check_file as check
    from legoc.spec import load_spec as load_spec


__all__ = ["CheckResult", "Diagnostic", "SpecError", "StackSpec", "__version__", "build", "check", "load_spec"]

_LAZY = {
    "CheckResult": ("legoc.spec", "CheckResult"),
    "Diagnostic": ("legoc.diagnostics", "Diagnostic"),
    "SpecError": ("legoc.diagnostics", "SpecError"),
    "StackSpec": ("legoc.spec", "StackSpec"),
    "build": ("legoc.driver", "build"),
    "check": ("legoc.spec", "check_file"),
    "load_spec": ("legoc.spec", "load_spec"),
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
