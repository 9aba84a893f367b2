import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study.config import Recipe, RunSpec
from study.data import Dataset, Normalizer, Split, evaluation_batches
from study.errors import DataError
from study.events import Finished
from study.nets import build_net
from study.train import CheckpointPlan, load_checkpoint, predict_probabilities, run
from study.train import evaluate as module
from study.train.evaluate import error_over_views
from tests.gpu.sync import never_waited_for
from tests.train.conftest import DATA

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def split() -> Split:
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (11, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(0, 4, (11,), generator=generator))


@pytest.fixture(scope="module")
def normalizer(split: Split) -> Normalizer:
    return Normalizer.fit(split, "channel", augment="imagenet")


@pytest.fixture(scope="module")
def net(split: Split, normalizer: Normalizer) -> nn.Module:
    """A net whose batch norms have seen images, left in training mode as a run leaves it."""
    net = build_net("resnet-8", 4, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    with torch.no_grad():
        for _ in range(20):
            net(normalizer(split.images))
    return net


def naive_views(image: Tensor, normalizer: Normalizer, views: str) -> Iterator[Tensor]:
    """The same by the textbook, for one image (C, S, S) at a time."""
    size = image.shape[-1]
    x = normalizer(image[None])
    if views == "multi-scale":
        for scale in (224, 256, 384, 480, 640):
            side = round(size * scale / 256)
            whole = F.interpolate(x, size=(side, side), mode="bilinear", antialias=side < size)
            yield from (whole, whole.flip(3))
        return
    side = round(size * 224 / 256)
    far = size - side
    middle = far // 2
    corners = [(0, 0), (0, far), (far, 0), (far, far), (middle, middle)]
    for top, left in corners if views == "ten-crop" else corners[-1:]:
        crop = x[:, :, top : top + side, left : left + side]
        yield from (crop, crop.flip(3)) if views == "ten-crop" else (crop,)


def naive(net: nn.Module, images: Tensor, normalizer: Normalizer, views: str) -> Tensor:
    net.eval()
    with torch.no_grad():
        rows = [
            torch.stack([F.softmax(net(view)[0], dim=0) for view in naive_views(image, normalizer, views)]).mean(0)
            for image in images
        ]
    net.train()
    return torch.stack(rows)


@pytest.mark.parametrize("views", ["center", "ten-crop", "multi-scale"])
@pytest.mark.parametrize("batch_pixels", [module.BATCH_PIXELS, 3 * 80 * 80, 1])
def test_as_one_image_and_one_view_at_a_time(
    split: Split, normalizer: Normalizer, net: nn.Module, views: str, batch_pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_PIXELS", batch_pixels)
    monkeypatch.setattr(module, "BATCH", 4)  # so that the split is taken in parts
    expected = naive(net, split.images, normalizer, views)
    found = predict_probabilities(
        net, split.images, normalizer, augment="imagenet", views=views, device=CPU, precision="fp32"
    )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.sum(1), torch.ones(11))
    assert net.training
    assert not found.requires_grad
    error = error_over_views(net, split, normalizer, augment="imagenet", views=views, precision="fp32")
    assert error == pytest.approx(100 * (expected.argmax(1) != split.labels).float().mean().item())


def test_the_centre_is_what_evaluation_shows(split: Split, normalizer: Normalizer, net: nn.Module) -> None:
    for augment in ("none", "crop-flip", "imagenet"):
        net.eval()
        with torch.no_grad():
            logits = torch.cat([net(x) for x, _ in evaluation_batches(split, normalizer, augment=augment)])
        found = predict_probabilities(net, split.images, normalizer, augment=augment, device=CPU, precision="fp32")
        torch.testing.assert_close(found, logits.softmax(1), atol=1e-6, rtol=1e-5)
        assert not net.training  # the mode it had
    net.train()


class Corner(nn.Module):
    """A net that looks at a view's first pixel alone, its red and green."""

    def forward(self, x: Tensor) -> Tensor:
        return 10 * x[:, :2, 0, 0]


def test_crops_are_of_different_places() -> None:
    """Ten bright pixels, the first of each of the ten views: a net that sees one of them finds an image each."""
    side, far, middle = 28, 4, 2
    places = [(top, left) for top, left in ((0, 0), (0, far), (far, 0), (far, far), (middle, middle))]
    first = places + [(top, left + side - 1) for top, left in places]
    images = torch.zeros(len(first) + 1, 3, 32, 32, dtype=torch.uint8)
    for i, (row, column) in enumerate(first):
        images[i, 0, row, column] = 255
    normalizer = Normalizer(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
    found = predict_probabilities(
        Corner(), images, normalizer, augment="imagenet", views="ten-crop", device=CPU, precision="fp32"
    )
    seen = torch.sigmoid(torch.tensor(10.0))  # of red over green, in the one view of ten that begins with the pixel
    torch.testing.assert_close(found[:10, 0], ((9 * 0.5 + seen) / 10).expand(10))
    assert found[10].tolist() == pytest.approx([0.5, 0.5])
    centre = predict_probabilities(Corner(), images, normalizer, augment="imagenet", device=CPU, precision="fp32")
    assert (centre[:, 0] > 0.5).nonzero().flatten().tolist() == [4]


def test_one_view_is_in_memory_at_a_time(split: Split, normalizer: Normalizer) -> None:
    class Remembering(Corner):
        shapes: list[tuple[int, ...]] = []  # noqa: RUF012

        def forward(self, x: Tensor) -> Tensor:
            self.shapes.append(tuple(x.shape))
            return super().forward(x)

    predict_probabilities(
        Remembering(), split.images, normalizer, augment="imagenet", views="multi-scale", device=CPU, precision="fp32"
    )
    assert Remembering.shapes == [(11, 3, side, side) for side in (28, 32, 48, 60, 80) for _ in (0, 1)]


def test_large_views_come_in_smaller_batches(normalizer: Normalizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_PIXELS", 3 * 80 * 80)
    sizes = []

    class Counting(Corner):
        def forward(self, x: Tensor) -> Tensor:
            sizes.append(len(x))
            return super().forward(x)

    images = torch.zeros(7, 3, 32, 32, dtype=torch.uint8)
    predict_probabilities(
        Counting(), images, normalizer, augment="imagenet", views="multi-scale", device=CPU, precision="fp32"
    )
    assert sizes == [3] * 10 + [3] * 10 + [1] * 10


def test_views_that_do_not_fit(split: Split, normalizer: Normalizer, net: nn.Module) -> None:
    with pytest.raises(DataError, match="'ten-crop' views need augment 'imagenet'"):
        predict_probabilities(
            net, split.images, normalizer, augment="none", views="ten-crop", device=CPU, precision="fp32"
        )
    with pytest.raises(DataError, match="square images, not 32x30"):
        predict_probabilities(
            net, split.images[..., :30], normalizer, augment="imagenet", views="multi-scale", device=CPU
        )
    assert net.training  # put back all the same


def last(digits: Dataset, folder: Path, **recipe: str) -> Finished:
    spec = RunSpec(
        dataset=DATA,
        architecture="residual",
        depth=8,
        recipe=Recipe(epochs=3, batch_size=32, lr=0.05, precision="fp32", **recipe),  # type: ignore[arg-type]
        seed=0,
    )
    finished = list(run(spec, digits, CPU, CheckpointPlan(folder / f"{recipe}.pt")))[-1]
    assert isinstance(finished, Finished)
    return finished


@pytest.mark.parametrize("views", ["ten-crop", "multi-scale"])
def test_a_run_ends_with_the_error_over_its_views(digits: Dataset, tmp_path: Path, views: str) -> None:
    plain = last(digits, tmp_path, augment="imagenet")
    more = last(digits, tmp_path, augment="imagenet", test_views=views)
    assert plain.final_test_error_views is None
    assert (more.final_test_error, more.final_test_loss) == (plain.final_test_error, plain.final_test_loss)
    checkpoint = load_checkpoint(tmp_path / f"{dict(augment='imagenet', test_views=views)}.pt", CPU)
    assert checkpoint is not None
    net = build_net("resnet-8", 10, in_channels=1)
    net.load_state_dict(checkpoint["net"])
    normalizer = Normalizer.fit(digits.train, "channel", augment="imagenet")
    found = naive(net, digits.test.images, normalizer, views).argmax(1)
    assert more.final_test_error_views == pytest.approx(100 * (found != digits.test.labels).float().mean().item())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("views", ["center", "ten-crop", "multi-scale"])
def test_a_gpu_is_never_waited_for(split: Split, normalizer: Normalizer, net: nn.Module, views: str) -> None:
    expected = naive(net, split.images, normalizer, views)
    gpu = torch.device("cuda")
    there, mean, images = copy.deepcopy(net).to(gpu), normalizer.to(gpu), split.images.to(gpu)

    def predict() -> Tensor:
        return predict_probabilities(there, images, mean, augment="imagenet", views=views, device=gpu, precision="fp32")

    predict()
    with never_waited_for():
        found = predict()
    torch.testing.assert_close(found.cpu(), expected, atol=1e-2, rtol=0)
