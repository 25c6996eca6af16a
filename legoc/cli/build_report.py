"""What `legoc build` tells on stdout beside the path of the build: the plan, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from legoc_runtime.contract.manifest import Manifest

if TYPE_CHECKING:
    from legoc.cli.build_passes import PassLog
    from legoc.native import NativeTarget
    from legoc.plan.plan import Plan

BUILD_VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True)
class BuildReport:
    """A build as it was asked for.

    Attributes:
        manifest: with its programs.
        policies: those asked for beside the spec's.
        steps: noise levels asked for, or None.
        directory: where it goes.
        target: what native code is for, or None without.
    """

    manifest: Manifest
    policies: Sequence[str]
    steps: int | None
    directory: Path
    target: NativeTarget | None

    def text(self) -> str:
        """The plan. Ends with a newline."""
        from legoc.plan.text import plan_text

        text = plan_text(self._plan())
        if self.target is not None:
            text += "\nNative code\n  {backend} for {device} in {dtype}\n".format(**_native(self.target))
        return text

    def json(self, log: PassLog | None, *, written: bool) -> str:
        """The plan and what was written, as one versioned document; with `log`, the times of the passes."""
        from json import dumps

        from legoc.plan.text import plan_json

        report: dict[str, object] = {
            "build_version": BUILD_VERSION,
            "directory": str(self.directory),
            "written": written,
            "native": None if self.target is None else _native(self.target),
            "plan": plan_json(self._plan()),
        }
        if log is not None:
            report["pass_times"] = log.to_json()
        return dumps(report, indent=1, ensure_ascii=False)

    def _plan(self) -> Plan:
        from legoc.lower.pipeline import recorded
        from legoc.plan.plan import make_plan

        pipeline = recorded(self.manifest.passes, self.manifest.name)
        return make_plan(self.manifest, pipeline, self.policies, self.steps)


def _native(target: NativeTarget) -> dict[str, str]:
    return {
        "backend": target.backend,
        "device": str(target.device),
        "dtype": str(target.dtype).removeprefix("torch."),
    }
