"""Nets of the user's own: loaded from their source, and whatever goes wrong there is told in a line."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from study.config.own_nets import OwnNets, OwnNetsError, read_own_nets
from study.launch.worker.failure import Failure
from study.nets import build_own, can_join
from study.nets.own import load_function
from tests.nets.own_nets import GOOD, own


def build(nets: OwnNets, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    return build_own(nets, 3, residual=True, num_classes=10, in_channels=1, generator=generator)


def test_a_net_is_a_function_of_its_generator(tmp_path: Path) -> None:
    nets = own(tmp_path)
    first, same, other = (build(nets, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    assert not any(torch.equal(value, other[name]) for name, value in first.items())
    assert not can_join(build(nets))


def test_the_source_that_came_with_a_run_is_what_builds_it(tmp_path: Path) -> None:
    """The file may be edited while a study runs."""
    nets = own(tmp_path)
    (tmp_path / "nets.py").write_text("raise RuntimeError")
    assert len(build(nets).layers) == 3


def test_without_it_only_the_same_text_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nets = own(tmp_path, ("0.3", "0.31")).model_copy(update={"source": ""})
    (tmp_path / "nets.py").write_text("1 / 0")
    with pytest.raises(OwnNetsError, match=r"nets\.py was changed after the run \(it was [0-9a-f]{12}\)"):
        load_function(nets)
    (tmp_path / "nets.py").unlink()
    with pytest.raises(OwnNetsError, match=r"no such file, by which a run's net is built; the run's own is among"):
        load_function(nets)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "nets.py").write_text(GOOD.replace("0.3", "0.31"))
    assert len(build(nets).layers) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((("import torch\n", "import torch\nimport absent_package\n"),), "nets.py:3: ModuleNotFoundError: No module"),
        ((("import torch\n", "1 / 0\n"),), "nets.py:2: ZeroDivisionError: division by zero (in loading nets.py)"),
        ((("import torch\n", "import sys; sys.exit(3)\n"),), "nets.py:2: SystemExit: 3 (in loading nets.py)"),
        ((("def build(*, depth", "def build(*; depth"),), "nets.py:20: SyntaxError: "),
        ((("def build(", "def builds("),), "nets.py: it has no function 'build' (did you mean 'builds'?)"),
        ((("    return net\n", "    return 3\n"),), "nets.py:build returns a int, not a torch.nn.Module"),
        ((("def build(", "async def build("),), "nets.py:build returns a coroutine, not a torch.nn.Module"),
        ((("    return net\n", "    yield net\n"),), "nets.py:build returns a generator, not a torch.nn.Module"),
    ],
)
def test_what_cant_be_loaded_is_told_in_a_line(tmp_path: Path, changes: tuple[tuple[str, str]], said: str) -> None:
    with pytest.raises(OwnNetsError) as raised:
        build(own(tmp_path, *changes))
    assert said in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "named",
    [
        "build = functools.partial(built, wide=True)",
        "build = lambda **words: built(**words)",
        "class build(Net):\n    def __init__(self, **words):\n        generator = words.pop('generator')\n"
        "        super().__init__(**words)\n"
        "        for each in self.parameters():\n            nn.init.normal_(each, 0, 0.3, generator=generator)",
    ],
)
def test_whatever_can_be_called_builds(tmp_path: Path, named: str) -> None:
    changes = (("import torch\n", "import torch, functools\n"), ("def build(*,", "def built(*, wide=False,"))
    nets = own(tmp_path, *changes, text=f"{GOOD}\n{named}\n")
    assert len(build(nets).layers) == 3


def test_what_a_net_raises_later_has_its_line(tmp_path: Path) -> None:
    net = build(own(tmp_path, ("0.3", "0.35")))  # a source of its own: equal ones are loaded once
    with pytest.raises(RuntimeError) as raised:
        net(torch.zeros(2, 1, 5, 5))
    place = f"{tmp_path}/nets.py:{GOOD.splitlines().index('        x = self.first(x.flatten(1)).relu()') + 1}"
    assert Failure.of("task", raised.value).cause.startswith(f"{place}: RuntimeError: mat1 and mat2")


def test_a_file_that_failed_is_run_again(tmp_path: Path) -> None:
    nets = own(tmp_path, ("import torch\n", "import torch\nopen('flag').close()\n"))
    with pytest.raises(OwnNetsError, match=r"nets\.py:3: FileNotFoundError"):
        load_function(nets)
    assert f"study_own_nets_{nets.digest}" not in sys.modules


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of two modules that Python finds."""
    folder = tmp_path / "ownpackage"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "parts.py").write_text(GOOD)
    (folder / "deep.py").write_text("from ownpackage.parts import build\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("ownpackage")]:
        del sys.modules[name]


def test_a_module_of_a_package_is_known_by_all_its_files(package: Path) -> None:
    nets = read_own_nets("ownpackage.deep:build", Path())
    assert "ownpackage" not in sys.modules  # reading runs nothing
    assert nets.family == f"ownpackage.deep:build@{nets.digest}"
    assert len(build(nets).layers) == 3
    (package / "parts.py").write_text(GOOD + "\n# changed\n")
    with pytest.raises(OwnNetsError, match=r"module 'ownpackage\.deep' is another one here"):
        load_function(nets)
    changed = read_own_nets("ownpackage.deep:build", Path())
    assert changed.digest != nets.digest
    with pytest.raises(OwnNetsError, match=r"'ownpackage\.deep' was changed after it was loaded: start Python again"):
        load_function(changed)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("place", ["ownpackage.absent:build", "absent:build", "absent.deep:build"])
def test_a_module_that_isnt_there_is_told(place: str) -> None:
    with pytest.raises(OwnNetsError, match=f"no module is called '{place.partition(':')[0]}'"):
        read_own_nets(place, Path())
