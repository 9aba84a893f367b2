"""The paper's figures as the package has them: complete, in their place, and found by what they are of."""

import math

import pandas as pd
import pytest
from pydantic import ValidationError

from study.names import parse_net
from study.nets.families import STAGES
from study.report.paper import Paper, dataset_of, load_paper, unlike_paper
from tests.report.tables.paper_studies import cifar_runs, imagenet_runs

from .frames import Truth, make_run

PAPER = load_paper()


def cifar(net, split="test", shortcut=None):
    return PAPER.find("cifar10", net, shortcut or ("none" if net.startswith("plain") else "A"), split, "center")


def imagenet(net, shortcut, measure="ten-crop"):
    return PAPER.find("imagenet", net, shortcut, "test", measure)


def test_table_6():
    errors = {depth: cifar(f"resnet-{depth}").error for depth in (20, 32, 44, 56, 110, 1202)}
    assert errors == {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.61, 1202: 7.93}
    assert {cifar(f"resnet-{depth}").place for depth in errors} == {"Table 6, error (%)"}
    sizes = [PAPER.size("cifar10", f"resnet-{depth}", "parameters") for depth in errors]
    assert sizes == [0.27e6, 0.46e6, 0.66e6, 0.85e6, 1.7e6, 19.4e6]


def test_the_mean_of_five_runs_is_the_error_and_not_the_best_run():
    figure = cifar("resnet-110")
    assert (figure.error, figure.sd, figure.runs, figure.best) == (6.61, 0.16, 5, 6.43)
    others = [one for one in PAPER.errors if one.net != "resnet-110"]
    assert {(one.runs, one.sd, one.best) for one in others} == {(1, None, None)}


def test_plain_cifar_nets_stand_in_no_table():
    plain = [one for one in PAPER.errors if one.dataset == "cifar10" and one.net.startswith("plain")]
    assert all("Figure 6" in one.place for one in plain)
    read = {one.net: one.error for one in plain if one.split == "test" and one.bound == "exact"}
    assert read == {"plain-20": 9.66, "plain-32": 10.10, "plain-44": 11.31, "plain-56": 13.26}
    assert {one.reading for one in plain if one.bound == "exact"} == {0.1, 0.3}
    assert all(one.low <= one.error <= one.high for one in plain if one.low is not None)
    assert (cifar("plain-110").bound, cifar("plain-110").error, cifar("plain-110").reading) == ("above", 60, None)


def test_tables_2_to_4():
    assert [imagenet(net, "none").error for net in ("plain-18", "plain-34")] == [27.94, 28.54]
    assert [imagenet(net, "A").error for net in ("resnet-18", "resnet-34")] == [27.88, 25.03]
    assert [imagenet("resnet-34", option).error for option in "BC"] == [24.52, 24.19]
    assert [imagenet(f"resnet-{depth}", "B").error for depth in (50, 101, 152)] == [22.85, 21.75, 21.43]
    scales = [imagenet(f"resnet-{depth}", "B", "multi-scale").error for depth in (34, 50, 101, 152)]
    assert scales == [21.84, 20.74, 19.87, 19.38]
    flops = [PAPER.size("imagenet", f"resnet-{depth}", "multiply_adds") for depth in (18, 34, 50, 101, 152)]
    assert flops == [1.8e9, 3.6e9, 3.8e9, 7.6e9, 11.3e9]


def test_a_figure_of_another_measure_is_found_and_says_so():
    assert imagenet("plain-34", "none", "center").measure == "ten-crop"
    assert imagenet("resnet-34", "B", "multi-scale").measure == "multi-scale"


def test_what_the_paper_lacks_is_not_found():
    assert cifar("resnet-8") is None
    assert cifar("resnet-56", shortcut="B") is None
    assert imagenet("resnet-18", "B") is None
    assert PAPER.size("cifar10", "plain-8", "parameters") is None
    assert PAPER.size("cifar10", "resnet-20", "multiply_adds") is None


def test_every_figure_has_a_net_and_stands_once():
    figures = PAPER.errors
    keys = [(one.dataset, one.net, one.shortcut, one.split, one.measure) for one in figures]
    assert len(set(keys)) == len(keys)
    for one in figures:
        net = parse_net(one.net)
        assert net.family == ("cifar" if one.dataset == "cifar10" else "imagenet")
        assert (one.shortcut == "none") == (net.architecture == "plain")
        assert one.place.startswith(("Table", "Figure", "caption", "section"))


def test_the_stages_of_table_1_are_those_of_the_nets():
    built = dict(STAGES)
    assert {one.depth: (one.block, one.blocks) for one in PAPER.stages} == built


def test_unknown_keys_are_refused():
    whole = PAPER.model_dump()
    with pytest.raises(ValidationError, match="Extra inputs"):
        Paper.model_validate(whole | {"figure_8": 1})
    assert Paper.model_validate(whole) == PAPER


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dataset": "cifar10"}, "cifar10"),
        ({"dataset": "cifar10", "family": "cifar", "width": "1.0"}, "cifar10"),
        ({"dataset": "cifar10", "width": "2.0"}, None),
        ({"dataset": "cifar10", "family": "imagenet"}, None),
        ({"dataset": "cifar100"}, None),
        ({"dataset": "digits"}, None),
        ({"dataset": "image-folder", "classes": 1000, "family": "imagenet"}, "imagenet"),
        ({"dataset": "image-folder", "classes": 1000, "family": "cifar"}, None),
        ({"dataset": "image-folder", "classes": 10, "family": "imagenet"}, None),
    ],
)
def test_which_data_are_the_papers(changes, expected):
    run = pd.Series(make_run("plain", 20, 0, Truth({})) | changes)
    assert dataset_of(run) == expected


def test_recipes_are_those_of_the_paper():
    cifar10 = PAPER.recipe("cifar10")
    assert (cifar10.iterations, cifar10.batch_size, cifar10.lr, cifar10.warmup) == (64_000, 128, 0.1, {110: 400})
    assert PAPER.recipe("imagenet").batch_size == 256
    assert math.isclose(cifar10.weight_decay, 1e-4)


def unlike(**changes):
    return unlike_paper([cifar_runs().assign(**changes)])


def test_the_papers_recipe_is_recognised():
    assert unlike() == "The recipe is the paper's (section 4.2), as far as runs tell."
    assert unlike(train_images=50_000).startswith("The recipe is the paper's")
    assert unlike(milestones="[0.5, 0.75]").startswith("The recipe is the paper's")  # the same iterations


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"total_iterations": 900}, "iterations 900 (64,000)"),
        ({"batch_size": "64"}, "batch size 64 (128)"),
        ({"augment": "none"}, "augmentation none (crop-flip)"),
        ({"normalize": "channel"}, "normalisation channel (pixel-mean)"),
        ({"train_images": 9000}, "training images 9,000 (45,000 or 50,000)"),
        ({"test_images": 2000}, "test images 2,000 (10,000)"),
        ({"lr": 0.05, "lr_tuned": True}, "learning rate 0.05, tuned (0.1)"),
        ({"lr_tuned": True}, "learning rate tuned (0.1)"),
        ({"weight_decay": "0.0005"}, "weight decay 0.0005 (0.0001)"),
        ({"milestones": "[0.3]"}, "schedule step at 19,200 (step at 32,000 and 48,000)"),
        ({"schedule": "cosine"}, "schedule cosine (step at 32,000 and 48,000)"),
        ({"gamma": "0.5"}, "schedule step by 0.5 at 32,000 and 48,000 (step at"),
        ({"nesterov": "True"}, "momentum Nesterov's (classical)"),
        ({"precision": "bf16"}, "precision bf16 (fp32)"),
        ({"warmup": "100"}, "warm-up at 20 layers 100 iterations (0)"),
        ({"skipped_images": 3}, "images left out 3 (0)"),
    ],
)
def test_each_difference_is_unlike(changes, text):
    assert unlike(**changes).startswith("Unlike the paper (section 4.2; its values in brackets): ")
    assert text in unlike(**changes)


def test_rates_that_differ_are_told_as_a_range():
    runs = cifar_runs()
    runs["lr"] = runs["lr"].where(runs["depth"] < 44, 0.01)
    assert "learning rate 0.01 to 0.1 (0.1)" in unlike_paper([runs])


def test_imagenet_is_held_as_squares():
    text = unlike_paper([imagenet_runs()])
    assert "images held as squares of 256 pixels (short side 256 to 480, drawn each time)" in text
    assert "section 3.4" in text


def test_nothing_is_said_of_nothing():
    assert unlike_paper([]) == ""
