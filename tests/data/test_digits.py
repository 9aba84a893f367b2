import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from study.config import DatasetSpec
from study.data import digits, load_dataset
from study.errors import DataError


def test_they_are_those_of_scikit_learn():
    source = digits.load(DatasetSpec(name="digits"))
    scans, labels = load_digits(return_X_y=True)
    expected = sorted((*map(int, scan), int(label)) for scan, label in zip(scans, labels, strict=True))
    levels = np.round(source.train.pixels.flatten(1).double().numpy() * 16 / 255).astype(int)
    found = [(*scan, label) for scan, label in zip(levels.tolist(), source.train.labels.tolist(), strict=True)]
    assert source.test is None
    assert sorted(found) == expected


def test_they_are_loaded_without_importing_it():
    code = "import sys; from study.data import digits, load_dataset; from study.config import DatasetSpec; "
    code += "load_dataset(DatasetSpec(name='digits')); print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_scikit_learn_there_are_none(monkeypatch):
    monkeypatch.setattr(digits, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="pip install scikit-learn"):
        load_dataset(DatasetSpec(name="digits"))
