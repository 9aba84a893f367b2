import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from study.errors import StudyError
from study.launch.scheduler.lease import Leases
from study.track.processes import this_process
from tests.launch.processes import another_process
from tests.postgres import postgres

AWAY, OTHER = "a-machine-elsewhere:1:1", "another-machine:1:1"  # of whose processes nothing is known


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'optuna.db'}"


def leases(url: str, holder: str, clock: Clock, study: str = "s") -> Leases:
    return Leases(url, holder, study, seconds=120, clock=clock)


def test_one_has_it_until_it_is_given_back(url: str, clock: Clock) -> None:
    first, second = leases(url, AWAY, clock), leases(url, OTHER, clock)
    assert not first.is_held("run a")
    assert first.acquire("run a")
    assert first.acquire("run a")  # what is ours, stays ours
    assert not second.acquire("run a")
    assert second.acquire("run b")
    assert first.is_held("run a") == second.is_held("run a") == True  # noqa: E712
    second.release("run a")  # not its own: nothing happens
    assert not second.acquire("run a")
    first.release("run a")
    assert not first.is_held("run a")
    assert second.acquire("run a")
    assert not first.acquire("run a")


def test_everything_is_given_back_at_the_end(url: str, clock: Clock) -> None:
    first, second = leases(url, AWAY, clock), leases(url, OTHER, clock)
    for key in ("run a", "run b", "search c"):
        first.acquire(key)
    second.acquire("run d")
    first.release_all()
    assert [second.is_held(f"run {key}") for key in "abd"] == [False, False, True]
    assert second.acquire("search c")


def test_a_silent_holder_loses_it(url: str, clock: Clock) -> None:
    first, second = leases(url, AWAY, clock), leases(url, OTHER, clock)
    first.acquire("run a")
    clock.now += 120
    assert first.is_held("run a")
    assert not second.acquire("run a")
    clock.now += 1
    assert not first.is_held("run a")
    assert second.acquire("run a")
    assert first.renew() == {"run a"}  # it is told what it has lost
    clock.now += 100
    assert first.renew() == set()  # once
    first.release("run a")
    assert second.is_held("run a")


def test_a_holder_that_speaks_up_keeps_it_for_ever(url: str, clock: Clock) -> None:
    first, second = leases(url, AWAY, clock), leases(url, OTHER, clock)
    first.acquire("run a")
    for _ in range(30):
        clock.now += 31
        assert first.renew() == set()
        assert not second.acquire("run a")
    clock.now += 121
    assert second.acquire("run a")


def test_renewing_is_cheap_until_a_quarter_of_the_time_is_over(url: str, clock: Clock) -> None:
    """It is called several times a second."""
    first, second = leases(url, AWAY, clock), leases(url, OTHER, clock)
    first.acquire("run a")
    clock.now += 29
    first.renew()
    clock.now += 92  # 121 seconds: had it been renewed at 29, it would still stand
    assert second.acquire("run a")


def test_a_lost_lease_is_not_taken_back_by_renewing(url: str, clock: Clock) -> None:
    first, second = leases(url, AWAY, clock), leases(url, OTHER, clock)
    first.acquire("run a")
    first.acquire("run b")
    clock.now += 121
    second.acquire("run a")
    assert first.renew() == {"run a"}
    assert not first.acquire("run a")
    clock.now += 60
    assert second.renew() == set()
    assert first.is_held("run b")  # nobody took it: it goes on


def test_a_dead_process_of_this_machine_loses_it_at_once(url: str, clock: Clock) -> None:
    with another_process() as (name, _):
        assert leases(url, name, clock).acquire("run a")
    mine = leases(url, this_process(), clock)
    assert not mine.is_held("run a")
    assert mine.acquire("run a")
    assert mine.is_held("run a")


def test_leases_of_dead_processes_are_swept(url: str, clock: Clock) -> None:
    """And no others, nor those of another study."""
    with another_process() as (name, _):
        for study in "ts":
            assert leases(url, name, clock, study).acquire("run a")
    assert leases(url, AWAY, clock).acquire("run b")
    with another_process() as (name, _):
        assert leases(url, name, clock).acquire("run c")
        mine = leases(url, this_process(), clock)
        assert mine.acquire("run d")
        clock.now += 121  # they are silent, but not known to be dead
        mine.sweep()
    with create_engine(url).connect() as connection:
        left = connection.execute(text("SELECT key FROM study_leases ORDER BY key")).scalars().all()
    assert left == ["s/run b", "s/run c", "s/run d", "t/run a"]


def test_one_that_nobody_has_reaped_is_dead_too(url: str, clock: Clock) -> None:
    """In a container without an init, killed processes stay as zombies."""
    with another_process(reaped=False) as (name, process):
        assert leases(url, name, clock).acquire("run a")
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert leases(url, this_process(), clock).acquire("run a")
    process.wait()


def test_a_live_process_of_this_machine_keeps_it(url: str, clock: Clock) -> None:
    with another_process() as (name, _):
        assert leases(url, name, clock).acquire("run a")
        mine = leases(url, this_process(), clock)
        assert mine.is_held("run a")
        assert not mine.acquire("run a")


def test_studies_in_one_database_do_not_meet(url: str, clock: Clock) -> None:
    """Two grids in one folder may hold the same runs: each does its own."""
    first, second = leases(url, AWAY, clock, "s"), leases(url, OTHER, clock, "t")
    assert first.acquire("data")
    assert second.acquire("data")
    clock.now += 60
    assert first.renew() == second.renew() == set()
    clock.now += 121
    leases(url, this_process(), clock, "s").acquire("data")
    assert (first.renew(), second.renew()) == ({"data"}, set())


KEYS = [f"run {number}" for number in range(40)]


def race(url: str, together: Barrier, answers: "multiprocessing.Queue[list[str]]", end: Event) -> None:
    """Take what can be had, each key at the same moment as the other."""
    together.wait(timeout=120)
    Leases(url.replace("optuna", "new"), this_process(), "s")
    mine = Leases(url, this_process(), "s")
    taken = []
    for key in KEYS:
        together.wait(timeout=60)
        if mine.acquire(key):
            taken.append(key)
    answers.put(taken)
    end.wait(timeout=120)  # whoever ends, loses all


@pytest.mark.slow
def test_of_two_that_race_each_key_has_one(url: str) -> None:
    """Keys that nobody had, and keys of a dead process; on a second database from its making on."""
    with another_process() as (name, _):
        dead = Leases(url, name, "s")
        assert all(dead.acquire(key) for key in KEYS[::2])
    context = multiprocessing.get_context("spawn")
    together, answers, end = context.Barrier(2), context.Queue(), context.Event()
    processes = [context.Process(target=race, args=(url, together, answers, end), daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    try:
        taken = [answers.get(timeout=120) for _ in processes]
    finally:
        end.set()
        for process in processes:
            process.join()
    assert sorted(key for keys in taken for key in keys) == sorted(KEYS)
    assert all(taken)  # it was a race


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sqlite:////no/such/folder/optuna.db", "unable to open database file"),
        ("postgresql://nobody@127.0.0.1:1/x", ""),  # nobody there, or no driver
        ("redis://localhost", "redis"),
        ("what", "Could not parse SQLAlchemy URL"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line(url: str, why: str, clock: Clock) -> None:
    with pytest.raises(StudyError, match=rf"the database of leases, .*, can't be opened: .*{why}") as caught:
        leases(url, AWAY, clock)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_database(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "optuna.db").write_text("not a database, and too long to be an empty one" * 100)
    with pytest.raises(StudyError, match="file is not a database"):
        leases(f"sqlite:///{tmp_path / 'optuna.db'}", AWAY, clock)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path, clock: Clock) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StudyError, match="unable to open database file"):
        leases(f"sqlite:///{tmp_path / 'optuna.db'}", AWAY, clock)


def test_what_others_hold_is_told_at_once(url: str, clock: Clock) -> None:
    """And neither what they had, nor what is ours, nor another study's."""
    mine, first, second = leases(url, this_process(), clock), leases(url, AWAY, clock), leases(url, OTHER, clock)
    first.acquire("run old")
    clock.now += 121
    assert mine.held_elsewhere() == set()
    mine.acquire("run a")
    first.acquire("run b")
    second.acquire("search c")
    with another_process() as (name, _):
        leases(url, name, clock).acquire("run of the dead")
    leases(url, AWAY, clock, "S").acquire("run d")  # SQLite takes s and S for the same
    leases(url, AWAY, clock, "t").acquire("run e")
    assert mine.held_elsewhere() == {"run b", "search c"}
    first.release("run b")
    assert mine.held_elsewhere() == {"search c"}


@pytest.mark.slow
def test_a_server_that_ended_our_connection_is_asked_by_another(clock: Clock) -> None:
    """One is kept, and a server that restarts, or an administrator, ends it."""
    with postgres() as address:
        first, second = leases(address, AWAY, clock), leases(address, OTHER, clock)
        engine = create_engine(address)
        for number in range(3):
            assert first.acquire(f"run {number}")
            assert not second.acquire(f"run {number}")
            with engine.begin() as connection:
                asked = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()"
                connection.execute(text(f"{asked} AND datname = current_database()"))
        assert second.held_elsewhere() == {"run 0", "run 1", "run 2"}
        clock.now += 31
        assert first.renew() == set()
        first.release_all()
        assert second.acquire("run 0")
        with engine.connect() as connection:
            wanted = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
            assert connection.execute(text(wanted)).scalar_one() <= 2  # one each
        engine.dispose()
