"""A measurement as a record: Markdown in the form of `benchmarks/README.md`, and its plot."""

from __future__ import annotations

from statistics import median

from legoc.bench.results import TOLERANCE, Bench, Timed, compile_seconds
from legoc.cost.table import byte_count, parameter_count, quantity
from legoc.draw.bars import Bar, bars_svg

EDGES = "quartiles"


def record(bench: Bench) -> str:
    """The record; ends with a newline."""
    parts = [f"# {bench.name} beside its peers", _frame(bench), _models(bench), _policies(bench), _meaning(bench)]
    return "\n\n".join(parts) + "\n"


def plot(bench: Bench) -> str:
    """Milliseconds of one evaluation of the whole batch, as SVG."""
    bars = [
        Bar(
            timed.label,
            1e3 * timed.spread.median,
            1e3 * timed.spread.low,
            1e3 * timed.spread.high,
            f"{1e3 * timed.spread.median:.4g} ms",
            own=timed.kind == "stack",
        )
        for timed in bench.timed
    ]
    on = bench.machine.gpu or f"{bench.machine.cores} CPU cores"
    below = f"median and {EDGES} of {bench.repeats} rounds; {bench.dtype}, batch {bench.batch}, {bench.backend}, {on}"
    return bars_svg(f"{bench.name}: one evaluation of {bench.batch} rows", below, bars)


def _frame(bench: Bench) -> str:
    machine = bench.machine
    memory = "" if machine.memory_bytes is None else f", {byte_count(machine.memory_bytes)} of memory"
    load = "" if machine.load is None else f"; load average {machine.load:.1f} when it began"
    gpu = "no GPU used" if machine.gpu is None else machine.gpu
    diffusers = "" if machine.diffusers is None else f", diffusers {machine.diffusers}"
    cores = f"{machine.cores} cores, {machine.threads} threads"
    rows = "2 rows an image (guidance)" if bench.guided else "one row an image"
    return "\n".join(
        [
            f"1. **Question.** How fast is `{bench.name}` ({parameter_count(bench.parameters)} parameters) in each "
            "configuration, what do its policies save, and how do its peers do in the same run?",
            f"2. **Command.** `{bench.command}`, on {machine.date}, at commit {machine.commit}.",
            f"3. **Hardware.** {machine.processor}, {cores}{memory}; {gpu}{load}.",
            f"4. **Versions.** Python {machine.python}, torch {machine.torch}, legoc {machine.legoc}{diffusers}.",
            f"5. **Method.** {bench.dtype} on {bench.device}, backend {bench.backend}, {bench.batch} rows a call, "
            f"weights {bench.weights}. All that is compared takes its turn in each of {bench.repeats} rounds after "
            f"three calls that are not counted; median and {EDGES}; ratios are medians of the rounds' own ratios. The "
            f"schedule has {bench.steps} noise levels and {bench.evaluations} evaluations, {rows}. Its times are those "
            "of the evaluations, weighted by the policy's truth table, and of the conditioning, which is computed once "
            "a batch for every noise level and looked up in the calls (`ahead`); nothing of the sampler's own "
            "arithmetic. Compiling is the first call less a later one, with compiler caches empty when the run began; "
            "models share what the compiler keeps in one process. "
            f"Memory: {bench.memory_how}; the weights are {byte_count(bench.weight_bytes)}.",
            *(f"   Note: {note}." for note in bench.notes),
            "6. **Numbers.**",
        ]
    )


def _models(bench: Bench) -> str:
    head = ["model", "ms", EDGES, "evaluations/s", "GMACs", "GMAC/s", "of 1024^3", "of its own products"]
    rates = [
        [
            timed.label,
            f"{1e3 * timed.spread.median:.4g}",
            f"{1e3 * timed.spread.low:.4g} to {1e3 * timed.spread.high:.4g}",
            f"{bench.evaluations_per_second(timed):.4g}",
            f"{timed.macs / 1e9:.4g}",
            f"{bench.rate(timed) / 1e9:.4g}",
            f"{bench.square_share(timed):.0%}",
            "-" if (own := bench.own_share(timed)) is None else f"{own:.0%}",
        ]
        for timed in bench.timed
    ]
    shares = [
        [
            timed.label,
            f"{bench.time_share(timed):.1%}",
            f"{bench.mac_share(timed):.1%}",
            f"{bench.time_share(timed) / bench.mac_share(timed):.2f}",
            f"{1e3 * median(timed.ahead_seconds):.3g}",
            f"{timed.compile_s:.1f}",
            "-" if timed.peak_bytes is None else byte_count(max(0, timed.peak_bytes)),
        ]
        for timed in bench.timed
    ]
    second = ["model", "time share", "MAC share", "time / MACs", "ahead, ms a level", "compiling, s", "peak memory"]
    square = f"A 1024^3 product in the same rounds: {quantity(round(bench.square_rate()))}MAC/s. "
    alone = "Its own products are the four of each block, at the batch's shapes, alone."
    return f"{square}{alone}\n\n{_table(head, rates)}\n\n{_table(second, shares)}"


def _policies(bench: Bench) -> str:
    peers = bench.peers()
    head = ["policy", "images/s", "MACs saved", "saved, of the stack in full"]
    rows = [
        [
            run.policy,
            f"{bench.images_per_second(run):.4g}",
            f"{run.macs_saved:.1%}",
            f"{bench.saved(run):.1%}",
            *(f"{bench.saved_against(run, peer):.1%}" for peer in peers),
        ]
        for run in bench.policies
    ]
    return _table([*head, *(f"of {peer.model}" for peer in peers)], rows)


def _meaning(bench: Bench) -> str:
    plain = [timed for timed in bench.of("plain") if timed.configuration == bench.full.configuration]
    lines = ["7. **What they mean.** Savings are shares of time over the schedule at the same number of evaluations:"]
    lines[0] += " first of the same stack with all its bricks, then of each peer."
    if not any(len(peer.configuration) == 1 for peer in bench.of("spec", "diffusers")):
        lines.append("   No DiT was timed beside it: `--peer specs/dit_s_2.yaml` or `--peer diffusers-dit` does.")
    if plain:
        faster = 1 / (1 - bench.saved_against(bench.policies[0], plain[0]))
        lines.append(f"   In full the stack is {faster:.2f} times as fast as the same stack by hand.")
    compiled = compile_seconds(bench.of("stack"))
    lines.append(f"   All {len(bench.of('stack'))} configurations together took {compiled:.1f} s to compile.")
    lines.extend(_off(bench, timed) for timed in bench.off_share())
    return "\n".join(lines)


def _off(bench: Bench, timed: Timed) -> str:
    found = bench.time_share(timed) / bench.mac_share(timed)
    return (
        f"   `{timed.label}` takes {found:.2f} of the time that its share of the MACs promises, more than "
        f"{TOLERANCE:.0%} off: its bricks run at another rate than the whole stack's (column GMAC/s)."
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
