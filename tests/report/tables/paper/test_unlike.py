import pytest

from study.report.tables.paper.unlike import unlike_paper
from tests.report.tables.paper.studies import cifar_runs, imagenet_runs


def told(**changes):
    return unlike_paper([cifar_runs().assign(**changes)])


def test_the_papers_recipe_is_recognised():
    assert told() == "The recipe is the paper's (section 4.2), as far as runs tell."
    assert told(train_images=50_000).startswith("The recipe is the paper's")
    assert told(milestones="[0.5, 0.75]").startswith("The recipe is the paper's")  # the same iterations


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
def test_each_difference_is_told(changes, text):
    assert told(**changes).startswith("Unlike the paper (section 4.2; its values in brackets): ")
    assert text in told(**changes)


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
