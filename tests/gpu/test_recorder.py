"""What a recorded graph does again, and what it can't know of."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.gpu.pretended import GPU, GpuRecorder, pretended_gpu
from tests.gpu.recorder import Recorder, is_recording


class Work:
    """A step of training whose rate is a tensor, and a number of the host that it adds up."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
        for weight in self.net.parameters():
            nn.init.normal_(weight, std=0.1, generator=generator)
        self.images = torch.randn(6, 1, 4, 4, generator=generator)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9, fused=True)
        self.rate = torch.zeros((), dtype=torch.float64)
        self.optimizer.param_groups[0]["lr"] = self.rate
        self.sum, self.number = torch.zeros(()), 1.0

    def __call__(self) -> None:
        loss = F.cross_entropy(self.net(self.images), torch.arange(6) % 3)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.sum += loss.detach() * self.number

    def tensors(self) -> list[Tensor]:
        momenta = [state["momentum_buffer"] for state in self.optimizer.state.values()]
        return [self.sum, *self.net.state_dict().values(), *momenta]


def warm() -> Work:
    work = Work()
    work()
    return work


def captured(work: Work) -> Recorder:
    recorder = Recorder()
    recorder.capture(work, None)
    return recorder


def equal(work: Work, other: Work) -> bool:
    return all(map(torch.equal, work.tensors(), other.tensors()))


def test_a_capture_changes_nothing_and_a_replay_does_what_a_call_does() -> None:
    work, other = warm(), warm()
    recorder = captured(work)
    assert equal(work, other)
    for rate in (0.1, 0.01, 0.3):
        work.rate.fill_(rate)
        other.rate.fill_(rate)
        recorder.replay()
        other()
        assert equal(work, other)
    assert work.sum > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda work: setattr(work, "number", 2.0),
        lambda work: setattr(work, "sum", torch.zeros(())),
        lambda work: work.optimizer.param_groups[0].update(lr=0.5),
        lambda work: work.net.__setitem__(4, nn.Linear(16, 3)),
    ],
    ids=["a number", "another tensor", "a rate that is a number", "another layer"],
)
def test_a_replay_knows_nothing_of_what_is_put_in_place_of_something(change: Callable[[Work], None]) -> None:
    work, other = warm(), warm()
    tensors = work.tensors()
    recorder = captured(work)
    change(work)
    recorder.replay()
    other()
    assert all(map(torch.equal, tensors, other.tensors()))


@pytest.mark.parametrize("wait", [Tensor.item, Tensor.nonzero, lambda x: x.add(1.0, alpha=x), lambda x: 1 if x else 0])
def test_a_capture_in_which_the_host_waits_breaks_and_changes_nothing(wait: Callable[[Tensor], object]) -> None:
    work, other = warm(), warm()

    def body() -> None:
        work()
        assert is_recording()
        wait(work.sum)

    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        Recorder().capture(body, None)
    assert not is_recording()
    assert equal(work, other)


def test_a_tensor_of_the_host_is_a_constant() -> None:
    with pretended_gpu():
        x, number, stream = torch.zeros(3, device=GPU), torch.tensor(2.0), torch.cuda.Stream(GPU)
        torch.cuda.synchronize()
        with torch.cuda.stream(stream):
            graph = GpuRecorder()
            graph.capture(lambda: x.add_(number), stream)
            number.fill_(5.0)
            graph.replay()
            assert x.tolist() == [2.0, 2.0, 2.0]


def test_the_default_stream_can_not_be_captured() -> None:
    with pretended_gpu(), pytest.raises(RuntimeError, match="non-default stream"):
        GpuRecorder().capture(lambda: torch.zeros(3, device=GPU), torch.cuda.current_stream())
