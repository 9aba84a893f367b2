import numpy as np
from PIL import ExifTags, Image

from study.config import DatasetSpec, Grid
from study.data import describe, load_dataset
from study.data.describe import LEAST_EFFECT, augmented_views, few_images
from study.data.measure import channel_statistics

from .conftest import pixels


def load(root, **fields):
    return load_dataset(DatasetSpec(name="image-folder", root=str(root), **{"image_size": 12, **fields}))


def test_a_tree(image_tree, write_image):
    write_image(image_tree / "train" / "ape" / "05.PNG", 77, height=20, width=30)
    (image_tree / "train" / "bee" / "bad.png").write_bytes(b"no")
    dataset = load(image_tree, validation=2, skip_bad=True)
    found = describe(dataset)
    assert found.statistics["images"] == 14
    assert found.statistics["splits"] == {"train": 8, "validation": 2, "test": 4}
    assert found.statistics["classes"] == {"ape": 8, "bee": 6}
    assert found.statistics["height"] == {"least": 12, "median": 12, "greatest": 20}
    assert found.statistics["skipped"] == [{"name": "train/bee/bad.png", "reason": "not an image"}]
    assert found.statistics["notes"] == ["test: the images of test/", "not read: 1 file (1 .txt): train/ape/notes.txt"]
    assert {len(column) for column in found.table.values()} == {14}
    row = found.table["path"].index("train/ape/05.PNG")
    assert [found.table[key][row] for key in ("name", "class", "height", "width")] == ["05.PNG", "ape", 20, 30]
    assert found.samples.shape == (8, 12, 12, 3)
    assert sorted(found.sample_labels[:4].tolist()) == [0, 0, 1, 1]  # the classes take turns
    everything = np.concatenate([split.images.numpy() for split in dataset.splits().values()])
    np.testing.assert_allclose(found.mean_image, everything.mean(0).transpose(1, 2, 0), atol=0.5)


def test_statistics_are_of_the_images_as_decoded(image_tree):
    """Turned upright, 16 bits as 8, transparent parts on white: what is trained on."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(pixels(1, 20, 30)).save(image_tree / "train" / "ape" / "00.png", exif=exif)
    Image.fromarray(np.full((12, 12), 20000, np.uint16)).save(image_tree / "train" / "ape" / "01.PNG")
    dataset = load(image_tree, validation=0)
    found = describe(dataset)
    row = found.table["path"].index("train/ape/00.png")
    assert (found.table["height"][row], found.table["width"][row]) == (30, 20)
    images = [np.rot90(pixels(1, 20, 30), -1), np.full((12, 12, 3), 78), *(pixels(i, 12, 12) for i in range(2, 10))]
    mean = np.mean([image.mean((0, 1)) / 255 for image in images], axis=0)
    np.testing.assert_allclose(found.statistics["training"]["mean"], mean, atol=1e-9)
    np.testing.assert_allclose(channel_statistics(dataset.train.measures()).mean, mean, atol=1e-9)


def test_images_that_are_no_files(monkeypatch):
    found = describe(load_dataset("digits"))
    assert found.statistics["channels"] == ["grey"]
    assert set(found.table["height"]) == {8}
    assert found.table["path"][0].startswith("train/")
    assert len(set(found.table["path"])) == 1797
    assert found.samples.shape == (40, 8, 8, 1)


def test_normalisation_is_of_the_original_pixels(tmp_path, write_image):
    """Shrinking takes contrast away: the deviation that training divides by is that of the files."""
    for part in ("train", "test"):
        for i, name in enumerate("ab"):
            write_image(tmp_path / part / name / "0.png", i, height=48, width=48)
    dataset = load(tmp_path, validation=0)
    expected = np.stack([pixels(i, 48, 48) for i in range(2)]) / 255
    found = channel_statistics(dataset.train.measures())
    np.testing.assert_allclose(found.std, expected.std((0, 1, 2)), atol=1e-9)
    assert found.std[0] > 1.5 * float((dataset.train.images.float() / 255).std())


def test_views_are_of_training_images_and_repeatable():
    dataset = load_dataset("digits")
    clean, changed, names = augmented_views(dataset, "crop-flip", images=5, views=3, seed=1)
    assert (clean.shape, changed.shape, len(names)) == ((5, 8, 8, 1), (5, 3, 8, 8, 1), 5)
    known = {image.numpy().tobytes() for image in dataset.train.images}
    assert all(image.transpose(2, 0, 1).tobytes() in known for image in np.ascontiguousarray(clean))
    again = augmented_views(dataset, "crop-flip", images=5, views=3, seed=1)
    assert np.array_equal(changed, again[1])
    assert not np.array_equal(changed[:, 0], changed[:, 1])
    assert not np.array_equal(clean, augmented_views(dataset, "crop-flip", images=5, views=3, seed=2)[0])


def test_few_images_are_those_of_which_one_is_worth_more_than_what_a_study_looks_for():
    assert Grid.model_fields["smallest_effect"].default == LEAST_EFFECT
    assert few_images(load_dataset(DatasetSpec(name="digits", train_limit=200, validation=0))) == ()
    (line,) = few_images(load_dataset(DatasetSpec(name="digits", train_limit=160, validation=0)))
    assert line.startswith("few images: of 160 to train on, one is 0.62 points of training error")
    assert "; 200 are the least for a rise of 0.5 points" in line
