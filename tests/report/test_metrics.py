import re
from pathlib import Path

import study.report
from study.report.metrics import METRICS, axis


def test_axis_has_label_and_unit():
    assert axis("test_error") == "Test error (%)"
    assert axis("depth") == "Layers"
    assert axis("step", "1e4") == "Iterations (1e4)"
    assert axis("some_objective") == "some objective"


def test_keys_are_those_of_the_metrics():
    assert all(key == metric.key for key, metric in METRICS.items())


def test_no_axis_label_is_written_elsewhere():
    folder = Path(study.report.__file__).parent
    calls = re.compile(r"set_[xy]label\((?!axis\(|as_text\(|ax\.get_)|(?<!get_)sup[xy]label\((?!axis\()")
    found = [path.name for path in folder.rglob("*.py") if calls.search(path.read_text(encoding="utf-8"))]
    assert found == []
