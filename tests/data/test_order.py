from __future__ import annotations

from legoc_runtime.data.order import index_of


def test_every_epoch_meets_every_image_once_in_an_order_of_its_own() -> None:
    epochs = [[index_of(7, 20 * epoch + i, 20) for i in range(20)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] != [index_of(8, i, 20) for i in range(20)]


def test_order_does_not_depend_on_what_was_asked_before() -> None:
    forward = [index_of(0, position, 5) for position in range(50)]
    backward = [index_of(0, position, 5) for position in reversed(range(50))]
    assert forward == backward[::-1]
