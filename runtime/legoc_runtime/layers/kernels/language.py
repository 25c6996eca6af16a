"""Triton as the type checker sees it: a language of its own, whose values are not those of Python. Never imported.

Kernels name types as `tl.tensor` and `tl.constexpr`, since inductor copies their source into a module that knows Triton
as `triton` and `tl` alone.
"""

from __future__ import annotations

from typing import Any, TypeAlias

triton: Any = None


class tl(Any):  # noqa: N801
    """`triton.language`."""

    constexpr: TypeAlias = int
    tensor: TypeAlias = Any
