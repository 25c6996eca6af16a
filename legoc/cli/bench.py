"""`legoc bench`: how fast a stack runs, configuration by configuration, beside its peers in the same run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, cast

from legoc.cli.options import Overrides, overridden, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError

FILES = ("bench.md", "bench.json", "bench.svg")
"""What `-o DIR` writes."""


def command(
    path: Annotated[
        Path,
        Argument(
            metavar="SPEC|BUILD|RUN",
            help="What to time. A run is timed with its newest weights, all else with random ones.",
            show_default=False,
        ),
    ],
    peer: Annotated[
        list[str] | None,
        Option(
            "--peer",
            metavar="SPEC|plain|diffusers-dit",
            help="What to time beside it: another spec, compiled; `plain`, the same stack by hand; `diffusers-dit`, "
            "diffusers' DiT of the size of a one-brick peer or of this stack's width. May be repeated. "
            "[default: plain]",
            show_default=False,
        ),
    ] = None,
    skip_policy: Annotated[
        list[str] | None,
        Option(
            "--skip-policy",
            "--policy",
            help="Time this policy over the schedule. May be repeated. [default: halfway and all of the spec's]",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[int, Option(min=1, help="Rows of one evaluation; with guidance an image takes two.")] = 8,
    dtype: Annotated[str, Option(help="float32, bf16 or fp16.")] = "float32",
    device: Annotated[str, Option(help="auto, cpu, or cuda.")] = "auto",
    backend: Annotated[str, Option(help="auto, eager, inductor, aoti, or tensorrt.")] = "auto",
    trust_native: Annotated[
        bool,
        Option("--trust-native", help="Run the native code in the build (aoti, tensorrt); you know who built it."),
    ] = False,
    cuda_graphs: Annotated[
        bool,
        Option("--cuda-graphs", help="On CUDA: launch calls of up to 32 rows as one graph each, for small batches."),
    ] = False,
    fp8: Annotated[
        str | None,
        Option(
            metavar="BRICKS",
            help="The stack's blocks in these bricks (ids joined by commas, or `large`) multiply in 8-bit floats, but "
            "not its peers; GPUs from compute capability 9.0 on, with --dtype bf16. [default: none]",
            show_default=False,
        ),
    ] = None,
    repeats: Annotated[int, Option(min=1, help="Rounds in which everything takes its turn.")] = 7,
    steps: Annotated[
        int | None, Option(help="Noise levels of the schedule. [default: the spec's]", show_default=False)
    ] = None,
    guidance: Annotated[
        float | None,
        Option(help="Scale of guidance; 1 is none. [default: the spec's]", show_default=False),
    ] = None,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of a record.")] = False,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help=f"Folder for {', '.join(FILES)}, instead of stdout.", show_default=False),
    ] = None,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress on stderr.")] = False,
    overrides: Overrides = None,
) -> None:
    """Time every configuration of a stack, its policies over the schedule, and its peers, interleaved in one run.

    Two savings are said apart: against the same stack in full, and against each peer (a DiT among them) at the same
    number of evaluations. The machine's own matrix products are timed in the same rounds, as the yardstick.
    """
    refuse_stdin(path, "bench")
    if out is not None and json:
        raise UsageError(f"-o writes {FILES[1]} already", help="leave --json out")
    if out is not None:
        _check_free(out)
    from legoc.bench.measure import measure
    from legoc.bench.request import make_request

    given: dict[str, object] = {"peer": peer, "policy": skip_policy, "batch": batch, "dtype": dtype, "device": device}
    given |= {"backend": backend, "repeats": repeats, "steps": steps, "guidance": guidance, "set": overrides}
    given |= {"trust-native": trust_native, "cuda-graphs": cuda_graphs, "fp8": fp8}
    request = make_request(
        path,
        overrides=overrides or (),
        peers=peer or (),
        policies=skip_policy or (),
        steps=steps,
        guidance=guidance,
        batch=batch,
        dtype=dtype,
        device=device,
        backend=backend,
        trust_native=trust_native,
        cuda_graphs=cuda_graphs,
        fp8=fp8,
        repeats=repeats,
        command=typed(path, given),
    )
    settings = {"steps": steps, "guidance": guidance}
    for note in (*overridden(request.manifest.sample, settings, overrides or ())[1], *request.notes):
        _say(note, quiet)
    bench = measure(request, lambda line: _say(line, quiet))
    from json import dumps

    from legoc.bench.record import plot, record

    as_json = dumps(bench.to_json(), indent=1, ensure_ascii=False)
    if out is not None:
        _write(out, dict(zip(FILES, (record(bench), as_json + "\n", plot(bench)), strict=True)))
        echo(out)
    else:
        echo(as_json if json else record(bench), nl=json)


def _say(line: str, quiet: bool) -> None:
    if not quiet:
        echo(line, err=True)


def typed(path: Path, given: Mapping[str, object]) -> str:
    """The command as it can be typed again: every flag that has a value, defaults too, since they may change."""
    from shlex import join

    words = ["legoc", "bench", str(path)]
    for flag, value in given.items():
        if isinstance(value, bool):
            words += [f"--{flag}"] if value else []
            continue
        values = cast("list[object]", value) if isinstance(value, list) else [] if value is None else [value]
        for one in values:
            words += [f"--{flag}", f"{one:g}" if isinstance(one, float) else str(one)]
    return join(words)


def _check_free(directory: Path) -> None:
    """A record is never edited after the fact."""
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory", help="choose another -o")
    if taken := [name for name in FILES if (directory / name).exists()]:
        raise UsageError(f"{directory / taken[0]} exists", help="records are not overwritten: choose another -o")


def _write(directory: Path, files: dict[str, str]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{directory} cannot be written: {error.strerror}", help="choose another -o") from error
