"""Canvases: windows meet at every step; what is around the stack (guidance, samplers, policies) sees none of them."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from legoc_runtime.contract.canvas import Canvas
from legoc_runtime.contract.canvas_request import make_canvas, parse_regions
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.schedule import Evaluation
from legoc_runtime.contract.settings import Region
from legoc_runtime.contract.stack import DdpmConstants
from legoc_runtime.errors import RunError, UsageError
from legoc_runtime.sampling.canvas import OnCanvas
from legoc_runtime.sampling.factorised import Factorised
from legoc_runtime.sampling.guidance import Guided
from legoc_runtime.sampling.noise import start_noise
from legoc_runtime.sampling.plan import Plan
from legoc_runtime.sampling.run import SamplingRun, sampler_of
from legoc_runtime.sampling.trace import Recorder
from tests.sampling.fakes import LATE, FormulaStack, plan, shape


class WholeWindow:
    """Every place of the estimate depends on every place of its window; remembers how many rows its calls had."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, *, configuration: Configuration | None = None
    ) -> Tensor:
        assert tuple(x.shape[1:]) == (3, 8, 8)
        self.calls.append(len(x))
        return (x + x.mean(dim=(1, 2, 3), keepdim=True) * 8).tanh()

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        return configuration


class Labels(WholeWindow):
    """The estimate is the label."""

    def __call__(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, *, configuration: Configuration | None = None
    ) -> Tensor:
        assert labels is not None
        self.calls.append(len(x))
        return torch.ones_like(x) * labels.view(-1, 1, 1, 1)


def on_canvas(size: str, seeds: tuple[int, ...] = (0, 1), policy: Any = LATE, **asked: Any) -> Plan:
    wanted = plan(policy, seeds, steps=4)
    return replace(wanted, canvas=make_canvas(wanted.shape, size, **asked))


def pictures(stack: Any, wanted: Plan, batch: int = 2, **options: Any) -> Tensor:
    return torch.cat([made.pictures for made in SamplingRun(stack, wanted, **options).batches(batch)])


@pytest.mark.parametrize(
    ("length", "stride", "starts"),
    [(8, 7, (0,)), (9, 7, (0, 1)), (15, 7, (0, 7)), (16, 7, (0, 7, 8)), (16, 8, (0, 8)), (20, 5, (0, 5, 10, 12))],
)
def test_the_last_window_is_flush_with_the_border(length: int, stride: int, starts: tuple[int, ...]):
    canvas = Canvas((8, length), (8, 8), stride)
    assert canvas.lefts == starts
    assert canvas.tops == (0,)
    covered = {column for left in starts for column in range(left, left + 8)}
    assert covered == set(range(length))


def test_a_canvas_of_one_window_is_the_picture_bit_by_bit():
    one = pictures(WholeWindow(), on_canvas("8x8"))
    assert torch.equal(one, pictures(WholeWindow(), plan(LATE, (0, 1), steps=4)))


@pytest.mark.parametrize("wrap", [False, True])
def test_what_looks_at_single_pixels_is_on_a_canvas_what_it_is_on_the_whole(wrap: bool):
    stack, x = FormulaStack(shape()), torch.randn(3, 3, 11, 21, generator=torch.Generator().manual_seed(1))
    sigma, labels = torch.full((3,), 0.7), torch.tensor([0, 2, 4])
    canvas = make_canvas(shape(), "11x21", stride=3, wrap=wrap)
    torch.testing.assert_close(OnCanvas(stack, canvas, 5, 7)(x, sigma, labels), stack(x, sigma, labels))


def test_memory_is_bounded_and_no_picture_depends_on_batches():
    wanted = on_canvas("8x19", seeds=(0, 1, 2, 3, 4))
    few, many = WholeWindow(), WholeWindow()
    alone = pictures(few, wanted, batch=1, window_batch=2)
    together = pictures(many, wanted, batch=5, window_batch=7)
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-5)
    assert max(few.calls) == 2
    assert max(many.calls) == 7
    # 3 windows, 7 evaluations, 5 pictures
    assert sum(few.calls) == sum(many.calls) == 3 * 7 * 5


@pytest.mark.parametrize(("stride", "meets"), [(4, True), (8, False)])
def test_both_halves_of_a_double_canvas_influence_each_other_where_windows_overlap(stride: int, meets: bool):
    wanted = on_canvas("8x16", seeds=(0,), stride=stride)
    sampler = sampler_of(wanted)
    assert wanted.canvas is not None
    stack = OnCanvas(WholeWindow(), wanted.canvas, None, 64)
    noise = start_noise((0,), wanted.image_shape, (8, 8))
    other = noise.clone()
    other[..., 8:] = start_noise((1,), wanted.image_shape, (8, 8))[..., 8:]

    def denoise(x: Tensor, sigma: float, evaluation: Evaluation) -> Tensor:
        return stack(x, torch.tensor(sigma))

    left = [sampler(sampler.begin(start), denoise, lambda step: noise)[..., :8] for start in (noise, other)]
    assert bool((left[0] != left[1]).any()) is meets


def test_the_right_border_goes_on_at_the_left_one_only_when_wrapped():
    x = torch.zeros(1, 3, 8, 20)
    x[..., 0] = 1
    seen: dict[bool, Tensor] = {}
    for wrap in (False, True):
        canvas = make_canvas(shape(), "8x20", stride=5, wrap=wrap)
        seen[wrap] = OnCanvas(WholeWindow(), canvas, None, 64)(x, torch.tensor(1.0))[0, 0, 0]
    assert seen[True][19] != 0
    assert seen[False][19] == 0
    rolled = OnCanvas(WholeWindow(), canvas, None, 64)(torch.roll(x, 5, dims=-1), torch.tensor(1.0))[0, 0, 0]
    torch.testing.assert_close(rolled, torch.roll(seen[True], 5))


def test_a_place_has_the_same_noise_on_every_canvas_and_the_first_tile_is_the_pictures():
    small, large = start_noise((3,), (3, 8, 8)), start_noise((3,), (3, 20, 30), (8, 8))
    assert torch.equal(large[..., :8, :8], small)
    assert torch.equal(start_noise((9, 3), (3, 11, 17), (8, 8))[1:], large[..., :11, :17])
    assert not torch.equal(large[..., :8, 8:16], small)
    assert abs(float(large.std()) - 1) < 0.05


def test_regions_have_classes_of_their_own_and_blend():
    canvas = make_canvas(shape(), "8x32", stride=4, regions=parse_regions("2:0,0,16,8;4:24,0,32,8"))
    stack = Labels()
    labels = torch.tensor([1, 5])  # the second is the null label: it stays
    estimate = OnCanvas(stack, canvas, 5, 1000)(torch.zeros(2, 3, 8, 32), torch.tensor(1.0), labels)
    own, null = estimate[0, 0, 3], estimate[1, 0, 3]
    blended = [2.0] * 15 + [1.75, 1.25] + [1.0] * 6 + [1.75, 3.25] + [4.0] * 7
    torch.testing.assert_close(own, torch.tensor(blended))
    torch.testing.assert_close(null, torch.full((32,), 5.0))
    assert stack.calls == [2 * len(canvas.rows())]
    # two windows lie inside one region; four have two classes, and one has three, with the fading ends of both regions
    assert len(canvas.rows()) == 2 * 1 + 4 * 2 + 3


def test_a_region_that_covers_all_leaves_nothing_of_the_pictures_own_class():
    canvas = Canvas((8, 16), (8, 8), 8, regions=(Region(1, 0, 0, 9, 8), Region(3, 0, 0, 16, 8)))
    assert [row.region for row in canvas.rows()] == [1, 1]


def test_under_wrap_a_region_fades_into_the_other_side():
    canvas = make_canvas(shape(), "8x16", wrap=True, regions=parse_regions("1:8,0,16,8"))
    across = canvas.fades(canvas.regions[0])[1]
    assert across[0] == across[7] == 0.25
    assert across[15] == across[8] == 0.75
    assert canvas.fades(Region(1, 0, 0, 16, 8))[1] == [1.0] * 16


def test_guidance_sees_canvases():
    canvas = make_canvas(shape(), "8x16", regions=parse_regions("2:0,0,16,8"))
    inner = Labels()
    estimate = Guided(OnCanvas(inner, canvas, 5, 64), 3.0, 5)(
        torch.zeros(1, 3, 8, 16), torch.tensor(1.0), torch.tensor([0])
    )
    torch.testing.assert_close(estimate, torch.full((1, 3, 8, 16), 5 + 3.0 * (2 - 5)))


@pytest.mark.parametrize("sampler", ["heun", "euler", "dpmpp_2m", "ddpm", "ddim"])
def test_every_sampler_runs_on_canvases(sampler: str):
    stack = shape()
    if sampler in ("ddpm", "ddim"):
        stack = replace(stack, diffusion=DdpmConstants())
    wanted = plan(LATE, (0, 1), stack=stack, steps=5, sampler=sampler, guidance=2.0)
    wanted = replace(wanted, canvas=make_canvas(stack, "9x20"))
    made = pictures(FormulaStack(stack), wanted)
    assert made.shape == (2, 3, 9, 20)
    # each pixel's denoiser is exact, so that the windows show nowhere
    plain = replace(wanted, canvas=None)
    torch.testing.assert_close(made[..., :8, :8], pictures(FormulaStack(stack), plain), rtol=0, atol=1e-5)


def test_the_windows_of_an_evaluation_run_the_same_bricks():
    class Changing(WholeWindow):
        def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
            return configuration[: len(self.calls) + 1]

    recorder = Recorder(Changing(), ("a", "b"))
    canvas = make_canvas(shape(), "8x16")
    with pytest.raises(RunError, match="different bricks"):
        OnCanvas(recorder, canvas, None, 1)(torch.zeros(1, 3, 8, 16), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("size", "asked", "words"),
    [
        ("8by8", {}, "no size of a canvas"),
        ("8x", {}, "no size"),
        ("-8x16", {}, "no size"),
        ("7x16", {}, "7x16 is smaller than a window: the stack was trained on 8x8"),
        ("16x7", {}, "smaller than a window"),
        ("8x999999", {}, "too large"),
        ("8x16", {"stride": 0}, "a stride of 0 is none"),
        ("8x16", {"stride": 9}, "leaves gaps"),
        ("400x5000", {"stride": 1}, "has 1,962,249 windows"),
        ("8x16", {"regions": (Region(1, 0, 0, 17, 8),)}, "leaves the canvas of 8x16"),
        ("8x16", {"regions": (Region(1, 4, 0, 4, 8),)}, "is empty"),
        ("8x16", {"regions": (Region(5, 0, 0, 8, 8),)}, "class 5, which is none"),
    ],
)
def test_what_cannot_be_made_is_refused(size: str, asked: dict[str, Any], words: str):
    with pytest.raises(UsageError, match=words):
        make_canvas(shape(), size, **asked)


@pytest.mark.parametrize(("text", "words"), [("", "names 0 regions"), ("1:0,0,8", "no region")])
def test_regions_that_cannot_be_read_are_refused(text: str, words: str):
    with pytest.raises(UsageError, match=words):
        parse_regions(text)


def test_rows_are_counted_without_being_made():
    """With borders that fade, wrap around, lie inside a window, under others, and span it all."""
    random = Random(3)
    for _ in range(60):
        height, width = random.randint(8, 20), random.randint(8, 30)
        regions: list[Region] = []
        for _ in range(random.randint(0, 4)):
            (left, right), (top, bottom) = (sorted(random.sample(range(side + 1), 2)) for side in (width, height))
            regions.append(Region(random.randrange(5), left, top, right, bottom))
        canvas = make_canvas(
            shape(),
            f"{height}x{width}",
            stride=random.randint(1, 8),
            wrap=random.random() < 0.5,
            regions=tuple(regions),
        )
        assert canvas.row_count == len(canvas.rows()), canvas


def test_regions_need_classes():
    with pytest.raises(UsageError, match="unconditional"):
        make_canvas(shape(classes=None), "8x16", regions=parse_regions("1:0,0,8,8"))


class Bricks:
    """Each brick moves what is below by the mean of its window: a stack whose bricks are called one by one."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def __call__(
        self,
        x: Tensor,
        sigma: Tensor,
        labels: Tensor | None = None,
        *,
        configuration: Configuration | None = None,
        below: Tensor | None = None,
    ) -> Tensor:
        assert configuration is not None
        (id,) = configuration
        assert (below is None) is (id == "windows")
        self.rows[id] = self.rows.get(id, 0) + len(x)
        reach = x.mean(dim=(1, 2, 3), keepdim=True) if id == "image" else x
        return reach + (0 if below is None else 2 * below)

    def bricks_run(self, configuration: Configuration) -> tuple[str, ...]:
        return configuration


def test_on_a_factorised_canvas_image_bricks_alone_slide():
    canvas = make_canvas(shape(), "8x20", stride=3, way="factorised")
    stack, x = Bricks(), torch.randn(2, 3, 8, 20, generator=torch.Generator().manual_seed(2))
    estimate = Factorised(stack, shape(), canvas, 4)(x, torch.tensor(1.0))
    assert stack.rows == {"windows": 2 * 3, "parts": 2 * 3, "image": 2 * 5}
    means = OnCanvas(MeanOfWindow(), replace(canvas, way="windows"), None, 4)(x, torch.tensor(1.0))
    torch.testing.assert_close(estimate, means + 2 * (x + 2 * x))


class MeanOfWindow(WholeWindow):
    def __call__(
        self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, *, configuration: Configuration | None = None
    ) -> Tensor:
        return x.mean(dim=(1, 2, 3), keepdim=True).expand_as(x)


def test_a_factorised_canvas_runs_what_the_policy_says():
    factorised = Factorised(Bricks(), shape(), make_canvas(shape(), "8x16", way="factorised"), 9)
    assert factorised.bricks_run(("windows", "image")) == ("windows", "image")
    assert factorised(torch.ones(1, 3, 8, 16), torch.tensor(1.0), configuration=("parts",)).shape == (1, 3, 8, 16)


def test_what_hands_on_something_else_is_not_factorised():
    with pytest.raises(UsageError, match="hands on something else"):
        make_canvas(replace(shape(), carry="raw"), "8x16", way="factorised")
