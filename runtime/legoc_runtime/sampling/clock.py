"""Times the calls of the stack without making a device wait for each of them."""

from __future__ import annotations

import time
from typing import Protocol

import torch

from legoc_runtime.contract.policy import Configuration
from legoc_runtime.sampling.timing import Timing


class Clock(Protocol):
    """Marks moments in a device's own order of work."""

    def mark(self) -> object:
        """This moment: on a GPU, when the work that was asked for so far is done."""
        ...

    def seconds(self, start: object, stop: object) -> float:
        """Seconds between two moments, which have passed."""
        ...


class HostClock:
    """The processor's own clock: work is done when a call returns."""

    def mark(self) -> float:
        """This moment, in seconds."""
        return time.perf_counter()

    def seconds(self, start: object, stop: object) -> float:
        """Seconds between two moments."""
        assert isinstance(start, float)
        assert isinstance(stop, float)
        return stop - start


class CudaClock:
    """Events in the stream of a GPU, read when the pictures are there: nothing waits for an event before."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def mark(self) -> torch.cuda.Event:
        """An event at the end of the work so far."""
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def seconds(self, start: object, stop: object) -> float:
        """Seconds between two events that have happened."""
        assert isinstance(start, torch.cuda.Event)
        assert isinstance(stop, torch.cuda.Event)
        return start.elapsed_time(stop) / 1000


def clock_for(device: torch.device) -> Clock:
    """The clock of a device."""
    return CudaClock(device) if device.type == "cuda" else HostClock()


class Stopwatch:
    """What the calls of each configuration take.

    Attributes:
        timings: configuration -> what its calls took, as far as `settle` has read it.
    """

    def __init__(self, clock: Clock) -> None:
        self.timings: dict[Configuration, Timing] = {}
        self._clock = clock
        self._open: list[tuple[Configuration, int, object, object]] = []

    def mark(self) -> object:
        """This moment."""
        return self._clock.mark()

    def add(self, configuration: Configuration, images: int, start: object) -> None:
        """A call of so many images, from `start` to this moment."""
        self._open.append((configuration, images, start, self._clock.mark()))

    def settle(self) -> None:
        """Read the calls since the last time; the device has done them."""
        for configuration, images, start, stop in self._open:
            self.timings.setdefault(configuration, Timing()).add(images, self._clock.seconds(start, stop))
        self._open.clear()
