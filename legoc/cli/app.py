"""The table of commands, and the frame around them.

A command's module is imported only when it is called, and what only a call or an error needs only then: `--help`
answers at once.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from importlib import import_module

from legoc_runtime.errors import UsageError


class Command:
    """A command of `legoc`: its module under `legoc.cli` has `command`, annotated as `parameters.py` says."""

    def __init__(self, name: str, help: str) -> None:
        self.name, self.help = name, help

    @property
    def module(self) -> str:
        """Full name of the command's module; `import` is no name that Python takes for one."""
        return f"legoc.cli.{'import_weights' if self.name == 'import' else self.name.replace(' ', '_')}"


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("init", "Write a first spec, commented; --from IMAGES fits it to them."),
        Command("check", "Check specs: every problem at once, with its place and what to do."),
        Command("fmt", "Lay specs out in the one canonical way, comments kept; --check for CI."),
        Command("explain", "Explain a diagnostic code such as LG201; without one, list them all."),
        Command("show", "Show a spec resolved, where each of its values comes from, or its hashes."),
        Command("diff", "Compare specs, builds, checkpoints or revisions: what a change does to weights and pictures."),
        Command("migrate", "Carry a checkpoint over to a changed spec, and prove that it computes what it did."),
        Command("report", "Write one HTML page on a spec, a run or a comparison: origins, costs, curves, samples."),
        Command("github", "In a GitHub workflow: check, compare with the base, annotate, summarise and comment."),
        Command("git", "Let git diff, log and show tell what changed specs and weights mean: install, uninstall."),
        Command("cost", "Parameters and multiply-accumulates of a spec, brick by brick and policy by policy."),
        Command("estimate", "Estimate training: hours, memory and the largest batch on a given GPU or this CPU."),
        Command("timeline", "Draw which bricks run at which noise levels under a skip policy."),
        Command("graph", "Draw a stack: bricks, windows, cost and the path of the estimate (Mermaid, SVG, DOT)."),
        Command("inspect", "Say what a spec, build, run or checkpoint is, and whether its checksums hold."),
        Command("build", "Compile a spec to a build directory: one module for every skip configuration."),
        Command("data check", "Say all that is wrong with a set of images or latents; --sheet draws it."),
        Command("data info", "Say what a set holds: sizes, classes, labels."),
        Command("data encode", "Encode images through a VAE into latents, once for all stacks that train on them."),
        Command("train", "Train a build on images; continues exactly where it stopped."),
        Command("plot", "Draw the curves of a run: loss in all, by brick and by noise level; as text or SVG."),
        Command("ema", "Make an average of any width from those that a run kept (post-hoc EMA)."),
        Command("compare", "Compare runs: cost, images, time and losses in one table and one picture."),
        Command("sample", "Make pictures with a trained stack, leaving bricks out as a skip policy says."),
        Command("decode", "Make pictures of sampled latents with the VAE that they were encoded with."),
        Command("eval", "Measure samples against a reference: FID, KID, precision, recall; nearest training images."),
        Command(
            "lpips", "Measure how far the parts of panoramas are from each other, or two sets of pictures (LPIPS)."
        ),
        Command("policy search", "Search for the skip policy that changes pictures least under a budget, and keep it."),
        Command("study skip", "Measure quality and time over the share of steps that bricks rest in (Figure 4)."),
        Command("study refine", "Show what each brick makes of a noised image, with its error (Figures 5 and 6)."),
        Command("study stack", "Train a sweep of depths or sizes: cost beside held-out loss (Figures 10 and 11)."),
        Command("import", "Make a run of weights of other code: released LEGO, DiT, diffusers. Pickles are never run."),
        Command("export", "Write a run's weights as a folder for diffusers and the Hugging Face Hub."),
        Command("bench", "Time a stack, its policies and its peers in one run: speed, memory, compile time."),
        Command("schema", "Write the JSON Schema of specs, for editors."),
        Command("lsp", "Serve an editor: diagnostics, costs on hover, completion, rename (Language Server Protocol)."),
    )
}

# what these read and make lives until they end: to look for garbage as often as Python does is a seventh of their time
_READERS = frozenset({"check", "diff", "github", "report"})
_READERS_OBJECTS = 100_000

USAGE = "Usage: legoc COMMAND [ARGUMENTS]..."


def run(arguments: list[str]) -> int:
    """Run a command line.

    Args:
        arguments: what follows `legoc`.

    Returns:
        the exit code.

    Raises:
        UsageError: there is no such command or option.
    """
    match arguments:
        case [] | ["--help" | "-h" | "help"]:
            sys.stdout.write(overview())
            return 0 if arguments else 2
        case ["--version" | "-V", *_]:
            from legoc.version import __version__

            sys.stdout.write(f"legoc {__version__}\n")
            return 0
        case ["help", *names] if names:
            return run([*names[:2], "--help"] if " ".join(names[:2]) in COMMANDS else [names[0], "--help"])
        case [name, part, *rest] if f"{name} {part}" in COMMANDS:
            return _call(COMMANDS[f"{name} {part}"], rest)
        case [name, *rest] if parts := [command for command in COMMANDS if command.startswith(f"{name} ")]:
            if rest[:1] in (["--help"], ["-h"]):
                sys.stdout.write("".join(f"legoc {part}: {COMMANDS[part].help}\n" for part in parts))
                return 0
            said = f"`legoc {name}` does not do `{rest[0]}`" if rest else f"`legoc {name}` does several things"
            raise UsageError(said, help=f"say which: {', '.join(f'legoc {part}' for part in parts)}")
        case [name, *rest] if name in COMMANDS:
            return _call(COMMANDS[name], rest)
        case [name, *_]:
            kind = "option" if name.startswith("-") else "command"
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            help = f"did you mean `{near[0]}`?" if near else f"the commands are {', '.join(COMMANDS)}"
            raise UsageError(f"there is no {kind} `{name}`", help=help)
        case _:
            raise AssertionError("the cases above cover every list")


def overview() -> str:
    """The text of `legoc --help`."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {command.name:<{width}}  {command.help}" for command in COMMANDS.values())
    return (
        f"{USAGE}\n\nA compiler for diffusion backbones made of LEGO bricks (arXiv 2310.06389).\n\n"
        f"Commands:\n{rows}\n\n"
        "Options:\n"
        "  --version  Show the version.\n"
        "  --help     Show this text; `legoc COMMAND --help` explains a command.\n"
    )


def _call(command: Command, arguments: list[str]) -> int:
    from legoc.cli.parameters import parameters
    from legoc.cli.plain_arguments import plain_values

    function: Callable[..., object] = import_module(command.module).command
    values = plain_values(parameters(function), arguments)
    thresholds = gc.get_threshold()
    if command.name in _READERS:
        gc.set_threshold(_READERS_OBJECTS, *thresholds[1:])
    try:
        if values is not None:
            function(**values)
        else:
            from legoc.cli.with_typer import run_with_typer

            run_with_typer(command.name, command.help, function, arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    finally:
        gc.set_threshold(*thresholds)
    return 0
