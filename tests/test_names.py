"""Names of nets and the depths that exist."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.errors import GridError, StudyError, nearest
from study.names import NetName, parse_net, resolve_net


@pytest.mark.parametrize(
    ("name", "architecture", "depth", "family"),
    [
        ("plain-8", "plain", 8, "cifar"),
        ("plain-20", "plain", 20, "cifar"),
        ("resnet-56", "residual", 56, "cifar"),
        ("resnet-110", "residual", 110, "cifar"),
        ("plain-1202", "plain", 1202, "cifar"),
        ("plain-18", "plain", 18, "imagenet"),
        ("plain-34", "plain", 34, "imagenet"),
        ("resnet-50", "residual", 50, "imagenet"),
        ("resnet-101", "residual", 101, "imagenet"),
        ("resnet-152", "residual", 152, "imagenet"),
        ("vgg-16", "vgg", 16, "vgg"),
        ("vgg-19", "vgg", 19, "vgg"),
    ],
)
def test_names(name, architecture, depth, family):
    net = parse_net(name)
    assert net == NetName(architecture, depth, family)
    assert str(net) == name


def test_the_dash_may_be_left_out():
    assert parse_net("resnet56") == parse_net("resnet-56")


@pytest.mark.parametrize("depth", [50, 152])
@pytest.mark.parametrize("architecture", ["plain", "residual"])
def test_depths_that_both_families_have(architecture, depth):
    # 50 and 152 are 6n+2 as well: ImageNet's, unless the CIFAR family is asked for.
    assert resolve_net(architecture, depth, "auto").family == "imagenet"
    assert resolve_net(architecture, depth, "imagenet").family == "imagenet"
    assert resolve_net(architecture, depth, "cifar").family == "cifar"


def test_a_family_asked_for_means_nothing_to_vgg():
    assert parse_net("vgg-16", "cifar").family == "vgg"


@pytest.mark.parametrize(
    ("name", "family", "message"),
    [
        ("resent-56", "auto", r"no net is called 'resent-56' \(did you mean 'resnet'\?\): names are plain-N"),
        ("plane-20", "auto", r"did you mean 'plain'\?"),
        ("residual-20", "auto", "no net is called 'residual-20'"),
        ("xyz-20", "auto", "no net is called 'xyz-20': names"),
        ("", "auto", "no net is called ''"),
        ("plain", "auto", "no net is called 'plain'"),
        ("plain-", "auto", "no net is called 'plain-'"),
        ("plain-20 ", "auto", "no net is called 'plain-20 '"),
        ("plain-20\n", "auto", "no net is called 'plain-20"),
        ("plain--20", "auto", "no net is called"),
        ("plain-2.5", "auto", "no net is called"),
        ("Plain-20", "auto", r"no net is called 'Plain-20' \(did you mean 'plain'\?\)"),
        ("plain-200000", "auto", "no net is called"),
        ("plain-2", "auto", r"no net has depth 2: the CIFAR family has 6n\+2 \(nearest 8 and 14\)"),
        ("plain-0", "auto", "nearest 8 and 14"),
        ("plain-21", "auto", "nearest 20 and 26"),
        ("plain-25", "auto", "nearest 20 and 26"),
        ("plain-18", "cifar", "nearest 14 and 20"),
        ("plain-20", "imagenet", "the ImageNet family has no depth 20: it has 18, 34, 50, 101, 152"),
        ("vgg-11", "auto", "vgg has no depth 11: it has 16 and 19"),
    ],
)
def test_bad_names(name, family, message):
    with pytest.raises(StudyError, match=message):
        parse_net(name, family)


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("plain-8", (14, 20)),
        ("plain-20", (26, 38)),
        ("plain-56", (80, 110)),
        ("plain-110", (158, 218)),  # 152 is the ImageNet family's
        ("plain-18", (34,)),
        ("resnet-101", (152,)),
        ("resnet-152", ()),
        ("vgg-16", (19,)),
        ("vgg-19", ()),
    ],
)
def test_where_to_go_on(name, depths):
    assert tuple(net.depth for net in parse_net(name).deeper) == depths


@given(n=st.integers(1, 500))
def test_deeper_nets_are_of_the_same_family(n):
    net = resolve_net("plain", 6 * n + 2, "cifar")
    first, second = net.deeper
    assert net.depth < first.depth < second.depth
    assert (parse_net(str(first)), parse_net(str(second))) == (first, second)


@given(depth=st.integers(-100, 100_000))
def test_a_cifar_depth_is_6n_plus_2_or_refused_with_its_neighbours(depth):
    is_one = depth >= 8 and (depth - 2) % 6 == 0
    if is_one:
        assert resolve_net("plain", depth, "cifar").depth == depth
        return
    with pytest.raises(StudyError, match="nearest") as caught:
        resolve_net("plain", depth, "cifar")
    low, high = (int(word) for word in str(caught.value).rpartition("nearest ")[2].rstrip(")").split(" and "))
    # Both suggestions are depths that exist, and no other stands between them.
    assert high == low + 6
    assert resolve_net("plain", low, "cifar").depth == low
    assert low < depth < high or depth < low == 8


@given(name=st.text(max_size=20))
def test_any_text_is_a_net_or_a_study_error(name):
    try:
        net = parse_net(name)
    except StudyError:
        return
    assert parse_net(str(net)) == net


@pytest.mark.parametrize(
    ("word", "choices", "hint"),
    [
        ("epoch", ["epochs", "iterations"], " (did you mean 'epochs'?)"),
        ("zzz", ["epochs", "iterations"], ""),
        ("x", [], ""),
    ],
)
def test_nearest(word, choices, hint):
    assert nearest(word, choices) == hint


def test_a_grid_error_is_a_study_error():
    # The command line catches StudyError alone.
    assert issubclass(GridError, StudyError)


@pytest.mark.parametrize("module", ["study.names", "study.config", "study.events", "study.errors"])
def test_names_and_grids_need_no_heavy_package(module):
    code = f"import sys, {module}; print(sorted({{'torch', 'mlflow', 'optuna', 'typer', 'pandas'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
