"""Streams of the pretended GPU, and those of runs."""

import gc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from study.errors import StudyError
from study.train.stream import STREAMS, held_stream, on_stream, own_stream
from tests.gpu.pretended import GPU, pretended_gpu

CPU = torch.device("cpu")
USES: dict[str, Callable[[Tensor], object]] = {
    "read": lambda x: x + 1,
    "written": lambda x: x.zero_(),
    "a part of it": lambda x: x[1:] * 2,
}


@pytest.mark.parametrize("use", USES)
def test_a_stream_that_uses_what_another_is_at_work_on_is_found(use: str) -> None:

    def race() -> None:
        with pretended_gpu():
            with torch.cuda.stream(torch.cuda.Stream(GPU)):
                x = torch.zeros(4, device=GPU).add_(1)
            USES[use](x)

    with pytest.raises(AssertionError, match="stream 0 can't know of 2's work"):
        race()


@pytest.mark.parametrize("wait", ["item", "synchronize", "stream", "event", "none: the same stream"])
def test_a_wait_lets_others_use_it(wait: str) -> None:
    with pretended_gpu():
        stream = torch.cuda.Stream(GPU)
        with torch.cuda.stream(stream):
            x = torch.zeros(4, device=GPU).add_(1)
            event = stream.record_event()
            if wait == "item":
                x.sum().item()
        if wait == "synchronize":
            torch.cuda.synchronize()
        elif wait == "stream":
            stream.synchronize()
        elif wait == "event":
            event.synchronize()
        with torch.cuda.stream(stream if wait.startswith("none") else torch.cuda.Stream(GPU)):
            x.mul_(2)


def test_an_event_is_of_what_came_before_it() -> None:
    def race() -> None:
        with pretended_gpu():
            stream = torch.cuda.Stream(GPU)
            with torch.cuda.stream(stream):
                x = torch.zeros(4, device=GPU)
                event = stream.record_event()
                x.add_(1)
            event.synchronize()
            x + 1

    with pytest.raises(AssertionError, match="can't know of"):
        race()


def test_no_two_runs_hold_a_stream() -> None:
    """PyTorch's 33rd stream is its first one again."""
    with pretended_gpu():
        gc.collect()
        with on_stream(own_stream(GPU)):
            kept = held_stream(GPU)
        for _ in range(3 * STREAMS):
            stream = own_stream(GPU)
            assert stream != kept
            with on_stream(stream):
                passing = held_stream(GPU)
            assert passing == stream
        del passing
        others = []
        for _ in range(STREAMS - 1):
            with on_stream(own_stream(GPU)):
                others.append(held_stream(GPU))
        assert len({kept, *others}) == STREAMS
        with pytest.raises(StudyError, match="--replicas"):
            own_stream(GPU)


def test_a_cpu_has_none() -> None:
    assert own_stream(CPU) is None
    assert held_stream(CPU) is None
