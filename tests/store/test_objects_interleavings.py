"""Publication on an object store, broken at every request: killed, its reply lost, frozen while another worker works.

The store is the real one over objects in memory, where time is ours: a worker that sleeps moves the clock.
"""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from pydoit_sc.store import Finished, HeldError, Outcome, Staged, StoreError, Taken, leases, objects, patience
from pydoit_sc.store.manifest import fault
from tests.store.memory_blobs import Bucket, MemoryBlobs

pytestmark = pytest.mark.slow

KEY = "a/run"


class Killed(BaseException):
    """The worker ends here; nothing of it is cleaned up."""


class World:
    """A bucket, a clock, and workers that publish the same run."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.bucket = folder, Bucket()
        self.patience = 0.0
        self.now = 0.0
        self.threads: list[threading.Thread] = []  # what goes on beside a worker
        self.waiting = threading.Event()  # somebody waits for another one
        self.mutex = threading.Lock()
        self._names = (f"{n:x}a" for n in itertools.count(1))
        monkeypatch.setattr(leases, "_now", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self.sleep)
        monkeypatch.setattr(leases.Leases, "_keep_renewing", lambda _self, end: end.wait())

    def sleep(self, seconds: float) -> None:
        """Let time pass, for everybody: on the workers' clocks and on the store's."""
        with self.mutex:
            self.now += seconds
            self.bucket.clock += seconds

    def worker(self) -> Worker:
        """Return a worker on a machine of its own."""
        return Worker(self, next(self._names))

    def files(self) -> dict[str, bytes]:
        """Return the run's objects, by their names."""
        return {p[len(KEY) + 1 :]: o[0] for p, o in self.bucket.objects.items() if p.startswith(f"{KEY}/")}

    def fault(self) -> str | None:
        """Return what `verify` says of the run."""
        ((_, found),) = objects.ObjectStore("memory", MemoryBlobs(self.bucket)).contents([KEY])
        return fault(found)

    def finished(self) -> dict[str, bytes]:
        """Return the run's objects if it has a status_code; they are then whole and of one attempt."""
        files = self.files()
        if "status_code" not in files:
            return {}
        assert self.fault() == ("" if "run.json" in files else None), sorted(files)
        return files


class Worker:
    """One worker's view of the store."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.blobs = MemoryBlobs(world.bucket)
        self.store = objects.ObjectStore("memory", self.blobs, world.patience)
        self.requests: list[tuple[str, str]] = []
        self.at = -1  # the request at which `what` happens
        self.what: Callable[[], None] = lambda: None
        self.lost: Callable[[], None] | None = None
        self.dead = False
        self.blobs.before = self._before
        self.blobs.after = self._after

    def _before(self, verb: str, path: str) -> None:
        if self.dead:
            raise Killed
        self.requests.append((verb, path))
        if len(self.requests) - 1 == self.at:
            self.what()

    def _after(self, verb: str, path: str) -> None:
        if self.lost and len(self.requests) - 1 == self.at:
            self.lost()

    def die(self) -> None:
        """Be killed: nothing more is asked of the store, not even by what cleans up."""
        self.dead = True
        raise Killed

    def publish(self, code: int = 0, supersedes: str | None = None) -> Outcome | StoreError:
        """Publish an attempt whose files tell whose they are."""
        attempt = f"{self.name}-1"
        folder = self.world.folder / f"{attempt}.{time.monotonic_ns()}"
        (folder / "results").mkdir(parents=True)
        for file in ("stdout", "stderr", "results/common", f"results/of {self.name}"):
            (folder / file).write_text(f"{file} of {self.name}")
        (folder / "status_code").write_text(str(code))
        said = {"attempt": attempt, "fingerprint": "f", "submission": "s", "status_code": code}
        (folder / "run.json").write_text(json.dumps(said))
        try:
            with self.store.workspace(self.name, str(self.world.folder)):
                staged = self.store.stage([Finished(KEY, attempt, str(folder), supersedes)])[0]
        except StoreError as error:
            return error
        return self.store.commit(staged) if isinstance(staged, Staged) else staged


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(leases, "_is_here", lambda _said: None)  # every worker is on another machine
    return World(tmp_path, monkeypatch)


def nothing(world: World) -> None:
    """The run has never been executed."""


def failed(world: World) -> None:
    """It has failed before."""
    assert world.worker().publish(1) is Outcome.PUBLISHED


def stale(world: World) -> None:
    """It was completed, and its plan says that this is to be replaced."""
    assert world.worker().publish(0) is Outcome.PUBLISHED


def foreign(world: World) -> None:
    """`sc` has failed at it."""
    for name, data in (("stdout", b"sc"), ("status_code", b"1")):
        world.bucket.objects[f"{KEY}/{name}"] = (data, world.bucket.clock)


def half(world: World) -> None:
    """A worker was killed while it published it."""
    dead = world.worker()
    dead.at, dead.what = 5, dead.die
    with pytest.raises(Killed):
        dead.publish()
    assert any(path.startswith(KEY) for path in world.bucket.objects)


SCENES = (nothing, failed, stale, foreign, half)


def supersedes(world: World) -> str | None:
    """Return what a plan that is made now would replace."""
    files = world.finished() if f"{KEY}/run.json" in world.bucket.objects else {}
    return json.loads(files["run.json"])["attempt"] if files else None


def count_requests(scene: Callable[[World], None], make: Callable[[], World]) -> int:
    world = make()
    scene(world)
    worker = world.worker()
    assert worker.publish(supersedes=supersedes(world)) is Outcome.PUBLISHED
    return len(worker.requests)


@pytest.fixture
def worlds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    monkeypatch.setattr(leases, "_is_here", lambda _said: None)
    return lambda: World(tmp_path, monkeypatch)


def each_point(scene: Callable[[World], None], worlds: Callable[[], World]) -> Iterator[tuple[int, World]]:
    for at in range(count_requests(scene, worlds)):
        world = worlds()
        scene(world)
        yield at, world


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_killed_at_every_request(scene: Callable[[World], None], worlds: Callable[[], World]) -> None:
    for at, world in each_point(scene, worlds):
        known = supersedes(world)
        first, second = world.worker(), world.worker()
        first.at, first.what = at, first.die
        with pytest.raises(Killed):
            first.publish(supersedes=known)
        world.finished()
        outcome = second.publish(supersedes=known)
        files = world.finished()
        # A worker that was killed while it ended its lease had published all.
        winner = first if outcome is Outcome.LOST else second
        assert files["stdout"] == f"stdout of {winner.name}".encode(), at


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("lost", [False, True], ids=["refused", "reply lost"])
def test_an_error_at_every_request(
    scene: Callable[[World], None], worlds: Callable[[], World], lost: bool
) -> None:
    def fail() -> None:
        raise OSError("the connection is reset")

    for at, world in each_point(scene, worlds):
        known = supersedes(world)
        first, second = world.worker(), world.worker()
        first.at = at
        if lost:
            first.lost = fail
        else:
            first.what = fail
        outcome = first.publish(supersedes=known)
        files = world.finished()
        if outcome is Outcome.PUBLISHED:
            assert files["stdout"] == f"stdout of {first.name}".encode()
        assert outcome is not Outcome.LOST
        again = second.publish(supersedes=known)
        # The last look may fail, at what is published.
        done = outcome is Outcome.PUBLISHED or first.requests[at][0] == "get"
        assert again is Outcome.PUBLISHED or (done and again is Outcome.LOST), at
        world.finished()


def freeze(
    world: World, at: int, known: str | None, second_code: int, *, late: bool, unheard: bool = False
) -> tuple[Outcome | StoreError, dict[str, bytes], Outcome | StoreError, Worker]:
    """Freeze a worker, have another one take over and publish, thaw the first.

    `late`: the request at which it froze takes effect only now, as if it had been under way all the time; `unheard`: its
    reply came too late, and it makes the request again.
    Returns the second one's outcome, what was there then, and the first one's outcome.
    """
    first, second = world.worker(), world.worker()
    frozen, thaw = threading.Event(), threading.Event()
    answers: list[Outcome | StoreError] = []

    def stop() -> None:
        frozen.set()
        assert thaw.wait(30)
        if unheard:
            raise ConnectionError("timed out")

    first.at = at
    if late:
        first.what = stop
    else:
        first.lost = stop
    thread = threading.Thread(target=lambda: answers.append(first.publish(supersedes=known)))
    thread.start()
    while not frozen.wait(0.001) and thread.is_alive():
        continue
    world.sleep(2 * leases.TTL)
    outcome = second.publish(second_code, known)
    before = world.files()
    thaw.set()
    thread.join(30)
    return outcome, before, answers[0], first


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("second_code", [0, 1])
def test_frozen_after_every_request(
    scene: Callable[[World], None], worlds: Callable[[], World], second_code: int
) -> None:
    """The worker that thaws finds its lease over and does nothing more."""
    for at, world in each_point(scene, worlds):
        outcome, before, thawed, first = freeze(world, at, supersedes(world), second_code, late=False)
        where = (at, first.requests[at], outcome, thawed)
        files = world.finished()
        assert files, where
        if thawed is not Outcome.PUBLISHED:
            assert files == before, where
        elif outcome is Outcome.PUBLISHED:  # it was not in its way yet, and replaces a failure
            assert second_code == 1 and files["status_code"] == b"0", where


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("second_code", [0, 1])
def test_frozen_after_every_request_and_patient(
    scene: Callable[[World], None],
    worlds: Callable[[], World],
    second_code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker that thaws takes another lease: its attempt is not lost, unless the other one has completed the run."""
    monkeypatch.setattr(patience, "_FIRST", 0.001)
    for at, world in each_point(scene, worlds):
        world.patience = 600.0
        outcome, before, thawed, first = freeze(world, at, supersedes(world), second_code, late=False)
        where = (at, first.requests[at], outcome, thawed)
        assert thawed in (Outcome.PUBLISHED, Outcome.LOST), where
        files = world.finished()
        if second_code == 0:
            assert files == before, where
        elif outcome is Outcome.PUBLISHED and thawed is Outcome.PUBLISHED:
            assert files["status_code"] in (b"0", before["status_code"]), where
        assert (thawed is Outcome.LOST) <= (files["stdout"] != f"stdout of {first.name}".encode()), where


def test_a_request_is_not_made_again_after_a_freeze(worlds: Callable[[], World]) -> None:
    """To delete `run.json`, the last of the old outcome, once more would delete that of the new one."""
    for at, world in each_point(stale, worlds):
        outcome, before, thawed, first = freeze(world, at, supersedes(world), 0, late=False, unheard=True)
        if outcome is Outcome.PUBLISHED and thawed is not Outcome.PUBLISHED:
            assert world.finished() == before, (at, first.requests[at], thawed)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_request_that_comes_late(scene: Callable[[World], None], worlds: Callable[[], World]) -> None:
    """What was under way for longer than a lease lasts can do harm, but none that `verify` does not see."""
    harm = {}
    for at, world in each_point(scene, worlds):
        outcome, before, _, first = freeze(world, at, supersedes(world), 0, late=True)
        files = world.files()
        if outcome is Outcome.PUBLISHED and files != before:
            harm[first.requests[at]] = "status_code" in files
            assert "status_code" not in files or world.fault() != ""  # None: it says that it cannot tell
    assert all(verb == "delete" or path.startswith(f"{KEY}/results/of") for verb, path in harm)


@pytest.fixture
def side_by_side(monkeypatch: pytest.MonkeyPatch, worlds: Callable[[], World]) -> Callable[[], World]:
    """Worlds in which who waits lets others go on, and no time passes."""
    pause = threading.Event().wait

    def make() -> World:
        world = worlds()

        def sleep(_seconds: float) -> None:
            world.waiting.set()
            pause(0.001)

        monkeypatch.setattr(time, "sleep", sleep)
        return world

    return make


def meanwhile(world: World, action: Callable[[], object]) -> Callable[[], None]:
    """Return what begins an action beside the request at which it is called, and goes on once it has ended or waits."""

    def begin() -> None:
        world.waiting.clear()
        thread = threading.Thread(target=action)
        world.threads.append(thread)
        thread.start()
        while thread.is_alive() and not world.waiting.wait(0.001):
            continue

    return begin


@pytest.mark.parametrize("change", ["forget", "remove"])
@pytest.mark.parametrize("scene", SCENES[:4], ids=lambda scene: scene.__name__)
def test_forgotten_at_every_request_of_a_publication(
    scene: Callable[[World], None], side_by_side: Callable[[], World], change: str
) -> None:
    """What is left is whole, or nothing that looks finished."""
    for at, world in each_point(scene, side_by_side):
        known = supersedes(world)
        worker, user = world.worker(), world.worker()
        worker.at, worker.what = at, meanwhile(world, partial(getattr(user.store, change), KEY))
        outcome = worker.publish(supersedes=known)
        for thread in world.threads:
            thread.join(30)
        assert outcome is Outcome.PUBLISHED, (at, worker.requests[at])
        files = world.finished()
        assert set(files) in ({*()}, {*files, "run.json", "stdout"}), (at, worker.requests[at], set(files))


@pytest.mark.parametrize("scene", SCENES[1:4], ids=lambda scene: scene.__name__)
def test_published_at_every_request_of_forgetting(
    scene: Callable[[World], None], side_by_side: Callable[[], World]
) -> None:
    world = side_by_side()
    scene(world)
    user = world.worker()
    assert user.store.forget(KEY)
    for at in range(len(user.requests)):
        world = side_by_side()
        scene(world)
        known = supersedes(world)
        worker, user = world.worker(), world.worker()
        answers: list[Outcome | StoreError] = []
        user.at = at
        user.what = meanwhile(world, lambda: answers.append(worker.publish(supersedes=known)))  # noqa: B023
        user.store.forget(KEY)
        for thread in world.threads:
            thread.join(30)
        assert answers == [Outcome.PUBLISHED], (at, user.requests[at])
        files = world.finished()
        assert set(files) in ({*()}, {*files, "run.json", "stdout"}), (at, user.requests[at], set(files))


def test_forgotten_by_two_while_it_is_published(side_by_side: Callable[[], World]) -> None:
    """One user has cleared the key, another one is about to: what a worker publishes meanwhile is left alone."""

    def count() -> tuple[int, int]:
        world = side_by_side()
        failed(world)
        user, worker = world.worker(), world.worker()
        user.store.forget(KEY)
        worker.publish()
        return len(user.requests), len(worker.requests)

    for user_at, worker_at in itertools.product(*map(range, count())):
        world = side_by_side()
        failed(world)
        slow, quick, worker = world.worker(), world.worker(), world.worker()
        paused, over = threading.Event(), threading.Event()
        answers: list[Outcome | StoreError] = []
        thread = threading.Thread(target=lambda: answers.append(worker.publish()))  # noqa: B023

        def pause() -> None:
            paused.set()  # noqa: B023
            while not (over.wait(0.001) or world.waiting.is_set()):  # noqa: B023
                continue

        def at_each_request(verb: str, path: str) -> None:
            slow._before(verb, path)  # noqa: B023
            if verb == "create" and "replacing" in path and not quick.requests:  # noqa: B023
                quick.store.forget(KEY)  # noqa: B023
            if quick.requests and len(slow.requests) > user_at and thread.ident is None:  # noqa: B023
                world.waiting.clear()  # noqa: B023
                thread.start()  # noqa: B023
                while thread.is_alive() and not paused.wait(0.001):  # noqa: B023
                    if world.waiting.is_set():  # noqa: B023
                        break
                world.waiting.clear()  # noqa: B023

        worker.at, worker.what = worker_at, pause
        slow.blobs.before = at_each_request
        slow.store.forget(KEY)
        over.set()
        if thread.ident is None:
            continue
        thread.join(30)
        assert answers == [Outcome.PUBLISHED], (user_at, worker_at)
        files = world.finished()
        assert set(files) in ({*()}, {*files, "run.json", "stdout"}), (user_at, worker_at, set(files))


def test_a_run_is_published_with_a_request_for_each_file_and_one_look(world: World) -> None:
    worker = world.worker()
    assert worker.publish() is Outcome.PUBLISHED
    asked = [request for request in worker.requests if "leases" not in request[1]]
    files = ("run.json", "results/common", f"results/of {worker.name}", "stderr", "stdout", "status_code")
    assert asked == [("list", KEY), *(("create", f"{KEY}/{name}") for name in files)]


def test_what_is_forgotten_while_its_worker_is_frozen_is_not_called_published(world: World) -> None:
    """The status code comes to the store when its lease has been ended, and its claim cleared."""
    worker = world.worker()
    assert worker.publish() is Outcome.PUBLISHED
    at = worker.requests.index(("create", f"{KEY}/status_code"))
    world.bucket.objects.clear()
    worker, user = world.worker(), world.worker()

    def freeze() -> None:
        world.sleep(2 * leases.TTL)
        assert user.store.forget(KEY)

    worker.at, worker.what = at, freeze
    assert isinstance(worker.publish(), StoreError)


def test_forgotten_before_the_commit_is_tried_again(world: World) -> None:
    """Its reply was lost, and the run was forgotten at once: the next try would write a status code alone."""
    worker = world.worker()
    assert worker.publish() is Outcome.PUBLISHED
    at = worker.requests.index(("create", f"{KEY}/status_code"))
    world.bucket.objects.clear()
    worker, user = world.worker(), world.worker()

    def lose() -> None:
        assert user.store.forget(KEY)
        raise OSError("the connection is reset")

    worker.at, worker.lost = at, lose
    assert worker.publish() is Outcome.PUBLISHED
    assert world.finished().keys() >= {"run.json", "stdout"}


@pytest.mark.parametrize("scene", SCENES[1:4], ids=lambda scene: scene.__name__)
def test_published_before_a_deletion_is_tried_again(
    scene: Callable[[World], None], worlds: Callable[[], World]
) -> None:
    """The reply to the last deletion of a user's `forget` was lost, and a worker has claimed the empty key since."""

    def lose(world: World, worker: Worker) -> None:
        if not world.files():
            assert worker.publish() is Outcome.PUBLISHED
        raise OSError("the connection is reset")

    world = worlds()
    scene(world)
    user = world.worker()
    assert user.store.forget(KEY)
    last = max(
        at for at, (verb, path) in enumerate(user.requests) if verb == "delete" and path.startswith(KEY)
    )
    world = worlds()
    scene(world)
    user, worker = world.worker(), world.worker()
    user.at, user.lost = last, partial(lose, world, worker)
    assert user.store.forget(KEY)
    assert {*world.finished()} >= {"run.json", "stdout", "stderr"}


def test_many_files_are_uploaded_at_once(world: World) -> None:
    worker = world.worker()
    worker.blobs.at_once = 8
    together = threading.Barrier(4)

    def meet(verb: str, path: str) -> None:
        worker._before(verb, path)
        if verb == "create" and path.startswith(KEY) and not path.endswith(("run.json", "status_code")):
            together.wait(30)

    worker.blobs.before = meet
    assert worker.publish() is Outcome.PUBLISHED
    assert len(world.finished()) == 6


def test_what_somebody_removes_while_it_is_published_is_sent_again(world: World) -> None:
    """Another program takes no claim: where the key itself is looked at, what it removes is seen before and after the commit."""

    def remove(name: str) -> Callable[[], None]:
        return lambda: world.bucket.objects.pop(f"{KEY}/{name}", None) and None

    first = world.worker()
    first.blobs.is_atomic = False
    assert first.publish() is Outcome.PUBLISHED
    requests = len(first.requests)
    for name in ("run.json", "stdout", "results/common"):
        for at in range(requests):
            world.bucket.objects.clear()
            worker = world.worker()
            worker.blobs.is_atomic = False
            worker.at, worker.what = at, remove(name)
            outcome = worker.publish()
            verb, path = worker.requests[at]
            sealed = f"{KEY}/status_code" in [path for _, path in worker.requests[:at]]
            if not sealed and path != f"{KEY}/status_code":
                assert outcome is Outcome.PUBLISHED
                assert set(world.finished()) >= {"run.json", "stdout", "results/common"}, (name, verb, path)
            elif name == "run.json" and path == f"{KEY}/{name}":
                assert outcome is Outcome.PUBLISHED
                assert world.finished().keys() >= {"run.json", "stdout"}


def test_a_run_is_held_until_the_lease_is_over(world: World) -> None:
    first, second, third = world.worker(), world.worker(), world.worker()
    with first.store.workspace(first.name, None), second.store.workspace(second.name, None):
        assert first.store.hold(first.name, [KEY, "other"]) == {KEY: 0, "other": 0}
        assert first.store.peek(KEY) is None
        for _ in range(2):
            held = second.store.hold(second.name, [KEY, "more"])
            assert (str(held[KEY]), held["more"]) == (
                f"worker {first.name} on {socket.gethostname()} executes it",
                0,
            )
        world.sleep(2 * leases.TTL)
        with third.store.workspace(third.name, None):
            assert third.store.hold(third.name, [KEY]) == {KEY: 0}
            with pytest.raises(HeldError, match="could not be renewed"):
                first.store.peek(KEY)
            with pytest.raises(
                HeldError, match=f"{third.name} has ended it"
            ):  # and not only taken over a run
                first.store.hold(first.name, [KEY, "other"])
            held = first.store.hold(first.name, [KEY, "other"])
            assert (isinstance(held[KEY], HeldError), held["other"]) == (True, 0)
            third.store.release(KEY)
            assert third.store.hold(third.name, ["third"]) == {"third": 0}
            assert first.store.hold(first.name, [KEY]) == {KEY: 0}


def test_what_another_worker_has_published_since_the_scan_is_seen(world: World) -> None:
    first, second = world.worker(), world.worker()
    assert first.store.scan([KEY]) == {}
    world.sleep(10)
    assert second.publish() is Outcome.PUBLISHED
    world.sleep(1000)
    with first.store.workspace(first.name, None):
        assert first.store.hold(first.name, [KEY]) == {KEY: 0}
        record = first.store.peek(KEY)
        assert record and record.attempt == f"{second.name}-1"


@pytest.mark.parametrize("look", [objects.ObjectStore.scan, objects.ObjectStore.look], ids=["scan", "look"])
def test_what_another_has_published_is_seen_also_with_a_later_hold(
    world: World, look: Callable[[objects.ObjectStore, list[str]], Iterable[object]]
) -> None:
    """A hold looks at the runs that it is for, and says nothing of what comes later."""
    first, second = world.worker(), world.worker()
    assert not any(look(first.store, ["run/1", KEY]))
    world.sleep(10)
    assert second.publish() is Outcome.PUBLISHED
    world.sleep(10)
    with first.store.workspace(first.name, None):
        first.store.hold(first.name, ["run/1"])
        world.sleep(1000)
        first.store.hold(first.name, [KEY])
        record = first.store.peek(KEY)
        assert record and record.attempt == f"{second.name}-1"


def test_nobody_is_asked_for_each_run_where_no_other_worker_was(world: World) -> None:
    """Three requests hold 256 runs."""
    earlier, worker = world.worker(), world.worker()
    assert earlier.publish() is Outcome.PUBLISHED
    world.sleep(10)
    keys = [f"run/{n}" for n in range(256)]
    worker.store.scan(keys)
    with worker.store.workspace(worker.name, None):
        before = len(worker.requests)
        assert set(worker.store.hold(worker.name, keys).values()) == {0}
        assert [worker.store.peek(key) for key in keys] == [None] * 256
        assert [verb for verb, _ in worker.requests[before:]] == ["list", "get", "update", "list", "get"]


def test_two_that_ask_at_the_same_moment_do_not_both_get_it(world: World) -> None:
    """At each request of the one, the other one asks for the same runs, from its beginning to its end."""
    for at in range(2, 9):
        world.bucket.objects.clear()
        first, second = world.worker(), world.worker()
        with first.store.workspace(first.name, None), second.store.workspace(second.name, None):
            answers: list[object] = []
            first.at = len(first.requests) + at - 2
            first.what = lambda: answers.append(second.store.hold(second.name, [KEY])[KEY])  # noqa: B023
            mine = first.store.hold(first.name, [KEY])[KEY]
            assert 0 not in (mine, *answers) or (mine, *answers).count(0) == 1, (at, mine, answers)


def test_a_name_that_the_store_takes_for_another_is_refused(world: World) -> None:
    """Azure makes `/` of a backslash."""
    worker = world.worker()
    worker.blobs.not_in_keys = "\\"
    (good, bad) = worker.store.look(["a/b", "a\\b"])
    assert good is None
    assert isinstance(bad, Taken) and bad.words.startswith("its name has `\\`, which this store takes for")
