"""A GPU made of this machine's memory: its tensors say `cuda:0` and compute on the CPU.

What a real one refuses raises `DeviceMismatch`; where the host would wait for it, that is counted, with the function of
the program. It sees the functions of PyTorch that Python calls, and operations inside of those as far as they wait or
write. Inside `torch.func.vmap` tensors have no device here.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map

import study
from tests.gpu.recorder import Recorder, is_recording
from tests.gpu.streams import POOL, Beneath, Clock, PretendedStream

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
PROGRAM = Path(study.__file__).parent
READS = frozenset(
    "item tolist __bool__ __int__ __float__ __complex__ __index__ __contains__ __format__ __repr__ is_nonzero equal "
    "__reduce_ex__ allclose nonzero argwhere masked_select new_tensor unique unique_consecutive bincount "
    "multinomial".split()
)
"""Functions that need values on the host, make a tensor of values there, or one of a size that values decide."""
INDEXING = ("__getitem__", "__setitem__")
IN_PLACE = re.compile(r"__i\w+__|\w*[a-z]_")
UNCHECKED = ("_has_compatible_shallow_copy_type", "swap_tensors")
"""Take tensors of any device: `nn.Module.to` asks these."""


class DeviceMismatch(RuntimeError):
    """What PyTorch refuses on a GPU."""


class GpuTensor(Tensor):
    """A tensor that says that it lies on the GPU."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise DeviceMismatch(f"{func.__name__}: a tensor of the pretended GPU outside of its block, or in a thread")


class GpuRecorder(Recorder):
    """A graph of the pretended GPU: it holds the numbers that tensors of the host had."""

    def is_of_host(self, x: Tensor) -> bool:
        return not on_gpu(x)


class PretendedGpu(TorchFunctionMode):
    """While it is on, `cuda` is a label; `waits` counts where the host waited, by function and kind.

    `clock` tells streams apart: at the end of `pretended_gpu`, none may have used what another was still to write.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.clock = Clock()
        self._counted = False
        """Whether the function that is at work is one whose wait was counted."""
        self._pinned: dict[int, Tensor] = {}  # by address; held, so that none is given away again

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before, outer = self.waits.total(), self._counted
        try:
            with torch._C.DisableTorchFunction():
                return self._call(func, getattr(func, "__name__", ""), args, dict(kwargs or {}))
        finally:
            self._counted = outer
            if self.waits.total() > before:
                self.clock.wait(self.clock.current)

    def pin(self, tensor: Tensor) -> Tensor:
        """Return a copy in memory that the GPU can copy from by itself."""
        if on_gpu(tensor):
            raise DeviceMismatch("only memory of the host can be pinned")
        copy = tensor.clone()
        self._pinned[copy.untyped_storage().data_ptr()] = copy
        return copy

    def wait(self, kind: str) -> None:
        """Count a wait, for the innermost function of the program that is at work; none is allowed in a capture."""
        if is_recording():
            raise RuntimeError("operation not permitted when stream is capturing")
        self._counted = True
        frame = sys._getframe()
        while frame.f_back is not None and not frame.f_code.co_filename.startswith(f"{PROGRAM}/"):
            frame = frame.f_back
        path, function = Path(frame.f_code.co_filename), frame.f_code.co_qualname.split(".<locals>")[0]
        where = f"{path.relative_to(PROGRAM)} {function}: " if path.is_relative_to(PROGRAM) else ""
        self.waits[where + kind] += 1

    def wait_beneath(self, kind: str) -> None:
        """Count a wait of C++, unless it is that of the function that called it."""
        if not self._counted:
            self.wait(kind)

    def stream(self, number: int) -> PretendedStream:
        return PretendedStream(self.clock, self.wait, number)

    def synchronize(self) -> None:
        self.wait("synchronize")
        self.clock.wait(*range(POOL + 1))

    def _call(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        if name in ("__get__", "__set__"):
            return self._attribute(func, name, args)
        if name == "__deepcopy__" and on_gpu(args[0]):
            return _deepcopy(*args)
        if func in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return self._move(func, args, kwargs)
        if func is Tensor.is_pinned:
            return self._is_pinned(args[0])
        tensors = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
        here = [x for x in tensors if on_gpu(x)]
        asked = kwargs.get("device")
        target = torch.device(asked).type if asked is not None else None
        if target == "cuda":
            kwargs["device"] = CPU
        self._check(name, args, kwargs, here, [x for x in tensors if not on_gpu(x)], target)
        if name in ("__format__", "__repr__"):  # PyTorch has another for subclasses
            args = (args[0].as_subclass(Tensor), *args[1:])
        pinned = kwargs.pop("pin_memory", False)
        out = func(*args, **kwargs)
        if pinned:
            return self.pin(out)
        if target == "cpu" or not (target == "cuda" or here):
            return out
        return self._result(out, here)

    def _result(self, out: Any, here: list[Tensor]) -> Any:
        """Label what a function has made of tensors `here` on the GPU."""
        if not here:
            self.clock.write([out])
        if isinstance(out, Tensor):
            return out if any(out is x for x in here) else labelled(out)
        return tree_map(labelled, out) if isinstance(out, tuple | list) else out

    def _check(
        self, name: str, args: Any, kwargs: Any, here: list[Tensor], others: list[Tensor], target: str | None
    ) -> None:
        """Count a call's waits; raise `DeviceMismatch` where its arguments don't lie on one device."""
        if name in ("tensor", "as_tensor", "asarray") and target == "cuda":
            self.wait("made on the host")
        generator = kwargs.get("generator")
        if generator is not None and generator.device.type == "cpu" and (target == "cuda" or (here and not target)):
            raise DeviceMismatch(f"{name} draws on the GPU from a generator of the CPU")
        if not here:
            return
        if name in ("numpy", "__array__"):
            raise DeviceMismatch(f"{name} of a tensor of the GPU")
        if name in READS or (name == "where" and len(args) == 1) or (name == "one_hot" and len(args) + len(kwargs) < 2):
            self.wait(name)
        if name in INDEXING:
            self._check_index(*args)
        elif name == "copy_":
            self._check_copy(*args, **kwargs)
        elif name not in UNCHECKED:
            _check_devices(name, args, here, others)

    def _check_index(self, x: Tensor, index: Any, value: object = None) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        bounds = [bound for part in parts if isinstance(part, slice) for bound in (part.start, part.stop, part.step)]
        for part in (*parts, *bounds):
            if on_gpu(part) and not on_gpu(x):
                raise DeviceMismatch("a tensor of the CPU with an index of the GPU")
            if isinstance(part, Tensor) and part.dtype in (torch.bool, torch.uint8):
                self.wait("indexed by a mask")
            elif on_gpu(part) and part.ndim == 0:
                self.wait("indexed by a number")  # which PyTorch reads
            elif isinstance(part, list | np.ndarray) or (isinstance(part, Tensor) and part.ndim and not on_gpu(part)):
                self.wait("indexed from the host")
        if isinstance(value, Tensor) and on_gpu(value) != on_gpu(x):
            self.wait("copied from the host" if on_gpu(x) else "copied to the host")

    def _check_copy(self, x: Tensor, source: Tensor, non_blocking: bool = False) -> None:
        if not on_gpu(x):
            self.wait("copied to the host")
        elif not on_gpu(source) and not (non_blocking and self._is_pinned(source)):
            self.wait("copied from the host")

    def _move(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor:
        x, *rest = args
        target = {Tensor.cuda: GPU, Tensor.cpu: CPU}.get(func)
        if func is Tensor.to:
            for i, asked in enumerate(rest):
                if isinstance(asked, str | torch.device):
                    target, rest[i] = torch.device(asked), CPU
                elif isinstance(asked, Tensor):
                    target = GPU if on_gpu(asked) else CPU
            if kwargs.get("device") is not None:
                target, kwargs["device"] = torch.device(kwargs["device"]), CPU
        out: Tensor = x.to(*rest, **kwargs) if func is Tensor.to else x
        if target is None or (target.type == "cuda") == on_gpu(x):
            return labelled(out) if on_gpu(x) else out
        non_blocking = kwargs.get("non_blocking") or any(asked is True for asked in rest)
        if target.type == "cpu":
            self.wait("copied to the host")
        elif not (non_blocking and self._is_pinned(x)):
            self.wait("copied from the host")
        plain = out.as_subclass(Tensor)
        plain = plain.clone() if plain.data_ptr() == x.data_ptr() else plain
        return labelled(plain) if target.type == "cuda" else plain

    def _attribute(self, func: Any, name: str, args: Any) -> Any:
        what = getattr(func.__self__, "__name__", "")
        reads = name == "__get__" and on_gpu(args[0])
        if reads and what in ("device", "is_cuda", "is_cpu"):
            return {"device": GPU, "is_cuda": True, "is_cpu": False}[what]
        out = func(*args)
        if reads and isinstance(out, Tensor) and not on_gpu(out):
            out = labelled(out)
            if what == "grad":
                args[0].grad = out  # the same object from now on
        return out

    def _is_pinned(self, x: Tensor) -> bool:
        return not on_gpu(x) and x.untyped_storage().data_ptr() in self._pinned


def on_gpu(x: object) -> bool:
    """Whether this is a tensor of the pretended GPU."""
    return isinstance(x, GpuTensor)


def labelled(x: Any) -> Any:
    """Return a tensor as one of the pretended GPU, anything else as it is."""
    return x.as_subclass(GpuTensor) if isinstance(x, Tensor) and not on_gpu(x) else x


def _check_devices(name: str, args: Any, here: list[Tensor], others: list[Tensor]) -> None:
    # a number may come from anywhere; `vmap` hides where its tensors lie
    apart = [x for x in others if x.ndim and not torch._C._functorch.is_functorch_wrapped_tensor(x)]
    if IN_PLACE.fullmatch(name) and any(args[0] is x for x in others):
        apart = [args[0]]  # what is written may not, not even a number
    if apart:
        shapes = (", ".join(str(tuple(x.shape)) for x in group) for group in (here, apart))
        raise DeviceMismatch(f"{name} of {' on the GPU and '.join(shapes)} on the CPU")


def _deepcopy(x: Tensor, memo: dict[int, Any]) -> Tensor:
    if id(x) not in memo:
        copy = labelled(x.as_subclass(Tensor).detach().clone()).requires_grad_(x.requires_grad)
        copy.__dict__.update(x.__dict__)  # that it is a parameter
        memo[id(x)] = copy
    return memo[id(x)]


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """Let there be a GPU in this block, for this thread; its tensors are of no use outside."""
    gpu = PretendedGpu()
    beneath = Beneath(gpu.clock, on_gpu, gpu.wait_beneath)
    autocast, load, save, vmap = torch.autocast, torch.load, torch.save, torch._functorch.vmap._flat_vmap
    answers = {
        "is_bf16_supported": True,
        "get_device_name": "pretended",
        "max_memory_allocated": 0,
        "empty_cache": None,
        "memory_reserved": 2**20,
        "max_memory_reserved": 9 * 2**20,
        "mem_get_info": (39 * 2**20, 10**12),
        "set_device": None,
        "reset_peak_memory_stats": None,
    }

    def load_there(file: Any, map_location: Any = None, **more: Any) -> Any:
        there = map_location is not None and torch.device(map_location).type == "cuda"
        values = load(file, map_location=CPU if there else map_location, **more)
        if there:
            gpu.clock.write([x for x in tree_iter(values) if isinstance(x, Tensor)])
        return tree_map(labelled, values) if there else values

    def save_from_there(values: Any, file: Any) -> None:
        """Files hold plain tensors here: PyTorch keeps where tensors lay, for a `map_location` to change."""
        gpu.wait("saved")
        with torch._C.DisableTorchFunction():
            save(tree_map(lambda x: x.as_subclass(Tensor) if on_gpu(x) else x, values), file)

    def flat_vmap(*args: Any, **kwargs: Any) -> Any:
        out = vmap(*args, **kwargs)
        return tree_map(labelled, out) if any(on_gpu(x) for x in tree_iter(args)) else out

    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("study.train.stream._held", WeakSet())  # no run holds a stream of a new GPU
        for name, answer in answers.items():
            patch.setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)
        patch.setattr(torch.cuda, "synchronize", lambda *_: gpu.synchronize())
        patch.setattr(torch.cuda, "Stream", lambda *_: gpu.stream(gpu.clock.draw()))
        patch.setattr(torch.cuda, "current_stream", lambda *_: gpu.stream(gpu.clock.current))
        patch.setattr(torch.cuda, "stream", PretendedStream.entered)
        patch.setattr("study.train.graph.CudaGraph", GpuRecorder)
        patch.setattr(torch, "autocast", lambda _, *args, **kwargs: autocast("cpu", *args, **kwargs))
        patch.setattr(torch, "load", load_there)
        patch.setattr(torch, "save", save_from_there)
        patch.setattr(Tensor, "pin_memory", lambda tensor, *_: gpu.pin(tensor))
        patch.setattr("torch._functorch.vmap._flat_vmap", flat_vmap)
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # a net's tensors become others
        try:
            with gpu, beneath:
                yield gpu
            assert not (races := gpu.clock.races), "\n".join(races[:5])
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
