"""Find the training and test images of a folder tree, and their classes.

A tree has `train/<class>/`, perhaps with `test/<class>/` or `val/<class>/`, or the classes at the top, `<class>/`.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from study.data.dataset import BadFile
from study.data.files import ImageFile, first_names, is_image, is_system, kinds_of, open_folder, read_file, sort_key
from study.errors import DataError, printable

TRAIN, TEST, VALIDATION = ("train", "training"), ("test", "testing"), ("val", "valid", "validation")
"""Names of the folders of splits, in lower case."""
EXPECTED = "images are expected in train/<class>/ and test/<class>/, or in <class>/"
LABELS, SOLUTION = "val_annotations.txt", "LOC_val_solution.csv"
"""Files with the labels of images in one folder: tiny-imagenet's, in that folder; ImageNet's, above the root."""
ABOVE = 3
"""Folders between ImageNet's root, `ILSVRC/Data/CLS-LOC`, and its labels."""

STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters and those that change the direction of text: terminals and pages would obey them."""


class Part(NamedTuple):
    """The labelled images of a split."""

    folder: Path
    classes: dict[str, list[ImageFile]]
    """The images of each class, classes and files sorted by name; a class has at least one."""
    bad: list[BadFile]
    """Classes and files that are known to be unusable without reading them."""
    unread: list[str]
    """Names of files that aren't read: not images by their suffix, or images outside the class folders."""


class Tree(NamedTuple):
    """The labelled images of a tree."""

    train: Part
    test: Part | None
    """None where the tree has no labelled images to test on."""
    notes: tuple[str, ...]
    """Lines on which folders are used and which aren't."""


def read_tree(root: Path) -> Tree:
    """Find the splits of a tree and list their images, without decoding them.

    A folder without labels, such as ImageNet's `test/`, isn't a split.

    Raises:
        DataError: no images in the expected places, or ambiguous names.
    """
    folders = subfolders(root)
    training = _folder_named(folders, TRAIN, root)
    if training is None or _is_class(training, folders):
        return _classes_at_top(root, folders)
    train = _by_folders(training, root, subfolders(training))
    test, unlabelled = None, []
    for role in (TEST, VALIDATION):
        folder = _folder_named(folders, role, root) if test is None else None
        if folder is not None:
            test = _labelled(folder, root, train)
            unlabelled += [folder] if test is None else []
    used = {training, *unlabelled, *([test.folder] if test else [])}
    notes = [f"test: the images of {test.folder.name}/"] if test else []
    return Tree(train, test, (*notes, *_not_used(unlabelled, [folder for folder in folders if folder not in used])))


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in `folder`, links to folders included, system folders excluded, sorted by name."""
    entries = (entry for entry in folder.iterdir() if not is_system(entry.name) and entry.is_dir())
    return sorted(entries, key=lambda entry: sort_key(entry.name))


def class_name(name: str) -> str:
    """Return a class's name in one Unicode form: macOS writes accents as separate characters."""
    return unicodedata.normalize("NFC", name)


def _folder_named(folders: Iterable[Path], role: tuple[str, ...], root: Path) -> Path | None:
    named = [folder for folder in folders if folder.name.lower() in role]
    if len(named) > 1:
        raise DataError(f"{root} has {' and '.join(f'{folder.name}/' for folder in named)}: keep one of them there")
    return named[0] if named else None


def _is_class(training: Path, folders: Iterable[Path]) -> bool:
    """Whether a folder called `train` is a class, such as trains among means of transport."""
    others = (folder for folder in folders if folder.name.lower() not in TRAIN + TEST + VALIDATION)
    has_images = any(_direct_images(training)) and any(any(_direct_images(folder)) for folder in others)
    return has_images and not subfolders(training)


def _direct_images(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if is_image(entry.name) and not is_system(entry.name))


def _classes_at_top(root: Path, folders: list[Path]) -> Tree:
    """Return a tree of classes without splits."""
    split_like = [folder for folder in folders if _like_a_split(folder.name)]
    if split_like == folders or any(subfolders(folder) for folder in split_like):
        others = [folder.name for folder in split_like if folder.name.lower() not in TEST + VALIDATION]
        rename = f": rename {first_names(others)}" if others else ""
        raise DataError(f"{root} has no folder 'train': {EXPECTED}{rename}")
    unlabelled = [folder for folder in folders if folder.name.lower() in TEST + VALIDATION]
    classes = [folder for folder in folders if folder not in unlabelled]
    return Tree(_by_folders(root, root, classes), None, tuple(_not_used(unlabelled, [])))


def _like_a_split(name: str) -> bool:
    return not set(re.split(r"[^a-z]+", name.lower())).isdisjoint(TRAIN + TEST + VALIDATION)


def _not_used(unlabelled: list[Path], others: list[Path]) -> Iterator[str]:
    if unlabelled:
        names = first_names([f"{folder.name}/" for folder in unlabelled])
        yield f"not used: {names}, without labels (for `study predict`)"
    if others:
        yield f"not used: {first_names([f'{folder.name}/' for folder in others])}"


def _by_folders(folder: Path, root: Path, class_folders: list[Path]) -> Part:
    """Return the images below the class folders.

    Raises:
        DataError: no such folders, or one with a control character in its name.
    """
    where = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
    loose = [f"{where}{image.name}" for image in _direct_images(folder)]
    if not class_folders:
        sort = f"; sort the images in {where} into such folders" if loose else ""
        raise DataError(f"{folder} has no class folders: images are expected in {where}<class>/{sort}")
    labelled: dict[str, list[ImageFile]] = {}
    unread: dict[str, list[str]] = {}
    for place in class_folders:
        listing = open_folder(place, root)
        labelled.setdefault(class_name(place.name), []).extend(listing.files)
        unread.setdefault(class_name(place.name), []).extend(listing.unread)
    bad = []
    for name, files in labelled.items():
        if not files:
            holds = f" that are read; it holds {kinds_of(unread[name])}" if unread[name] else ""
            bad.append(BadFile(f"{where}{name}/", f"class folder has no images{holds}"))
    return _part(folder, labelled, bad, [*loose, *(name for names in unread.values() for name in names)])


def _labelled(folder: Path, root: Path, train: Part) -> Part | None:
    """Return the images of a split to test on, or None if they have no labels.

    A single folder that isn't a class, such as `test/images/`, isn't a label.
    """
    class_folders = subfolders(folder)
    if len(class_folders) > 1 or any(class_name(place.name) in train.classes for place in class_folders):
        return _by_folders(folder, root, class_folders)
    file = _file_of_labels(folder, root)
    if file is None:
        return None
    labels = _labels_in(file)
    listing = open_folder(folder, root)
    labelled: dict[str, list[ImageFile]] = {}
    bad = []
    for image in listing.files:
        label = labels.get(Path(image.name).stem)
        if label is None:
            bad.append(BadFile(image.name, f"has no label in {file.name}"))
        else:
            labelled.setdefault(label, []).append(image)
    unread = [name for name in listing.unread if root / name != file]
    return _part(folder, labelled, bad, unread)


def _file_of_labels(folder: Path, root: Path) -> Path | None:
    """Return the file with the labels of a split's images, if there is one."""
    above = [root, *root.absolute().parents[:ABOVE]] if folder.name.lower() in VALIDATION else []
    files = (folder / LABELS, *(place / SOLUTION for place in above))
    return next((file for file in files if file.is_file()), None)


def _labels_in(file: Path) -> Mapping[str, str]:
    """Read the class of each image, by its name without suffix: the first two words of each line."""
    lines = (re.split(r"[\t, ]", line, maxsplit=2) for line in read_file(file).decode(errors="replace").splitlines())
    return {Path(words[0]).stem: class_name(words[1]) for words in lines if len(words) > 1}


def _part(folder: Path, labelled: Mapping[str, list[ImageFile]], bad: list[BadFile], unread: list[str]) -> Part:
    classes = {name: sorted(labelled[name], key=lambda file: sort_key(file.name)) for name in sorted(labelled)}
    for name in classes:
        if STEERING.search(name):
            raise DataError(f"class folder '{printable(name)}' in {folder} has a control character: rename it")
    return Part(folder, {name: files for name, files in classes.items() if files}, bad, unread)
