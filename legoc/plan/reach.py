"""Which configurations the policies of a build reach over its schedule, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import Configuration, Policy, Run, TruthTable, tabulate
from legoc_runtime.contract.schedule import sampling_levels

GUIDED = 2.0
"""Any scale but 1: what runs under guidance depends on its interval, not on its scale."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A policy over the schedule of a build.

    Attributes:
        policy: its name.
        guided: whether guidance acts; None where that changes nothing.
        table: what runs at which noise level.
    """

    policy: str
    guided: bool | None
    table: TruthTable

    def runs(self, configuration: Configuration) -> tuple[Run, ...]:
        """Where the policy runs a configuration."""
        return tuple(run for run in self.table.runs() if run.configuration == configuration)


def built_policies(manifest: Manifest, named: Sequence[str] = ()) -> tuple[Policy, ...]:
    """`none`, `halfway`, the policy that sampling takes unasked, the spec's own and the named ones; each once.

    Raises:
        UsageError: a named policy does not exist.
    """
    found = [manifest.policy("none")]
    if len(manifest.shape.ids) > 1:
        found.append(manifest.policy("halfway"))
    found += [manifest.policy(None), *manifest.policies, *(manifest.policy(name) for name in named)]
    return tuple({policy.name: policy for policy in found}.values())


def reach(manifest: Manifest, policies: Sequence[str] = (), steps: int | None = None) -> tuple[Reached, ...]:
    """Every policy of a build over its schedule, without and with guidance.

    Args:
        manifest: the build; its programs are not needed.
        policies: further policies by name.
        steps: noise levels of the schedule; the spec's own by default.

    Raises:
        UsageError: a policy does not exist or leaves no brick.
    """
    schedule = manifest.sample if steps is None else replace(manifest.sample, steps=steps)
    guidance = GUIDED if schedule.guidance == 1 else schedule.guidance
    found: list[Reached] = []
    for policy in built_policies(manifest, policies):
        plain, guided = (
            tabulate(policy, manifest.shape.ids, sampling_levels(sample, manifest.shape.diffusion))
            for sample in (replace(schedule, guidance=1.0), replace(schedule, guidance=guidance))
        )
        if plain.configurations == guided.configurations:
            found.append(Reached(policy.name, None, plain))
        else:
            found += [Reached(policy.name, False, plain), Reached(policy.name, True, guided)]
    return tuple(found)


def reachable(manifest: Manifest, policies: Sequence[str] = (), steps: int | None = None) -> tuple[Configuration, ...]:
    """The configurations that `reach` finds, each once, in order of first use."""
    tables = [reached.table for reached in reach(manifest, policies, steps)]
    return tuple(dict.fromkeys(configuration for table in tables for configuration in table.distinct()))
