"""What `legoc eval` shows: the table of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from legoc_runtime.evaluation.evaluate import Evaluation


def table(evaluation: Evaluation, nearest: dict[str, Any] | None) -> str:
    """The report for people: what was measured with what against what, and a line a metric."""
    images = evaluation.reference_images
    of_reference = "an unknown number of pictures" if images is None else f"{images:,} pictures"
    lines = [
        f"features   {evaluation.extractor}",
        f"reference  {evaluation.reference}, {of_reference} ({evaluation.reference_kind})",
    ]
    lines += [f"samples    {one.title}, {one.images:,} pictures" for one in evaluation.sets]
    lines.append("")
    names = {metric.key: metric.name for one in evaluation.sets for metric in one.metrics}
    width = max(map(len, names.values()))
    if len(evaluation.sets) == 1:
        for metric in evaluation.sets[0].metrics:
            spread = "" if metric.deviation is None else f" ± {_number(metric.deviation)}"
            lines.append(f"{metric.name:<{width}}  {_number(metric.value):>10}{spread}")
    else:
        lines.append(f"{f'over {len(evaluation.sets)} sets':<{width}}  {'minimum':>10} {'mean':>10} {'maximum':>10}")
        for key, values in evaluation.over_sets().items():
            lines.append(f"{names[key]:<{width}}  " + " ".join(f"{_number(value):>10}" for value in values))
    for name, why in evaluation.sets[0].left_out:
        lines.append(f"{name}: left out, {why}")
    if nearest is not None:
        lines += ["", *_nearest_lines(nearest)]
    return "\n".join(lines) + "\n"


def _nearest_lines(nearest: dict[str, Any]) -> list[str]:
    own = nearest["reference_to_itself"]["pixels"]
    distances = sorted(one["pixels"]["distance"] for one in nearest["samples"])
    middle = distances[len(distances) // 2]
    return [
        f"nearest    {nearest['picture']}",
        f"samples to the reference, pixels    nearest {distances[0]:.1f}, median {middle:.1f} grey levels (RMS)",
        f"reference to itself, pixels         nearest 1% below {own['lowest_percent']:.1f}, median {own['median']:.1f}",
        f"{nearest['as_near_as_closest_percent']:,} of {nearest['compared']:,} samples are as near to a reference "
        "picture as the closest 1% of those are to another",
    ]


def _number(value: float) -> str:
    return f"{value:.4g}"
