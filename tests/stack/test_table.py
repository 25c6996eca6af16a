"""Modulation computed ahead: exact, bounded, made anew with the weights, and the same bits in every batch."""

from __future__ import annotations

import pytest
import torch

from legoc_runtime.errors import UsageError
from legoc_runtime.stack.conditioning import BUCKET_ROWS
from tests.stack.conditioned import ALL, LOWER, SMALL, WINDOWS, brick_stack
from tests.stacks import stack as shapes

X = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 5, 3, 3, 1, 0, 2, 5])
LEVELS = [10 / (i + 1) for i in range(20)]
CALLS = [(ALL if i < 8 else LOWER, sigma) for i, sigma in enumerate(LEVELS)]


def at(sigma: float) -> torch.Tensor:
    return torch.tensor(sigma, dtype=torch.float64)


@torch.no_grad()
def test_a_table_agrees_with_direct_conditioning():
    stack = brick_stack(dtype=torch.float64)
    table = stack.tabulate(CALLS, range(6))
    x = X.double()
    for configuration, sigma in CALLS:
        looked_up = stack(x, at(sigma), LABELS, configuration=configuration, table=table)
        assert (looked_up - stack(x, at(sigma), LABELS, configuration=configuration)).abs().max() < 1e-12
    assert (table.use.looked_up, table.use.direct, table.use.windows) == (len(CALLS), 0, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@torch.no_grad()
def test_an_estimate_does_not_depend_on_its_batch(dtype):
    """Rounding of conditioning is what a batch shows itself by; from a table there is none."""
    stack = brick_stack(dtype=dtype)
    table = stack.tabulate(CALLS, range(6))
    for configuration, sigma in (CALLS[0], CALLS[10]):
        whole = stack(X, at(sigma), LABELS, configuration=configuration, table=table)
        for size in (1, 3):
            for start in range(0, 8 - size, size):
                rows = slice(start, start + size)
                part = stack(X[rows], at(sigma), LABELS[rows], configuration=configuration, table=table)
                assert torch.equal(part, whole[rows])


@torch.no_grad()
def test_a_row_hangs_on_its_level_and_label_alone():
    """Whatever else a table holds, and wherever in its bucket a row stands."""
    stack = brick_stack()
    narrow = stack.tabulate([CALLS[7]], [3])
    wide = stack.tabulate(CALLS, [5, 2, 0, 3, 1])
    windowed = stack.tabulate(CALLS, [4, 3], max_bytes=1)
    label = torch.tensor([3])
    values = [table.values(*_call(7), label) for table in (narrow, wide, windowed)]
    for value in values[1:]:
        assert all(torch.equal(a, b) for a, b in zip(value, values[0], strict=True))


def _call(i: int) -> tuple[tuple[str, ...], torch.Tensor]:
    return CALLS[i][0], at(CALLS[i][1])


def test_values_are_contiguous_since_compiled_blocks_expect_it():
    table = brick_stack().tabulate(CALLS, range(6))
    values = table.values(*_call(0), LABELS)
    assert all(value.is_contiguous() and len(value) == 8 for value in values)


def test_one_pass_over_a_long_schedule_computes_each_window_once_and_stays_within_its_bound():
    stack = brick_stack()
    whole = stack.tabulate(CALLS, range(6))
    bound = whole.bytes // 4
    table = stack.tabulate(CALLS, range(6), max_bytes=bound)
    assert whole.fits
    assert not table.fits
    for configuration, sigma in CALLS:
        value = table.values(configuration, at(sigma), LABELS)
        assert all(
            torch.equal(a, b) for a, b in zip(value, whole.values(configuration, at(sigma), LABELS), strict=True)
        )
    assert 4 <= table.use.windows <= 6
    assert 0 < table.use.peak_bytes <= bound
    assert whole.use.peak_bytes == whole.bytes
    # a bound below one call: a call at a time
    smallest = stack.tabulate(CALLS, range(6), max_bytes=1)
    for configuration, sigma in CALLS:
        smallest.values(configuration, at(sigma), LABELS)
    assert smallest.use.windows == len(CALLS)


def test_rows_are_computed_in_full_buckets():
    stack = brick_stack()
    seen = []
    stack.store.conditioning.register_forward_pre_hook(lambda module, arguments: seen.append(len(arguments[0])))
    table = stack.tabulate(CALLS, range(6))
    _ = table.bytes
    seen.clear()
    table.values(*_call(0), LABELS)
    # 8 levels of the whole stack and 12 of the lower bricks, 6 labels each
    assert seen == [BUCKET_ROWS] * (3 + 5)


def test_a_change_of_the_weights_makes_it_anew():
    stack = brick_stack()
    table = stack.tabulate(CALLS, range(6))
    before = table.values(*_call(0), LABELS)
    stack.store.load({key: weight.detach() * 0.5 for key, weight in stack.store.weights.items()})
    after = table.values(*_call(0), LABELS)
    assert table.use.windows == 2
    assert not torch.equal(before[-1], after[-1])
    fresh = stack.tabulate(CALLS, range(6)).values(*_call(0), LABELS)
    assert all(torch.equal(a, b) for a, b in zip(after, fresh, strict=True))


def test_another_program_for_a_configuration_makes_it_anew():
    stack = brick_stack()
    table = stack.tabulate(CALLS, range(6))
    table.values(*_call(0), LABELS)
    stack.add_program(stack.manifest.program(ALL))
    table.values(*_call(0), LABELS)
    assert table.use.windows == 2


@torch.no_grad()
def test_what_a_table_does_not_hold_is_conditioned_directly_and_counted():
    stack = brick_stack()
    table = stack.tabulate(CALLS, [0, 1])
    labels = torch.zeros(8, dtype=torch.int64)
    for sigma, label, configuration in (
        (at(0.123), labels, ALL),  # a level that nobody foresaw
        (at(LEVELS[0]), LABELS, ALL),  # a label
        (at(LEVELS[0]), labels, WINDOWS),  # a configuration
    ):
        direct = stack(X, sigma, label, configuration=configuration)
        assert torch.equal(stack(X, sigma, label, configuration=configuration, table=table), direct)
    assert (table.use.looked_up, table.use.direct) == (0, 3)
    stack(X, at(LEVELS[0]), labels, configuration=ALL, table=table)
    assert (table.use.looked_up, table.use.direct) == (1, 3)


@torch.no_grad()
def test_a_label_without_a_row_never_reads_the_row_of_another_level():
    """Where nobody looks at labels first, since that would wait for a device, the look-up itself must fail."""
    table = brick_stack().tabulate(CALLS, [0, 1])
    table.values(*_call(0), torch.zeros(8, dtype=torch.int64))
    held = table._rows[ALL]
    for start in held.starts.values():
        with pytest.raises(RuntimeError, match="out of DATA bounds"):
            held.take(start + table._label_rows[torch.tensor([5])])


@torch.no_grad()
def test_images_at_several_levels_are_looked_up_in_a_table_that_is_held_whole():
    stack = brick_stack()
    sigma = torch.tensor([LEVELS[i] for i in (0, 3, 0, 7, 1, 2, 4, 5)])
    table = stack.tabulate(CALLS, range(6))
    mixed = stack(X, sigma, LABELS, configuration=ALL, table=table)
    for i in range(8):
        row = slice(i, i + 1)
        assert torch.equal(stack(X[row], sigma[i], LABELS[row], configuration=ALL, table=table), mixed[row])
    windowed = stack.tabulate(CALLS, range(6), max_bytes=1)
    torch.testing.assert_close(stack(X, sigma, LABELS, configuration=ALL, table=windowed), mixed)
    assert windowed.use.direct == 1


@torch.no_grad()
def test_unconditional_stacks_have_tables_of_levels_alone():
    stack = brick_stack(shapes(classes=None))
    x = torch.randn(3, 3, 32, 32)
    table = stack.tabulate([(stack.shape.ids, 1.0), (stack.shape.ids, 0.5)])
    torch.testing.assert_close(stack(x, at(0.5), table=table), stack(x, at(0.5)))
    assert table.use.looked_up == 1
    assert table.labels is None


@pytest.mark.parametrize("labels", [[], [6], [-1, 0]])
def test_labels_that_the_stack_does_not_have_are_refused(labels):
    with pytest.raises(UsageError, match="0 to 5, which is the null label"):
        brick_stack().tabulate(CALLS, labels)
    with pytest.raises(UsageError, match="whose labels are none"):
        brick_stack(shapes(classes=None)).tabulate([(SMALL.ids, 1.0)], labels)


@torch.no_grad()
def test_a_table_made_in_inference_mode_serves_outside_of_it():
    stack = brick_stack()
    table = stack.tabulate(CALLS, range(6))
    with torch.inference_mode():
        stack(X, at(LEVELS[0]), LABELS, configuration=ALL, table=table)
    x = X.clone().requires_grad_()
    with torch.enable_grad():
        stack(x, at(LEVELS[0]), LABELS, configuration=ALL, table=table).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
