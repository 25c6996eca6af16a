"""What a build holds, in a few lines."""

from __future__ import annotations

from legoc.cost.counts import macs, parameters
from legoc_runtime.contract.manifest import Manifest
from legoc_runtime.contract.policy import configuration_name


def summary(manifest: Manifest) -> str:
    """One line for the stack, one a configuration with its share of the whole stack's multiply-accumulates."""
    shape = manifest.shape
    whole = macs(shape)
    lines = [f"{manifest.name}: {parameters(shape):,} parameters, {whole / 1e9:.3f} GMAC an evaluation"]
    width = max(len(configuration_name(c)) for c in manifest.configurations)
    for configuration in manifest.configurations:
        share = macs(shape, configuration) / whole
        ops = len(program.ops) if (program := manifest.program(configuration)) else 0
        lines.append(f"  {configuration_name(configuration):<{width}}  {share:6.1%} of the MACs, {ops} operations")
    lines.append(f"  {'training':<{width}}  {len(manifest.training.ops)} operations")
    return "\n".join(lines) + "\n"
