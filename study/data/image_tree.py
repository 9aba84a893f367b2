"""Find the training and test images of a folder tree, and their classes.

A tree has `train/<class>/`, perhaps with `test/<class>/` or `val/<class>/`, or the classes at the top, `<class>/`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from study.data.dataset import BadFile
from study.data.files import (
    ImageFile,
    first_names,
    is_image,
    is_packed,
    is_system,
    kinds_of,
    open_folder,
    read_file,
    sort_key,
    subfolders,
)
from study.data.labelled import Catalogue, Labelled, Role, class_name, role_called, role_of
from study.errors import DataError, with_noun

EXPECTED = "images are expected in train/<class>/ and test/<class>/, or in <class>/"
LABELS, SOLUTION = "val_annotations.txt", "LOC_val_solution.csv"
"""Files with the labels of images in one folder: tiny-imagenet's, in that folder; ImageNet's, above the root."""
ABOVE = 3
"""Folders between ImageNet's root, `ILSVRC/Data/CLS-LOC`, and its labels."""


def read_tree(root: Path) -> Catalogue:
    """Find the splits of a tree and list their images, without decoding them; a class has at least one.

    A folder without labels, such as ImageNet's `test/`, isn't a split.

    Raises:
        DataError: no images in the expected places, or ambiguous names.
    """
    folders = subfolders(root)
    training = _folder_named(folders, "train", root)
    if training is None or _is_class(training, folders):
        return _classes_at_top(root, folders)
    train = _by_folders(training, root, subfolders(training))
    test, used, unlabelled = None, [training], []
    roles: tuple[Role, ...] = ("test", "validation")
    for role in roles:
        folder = _folder_named(folders, role, root) if test is None else None
        if folder is not None:
            test = _labelled(folder, root, train)
            used.append(folder)
            unlabelled += [folder] if test is None else []
    notes = [f"test: the images of {test.name}"] if test else []
    notes += _not_used(unlabelled, [folder for folder in folders if folder not in used])
    return _catalogue(root, train, test, notes)


def _catalogue(root: Path, train: Labelled, test: Labelled | None, notes: Iterable[str]) -> Catalogue:
    classes = tuple(dict.fromkeys(train.labels))
    return Catalogue(root, train, test, classes, lambda file: read_file(root / file.name), tuple(notes))


def _folder_named(folders: Iterable[Path], role: Role, root: Path) -> Path | None:
    named = [folder for folder in folders if role_called(folder.name) == role]
    if len(named) > 1:
        raise DataError(f"{root} has {' and '.join(f'{folder.name}/' for folder in named)}: keep one of them there")
    return named[0] if named else None


def _is_class(training: Path, folders: Iterable[Path]) -> bool:
    """Whether a folder called `train` is a class, such as trains among means of transport."""
    others = (folder for folder in folders if role_called(folder.name) is None)
    has_images = any(_direct_images(training)) and any(any(_direct_images(folder)) for folder in others)
    return has_images and not subfolders(training)


def _direct_images(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if is_image(entry.name) and not is_system(entry.name))


def _classes_at_top(root: Path, folders: list[Path]) -> Catalogue:
    """Return the images of a tree of classes without splits."""
    unlabelled = [folder for folder in folders if role_called(folder.name) in ("test", "validation")]
    split_like = [folder for folder in folders if role_of(folder.name)]
    if not folders:
        raise DataError(f"{root} has no folders: {EXPECTED}; {_found_in(root)}")
    if split_like == folders or any(subfolders(folder) for folder in split_like):
        others = [folder.name for folder in split_like if folder not in unlabelled]
        rename = f": rename {first_names(others)}" if others else ""
        raise DataError(f"{root} has no folder 'train': {EXPECTED}{rename}")
    classes = [folder for folder in folders if folder not in unlabelled]
    return _catalogue(root, _by_folders(root, root, classes), None, _not_used(unlabelled, []))


def _found_in(root: Path) -> str:
    """Say what a folder without folders holds, and what may be done with it."""
    files = sorted((entry.name for entry in root.iterdir() if not is_system(entry.name)), key=sort_key)
    images = [name for name in files if is_image(name)]
    if images:
        return f"sort its {with_noun(len(images), 'image')} into them, or list them with their labels in a .csv file"
    if packed := [name for name in files if is_packed(name)]:
        return f"unpack {first_names(packed)}"
    return f"it holds {kinds_of(files) or 'nothing'}"


def _not_used(unlabelled: list[Path], others: list[Path]) -> Iterator[str]:
    if unlabelled:
        names = first_names([f"{folder.name}/" for folder in unlabelled])
        yield f"not used: {names}, without labels (for `study predict`)"
    if others:
        yield f"not used: {first_names([f'{folder.name}/' for folder in others])}"


def _by_folders(folder: Path, root: Path, class_folders: list[Path]) -> Labelled:
    """Return the images below the class folders.

    Raises:
        DataError: no such folders.
    """
    where = _name(folder, root)
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
    return _by_class(where, labelled, bad, [*loose, *(name for names in unread.values() for name in names)])


def _name(folder: Path, root: Path) -> str:
    return "" if folder == root else f"{folder.relative_to(root).as_posix()}/"


def _labelled(folder: Path, root: Path, train: Labelled) -> Labelled | None:
    """Return the images of a split to test on, or None if they have no labels.

    A single folder that isn't a class, such as `test/images/`, isn't a label.
    """
    class_folders = subfolders(folder)
    if len(class_folders) > 1 or any(class_name(place.name) in train.labels for place in class_folders):
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
    return _by_class(_name(folder, root), labelled, bad, [name for name in listing.unread if root / name != file])


def _file_of_labels(folder: Path, root: Path) -> Path | None:
    """Return the file with the labels of a split's images, if there is one."""
    above = [root, *root.absolute().parents[:ABOVE]] if role_called(folder.name) == "validation" else []
    files = (folder / LABELS, *(place / SOLUTION for place in above))
    return next((file for file in files if file.is_file()), None)


def _labels_in(file: Path) -> Mapping[str, str]:
    """Read the class of each image, by its name without suffix: the first two words of each line."""
    lines = (re.split(r"[\t, ]", line, maxsplit=2) for line in read_file(file).decode(errors="replace").splitlines())
    return {Path(words[0]).stem: class_name(words[1]) for words in lines if len(words) > 1}


def _by_class(name: str, classes: Mapping[str, list[ImageFile]], bad: list[BadFile], unread: list[str]) -> Labelled:
    """Return the images of a split, classes and files sorted by name."""
    rows = [
        (file, label)
        for label in sorted(classes)
        for file in sorted(classes[label], key=lambda file: sort_key(file.name))
    ]
    return Labelled(name, [file for file, _ in rows], [label for _, label in rows], bad, unread)
