"""What is stored of how a study was made, and read back."""

import json
from datetime import UTC, datetime

import pytest

from study.config import parse_grid
from study.config.command import Command
from study.config.protocol import Protocol
from study.errors import StudyError, without_passwords
from study.track import tags as tag
from study.track.provenance import describe_experiment, load_provenance
from study.track.snapshot import take_snapshot
from study.track.store import Store
from study.track.uri import ui_address
from study.verdict import Rule

PARAMS = {"architecture": "plain", "depth": 8, "net": "plain-8", "seed": 0}


@pytest.fixture
def store(database: str) -> Store:
    return Store("s", database)


GRID = """
name: s
dataset: digits
recipe: {epochs: 1}
grid: {net: [plain-8], seed: [0]}
"""


def tell(store: Store, grid: str, command: str = "study run", effect: float = 0.5, results: int = 0) -> Command:
    made = Command.now(command, grid)
    asked = parse_grid(GRID, "s.yaml", (f"smallest_effect={effect}",))
    done = {f"{n:020x}": f"{n:020x}" for n in range(results)}
    protocol = Protocol.of(asked, lambda spec: spec.run_key("f"), datetime.now(UTC), done)
    describe_experiment(store.client, store.experiment_id, protocol, made)
    return made


def begin(store: Store, kind: str, *made: Command) -> str:
    tags = {tag.KIND: kind, tag.MADE: tag.SEPARATOR.join(one.id for one in made)}
    return store.begin("r", PARAMS, tags)


def test_every_command_is_kept_with_what_it_added(store: Store) -> None:
    long = "".join(f"# line {i}, größer\n" for i in range(1000))
    assert len(long) > 2 * tag.LIMIT
    first = tell(store, long, "study run --grid a.yaml")
    second = tell(store, "name: s\n", "study run --grid b.yaml")
    assert tell(store, long, "study run --grid a.yaml").id == first.id  # once more: it goes on
    for kind, count in (("run", 2), ("trial", 1)):
        for _ in range(count):
            begin(store, kind, first)
    begin(store, "run", second)
    begin(store, "run", first, second)
    begin(store, "tuning", first)
    found = load_provenance("s", store.uri).words
    assert found["command"].splitlines() == [
        "study run --grid a.yaml  # 3 runs and 1 trial",
        "study run --grid b.yaml  # 1 run; went on with 1",
    ]
    assert found["grid"] == f"# study run --grid a.yaml\n{long}\n# study run --grid b.yaml\nname: s\n"


def test_one_grid_stands_as_it_was_given(store: Store) -> None:
    tell(store, "name: s\n", "study tune --grid s.yaml")
    tell(store, "name: s\n", "study run --grid s.yaml")
    found = load_provenance("s", store.uri).words
    assert found["grid"] == "name: s\n"
    assert found["command"].splitlines() == [
        "study tune --grid s.yaml  # nothing new",
        "study run --grid s.yaml  # nothing new",
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": 3}'])
def test_a_command_that_was_edited_is_named(store: Store, text: str) -> None:
    made = tell(store, "name: s\n")
    tell(store, "name: t\n", "study run --grid t.yaml")
    begin(store, "run", made)
    store.client.set_experiment_tag(store.experiment_id, f"{tag.MADE}.{made.id}", text)
    assert load_provenance("s", store.uri).words["command"].splitlines() == [
        "study run --grid t.yaml  # nothing new",
        f"# the experiment's tag study.made.{made.id} was edited: no command can be read from it",
        "# 1 run by commands that aren't known",
    ]


def test_the_smallest_effect_from_before_the_first_result_stands(store: Store) -> None:
    tell(store, "a", effect=0.5)
    tell(store, "b", effect=1.0)  # there is no result that it could be chosen by
    assert Rule.of(load_provenance("s", store.uri).protocols).smallest_effect == 1.0
    assert "rule" not in load_provenance("s", store.uri).words
    for effect, results in ((1.0, 1), (2.0, 1), (2.0, 3), (0.3, 4)):
        tell(store, "b", effect=effect, results=results)
    provenance = load_provenance("s", store.uri)
    assert list(provenance.protocols) == take_snapshot("s", store.uri).protocols[0]
    assert Rule.of(provenance.protocols).smallest_effect == 1.0
    assert [protocol.results for protocol in provenance.protocols] == [0, 0, 1, 4]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert provenance.words["rule"].splitlines() == [
        f"smallest_effect: 1, as set before the first result; {asked} was asked for on {today}, after {when}, "
        "and isn't used"
        for asked, when in (("2", "1 result"), ("0.3", "4 results"))
    ]


@pytest.mark.parametrize("change", [("0.5", "5.0"), ('"nets"', '"[red]\x1b"'), ("{", ""), (":0,", ":-,")])
def test_a_protocol_that_was_edited_is_not_used(store: Store, change: tuple[str, str]) -> None:
    tell(store, "a")
    (protocol,) = load_provenance("s", store.uri).protocols
    key = f"{tag.PROTOCOL}.{protocol.id}"
    store.client.set_experiment_tag(store.experiment_id, key, protocol.model_dump_json().replace(*change))
    edited = load_provenance("s", store.uri)
    assert edited.protocols == ()
    assert edited.words["rule"] == f"the experiment's tag {key} was edited: no protocol can be read from it"


def test_passwords_are_not_stored(store: Store) -> None:
    secret = "tune: {storage: 'postgresql://me:h:unter2@db:5432/optuna'}"
    tell(store, secret, f"study run --set {secret}")
    tags = store.client.get_experiment(store.experiment_id).tags
    assert "unter2" not in json.dumps(tags)
    assert "postgresql://me:***@db:5432/optuna" in load_provenance("s", store.uri).words["grid"]


@pytest.mark.parametrize("text", ["sqlite:////a/b@c", "http://host:5000/a@b", "a: b@c", "see https://host/x:y@z"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert without_passwords(text) == text


def test_every_environment_is_read_once(store: Store) -> None:
    for commit, torch, seed in (("a", "2.13", 0), ("a", "2.13", 1), ("b", "2.14", 0)):
        run = store.begin("r", PARAMS | {"seed": seed}, {tag.KIND: "run", tag.COMMIT: commit})
        store.add_text(run, json.dumps({"torch": torch, "system": "Linux"}), "environment.json")
        store.end(run, "finished")
    found = load_provenance("s", store.uri).words
    assert found["torch"] == "2.14; 2.13"  # the newest first
    assert found["system"] == "Linux"


def test_a_run_that_went_on_elsewhere_has_both_environments(store: Store) -> None:
    run = store.begin("r", PARAMS, {tag.KIND: "run"})
    store.add_text(run, json.dumps({"processor": "Zen"}), "environment.json")
    store.add_text(run, json.dumps({"processor": "Xeon"}), "environment-0123abcd.json")
    store.add_text(run, "{}", "spec.json")
    assert set(load_provenance("s", store.uri).words["processor"].split("; ")) == {"Zen", "Xeon"}


def test_runs_without_an_environment_are_passed_over(store: Store) -> None:
    store.end(store.begin("r", PARAMS, {tag.KIND: "run"}), "failed")
    assert load_provenance("s", store.uri).words == {"experiment_id": store.experiment_id}


def test_pages_are_where_the_user_says(store: Store) -> None:
    found = load_provenance("s", store.uri)
    assert "mlflow_ui" not in found.words  # a database has no pages
    assert found.with_pages("http://localhost:5000/").words["mlflow_ui"] == "http://localhost:5000"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://me:secret@mlflow.example/team/?x=1#y", "https://mlflow.example/team"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_an_address_of_pages(given: str, kept: str) -> None:
    assert ui_address(given) == kept


@pytest.mark.parametrize("given", ["javascript:alert(1)", "localhost:5000", "ftp://host", "http://", "file:///etc"])
def test_not_an_address_of_pages(given: str) -> None:
    with pytest.raises(StudyError, match="http:// or https://"):
        ui_address(given)


def test_the_protocol_that_was_asked_for_last_holds_until_the_first_result(store: Store) -> None:
    for effect in (0.5, 1.0, 0.5):
        tell(store, "", effect=effect)
    found = load_provenance("s", store.uri).protocols
    assert [protocol.smallest_effect for protocol in found] == [1.0, 0.5]
    tell(store, "", effect=0.5)
    assert load_provenance("s", store.uri).protocols == found
    for effect in (1.0, 0.5, 1.0):
        tell(store, "", effect=effect, results=1)
    assert load_provenance("s", store.uri).protocols == found
