"""Orders that a worker gets while it executes: more or fewer runs at once, a pause and its end."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.batch import MOST_AT_ONCE, Run, Settings
from pydoit_sc.ledger import Work
from pydoit_sc.store import Store, StoreError
from pydoit_sc.store.objects import ObjectStore
from pydoit_sc.store.posix import PosixStore
from pydoit_sc.worker import control
from pydoit_sc.worker.control import Control, Steering, cancel_runs, give_order
from pydoit_sc.worker.executor import Executor
from pydoit_sc.worker.results import Limits
from tests.store.memory_blobs import Bucket, MemoryBlobs
from tests.worker.workplace import await_


def orders(store: Store, submission: str = "s1") -> Control:
    """Return what looks for orders, without its thread."""
    return Control(store, submission, lambda: None)


def look(found: Control) -> Steering:
    found._look()
    return found.order


@pytest.fixture
def store(tmp_path: Path) -> PosixStore:
    return PosixStore(str(tmp_path / "out"), durable=False)


def test_each_half_of_an_order_stays_until_it_is_replaced(store: PosixStore) -> None:
    found = orders(store)
    assert look(found) == Steering()
    give_order(store, "s1", nprocs=4)
    assert look(found) == Steering(4)
    give_order(store, "s1", paused=True)
    assert look(found) == Steering(4, paused=True)
    give_order(store, "s1", nprocs=2)
    give_order(store, "s1", paused=False)
    assert look(found) == Steering(2)
    assert look(orders(store)) == Steering(2)  # a later worker of the submission
    assert look(orders(store, "s2")) == look(orders(store, "")) == Steering()


def test_a_worker_of_run_heeds_no_order_that_was_given_before_it_started(store: PosixStore) -> None:
    give_order(store, "", nprocs=4, paused=True)
    found = orders(store, "")
    assert look(found) == Steering()
    give_order(store, "", nprocs=4)
    assert look(found) == Steering(4)
    give_order(store, "", paused=True)
    assert look(found) == Steering(4, paused=True)


@pytest.mark.parametrize(
    "text",
    ['{"nprocs": 1000000000, "scaled": 1.0}', '{"nprocs": 0, "scaled": 1.0}', '{"nprocs": "4"}', "[]", "\0", "", " " * 5000],
)  # fmt: skip
def test_a_note_that_is_not_sound_orders_nothing(store: PosixStore, text: str) -> None:
    give_order(store, "s1", paused=True)
    note = Path(store.root, ".pydoit_sc/submissions/s1/control.json")
    note.write_text(text)
    found = orders(store)
    assert look(found) == Steering()
    give_order(store, "s1", nprocs=MOST_AT_ONCE)  # and is replaced
    assert look(found) == Steering(MOST_AT_ONCE)


def test_cancelled_runs_add_up_and_hold_for_their_submission(store: PosixStore) -> None:
    found = orders(store)
    cancel_runs(store, "s1", ["a/1", "a/2"])
    assert look(found).cancelled == {"a/1", "a/2"}
    cancel_runs(store, "s1", ["a/2", "b"])
    assert look(found).cancelled == look(orders(store)).cancelled == {"a/1", "a/2", "b"}
    give_order(store, "s1", nprocs=2)
    assert look(found) == Steering(2, cancelled=frozenset({"a/1", "a/2", "b"}))
    assert look(orders(store, "s2")).cancelled == look(orders(store, "")).cancelled == frozenset()


@pytest.mark.parametrize("text", ['{"a": 1}', "[[]]", "[1, null]", "\0", "[" * 100_000, ""])
def test_a_list_that_is_not_sound_cancels_nothing(store: PosixStore, text: str) -> None:
    cancel_runs(store, "s1", ["a/1"])
    Path(store.root, ".pydoit_sc/submissions/s1/cancelled.json").write_text(text)
    assert look(orders(store)).cancelled == frozenset()


def test_another_user_cancels_nothing(store: PosixStore, monkeypatch: pytest.MonkeyPatch) -> None:
    cancel_runs(store, "s1", ["a/1"])
    read = PosixStore.read_note_and_owner
    monkeypatch.setattr(
        PosixStore,
        "read_note_and_owner",
        lambda self, name, most: (read(self, name, most)[0], os.geteuid() + ("cancelled" in name)),
    )
    assert look(orders(store)).cancelled == frozenset()


def test_no_pipe_in_the_place_of_a_note_holds_a_worker_up(store: PosixStore) -> None:
    os.makedirs(f"{store.root}/.pydoit_sc/submissions/s1")
    os.mkfifo(f"{store.root}/.pydoit_sc/submissions/s1/control.json")
    assert look(orders(store)) == Steering()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("submission", ["", "s1"])
def test_an_order_of_another_user_is_told_and_not_heeded(store: PosixStore, submission: str) -> None:
    found = orders(store, submission)
    assert look(found) == Steering()
    give_order(store, submission, nprocs=4, paused=True)
    (note,) = Path(store.root, ".pydoit_sc").rglob("control.json")
    note.chmod(0o664)  # as its user's `chmod -R g+w` leaves it: what he has ordered holds
    assert look(found) == Steering(4, paused=True)
    os.chown(note, 12345, -1)
    assert look(found) == Steering(4, paused=True, foreign=True)  # which lifts nothing
    told = "another user's order to scale or to pause is not heeded"
    assert list(found.order.news(Steering(4, paused=True), 2)) == [told]
    give_order(store, submission, nprocs=2)  # takes the place of the other's
    assert look(found) == Steering(2)


def test_what_a_user_is_told() -> None:
    assert list(Steering(4, paused=True).news(Steering(), 2)) == [
        "2 runs at once from now on, as `scale` says",
        "paused: no further run starts; `pydoit-sc resume` ends that",
    ]
    assert list(Steering().news(Steering(paused=True), 2)) == ["resumed"]
    said = Steering(cancelled=frozenset({"a", "b", "c"})).news(Steering(cancelled=frozenset({"a"})), 2)
    assert list(said) == ["2 runs of this submission are cancelled"]


def test_by_an_object_store() -> None:
    store = ObjectStore("memory://x", MemoryBlobs(Bucket()))
    found = orders(store)
    assert look(found) == Steering()
    give_order(store, "s1", nprocs=3)
    assert look(found) == Steering(3)


class Steered:
    """A worker of this process, and a user on a thread beside it."""

    def __init__(self, store: Store, folder: Path, nprocs: int = 1) -> None:
        self.folder, self.store, self.said = folder, store, list[str]()
        self.executor = Executor(store, Limits(nprocs), "s1", tell=self.said.append)

    def run(self, cmds: dict[str, str], user: Callable[[], None]) -> dict[str, int | None]:
        """Execute commands beside a user, and return their codes."""
        failed: list[BaseException] = []

        def act() -> None:
            try:
                user()
            except BaseException as error:
                failed.append(error)
                (self.folder / "go").touch()
                give_order(self.store, "s1", paused=False)

        works = (Work(f"a:{n}", Run(n, cmd, n, Settings()), f"/o/{n}", "f") for n, cmd in cmds.items())
        thread = threading.Thread(target=act)
        thread.start()
        results = list(self.executor.run(works))
        thread.join()
        assert not failed, failed
        return {result.work.run.name: result.record and result.record.code for result in results}

    def heard(self, word: str) -> Callable[[], bool]:
        return lambda: any(word in line for line in self.said)


@pytest.fixture
def steered(store: PosixStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steered:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(control, "EVERY", 0.02)
    return Steered(store, tmp_path)


GATED = "touch began.{}; until [ -e go ]; do sleep 0.01; done"


def test_a_worker_executes_more_at_once(steered: Steered) -> None:
    def user() -> None:
        await_((steered.folder / "began.0").exists)
        give_order(steered.store, "s1", nprocs=3)
        await_(lambda: len(list(steered.folder.glob("began.*"))) == 3)
        (steered.folder / "go").touch()

    codes = steered.run({str(n): GATED.format(n) for n in range(3)}, user)
    assert codes == {"0": 0, "1": 0, "2": 0}
    assert steered.said[0] == "3 runs at once from now on, as `scale` says"
    ranks = [json.loads((steered.folder / f"out/{n}/run.json").read_text())["rank"] for n in range(3)]
    assert ranks == [0, 1, 2]


def test_a_paused_worker_ends_what_executes_and_starts_nothing(steered: Steered) -> None:
    resumed_at = 0.0

    def user() -> None:
        nonlocal resumed_at
        await_((steered.folder / "began.0").exists)
        give_order(steered.store, "s1", paused=True)
        await_(steered.heard("paused"))
        (steered.folder / "go").touch()
        await_((steered.folder / "out/0/status_code").exists)
        resumed_at = time.time()
        give_order(steered.store, "s1", paused=False)
        await_(steered.heard("resumed"))

    assert steered.run({"0": GATED.format(0), "1": "true"}, user) == {"0": 0, "1": 0}
    assert json.loads((steered.folder / "out/1/run.json").read_text())["started"] > resumed_at - 0.001


def test_cancelled_runs_are_ended_or_not_started_and_are_free_for_others(steered: Steered) -> None:
    held = steered.folder / "out/.pydoit_sc/holds"

    def user() -> None:
        await_((steered.folder / "began.0").exists)
        cancel_runs(steered.store, "s1", ["0", "2", "3"])
        await_((steered.folder / "began.1").exists)  # the rank of the one that was ended is free
        assert len(list(held.iterdir())) == 1
        (steered.folder / "go").touch()

    cmds = {"0": GATED.format(0), "1": GATED.format(1), "2": "true", "3": "true", "4": "true"}
    assert steered.run(cmds, user) == {"1": 0, "4": 0}
    assert not (steered.folder / "out/0").exists()
    assert not list(held.iterdir())


@pytest.mark.parametrize("away", [False, True])
def test_nothing_starts_before_the_first_look_where_it_takes_a_request(
    steered: Steered, away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "EVERY_REQUEST", 0.02)
    blobs, looks = MemoryBlobs(bucket := Bucket()), 0
    steered.store = steered.executor.store = ObjectStore("memory://x", blobs)
    give_order(ObjectStore("memory://x", MemoryBlobs(bucket)), "s1", paused=True)

    def before(_verb: str, path: str) -> None:
        nonlocal looks
        if path.endswith("/control.json"):
            looks += 1
            if looks == 1:
                await_(lambda: steered.executor._supply._ready)  # the run is held, and could start
                if away:
                    raise ConnectionError("away")
            elif looks == 2 and away:
                await_((steered.folder / "began").exists)

    def user() -> None:
        await_(steered.heard("paused"))
        assert (steered.folder / "began").exists() is away  # what cannot be known stops nobody
        give_order(ObjectStore("memory://x", MemoryBlobs(bucket)), "s1", paused=False)

    blobs.before = before
    assert steered.run({"0": "touch began; sleep 0.2"}, user) == {"0": 0}
    assert steered.said == ["paused: no further run starts; `pydoit-sc resume` ends that", "resumed"]


def test_a_worker_that_is_paused_when_nothing_is_left_ends(steered: Steered) -> None:
    def user() -> None:
        await_((steered.folder / "began.0").exists)
        give_order(steered.store, "s1", paused=True)
        await_(steered.heard("paused"))
        (steered.folder / "go").touch()

    assert steered.run({"0": GATED.format(0)}, user) == {"0": 0}


def test_more_names_than_a_note_holds_are_refused(store: PosixStore, monkeypatch: pytest.MonkeyPatch) -> None:
    cancel_runs(store, "s1", ["a"])
    monkeypatch.setattr(control, "_LARGEST_CANCELLED", 20)
    with pytest.raises(
        StoreError, match=r"^3 cancelled runs are too many for a note: cancel the submission as a"
    ):
        cancel_runs(store, "s1", ["run 1", "run 2"])
    assert look(orders(store)).cancelled == {"a"}


class Unreadable(PosixStore):
    """A store that does not answer for a moment."""

    fails = False

    def read_note_and_owner(self, name: str, at_most: int = 4096) -> tuple[bytes, int | None]:
        if self.fails:
            raise StoreError("no answer")
        return super().read_note_and_owner(name, at_most)


def test_what_was_ordered_before_is_not_lost_where_the_store_does_not_answer(tmp_path: Path) -> None:
    store = Unreadable(str(tmp_path / "out"), durable=False)
    cancel_runs(store, "s1", ["a"])
    give_order(store, "s1", paused=True)
    store.fails = True
    with pytest.raises(StoreError, match="no answer"):
        cancel_runs(store, "s1", ["b"])
    with pytest.raises(StoreError, match="no answer"):
        give_order(store, "s1", nprocs=3)
    store.fails = False
    assert look(orders(store)) == Steering(paused=True, cancelled=frozenset({"a"}))
