"""Bad grids: one error each, with the line, the value and the nearest right word."""

import re

import pytest

from study.config import expand, load_grid, parse_grid
from study.errors import GridError

GOOD = """\
name: mine
dataset:
  name: digits
  validation: 0.1
recipe:
  epochs: 2
  lr: 0.1
tune:
  trials: 4
grid:
  architecture: [plain, residual]
  depth:
    - 8
    - 20
  seed: [0, 1]
include:
  - depth: 32
    warmup: 10
exclude:
  - {architecture: plain, depth: 20}
"""


def test_the_grid_that_the_cases_spoil_is_good():
    assert len(parse_grid(GOOD, "g.yaml").runs()) == 10


# What to replace in GOOD, by what, the line of the error, a part of its message.
CASES = [
    # Unknown keys, at every level.
    ("recipe:", "recipes:", 5, "unknown key 'recipes' (did you mean 'recipe'?)"),
    ("tune:", "qqq:", 8, "unknown key 'qqq'; known: name, dataset, recipe, tune"),
    ("  validation:", "  validaton:", 4, "unknown key 'validaton' under 'dataset' (did you mean 'validation'?)"),
    ("  epochs:", "  epoch:", 6, "unknown key 'epoch' under 'recipe' (did you mean 'epochs'?)"),
    ("  trials:", "  trails:", 9, "unknown key 'trails' under 'tune' (did you mean 'trials'?)"),
    ("  depth:\n    - 8", "  depths:\n    - 8", 12, "unknown key 'depths' under 'grid' (did you mean 'depth'?)"),
    ("    warmup:", "    warm_up:", 18, "unknown key 'warm_up' under 'include.0' (did you mean 'warmup'?)"),
    ("{architecture: plain, depth: 20}", "{architcture: plain}", 20, "(did you mean 'architecture'?)"),
    ("lr: 0.1", "gpus_per_run: 3", 5, "'batch_size: 128' can't be shared evenly by 'gpus_per_run: 3'"),
    # Wrong types: nothing is converted.
    ("epochs: 2", "epochs: two", 6, "'epochs' should be a valid number, not 'two'"),
    ("epochs: 2", "epochs: '2'", 6, "'epochs' should be a valid number, not '2'"),
    ("epochs: 2", "epochs: true", 6, "'epochs' should be a valid number, not True"),
    ("epochs: 2", "epochs: 2001-01-01", 6, "'epochs' should be a valid number, not '2001-01-01'"),
    (
        "lr: 0.1",
        "lr: tuned",
        7,
        "'lr' should be a valid number or should be 'tune', not 'tuned' (did you mean 'tune'?)",
    ),
    ("lr: 0.1", "batch_size: 1.5", 7, "'batch_size' should be a valid integer"),
    ("lr: 0.1", "nesterov: 1", 7, "'nesterov' should be a valid boolean, not 1"),
    ("trials: 4", "trials: many", 9, "'trials' should be a valid integer, not 'many'"),
    ("name: mine", "name: 7", 1, "'name' should be a valid string, not 7"),
    ("seed: [0, 1]", "seed: [0, 1.5]", 15, "'seed' should be a valid integer"),
    # Values out of range or out of the list.
    ("epochs: 2", "epochs: 0", 6, "'epochs' should be greater than 0, not 0"),
    ("lr: 0.1", "lr: -0.1", 7, "'lr' should be greater than 0 or should be 'tune', not -0.1"),
    ("lr: 0.1", "lr: .inf", 7, "'lr' should be a finite number"),
    ("lr: 0.1", "lr: .nan", 7, "'lr' should be"),
    ("lr: 0.1", "momentum: 1", 7, "'momentum' should be less than 1, not 1"),
    ("lr: 0.1", "batch_size: 1", 7, "'batch_size' should be greater than or equal to 2"),
    ("lr: 0.1", "augment: crop_flip", 7, "not 'crop_flip' (did you mean 'crop-flip'?)"),
    ("lr: 0.1", "milestones: [0.5, -1]", 7, "'milestones'"),
    ("lr: 0.1", "iterations: 5", 5, "give one of 'epochs' and 'iterations'"),
    ("  epochs: 2\n", "", 5, "give one of 'epochs' and 'iterations'"),
    ("lr: 0.1", "nesterov: true\n  momentum: 0", 5, "'nesterov' needs 'momentum' above 0"),
    ("validation: 0.1", "validation: 2.5", 4, "a number of images must be whole"),
    ("name: digits", "name: cifar-10", 3, "not 'cifar-10' (did you mean 'cifar10'?)"),
    ("trials: 4", "trials: 0", 9, "'trials' should be greater than or equal to 1"),
    ("trials: 4", "low: 2", 8, "'low' must be below 'high'"),
    ("trials: 4", "shared: 9", 8, "'shared' can't be above 'trials'"),
    ("seed: [0, 1]", "seed: [-1]", 15, "'seed' should be greater than or equal to 0, not -1"),
    ("seed: [0, 1]", "seed: [0xfffffffffffffffffff]", 15, "0xfffffffffffffffffff is too large a number"),
    ("name: mine", "name: ../mine", 1, "'name' string should match pattern"),
    ("name: mine", "name: a/b", 1, "'name' string should match pattern"),
    ("name: mine", 'name: "mine\\n"', 1, "'name' string should match pattern"),
    ("name: mine", "name: ''", 1, "'name' string should match pattern"),
    ("name: mine", f"name: {'x' * 101}", 1, "'name' string should match pattern"),
    ("name: mine", "name: mine\nsmallest_effect: 0", 2, "'smallest_effect' should be greater than 0"),
    # A bad value of an axis on its own line.
    ("    - 20\n", "    - 21\n", 14, "no net has depth 21: the CIFAR family has 6n+2 (nearest 20 and 26)"),
    ("    - 20\n", "    - 1\n", 14, "no net has depth 1: the CIFAR family has 6n+2 (nearest 8 and 14)"),
    ("  seed: [0, 1]", "  lr:\n    - 0.1\n    - 0\n", 17, "'lr' should be greater than 0 or should be 'tune', not 0"),
    ("  seed: [0, 1]", "  augment:\n    - none\n    - crop-flop\n", 17, "(did you mean 'crop-flip'?)"),
    ("residual]", "residul]", 11, "not 'residul' (did you mean 'residual'?)"),
    ("depth: 32", "depth: 33", 17, "no net has depth 33"),
    ("warmup: 10", "warmup: -1", 18, "'warmup' should be greater than or equal to 0, not -1"),
    ("depth: 32", "net: plane-20", 17, "no net is called 'plane-20' (did you mean 'plain'?)"),
    ("depth: 32", "net: 20", 17, "a net is a name like plain-20, not 20"),
    ("depth: 32", "net: vgg-16\n    width: 2.0", 17, "vgg-16 has no width multiplier"),
    # Views that a recipe or a net can't take.
    ("lr: 0.1", "test_views: tencrop", 7, "not 'tencrop' (did you mean 'ten-crop'?)"),
    ("lr: 0.1", "test_views: ten-crop", 5, "'test_views: ten-crop' needs 'augment: imagenet': with 'none', nets are"),
    ("depth: 32", "test_views: multi-scale\n    depth: 32", 17, "'test_views: multi-scale' needs 'augment: imagenet'"),
    (
        "depth: 32",
        "net: vgg-16\n    augment: imagenet\n    test_views: multi-scale",
        17,
        "vgg-16 has layers for one image size only: test it with 'test_views: ten-crop'",
    ),
    # Nets named in two ways.
    ("seed: [0, 1]", "net: [plain-20]", 15, "'net' already names architecture and depth"),
    ("depth: 32", "net: plain-20\n    depth: 32", 18, "which names the depth too: drop 'depth'"),
    # Parts missing, empty or of another kind.
    ("name: mine\n", "", None, "'name' is missing"),
    ("dataset:\n  name: digits\n  validation: 0.1\n", "", None, "'dataset' is missing"),
    ("  name: digits\n", "", 2, "'name' field required"),
    ("  epochs: 2\n  lr: 0.1\n", "  - epochs\n", 5, "'recipe' must be a mapping"),
    ("  trials: 4\n", "  []\n", 8, "'tune' must be a mapping"),
    ("  name: digits\n  validation: 0.1\n", "  - digits\n", 2, "'dataset' must be a mapping"),
    ("seed: [0, 1]", "seed: []", 15, "axis 'seed' has no values"),
    ("  - {architecture: plain, depth: 20}", "  {depth: 20}", 19, "'exclude' must be a list of mappings"),
    ("  - {architecture: plain, depth: 20}", "  - 5", 20, "'exclude.0' must be a mapping"),
    ("  - {architecture: plain, depth: 20}", "  - {}", 20, "an entry of 'exclude' is a mapping of keys to values"),
    ("  - {architecture: plain, depth: 20}", "  - {depth: []}", 20, "axis 'depth' has no values"),
    # An entry that could never exclude anything is a mistake.
    ("  - {architecture: plain, depth: 20}", "  - {lr: 0.1}", 20, "'lr' is no axis of this grid"),
    # Keys given twice.
    ("  lr: 0.1", "  lr: 0.1\n  epochs: 3", 8, "key 'epochs' is given twice (first on line 6)"),
    ("tune:\n  trials: 4\n", "recipe:\n  lr: 1\n", 8, "key 'recipe' is given twice (first on line 5)"),
    # YAML that isn't, or isn't plain.
    ("[plain, residual]", "[plain, residual", 12, "not valid YAML"),
    ("  lr: 0.1", "\tlr: 0.1", 7, "not valid YAML"),
    ("name: mine", "name: *nothing", 1, "not valid YAML: found undefined alias"),
    ("  lr: 0.1", "  <<: {lr: 0.1}", 7, "merge keys (<<) aren't used in grid files"),
    ("  lr: 0.1", "  lr: !!python/name:os.system x", 7, "'x' isn't a plain value"),
    ("  lr: 0.1", "  lr: !!bool x", 7, "'x' isn't a plain value"),
    ("  lr: 0.1", "  lr: !!int ''", 7, "'' isn't a plain value"),
    ("  lr: 0.1", "  lr: !!binary aGk=", 7, "'lr' should be a valid number or should be 'tune', not 'aGk='"),
    ("  lr: 0.1", "  lr: 2001-99-99", 7, "'2001-99-99' isn't a plain value"),
    ("  lr: 0.1", "  [lr]: 0.1", 7, "a key must be a word"),
    ("seed: [0, 1]", "seed: &s [0, *s]", 15, "an alias that contains itself"),
    ("  trials: 4\n", "  trials: 4\n---\n", 10, "not valid YAML: but found another document"),
    ("name: mine", "name: mine\x00", None, "not valid YAML"),
]


@pytest.mark.parametrize(("old", "new", "line", "fragment"), CASES)
def test_bad_grid(old, new, line, fragment):
    assert GOOD.count(old) >= 1
    start = f"g.yaml:{line}: " if line else "g.yaml: "
    with pytest.raises(GridError, match="^" + re.escape(start) + ".*" + re.escape(fragment)):
        parse_grid(GOOD.replace(old, new, 1), "g.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "g.yaml: the file is empty"),
        ("# nothing\n", "g.yaml: the file is empty"),
        ("- name\n", "g.yaml:1: a grid file is a mapping of keys .* not a list"),
        ("\n\nhello\n", "g.yaml:1: a grid file is a mapping of keys .* not a single value"),
        ("name: a\ndataset: digits\n", "g.yaml: 'grid' is missing"),
        ("name: a\ndataset: digits\nrecipe: {epochs: 1}\ngrid:\n", "g.yaml:4: the grid has no axis 'architecture'"),
        ("name: a\ndataset: digits\nrecipe: {epochs: 1}\ngrid: {architecture: plain}\n", "g.yaml:4: .* axis 'depth'"),
        ("x" * 1_000_001, "1,000,001 characters are too many for a grid file"),
        ("a: " + "[" * 5000, "g.yaml: not valid YAML: nested too deeply"),
    ],
)
def test_a_file_that_is_no_grid(text, message):
    with pytest.raises(GridError, match=message):
        parse_grid(text, "g.yaml")


def test_nothing_left():
    text = GOOD.replace("include:\n  - depth: 32\n    warmup: 10\n", "")
    with pytest.raises(GridError, match=r"g.yaml:16: nothing is left of the grid: 'exclude' matches every point"):
        parse_grid(
            text.replace("depth: 20}", "depth: [8, 20]}").replace("plain, depth", "[plain, residual], depth"), "g.yaml"
        )


@pytest.fixture
def walked(monkeypatch) -> list[dict]:
    """The points of products that were looked at."""
    points, product = [], expand._product

    def counted(axes):
        for point in product(axes):
            points.append(point)
            yield point

    monkeypatch.setattr(expand, "_product", counted)
    return points


def test_an_enormous_product_is_refused_before_it_is_walked(walked):
    hundred = ", ".join(map(str, range(1, 101)))
    text = GOOD.replace("seed: [0, 1]", f"seed: [{hundred}]\n  warmup: [{hundred}]\n  batch_size: [{hundred}]")
    with pytest.raises(GridError, match=r"g.yaml:10: 4,000,000 runs are more than 20,000: split the study"):
        parse_grid(text, "g.yaml")
    assert walked == []


def test_an_enormous_include_is_refused_before_it_is_walked(walked):
    hundred = ", ".join(map(str, range(1, 101)))
    text = GOOD.replace("warmup: 10", f"warmup: [{hundred}]\n    seed: [{hundred}]\n    epochs: [{hundred}]")
    with pytest.raises(GridError, match=r"g.yaml:17: 2,000,006 runs are more than 20,000: split the study"):
        parse_grid(text, "g.yaml")
    assert len(walked) == 8  # of the axes alone


def test_an_alias_bomb_is_refused_fast():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(GridError, match=r"g.yaml:\d+: more than 100,000 values, counting what aliases repeat"):
        parse_grid("\n".join(lines), "g.yaml")


def test_an_alias_that_repeats_a_value_is_fine():
    text = GOOD.replace("epochs: 2", "epochs: &n 8").replace("    - 8\n", "    - *n\n")
    assert {spec.depth for spec in parse_grid(text, "g.yaml").runs()} == {8, 20, 32}


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(GridError) as caught:
        parse_grid(GOOD.replace("epochs: 2", f"epochs: {'x' * 100_000}"), "g.yaml")
    assert "g.yaml:6: 'epochs'" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(GridError, match=r"mine.yaml: no such file; shipped grids, by name: .*digits"):
        load_grid(str(tmp_path / "mine.yaml"))
    with pytest.raises(
        GridError, match=r"digits.yaml: no such file \('digits' is a shipped grid: give the name alone\)"
    ):
        load_grid(str(tmp_path / "digits.yaml"))


def test_a_name_that_no_shipped_grid_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GridError, match=r"called 'cifar10-papr' \(did you mean 'cifar10-paper'\?\); `study grids`"):
        load_grid("cifar10-papr")
    with pytest.raises(GridError, match=r"called '\.\./digits'"):
        load_grid("../digits")


def test_files_that_cannot_be_read(tmp_path):
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: détail".encode("latin-1"))
    with pytest.raises(GridError, match=r"latin.yaml: not a text file \(UTF-8 was expected\)"):
        load_grid(str(latin))
    with pytest.raises(GridError, match="Is a directory"):
        load_grid(str(tmp_path))


def test_an_error_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD.replace("epochs", "epoch"), encoding="utf-8")
    with pytest.raises(GridError, match=f"^{re.escape(str(path))}:6: unknown key 'epoch'"):
        load_grid(str(path))


def test_a_search_judged_by_held_out_images_needs_some():
    text = GOOD.replace("lr: 0.1", "lr: tune").replace("trials: 4", "objective: validation_error")
    assert parse_grid(text, "g.yaml").tune.objective == "validation_error"
    with pytest.raises(GridError, match=r"g\.yaml:9: 'validation_error' needs held-out images"):
        parse_grid(text.replace("validation: 0.1", "validation: 0"), "g.yaml")
