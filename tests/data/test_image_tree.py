import shutil

import pytest

from study.data.image_tree import EXPECTED, read_tree
from study.errors import DataError


def make(root, *names):
    """Write empty files; none of them is decoded here."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def names(part):
    """Return the names of a split's files by class."""
    files = {label: [] for label in part.labels}
    for file, label in zip(part.files, part.labels, strict=True):
        files[label].append(file.name)
    return files


def test_imagenet_with_an_unlabelled_test(tmp_path):
    make(tmp_path, "train/n01/a.JPEG", "train/n02/b.JPEG", "val/n01/c.JPEG", "val/n02/d.JPEG", "test/e.JPEG")
    tree = read_tree(tmp_path)
    assert names(tree.train) == {"n01": ["train/n01/a.JPEG"], "n02": ["train/n02/b.JPEG"]}
    assert names(tree.test) == {"n01": ["val/n01/c.JPEG"], "n02": ["val/n02/d.JPEG"]}
    assert tree.notes == ("test: the images of val/", "not used: test/, without labels (for `study predict`)")


def test_imagenet_with_its_labels_in_a_table(tmp_path):
    """As Kaggle packs it: the images of `val/` lie together, and the table lies three folders above them."""
    make(tmp_path, *(f"ILSVRC/Data/CLS-LOC/{name}" for name in ("train/n01/a.JPEG", "train/n02/b.JPEG", "test/e.JPEG")))
    root = make(tmp_path / "ILSVRC/Data/CLS-LOC", *(f"val/ILSVRC2012_val_{i}.JPEG" for i in range(3)))
    (tmp_path / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\nILSVRC2012_val_1,n01 1 2 3 4 n01 5 6 7 8\nILSVRC2012_val_0,n02 1 2 3 4\n"
    )
    tree = read_tree(root)
    assert names(tree.test) == {"n01": ["val/ILSVRC2012_val_1.JPEG"], "n02": ["val/ILSVRC2012_val_0.JPEG"]}
    assert [(bad.name, bad.reason) for bad in tree.test.bad] == [
        ("val/ILSVRC2012_val_2.JPEG", "has no label in LOC_val_solution.csv")
    ]


def test_tiny_imagenet(tmp_path):
    make(tmp_path, "train/n01/images/n01_0.JPEG", "train/n01/n01_boxes.txt", "train/n02/images/n02_0.JPEG", "wnids.txt")
    make(tmp_path, "val/images/val_0.JPEG", "val/images/val_1.JPEG", "test/images/test_0.JPEG")
    (tmp_path / "val" / "val_annotations.txt").write_text(
        "val_0.JPEG\tn02\t0\t32\t44\t62\nval_1.JPEG\tn01\t1\t2\t3\t4\n"
    )
    tree = read_tree(tmp_path)
    assert names(tree.train) == {"n01": ["train/n01/images/n01_0.JPEG"], "n02": ["train/n02/images/n02_0.JPEG"]}
    assert names(tree.test) == {"n01": ["val/images/val_1.JPEG"], "n02": ["val/images/val_0.JPEG"]}
    assert tree.train.unread == ["train/n01/n01_boxes.txt"]
    assert tree.test.unread == []
    assert tree.notes[0] == "test: the images of val/"


@pytest.mark.parametrize("test", ["test", "Test", "TESTING", "val", "valid", "Validation"])
@pytest.mark.parametrize("train", ["train", "Train", "training"])
def test_near_names_are_taken(tmp_path, train, test):
    make(tmp_path, *(f"{part}/{name}/0.png" for part in (train, test) for name in ("ape", "bee")))
    tree = read_tree(tmp_path)
    assert names(tree.train) == {name: [f"{train}/{name}/0.png"] for name in ("ape", "bee")}
    assert names(tree.test) == {name: [f"{test}/{name}/0.png"] for name in ("ape", "bee")}
    assert tree.notes == (f"test: the images of {test}/",)


def test_test_goes_before_val_and_the_rest_is_named(tmp_path):
    make(tmp_path, *(f"{part}/{name}/0.png" for part in ("train", "test", "val", "extra") for name in "ab"))
    make(tmp_path, "@eaDir/train/x.png")
    tree = read_tree(tmp_path)
    assert tree.test.name == "test/"
    assert tree.notes == ("test: the images of test/", "not used: extra/, val/")


@pytest.mark.parametrize("unlabelled", [[], ["test/0.png"], ["test/images/0.png"], ["test/0.png", "val/1.png"]])
def test_train_alone(tmp_path, unlabelled):
    make(tmp_path, "train/ape/0.png", "train/bee/0.png", *unlabelled)
    tree = read_tree(tmp_path)
    assert tree.classes == ("ape", "bee")
    assert tree.test is None
    assert len(tree.notes) == bool(unlabelled)


def test_flat_classes(tmp_path):
    make(tmp_path, "Dog/1.jpg", "Cat/0.jpg", "Cat/Thumbs.db", "readme.txt", "__MACOSX/Cat/0.jpg", "test/0.jpg")
    tree = read_tree(tmp_path)
    assert names(tree.train) == {"Cat": ["Cat/0.jpg"], "Dog": ["Dog/1.jpg"]}
    assert tree.test is None
    assert tree.train.unread == []
    assert tree.notes == ("not used: test/, without labels (for `study predict`)",)


def test_a_class_called_train(tmp_path):
    make(tmp_path, "bus/0.jpg", "car/0.jpg", "train/0.jpg")
    assert read_tree(tmp_path).classes == ("bus", "car", "train")


def test_links_to_classes_and_below_them_are_followed(tmp_path):
    make(tmp_path / "pool", "ape/0.png", "more/1.png")
    root = make(tmp_path / "root", "train/bee/0.png")
    (root / "train" / "ape").symlink_to(tmp_path / "pool" / "ape")
    (root / "train" / "bee" / "more").symlink_to(tmp_path / "pool" / "more")
    assert names(read_tree(root).train) == {
        "ape": ["train/ape/0.png"],
        "bee": ["train/bee/0.png", "train/bee/more/1.png"],
    }


@pytest.mark.parametrize("words", ["training_set test_set", "seg_train seg_test", "train-images val-images", "test"])
def test_names_like_those_of_splits_are_no_classes(tmp_path, words):
    make(tmp_path, *(f"{part}/{name}/0.png" for part in words.split() for name in ("ape", "bee")))
    with pytest.raises(DataError, match="has no folder 'train': images are expected in") as caught:
        read_tree(tmp_path)
    assert all(word in str(caught.value) for word in words.split())


def test_folders_of_unlabelled_images_are_no_classes(tmp_path):
    make(tmp_path, "train_images/0.png", "test_images/0.png", "train.csv")
    with pytest.raises(DataError, match=r"has no folder 'train': .*: rename test_images, train_images"):
        read_tree(tmp_path)
    make(tmp_path, "bus/0.png", "train_bullet/0.png")  # words of such a name may be a class's
    assert len(read_tree(tmp_path).classes) == 4


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="has no folders: images are expected in train/<class>/"):
        read_tree(tmp_path)
    make(tmp_path, "train/ape/0.png")
    shutil.rmtree(tmp_path / "train" / "ape")
    with pytest.raises(DataError, match=r"train has no class folders: images are expected in train/<class>/$"):
        read_tree(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1.jpg", "2.PNG", ".hidden"], "sort its 2 images into them, or list them with their labels in a .csv file"),
        (["archive.zip", "notes.txt"], "unpack archive.zip"),
        (["notes.txt"], "it holds 1 .txt"),
        ([], "it holds nothing"),
    ],
)
def test_a_folder_without_folders(tmp_path, names, said):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_tree(tmp_path)
    assert str(caught.value).endswith(f"has no folders: {EXPECTED}; {said}")
