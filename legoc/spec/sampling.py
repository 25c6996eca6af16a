"""Rules about what a spec asks of sampling: a policy, seeds, classes and an average that exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.findings import shorten
from legoc.spec.load import Loaded
from legoc.spec.resolved import Path
from legoc.spec.suggest import close
from legoc_runtime.contract.policy import halfway_share
from legoc_runtime.contract.schedule import Level
from legoc_runtime.contract.settings import TrainSettings
from legoc_runtime.errors import UsageError

_POLICY: Path = ("sample", "skip_policy")
_SEEDS: Path = ("sample", "seeds")
_CLASSES: Path = ("sample", "classes")
_CHANNELS: Path = ("sample", "guidance_channels")
_INTERVAL: Path = ("sample", "guidance_interval")
_EMA: Path = ("sample", "ema")
_PROFILE = "profile-"


def check_sampling(loaded: Loaded) -> Iterator[Diagnostic]:
    """LG315 for a policy that there is not, LG110 for classes of a stack without, LG108 for all that contradicts."""
    sample = loaded.written.sample
    if sample is None:
        return
    if sample.skip_policy is not None:
        yield from check_policy(loaded, sample.skip_policy, _POLICY)
    if sample.guidance_channels is not None:
        yield from _channels(loaded, sample.guidance_channels)
    if sample.seeds is not None:
        yield from check_seeds(loaded, sample.seeds, _SEEDS)
    if sample.classes is not None:
        yield from _classes(loaded, sample.classes)
    if sample.ema is not None:
        yield from _average(loaded, sample.ema)


def check_interval(loaded: Loaded, levels: Sequence[Level] | None) -> Iterator[Diagnostic]:
    """LG112: guidance asked for at an interval that no noise level of the schedule lies in."""
    sample = loaded.written.sample
    if levels is None or sample is None or sample.guidance_interval in (None, "all"):
        return
    if sample.guidance in (None, 1) or any(level.guided for level in levels):
        return
    place = loaded.span(*_INTERVAL)
    message = f"no noise level lies in this interval, so that guidance {sample.guidance:g} never acts"
    secondary = [Label(loaded.span("sample", "guidance"), "guidance is asked for here")]
    fall = f"the {len(levels):,} levels fall from {levels[0].sigma:.4g} to {levels[-1].sigma:.4g}"
    help = f"{fall}: `legoc timeline` shows them"
    yield report("LG112", message, place, secondary=secondary, help=help)


def check_policy(loaded: Loaded, name: str, place: Path) -> Iterator[Diagnostic]:
    """LG315: a policy that the spec does not have, named at `place`."""
    bricks = loaded.written.bricks or []
    own = list(loaded.written.skip_policies or {})
    if any(loaded.tree.has(("bricks", i, "skip")) for i in range(len(bricks))):
        own.insert(0, "default")
    elif name == "default" and not loaded.is_broken("bricks"):
        help = "give a brick a `skip:` predicate, or name another policy"
        message = "the policy `default` is made of the bricks' own `skip:` keys, and there are none"
        yield report("LG315", message, loaded.span(*place), help=help)
        return
    if name in (*own, "none") or loaded.is_broken("skip_policies", name):
        return
    try:
        built_in = halfway_share(name) is not None
    except UsageError as error:
        yield report("LG315", error.message, loaded.span(*place), help=error.help)
        return
    if not built_in:
        known = ["none", "halfway", *own]
        guess = close(name[:100], known)
        help = f"did you mean `{guess}`?" if guess else f"there is {', '.join([*known, 'halfway:SHARE'])}"
        message = f"there is no skip policy `{shorten(name)}`"
        yield report("LG315", message, loaded.span(*place), help=help)
    elif len(bricks) == 1:
        help = "write `skip_policy: none`" if place == _POLICY else "leave it out"
        only = [Label(loaded.tree.head(("bricks", 0)), "the only brick")]
        message = f"`{name}` leaves the top brick out at some steps, and this stack has one brick"
        yield report("LG315", message, loaded.span(*place), secondary=only, help=help)


def _channels(loaded: Loaded, text: str) -> Iterator[Diagnostic]:
    grid = loaded.written.grid
    if text == "all" or grid is None or grid.channels is None or int(text) <= grid.channels:
        return
    place = [Label(loaded.span("grid", "channels"), f"{grid.channels} channels")]
    message = f"guidance is asked for on {text} channels; the grid has {grid.channels}"
    yield report("LG108", message, loaded.span(*_CHANNELS), secondary=place, help="write `all`, or fewer")


def check_seeds(loaded: Loaded, text: str, place: Path) -> Iterator[Diagnostic]:
    """LG108: seeds that are none, written at `place`."""
    from legoc_runtime.contract.request import seed_ranges  # most specs name none

    try:
        seed_ranges(text)
    except UsageError as error:
        yield report("LG108", shorten(error.message, 160), loaded.span(*place), help=error.help)


def _classes(loaded: Loaded, text: str) -> Iterator[Diagnostic]:
    conditioning = loaded.written.conditioning
    if text == "random" or conditioning is None or loaded.is_broken("conditioning", "classes"):
        return
    count = conditioning.classes
    place = [Label(loaded.span("conditioning", "classes"), "the stack is unconditional")]
    if count is None:
        message = "there are no classes to choose: the stack is unconditional"
        yield report("LG110", message, loaded.span(*_CLASSES), secondary=place, help="remove `classes` here")
    elif absent := [label for label in _listed(text) if label >= count]:
        place = [Label(loaded.span("conditioning", "classes"), f"{count:,} classes")]
        message = f"there is no class {absent[0]}: the stack has classes 0 to {count - 1}"
        yield report("LG108", message, loaded.span(*_CLASSES), f"at most {count - 1}", secondary=place)


def _listed(text: str) -> tuple[int, ...]:
    from legoc_runtime.contract.request import ListedClass, parse_classes

    rule = parse_classes(text)
    return rule.classes if isinstance(rule, ListedClass) else ()


def _average(loaded: Loaded, rate: str) -> Iterator[Diagnostic]:
    if rate in ("first", "none") or loaded.is_broken("train", "ema"):
        return
    train = loaded.written.train
    if rate.startswith(_PROFILE):
        yield from _profile(loaded, rate)
        return
    kept = TrainSettings().ema if train is None or train.ema is None else train.ema
    if float(rate) in kept:
        return
    rates = [f"{known:g}" for known in kept]
    listed, known = " and ".join(rates), ", ".join(rates)
    place = [Label(loaded.span("train", "ema"), "averages that training keeps")]
    secondary = place if loaded.tree.has(("train", "ema")) else []
    message = f"sampling asks for the average of rate {rate}; training keeps {listed}"
    yield report("LG108", message, loaded.span(*_EMA), secondary=secondary, help=f"write {known}, or `first`")


def _profile(loaded: Loaded, name: str) -> Iterator[Diagnostic]:
    train = loaded.written.train
    widths = (train.ema_profiles if train else None) or []
    if loaded.is_broken("train", "ema_profiles") or float(name.removeprefix(_PROFILE)) in widths:
        return
    known = ", ".join(f"{_PROFILE}{width:g}" for width in widths)
    message = f"sampling asks for the average `{shorten(name)}`, which training does not keep"
    help = f"write {known}, or `first`" if widths else "add it to `train: {ema_profiles: [...]}`, or write `first`"
    yield report("LG108", message, loaded.span(*_EMA), help=help)
