import multiprocessing
import os
import shutil

import numpy as np
import pytest
import torch
from filelock import FileLock

from study.config import DatasetSpec
from study.data import BadFilesError, cache, decode_all, load_dataset
from study.data.files import ImageFile
from study.errors import DataError


def load(root, progress=None, **fields):
    fields = {"validation": 0, "image_size": 12, **fields}
    return load_dataset(DatasetSpec(name="image-folder", root=str(root), **fields), progress=progress)


def entries(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock")


@pytest.fixture
def decodings(monkeypatch):
    """Count how often files are decoded."""
    calls = []
    real = cache.decode_all

    def counted(*arguments):
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(cache, "decode_all", counted)
    return calls


def test_decoded_once_and_the_same_when_read_back(image_tree, decodings, tmp_path):
    first, second = load(image_tree), load(image_tree)
    assert len(decodings) == 1
    assert len(entries(tmp_path)) == 1
    assert first.fingerprint == second.fingerprint


def test_writing_to_images_leaves_the_cache_alone(image_tree):
    data = load(image_tree)
    data.train.images.zero_()
    assert load(image_tree).train.images.any()


def touch(root):
    path = root / "train" / "ape" / "00.png"
    os.utime(path, ns=(1, 1))


def rename(root):
    (root / "train" / "ape" / "00.png").rename(root / "train" / "ape" / "99.png")


def leave_out(root):
    (root / "test" / "bee" / "00.png").unlink()


@pytest.mark.parametrize("change", [touch, rename, leave_out])
def test_any_change_of_the_listing_decodes_again(image_tree, decodings, change):
    load(image_tree)
    change(image_tree)
    load(image_tree)
    assert len(decodings) == 2


def test_size_and_decoders_are_part_of_the_key(monkeypatch):
    files = [ImageFile("a", 1, 2)]
    keys = {cache.cache_key(files, 8, "crop"), cache.cache_key(files, 9, "crop"), cache.cache_key(files, 8, "pad")}
    monkeypatch.setattr(cache.PIL, "__version__", "0.0")
    keys.add(cache.cache_key(files, 8, "crop"))
    monkeypatch.setattr(cache.simplejpeg, "__version__", "0.0")
    keys.add(cache.cache_key(files, 8, "crop"))
    monkeypatch.setattr(cache, "LAYOUT", cache.LAYOUT - 1)  # images that were decoded by other rules
    assert len(keys | {cache.cache_key(files, 8, "crop")}) == 6


def test_bad_files_are_known_without_decoding_again(image_tree, decodings):
    bad = image_tree / "train" / "ape" / "00.png"
    bad.write_bytes(b"no")
    for _ in range(2):
        with pytest.raises(BadFilesError, match="1 of 14"):
            load(image_tree)
    data = load(image_tree, skip_bad=True)
    assert [one.name for one in data.skipped] == ["train/ape/00.png"]
    assert (len(data.train), len(data.test)) == (9, 4)
    assert data.train.names()[0] == "train/ape/01.PNG"
    assert len(decodings) == 1


def test_a_stopped_build_goes_on(image_tree, monkeypatch, tmp_path):
    expected = load(image_tree).fingerprint
    (name,) = entries(tmp_path)
    shutil.rmtree(tmp_path / "cache" / name)
    monkeypatch.setattr(decode_all, "CHUNK", 4)

    def stop(what, part):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(image_tree, progress=stop)
    assert entries(tmp_path) == [f"{name}.building"]
    told = []
    assert load(image_tree, progress=lambda what, part: told.append(part)).fingerprint == expected
    assert len(told) < 4  # of four chunks
    assert entries(tmp_path) == [name]


@pytest.mark.parametrize("file", ["images.npy", "records.npy"])
def test_altered_bytes_are_noticed_on_opening_and_mended(image_tree, file, tmp_path):
    expected = load(image_tree)
    (name,) = entries(tmp_path)
    path = tmp_path / "cache" / name / file
    content = bytearray(path.read_bytes())
    content[-20] ^= 255
    path.write_bytes(content)
    again = load(image_tree)
    assert again.fingerprint == expected.fingerprint
    assert torch.equal(again.test.images, expected.test.images)


def test_rest_of_a_killed_build_and_a_damaged_cache_are_built_again(image_tree, decodings, tmp_path):
    expected = load(image_tree).fingerprint
    (name,) = entries(tmp_path)
    folder = tmp_path / "cache" / name
    with (folder / "images.npy").open("r+b") as file:
        file.truncate(500)
    building = folder.with_suffix(".building")
    building.mkdir()
    (building / "images.npy").write_bytes(b"half")
    assert load(image_tree).fingerprint == expected
    assert len(decodings) == 2
    assert entries(tmp_path) == [name]


def test_full_disk(image_tree, monkeypatch, tmp_path):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_reserve", full)
    with pytest.raises(DataError, match=r"can't keep 0.00 GiB .*No space left.*\n.*STUDY_CACHE"):
        load(image_tree)
    assert entries(tmp_path) == []


def test_cache_folder_that_cannot_be_made(image_tree, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="set STUDY_CACHE"):
        load(image_tree)


def _work(root, results):
    decoded = []
    data = load(root, progress=lambda what, part: decoded.append(part))
    results.put((data.fingerprint, bool(decoded)))


def test_several_daemonic_workers_wait_for_one_build(image_tree):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_work, args=(str(image_tree), results), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    assert answers[0][0] == answers[1][0]
    assert sum(decoded for _, decoded in answers) == 1


def test_who_waits_for_another_to_decode_gives_signs_of_life(image_tree, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "WAIT_SECONDS", 0.05)
    load(image_tree)
    (name,) = entries(tmp_path)
    shutil.rmtree(tmp_path / "cache" / name)
    other = FileLock(tmp_path / "cache" / f"{name}.lock")
    other.acquire()
    told = []

    def progress(what, share):
        told.append((what, share))
        if len(told) == 3:
            other.release()

    load(image_tree, progress)
    assert told[:3] == [("waiting for another process to decode the images", 0.0)] * 3
    assert len(entries(tmp_path)) == 1


def test_memory_is_mapped_not_read(image_tree, tmp_path):
    data = load(image_tree)
    (name,) = entries(tmp_path)
    mapped = np.load(tmp_path / "cache" / name / "images.npy", mmap_mode="r+")
    mapped[2] = 7  # what one process writes to the file, another's mapping shows
    mapped.flush()
    assert torch.equal(data.train.images[2], torch.full((3, 12, 12), 7, dtype=torch.uint8))
