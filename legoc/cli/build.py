"""`legoc build`: compile a spec into a build directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from legoc.cli.options import Overrides
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option


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
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would be built and write nothing.")] = False,
    check: Annotated[
        bool,
        Option("--check", help="Verify that a build directory is what its spec says; write nothing."),
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Compile a spec: one module for each skip configuration that its policies reach, and one for training.

    Nothing is materialised or compiled to machine code: a build is data, a few hundred kilobytes whatever the stack.
    The directory's path is printed on stdout.
    """
    from legoc.cli.build_summary import summary
    from legoc.driver import BUILDS, check_build, check_free, compile_spec, write_build
    from legoc.spec import load_spec
    from legoc_runtime.errors import UsageError

    if check:
        if out is not None or policy or steps is not None or dry_run or overrides:
            raise UsageError("--check takes a build directory alone", help="legoc build --check build/NAME")
        check_build(spec)
        echo(f"{spec} is what its spec says", err=True)
        return
    manifest, spec_text = compile_spec(load_spec(spec, overrides or ()), policies=policy or (), steps=steps)
    echo(summary(manifest), err=True, nl=False)
    directory = out if out is not None else Path(BUILDS) / manifest.name
    check_free(directory)
    if dry_run:
        return
    write_build(manifest, spec_text, directory)
    echo(directory)
