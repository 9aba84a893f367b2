"""Statistics, cache and batches: ours against the plain way, and one JPEG decoder against another.

    python bench/data.py --root FOLDER        (a folder with Kaggle's train.zip, or its train/)

and then training batches, as bench/batches.py does.

The plain way is what tutorials do: list the files, decode each with Pillow, grow a DataFrame row by row, take the mean;
decode all again for the deviation from that mean; decode all a third time to resize them into an array. OpenCV does the
decoding in place of Pillow where it is installed. All of it is measured on one core in one call, then ours on all.
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import batches
import numpy as np
import pandas as pd
import simplejpeg
import torch
from PIL import Image

from study.config import DatasetSpec
from study.data import describe, load_dataset
from study.data.decode import decode, square
from study.data.dogs_vs_cats import open_training

SIZE = 64


def plain(contents: list[tuple[str, bytes]], read: Callable[[bytes], np.ndarray]) -> tuple[pd.DataFrame, Any, Any, Any]:
    """Table, mean, variance and resized images, as one writes it in a notebook; `read` gives (H, W, 3) uint8."""
    table = pd.DataFrame(columns=["name", "class", "height", "width"])
    mean = np.zeros(3)
    for name, content in contents:
        image = read(content) / 255.0
        table.loc[len(table)] = [name, name.split(".")[0], image.shape[0], image.shape[1]]
        mean += image.mean(axis=(0, 1))
    mean /= len(contents)
    variance = np.zeros(3)
    for _, content in contents:
        variance += ((read(content) / 255.0 - mean) ** 2).mean(axis=(0, 1))
    variance /= len(contents)
    images = np.zeros((len(contents), SIZE, SIZE, 3), dtype=np.uint8)
    for i, (_, content) in enumerate(contents):
        picture = Image.fromarray(read(content))
        short = min(picture.size)
        left, top = (picture.width - short) // 2, (picture.height - short) // 2
        images[i] = np.asarray(picture.crop((left, top, left + short, top + short)).resize((SIZE, SIZE), 2))
    return table, mean, variance, images


def ours(root: Path) -> Any:
    """Make the same in one pass, with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["STUDY_CACHE"] = cache
        dataset = load_dataset(DatasetSpec(name="dogs-vs-cats", root=str(root), image_size=SIZE))
        return describe(dataset)


def with_pillow(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))


def with_draft(content: bytes) -> np.ndarray:
    image = Image.open(BytesIO(content))
    image.draft("RGB", (2 * SIZE, 2 * SIZE))
    return np.asarray(image.convert("RGB"))


def with_torchvision(content: bytes) -> np.ndarray:
    from torchvision.io import ImageReadMode, decode_jpeg

    pixels = decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)  # (3, H, W)
    return np.asarray(pixels.permute(1, 2, 0))


def with_simplejpeg(content: bytes) -> np.ndarray:
    return np.asarray(simplejpeg.decode_jpeg(content, "RGB"))


def opencv() -> Callable[[bytes], np.ndarray] | None:
    try:
        import cv2
    except ImportError:
        return None
    cv2.setNumThreads(1)
    return lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), 1)[:, :, ::-1]


def _read_all(read: Callable[[bytes], np.ndarray], contents: list[bytes]) -> None:
    for content in contents:
        read(content)


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def decoders(contents: list[bytes]) -> dict[str, Any]:
    """Time a photograph for each decoder, and how far its pixels and its resized image are from Pillow's."""
    known = {
        "Pillow": with_pillow,
        "Pillow, draft mode": with_draft,
        "torchvision.io": with_torchvision,
        "OpenCV": opencv(),
        "simplejpeg": with_simplejpeg,
    }
    grey = np.full(3, 128, dtype=np.uint8)
    found = {}
    for name, read in known.items():
        if read is None:
            continue
        times = [seconds(partial(_read_all, read, contents)) for _ in range(3)]
        pixels = resized = 0
        for content in contents[:100]:
            full, image = with_pillow(content).astype(int), read(content)
            if image.shape == full.shape:
                pixels = max(pixels, int(np.abs(image - full).max()))
            small = square(np.ascontiguousarray(image), SIZE, "crop", grey).astype(int)
            resized = max(resized, int(np.abs(small - square(full.astype(np.uint8), SIZE, "crop", grey)).max()))
        found[name] = {"ms": 1000 * min(times) / len(contents), "pixels": pixels, "resized": resized}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--images", type=int, default=800, help="photographs for the plain way and the decoders")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # torchvision's decoders are deprecated
    _, listing = open_training(arguments.root)
    contents = [(file.name.rpartition("/")[2], listing.read(file)) for file in listing.files[: arguments.images]]
    every = len(listing.files)
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_cores)})
    torch.set_num_threads(1)
    found: dict[str, Any] = {"images": every, "cores": len(all_cores), "decoders": decoders([c for _, c in contents])}
    print(f"{'decoder':22}{'ms/image':>10}{'pixels off':>12}{'off at ' + str(SIZE) + ' px':>14}")
    for name, row in found["decoders"].items():
        print(f"{name:22}{row['ms']:10.3f}{row['pixels']:12d}{row['resized']:14d}")
    decode(contents[0][1])
    rates: dict[str, float] = {}
    for _ in range(3):  # in turns, the best of three
        ways = {"plain, Pillow": with_pillow, "plain, OpenCV": opencv()}
        for name, read in ways.items():
            if read is not None:
                took = seconds(partial(plain, contents, read))
                rates[name] = max(rates.get(name, 0), len(contents) / took)
        rates["ours, one core"] = max(rates.get("ours, one core", 0), every / seconds(lambda: ours(arguments.root)))
    os.sched_setaffinity(0, all_cores)
    rates[f"ours, {len(all_cores)} cores"] = max(every / seconds(lambda: ours(arguments.root)) for _ in range(3))
    base = min(rate for name, rate in rates.items() if name.startswith("plain"))
    print(f"\n{'table, statistics and images of ' + str(SIZE) + ' px':40}{'images/s':>10}{'ratio':>8}")
    for name, rate in rates.items():
        print(f"{name:40}{rate:10.0f}{rate / base:8.1f}")
    found["images_per_second"] = rates
    print()
    os.sched_setaffinity(0, {min(all_cores)})
    found["batches"] = [asdict(row) for row in batches.report(None, 7)]
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
