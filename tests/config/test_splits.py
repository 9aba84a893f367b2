"""Several splits of the images in a grid: an axis beside the seed, and what a protocol stores of it."""

from datetime import UTC, datetime

import pytest

from study.config import Grid, parse_grid
from study.config.protocol import Protocol
from study.errors import GridError

HEAD = "name: g\ndataset: {name: digits, train_limit: 400}\nrecipe: {epochs: 2}\n"
AXES = "grid: {net: [plain-8, plain-14], seed: [0, 1], split_seed: [0, 1, 2]}\n"


def grid(text: str = AXES, *changes: str) -> Grid:
    return parse_grid(HEAD + text, "g.yaml", changes)


def repeats(parsed: Grid) -> list[tuple[str, int, int]]:
    return [(str(spec.net), *spec.repeat) for spec in parsed.runs()]


def protocol(parsed: Grid) -> Protocol:
    return Protocol.of(parsed, lambda spec: spec.run_key("f"), datetime(2026, 11, 27, tzinfo=UTC), {})


def test_an_axis_is_crossed_with_the_seeds() -> None:
    parsed = grid()
    assert len(parsed.runs()) == 12
    assert parsed.repeats == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert [data.split_seed for data in parsed.splits] == [0, 1, 2]
    assert {data.model_copy(update={"split_seed": 0}) for data in parsed.splits} == {parsed.dataset}
    assert parsed.varying() == []


def test_each_run_is_that_of_a_grid_on_its_split_alone() -> None:
    alone = [
        grid("grid: {net: [plain-8, plain-14], seed: [0, 1]}\n", f"dataset.split_seed={seed}") for seed in (0, 1, 2)
    ]
    keys = {spec.run_key("f") for spec in grid().runs()}
    assert keys == {spec.run_key("f") for parsed in alone for spec in parsed.runs()}
    assert len(keys) == 12


def test_a_seed_with_each_split() -> None:
    axes = "grid: {net: [plain-8, plain-14], seed: 0, split_seed: 0}\n"
    parsed = grid(axes + "include: [{seed: 1, split_seed: 1}, {seed: 2, split_seed: 2}]\n")
    assert sorted(repeats(parsed)) == sorted((net, seed, seed) for net in ("plain-8", "plain-14") for seed in (0, 1, 2))
    assert parsed.dataset.split_seed == 0


def test_exclude_and_set() -> None:
    fewer = grid(AXES + "exclude: [{split_seed: 2, net: plain-8}]\n")
    assert ("plain-14", 2, 0) in repeats(fewer)
    assert ("plain-8", 2, 0) not in repeats(fewer)
    assert grid(AXES, "grid.split_seed=[4, 3]").dataset.split_seed == 3  # the first is that of the least seed


@pytest.mark.parametrize("value", ["-1", "0.5", "true", "a", "[]", "null"])
def test_nonsense(value: str) -> None:
    with pytest.raises(GridError, match=r"^g\.yaml:4: .*split_seed"):
        grid(AXES.replace("[0, 1, 2]", value if value == "[]" else f"[0, {value}]"))


def test_other_fields_of_the_data_are_no_axis() -> None:
    with pytest.raises(GridError, match="unknown key 'validation'"):
        grid("grid: {net: plain-8, validation: [0, 0.1]}\n")


def test_a_protocol_has_the_splits_where_there_are_several() -> None:
    several, alone = protocol(grid()), protocol(grid("grid: {net: [plain-8, plain-14], seed: [0, 1]}\n"))
    assert (several.split_seeds, several.seeds) == ((0, 1, 2), (0, 1))
    assert Protocol.model_validate_json(several.model_dump_json()) == several
    assert "split_seeds" not in alone.model_dump_json()  # as before there were any: its id stays
    assert several.id != protocol(grid(AXES, "grid.split_seed=[0, 1]")).id


def test_costly_probes_are_made_of_the_first_repeats() -> None:
    parsed = grid(AXES + "probes: {measure: [surface], seeds: 2}\n")
    probed = {spec.repeat for spec in parsed.runs() if parsed.probes_of(spec)}
    assert probed == {(0, 0), (0, 1)}
