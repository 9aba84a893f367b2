import gc
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from study.data import Dataset, Normalizer, Split, TrainBatches, evaluation_batches, place
from study.data import stream as stream_module
from study.data.stream import AHEAD, batch_images, on_device
from tests.gpu.sync import never_waited_for

AUGMENTATIONS = ("none", "crop-flip", "imagenet")
CPU = torch.device("cpu")


def make_split(kind: str) -> Split:
    """50 images whose label tells them: all that are held, laid out either way, or some of them in another order."""
    images = torch.randint(0, 256, (80, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    if kind != "planar":
        images = images.contiguous(memory_format=torch.channels_last)
    if kind == "rows":
        return Split(images, torch.arange(50), rows=torch.randperm(80, generator=torch.Generator().manual_seed(6))[:50])
    return Split(images[:50], torch.arange(50))


@pytest.fixture(params=["planar", "channels-last", "rows"])
def split(request) -> Split:
    return make_split(request.param)


@pytest.fixture
def elsewhere(monkeypatch):
    """Stream every split, as if none lay on the device."""
    monkeypatch.setattr(stream_module, "on_device", lambda split, device: False)


def streaming() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("images")]


def all_end() -> bool:
    """Whether all threads that read ahead end within seconds: they finish the batch they are at."""
    limit = time.monotonic() + 10
    while streaming() and time.monotonic() < limit:
        time.sleep(0.01)
    return not streaming()


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert all_end()


def make(split, augment="none", batch_size=8):
    normalizer = Normalizer.fit(split, "channel", augment=augment)
    return TrainBatches(split, normalizer, batch_size=batch_size, augment=augment, seed=1)


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_streamed_batches_are_those_of_a_resident_split(split, augment, monkeypatch):
    normalizer = Normalizer.fit(split, "channel", augment=augment)

    def everything():
        batches = make(split, augment)
        yield from (batches.batch(step) for step in (*range(15), 3, 4, 14, 0, 0, 13))  # 6 steps an epoch, then jumps
        yield from evaluation_batches(split, normalizer, augment=augment, batch_size=20)
        yield from evaluation_batches(split, normalizer, augment=augment, seed=2, batch_size=7)

    resident = list(everything())
    assert not streaming()
    monkeypatch.setattr(stream_module, "on_device", lambda split, device: False)
    streamed = list(everything())
    assert all(equal(*pair) for pair in zip(resident, streamed, strict=True))


class Watched(Split):
    """A split that tells which images were read, and fails at one of them."""

    def gather(self, index):
        self.reads.append((threading.current_thread().name, index.tolist()))
        if self.bad in index.tolist():
            raise OSError("the disk is gone")
        return super().gather(index)


def watched(bad: int = -1) -> Watched:
    whole = make_split("channels-last")
    split = Watched(whole.pixels, whole.labels)
    object.__setattr__(split, "reads", [])
    object.__setattr__(split, "bad", bad)
    return split


@pytest.mark.usefixtures("elsewhere")
def test_a_few_batches_are_read_ahead_by_a_thread_of_its_own():
    split = watched()
    images = batch_images(split, torch.arange(50).split(5), CPU)
    assert not split.reads  # nothing before it's asked for
    next(images)
    limit = time.monotonic() + 10
    while len(split.reads) < 1 + AHEAD and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(0.05)
    assert [where for _, where in split.reads] == torch.arange(5 * (1 + AHEAD)).view(-1, 5).tolist()
    assert {name for name, _ in split.reads} == {streaming()[0].name}
    assert len(list(images)) == 9
    assert all_end()  # without anyone closing it
    assert images is not None


@pytest.mark.usefixtures("elsewhere")
def test_a_thread_ends_with_what_asked_for_it():
    batches = make(make_split("rows"))
    batches.batch(0)
    assert len(streaming()) == 1
    gc.disable()  # no cycle keeps it alive
    try:
        del batches
        assert all_end()
        shown = evaluation_batches(
            make_split("rows"), Normalizer.fit(make_split("rows"), "none"), augment="none", batch_size=5
        )
        next(shown)
        assert len(streaming()) == 1
        del shown
        assert all_end()
    finally:
        gc.enable()


@pytest.mark.usefixtures("elsewhere")
def test_only_one_thread_reads_for_a_run():
    batches = make(make_split("rows"))
    for step in (0, 5, 2, 30, 31, 7):
        batches.batch(step)
    limit = time.monotonic() + 10
    while len(streaming()) > 1 and time.monotonic() < limit:
        time.sleep(0.01)
    assert len(streaming()) == 1


@pytest.mark.usefixtures("elsewhere")
def test_an_error_comes_where_its_batch_is_asked_for():
    split = watched(bad=12)
    images = batch_images(split, torch.arange(50).split(5), CPU)
    assert torch.equal(next(images), split.pixels[:5])
    assert torch.equal(next(images), split.pixels[5:10])
    with pytest.raises(OSError, match="the disk is gone"):
        next(images)
    assert all_end()


@pytest.mark.usefixtures("elsewhere")
def test_a_batch_can_be_asked_for_again_after_an_error():
    split = watched()
    batches = make(split)
    expected = batches.batch(0)
    object.__setattr__(split, "bad", int(expected[1][0]))
    failing = make(split)
    for _ in range(2):
        with pytest.raises(OSError, match="the disk is gone"):
            failing.batch(0)
    object.__setattr__(split, "bad", -1)
    assert equal(failing.batch(0), expected)


UNFINISHED = """
import torch
from study.data import Split, stream
stream.on_device = lambda split, device: False
split = Split(torch.zeros(50, 3, 4, 4, dtype=torch.uint8), torch.zeros(50, dtype=torch.int64))
images = stream.batch_images(split, torch.arange(50).split(5), torch.device("cpu"))
print(len(next(images)))
"""


def test_a_stream_keeps_no_process_alive():
    done = subprocess.run([sys.executable, "-c", UNFINISHED], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


def make_dataset() -> Dataset:
    split = make_split("channels-last")  # 38,400 bytes
    return Dataset("made up", split, None, split.take(torch.arange(10)), ("a", "b"), "")  # 46,080 in all


def test_on_a_cpu_nothing_moves():
    dataset = make_dataset()
    placed = place(dataset, "cpu")
    assert placed.train is dataset.train
    assert placed.test is dataset.test


@pytest.mark.parametrize(
    ("free", "workers", "moved"), [(92_159, 1, False), (92_160, 1, True), (184_319, 2, False), (184_320, 2, True)]
)
def test_half_of_what_is_free_is_for_the_images_of_all_workers(free, workers, moved, monkeypatch):
    dataset = make_dataset()
    there = replace(dataset, name="on the device")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(Dataset, "to", lambda self, device: there)
    assert place(dataset, "cuda:1", workers) is (there if moved else dataset)


@pytest.mark.parametrize(
    ("lies", "asked", "same"),
    [
        ("cpu", "cpu", True),
        ("cpu", "cuda", False),
        ("cpu", "cuda:0", False),
        ("cuda:0", "cuda", True),
        ("cuda:1", "cuda:1", True),
        ("cuda:1", "cuda:0", False),
    ],
)
def test_which_splits_are_streamed(lies, asked, same):
    split = SimpleNamespace(pixels=SimpleNamespace(device=torch.device(lies)))
    assert on_device(split, torch.device(asked)) is same


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_a_gpu_is_streamed_the_same_batches_and_never_waited_for(split, augment):
    device = torch.device("cuda")
    normalizer = Normalizer.fit(split, "channel", augment=augment).to(device)
    resident, streamed = (
        TrainBatches(where, normalizer, batch_size=8, augment=augment, seed=1, device=device)
        for where in (split.to(device), split)
    )
    expected = [resident.batch(step) for step in (0, 1, 2, 3, 4, 5, 9, 10)]
    found = [streamed.batch(0)]
    with never_waited_for():
        found += [streamed.batch(step) for step in range(1, 6)]
    found += [streamed.batch(step) for step in (9, 10)]
    assert all(images.is_cuda and labels.is_cuda for images, labels in found)
    assert all(equal(*pair) for pair in zip(expected, found, strict=True))
    shown = [
        list(evaluation_batches(where, normalizer, augment=augment, batch_size=20, device=device))
        for where in (split.to(device), split)
    ]
    assert all(equal(*pair) for pair in zip(*shown, strict=True))
