import pytest

import study.report
import study.track
from study.later import later


@pytest.mark.parametrize("package", [study.track, study.report])
def test_every_public_name_can_be_had(package):
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_a_name_is_looked_up_in_its_module():
    assert later("os", {"path": ("join",)})("join") is __import__("os").path.join
