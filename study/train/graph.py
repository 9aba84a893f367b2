"""The iterations of a run on a GPU as a CUDA graph: all kernels of one are launched at once.

A narrow net is bound by launches: an iteration of resnet-20 on 128 images of 32x32 is 432 kernels, which take an H100
2.3 ms, and its host 14 ms to launch one by one (bench/README.md). A graph holds fixed addresses: the values that differ
between iterations, the rate and the batch's start in the epoch's order, are scalars that the host writes before each.
"""

import logging
from collections import deque
from collections.abc import Callable

import torch

from study.train.memory import out_of_memory
from study.train.state import RunState
from study.train.step import advance

WARM_STEPS = 3
"""Iterations of a run before its graph is captured: the first one sets up libraries and the momentum."""
AHEAD = 2
"""Iterations that the host may be ahead of the device: few, so that runs stop soon and times are the device's."""

log = logging.getLogger(__name__)


class CudaGraph:
    """A `torch.cuda.CUDAGraph` with separate memory, so that several can be replayed at the same time."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def capture(self, body: Callable[[], None], stream: torch.cuda.Stream | None) -> None:
        """Record the GPU work of `body` on `stream` without doing it."""
        # Other threads may pin memory meanwhile: only this thread's work must be recordable.
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            body()

    def replay(self) -> None:
        """Do the recorded work on the current stream."""
        self._graph.replay()


class Replay:
    """Takes the iterations of one run, from the fourth on by replays; call it on the run's stream.

    Replays give the same bits as the kernels launched one by one. The graph holds the addresses of the state: from then
    on, its parameters, buffers and sums must not be replaced by other tensors.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._graph: CudaGraph | None = None
        self._warm = 0
        self._pending: deque[torch.cuda.Event] = deque()

    def take(self) -> None:
        """Take the run's next iteration without waiting for its end."""
        if self._graph is None and self._warm >= WARM_STEPS:
            self._capture()
        if self._graph is None:
            self._advance()
            self._warm += 1
        else:
            self._graph.replay()
        self._keep_pace()

    def close(self) -> None:
        """Wait for the iterations taken, after which the graph's memory may be freed."""
        if self._state.stream is not None:
            self._state.stream.synchronize()

    def _advance(self) -> None:
        advance(self._state, *self._state.batches.fetch())

    def _capture(self) -> None:
        """Record an iteration; a run that can't be recorded goes on kernel by kernel."""
        self._state.optimizer.zero_grad(set_to_none=True)  # gradients belong to the graph's memory
        graph = CudaGraph()
        try:
            graph.capture(self._advance, self._state.stream)
        except RuntimeError as error:
            for cause in (error, error.__context__):  # the end of a capture that broke has an error too
                if isinstance(cause, Exception) and out_of_memory(cause):
                    raise cause from None
            log.warning("no CUDA graph, iterations go kernel by kernel: %s", str(error).partition("\n")[0])
            self._state.replays = False
        else:
            self._graph = graph

    def _keep_pace(self) -> None:
        if self._state.stream is None:
            return
        self._pending.append(self._state.stream.record_event())
        if len(self._pending) > AHEAD:
            self._pending.popleft().synchronize()
