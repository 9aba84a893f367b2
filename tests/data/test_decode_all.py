from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Event

import numpy as np
import pytest
from PIL import Image

from study.data import decode_all as module
from study.data.decode_all import GOOD, PENDING, Target, decode_all, forget_damaged, holds, record_type, threads
from study.data.files import ImageFile

from .conftest import pixels


def encoded(image: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def target(count: int, size: int = 4) -> Target:
    return Target(np.zeros((count, size, size, 3), np.uint8), np.zeros(count, record_type(3)), "crop")


@pytest.fixture
def many():
    images = [pixels(i, 4, 4) for i in range(module.CHUNK * 3 + 5)]
    data = {str(i): encoded(image) for i, image in enumerate(images)}
    return images, data, [ImageFile(name, len(content), 0) for name, content in data.items()]


def test_progress_and_order(many):
    images, data, files = many
    out, told = target(len(files)), []
    bad = decode_all(files, lambda file: data[file.name], out, lambda what, part: told.append((what, part)))
    assert bad == {}
    assert np.array_equal(out.pixels, np.stack(images))
    assert (out.records["state"] == GOOD).all()
    assert out.records["height"].tolist() == [4] * len(files)
    assert out.records["total"].tolist() == [image.sum((0, 1), dtype=int).tolist() for image in images]
    parts = [part for _, part in told]
    assert parts == sorted(parts)
    assert told[-1] == ("decoding images", 1.0)


def test_huge_files_are_not_read():
    def read(file):
        raise RuntimeError("was read")

    bad = decode_all([ImageFile("a.png", 2**40, 0)], read, target(1), None)
    assert bad == {0: "larger than 256 MiB"}


def test_small_files_are_decoded_by_one_thread():
    # Python's own part of decoding is most of it then, and threads only wait for each other.
    assert threads([ImageFile("a", 2000, 0)] * 9) == 1


@pytest.mark.parametrize(("processors", "expected"), [(1, 1), (8, 8), (200, 32)])
def test_photographs_are_decoded_by_as_many_threads_as_there_are_processors(monkeypatch, processors, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)), raising=False)
    assert threads([ImageFile("a", 40_000, 0)] * 9) == expected


def test_the_number_of_threads_changes_nothing(many, monkeypatch):
    _, data, files = many
    results = []
    for count in (1, 7):
        monkeypatch.setattr(module, "threads", lambda _, count=count: count)
        out = target(len(files))
        decode_all(files, lambda file: data[file.name], out, None)
        results.append((out.pixels.tobytes(), out.records.tobytes()))
    assert results[0] == results[1]


@pytest.fixture
def stopped(monkeypatch) -> Event:
    """Is set as soon as the latest pool has been told to drop what it hasn't begun."""
    event = Event()

    class Pool(ThreadPoolExecutor):
        def __init__(self, *args, **kwargs):
            event.clear()
            super().__init__(*args, **kwargs)

        def shutdown(self, wait=True, *, cancel_futures=False):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            event.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr(module, "ThreadPoolExecutor", Pool)
    return event


def test_a_stop_is_prompt_and_what_was_done_is_kept(many, stopped):
    images, data, files = many
    data["3"] = b"no image"
    out, read, begun = target(len(files)), [], Event()

    def after_the_stop(file):
        if len(read) == module.CHUNK:
            begun.set()
            assert stopped.wait(60)
        read.append(file.name)
        return data[file.name]

    def stop(what, part):
        assert begun.wait(60)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_all(files, after_the_stop, out, stop)
    assert len(read) == 2 * module.CHUNK  # the chunk that was begun, and no other
    bad = decode_all(files, after_the_stop, out, None)
    assert len(read) == len(files) + 1  # each good one was read once
    assert bad == {3: "not an image"}
    images[3] = np.zeros((4, 4, 3), np.uint8)
    assert np.array_equal(out.pixels, np.stack(images))


def test_what_a_crash_left_unsure_is_done_again(many):
    images, data, files = many
    data["7"] = b"no image"
    out = target(len(files))
    decode_all(files, lambda file: data[file.name], out, None)
    out.pixels[5, 0, 0, 0] ^= 1  # a page that didn't reach the disk
    out.records["height"][6] = 9
    forget_damaged(out.pixels, out.records)
    assert np.flatnonzero(out.records["state"] == PENDING).tolist() == [5, 6, 7]
    assert decode_all(files, lambda file: data[file.name], out, None) == {7: "not an image"}
    assert np.array_equal(out.pixels[5], images[5])
    assert out.records["state"][7] == PENDING
    assert holds(out.pixels[6], out.records[6])
