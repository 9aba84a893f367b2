from study.verdict import judge
from study.verdict import selection as c
from study.verdict.findings import find
from study.verdict.rule import Rule


def turned(runs, architecture="plain"):
    found = {one.architecture: one.turn for one in find(runs, c.counted(runs), Rule())}
    return found[architecture]


def test_the_curve_of_plain_nets_turns_at_the_deepest_of_the_best(digits):
    runs = digits.runs.copy()
    runs.loc[(runs["architecture"] == "plain") & runs["depth"].isin([8, 20]), "final_train_error"] = 0.0
    found = turned(runs)
    assert (found.depth, found.net, found.error, found.equal) == (20, "plain-20", 0.0, ("plain-8",))
    assert found.deeper == ("plain-32", "plain-56")
    assert found.worse == ("plain-56",)
    text = " ".join(judge(runs)[0].sentences)
    assert "least at plain-20 (0.00%, as at plain-8); plain-56 is significantly worse by more than 0.5 points" in text


def test_a_curve_that_only_falls_does_not_turn(paper):
    runs = paper.runs[paper.runs["architecture"] == "residual"]
    found = turned(runs, "residual")
    assert (found.depth, found.deeper, found.worse) == (110, (), ())
    assert found.shallower_worse == ("resnet-20",)


def test_one_seed_has_a_place_and_no_claim(digits):
    runs = digits.runs[digits.runs["seed"] == 0]
    assert turned(runs).worse == ()
    text = next(text for text in judge(runs)[0].sentences if "is least at" in text)
    assert "significantly" not in text


def test_none_where_nothing_can_be_compared(digits):
    assert turned(digits.runs[digits.runs["depth"] == 8]) is None
    assert turned(digits.runs.assign(total_iterations=range(len(digits.runs)))) is None


def test_what_could_not_be_tested_is_not_called_harmless(digits):
    """A shallowest net of one seed is the best, and no pair with it has a test."""
    runs = digits.runs.copy()
    runs.loc[(runs["architecture"] == "plain") & (runs["depth"] != 8), "final_train_error"] += 1
    runs = runs[(runs["depth"] != 8) | (runs["seed"] == 0)]
    assert (turned(runs).depth, turned(runs).tested, turned(runs).worse) == (8, (), ())
    text = next(text for text in judge(runs)[0].sentences if "plain nets is least at" in text)
    assert text.endswith("is least at plain-8 (0.00%).")
