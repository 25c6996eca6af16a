"""`legoc build`: compile a spec into a build directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.build_native import BackendOption, DeviceOption, DtypeOption, add_native, target_of
from legoc.cli.options import Overrides, refuse_stdin
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError


def command(
    spec: Annotated[Path, Argument(help="The spec to compile; with --check, a build directory.", show_default=False)],
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="Build directory. [default: build/NAME]", show_default=False),
    ] = None,
    policy: Annotated[
        list[str] | None,
        Option(
            "--policy",
            help="A further skip policy whose configurations to build, e.g. halfway:0.4. May be repeated.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[
        int | None,
        Option(
            help="Noise levels of the schedule on which policies are read. [default: the spec's]",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        Option("--dry-run", help="Print the plan of the build, with reasons, and write nothing."),
    ] = False,
    print_after: Annotated[
        list[str] | None,
        Option(
            "--print-after",
            metavar="PASS",
            help="Print every graph or program as it is after this pass, or after `all`. May be repeated.",
            show_default=False,
        ),
    ] = None,
    disable: Annotated[
        list[str] | None,
        Option(
            "--disable",
            metavar="PASS",
            help="Leave out an exact pass over programs; results stay the same. May be repeated.",
            show_default=False,
        ),
    ] = None,
    time_passes: Annotated[bool, Option("--time-passes", help="Print how long each pass took.")] = False,
    json: Annotated[bool, Option("--json", help="Print versioned JSON: the plan, what was written, times.")] = False,
    check: Annotated[
        bool,
        Option("--check", help="Verify that a build directory is what its spec says; write nothing."),
    ] = False,
    backend: BackendOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    overrides: Overrides = None,
) -> None:
    """Compile a spec: one module for each skip configuration that its policies reach, and one for training.

    Nothing is materialised, or compiled to machine code unless --backend asks for it: a build is data, a few hundred
    kilobytes whatever the stack.
    The directory's path is printed on stdout, after what --print-after and --time-passes print.
    """
    from legoc.build_directory import BUILDS, check_free, write_build
    from legoc.cli.build_passes import PassLog
    from legoc.cli.build_report import BuildReport
    from legoc.cli.build_summary import summary
    from legoc.driver import check_build, compile_path, compile_spec
    from legoc.spec import load_spec

    refuse_stdin(spec, "build")
    if check:
        others = (out, policy, steps, print_after, disable, overrides, backend, device, dtype)
        if any(given is not None for given in others) or dry_run or time_passes or json:
            raise UsageError("--check takes a build directory alone", help="legoc build --check build/NAME")
        if not spec.is_dir():
            raise UsageError(
                f"--check takes a build directory, and {spec} is none", help="legoc check says if a spec is right"
            )
        check_build(spec)
        echo(f"{spec} is what its spec says", err=True)
        return
    target = target_of(backend, device, dtype)
    if target is not None and spec.is_dir():
        others = (out, policy, steps, print_after, disable, overrides)
        if any(given is not None for given in others) or dry_run or time_passes or json:
            raise UsageError(f"{spec} is built already; --backend adds to it as it is", help="or build from its spec")
        add_native(compile_path(spec)[0], spec, target)
        echo(spec)
        return
    if json and print_after:
        raise UsageError("--print-after prints text, and --json one JSON document", help="leave one of them out")
    if absent := sorted({*(print_after or ())} & {*(disable or ())}):
        raise UsageError(f"pass `{absent[0]}` is disabled, so there is nothing after it", help="leave one of both out")
    log = PassLog(print_after or ())
    manifest, spec_text = compile_spec(
        load_spec(spec, overrides or ()), policies=policy or (), steps=steps, disable=disable or (), observe=log
    )
    directory = out if out is not None else Path(BUILDS) / manifest.name
    check_free(directory)
    if not dry_run:
        if not json:
            echo(summary(manifest), err=True, nl=False)
        write_build(manifest, spec_text, directory)
        if target is not None:
            add_native(manifest, directory, target)
    report = BuildReport(manifest, policy or (), steps, directory, target)
    if json:
        echo(report.json(log if time_passes else None, written=not dry_run))
        return
    if dry_run:
        echo(report.text(), nl=False)
    if time_passes:
        echo(log.table(), nl=False)
    if not dry_run:
        echo(directory)
