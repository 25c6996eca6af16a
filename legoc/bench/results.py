"""A measurement as data: the samples, and every figure that is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

from legoc.bench.machine import Machine
from legoc.bench.products import SQUARE, SQUARE_NAME, BlockProducts
from legoc.bench.rounds import Spread, ratio, spread
from legoc_runtime.contract.policy import Configuration

BENCH_VERSION = 1
"""Version of the JSON form."""

TOLERANCE = 0.15
"""By how much the time of a configuration may differ from its share of the MACs before it is pointed out."""

Kind = Literal["stack", "plain", "spec", "diffusers"]


@dataclass(frozen=True, slots=True)
class Timed:
    """A model in a configuration, timed.

    Attributes:
        model: its name.
        label: the model, and its configuration where it has several bricks.
        kind: `stack`: what is benched; `plain`: the same stack by hand; `spec`: another stack, compiled;
            `diffusers`: a model of diffusers.
        configuration: ids of the bricks that run, bottom to top.
        macs: multiply-accumulates of one evaluation, as `legoc cost` counts them.
        executed_macs: those that the modules really run.
        products: the products of its blocks, with the number of blocks of each; empty where they were not timed.
        seconds: one sample a round: seconds of one call with the whole batch.
        ahead_seconds: one sample a round: seconds that the batch's conditioning at one noise level takes, which is
            computed before the loop; 0 where each call computes it.
        first_call_s: seconds of the first call, which links and compiles.
        peak_bytes: what one call takes beyond what was held before, or None where that is not known.
    """

    model: str
    label: str
    kind: Kind
    configuration: Configuration
    macs: int
    executed_macs: int
    products: tuple[tuple[BlockProducts, int], ...]
    seconds: tuple[float, ...]
    ahead_seconds: tuple[float, ...]
    first_call_s: float
    peak_bytes: int | None

    @property
    def spread(self) -> Spread:
        """Median and quartiles of one call."""
        return spread(self.seconds)

    @property
    def compile_s(self) -> float:
        """What the first call took beyond a later one: linking and compiling."""
        return max(0.0, self.first_call_s - median(self.seconds))


@dataclass(frozen=True, slots=True)
class PolicyRun:
    """A policy over the schedule.

    Attributes:
        policy: its name.
        rows: configuration -> rows of evaluations that one image takes in it, over the whole schedule.
        levels: configuration -> noise levels at which it runs.
        macs_saved: share of the MACs of the same schedule without skips, 0 to 1.
    """

    policy: str
    rows: tuple[tuple[Configuration, int], ...]
    levels: tuple[tuple[Configuration, int], ...]
    macs_saved: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A measurement.

    Attributes:
        name: of the stack.
        weights: where its weights came from, in words.
        parameters: trainable parameters.
        batch: rows of one call.
        dtype: type of weights and arithmetic.
        device: where it ran.
        backend: of everything that is compiled, with `CUDA graphs` where calls are launched so.
        steps: noise levels of the schedule.
        evaluations: calls of the sampler over it.
        guided: whether an image takes two rows.
        repeats: rounds.
        memory_how: what peak memory means here.
        weight_bytes: bytes of the stack's weights.
        command: as it was typed.
        machine: where it was taken.
        timed: the models; the first is the stack with all its bricks.
        products: the machine's own products, seconds of one call a round: by name.
        policies: `none` first.
        notes: what a reader has to know of the peers.
    """

    name: str
    weights: str
    parameters: int
    batch: int
    dtype: str
    device: str
    backend: str
    steps: int
    evaluations: int
    guided: bool
    repeats: int
    memory_how: str
    weight_bytes: int
    command: str
    machine: Machine
    timed: tuple[Timed, ...]
    products: tuple[tuple[str, tuple[float, ...]], ...]
    policies: tuple[PolicyRun, ...]
    notes: tuple[str, ...]

    @property
    def full(self) -> Timed:
        """The stack with all its bricks."""
        return self.timed[0]

    def of(self, *kinds: Kind) -> tuple[Timed, ...]:
        """The models of these kinds."""
        return tuple(timed for timed in self.timed if timed.kind in kinds)

    def evaluations_per_second(self, timed: Timed) -> float:
        """Rows a second."""
        return self.batch / median(timed.seconds)

    def rate(self, timed: Timed) -> float:
        """Multiply-accumulates a second that a model really runs."""
        return timed.executed_macs * self.batch / median(timed.seconds)

    def square_rate(self) -> float:
        """Multiply-accumulates a second of the square product."""
        return SQUARE**3 / median(dict(self.products)[SQUARE_NAME])

    def square_share(self, timed: Timed) -> float:
        """A model's rate over that of the square product, round by round."""
        product = [seconds / SQUARE**3 for seconds in dict(self.products)[SQUARE_NAME]]
        return ratio(product, self._seconds_a_mac(timed))

    def own_share(self, timed: Timed) -> float | None:
        """A model's rate over that of its own products alone, round by round; None where those were not timed."""
        if not timed.products:
            return None
        macs = sum(count * products.macs for products, count in timed.products)
        alone = [seconds / macs for seconds in self.products_alone(timed)]
        return ratio(alone, self._seconds_a_mac(timed))

    def products_alone(self, timed: Timed) -> tuple[float, ...]:
        """Seconds, round by round, that the products of a model's blocks take with nothing else around them."""
        samples = dict(self.products)
        return tuple(
            sum(count * samples[products.name][i] for products, count in timed.products) for i in range(self.repeats)
        )

    def _seconds_a_mac(self, timed: Timed) -> list[float]:
        return [seconds / (timed.executed_macs * self.batch) for seconds in timed.seconds]

    def time_share(self, timed: Timed) -> float:
        """A configuration's time over that of the same model with all its bricks, round by round."""
        whole = next(other for other in self.timed if other.model == timed.model)
        return ratio(timed.seconds, whole.seconds)

    def mac_share(self, timed: Timed) -> float:
        """A configuration's MACs over those of the same model with all its bricks."""
        whole = next(other for other in self.timed if other.model == timed.model)
        return timed.macs / whole.macs

    def image_seconds(self, policy: PolicyRun) -> tuple[float, ...]:
        """Seconds that one image takes under a policy, round by round: the stack's calls, nothing of the sampler.

        The conditioning of the schedule is counted once a batch, as if every batch brought labels of its own.
        """
        return self._image_seconds(policy.rows, policy.levels, {each.configuration: each for each in self.of("stack")})

    def peer_image_seconds(self, peer: Timed) -> tuple[float, ...]:
        """Seconds that one image takes with a peer at the same number of evaluations, round by round."""
        rows = sum(rows for _, rows in self.policies[0].rows)
        whole = {peer.configuration: peer}
        return self._image_seconds(((peer.configuration, rows),), ((peer.configuration, self.steps),), whole)

    def _image_seconds(
        self,
        rows: tuple[tuple[Configuration, int], ...],
        levels: tuple[tuple[Configuration, int], ...],
        timed: Mapping[Configuration, Timed],
    ) -> tuple[float, ...]:
        images = self.batch / (2 if self.guided else 1)
        return tuple(
            sum(count * timed[configuration].seconds[i] for configuration, count in rows) / self.batch
            + sum(count * timed[configuration].ahead_seconds[i] for configuration, count in levels) / images
            for i in range(self.repeats)
        )

    def images_per_second(self, policy: PolicyRun) -> float:
        """Images a second over the schedule."""
        return 1 / median(self.image_seconds(policy))

    def saved(self, policy: PolicyRun) -> float:
        """Share of the time of the same stack in full that a policy saves."""
        return 1 - ratio(self.image_seconds(policy), self.image_seconds(self.policies[0]))

    def saved_against(self, policy: PolicyRun, peer: Timed) -> float:
        """Share of a peer's time at the same number of evaluations that a policy saves; below 0 where it is slower."""
        return 1 - ratio(self.image_seconds(policy), self.peer_image_seconds(peer))

    def peers(self) -> tuple[Timed, ...]:
        """Every peer with all its bricks."""
        whole: dict[str, Timed] = {}
        for timed in self.of("plain", "spec", "diffusers"):
            whole.setdefault(timed.model, timed)
        return tuple(whole.values())

    def off_share(self) -> tuple[Timed, ...]:
        """The stack's configurations whose time differs from their share of the MACs by more than `TOLERANCE`."""
        return tuple(
            timed for timed in self.of("stack") if abs(self.time_share(timed) / self.mac_share(timed) - 1) > TOLERANCE
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data: samples, and the figures made of them. Times in seconds, rates in MACs a second."""
        return {
            "bench_version": BENCH_VERSION,
            **{key: value for key, value in asdict(self).items() if key not in ("timed", "products", "policies")},
            "square_macs_per_second": self.square_rate(),
            "products": [{"name": name, "seconds": seconds} for name, seconds in self.products],
            "timed": [self._timed_json(timed) for timed in self.timed],
            "policies": [self._policy_json(policy) for policy in self.policies],
        }

    def _timed_json(self, timed: Timed) -> dict[str, Any]:
        return {
            "model": timed.model,
            "kind": timed.kind,
            "configuration": timed.configuration,
            "macs": timed.macs,
            "executed_macs": timed.executed_macs,
            "seconds": timed.seconds,
            "median_s": timed.spread.median,
            "quartiles_s": [timed.spread.low, timed.spread.high],
            "evaluations_per_second": self.evaluations_per_second(timed),
            "macs_per_second": self.rate(timed),
            "share_of_square": self.square_share(timed),
            "share_of_own_products": self.own_share(timed),
            "time_share": self.time_share(timed),
            "mac_share": self.mac_share(timed),
            "ahead_s": median(timed.ahead_seconds),
            "compile_s": timed.compile_s,
            "peak_bytes": timed.peak_bytes,
        }

    def _policy_json(self, policy: PolicyRun) -> dict[str, Any]:
        return {
            "policy": policy.policy,
            "rows": [{"configuration": list(c), "rows": rows} for c, rows in policy.rows],
            "levels": [{"configuration": list(c), "levels": levels} for c, levels in policy.levels],
            "images_per_second": self.images_per_second(policy),
            "time_saved": self.saved(policy),
            "macs_saved": policy.macs_saved,
            "time_saved_against": {peer.model: self.saved_against(policy, peer) for peer in self.peers()},
        }


def compile_seconds(timed: Iterable[Timed]) -> float:
    """Seconds that several configurations took to compile together."""
    return sum(one.compile_s for one in timed)
