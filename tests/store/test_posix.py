"""The store on a POSIX file system: races, dead workers, scratch disks and errors."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from threading import Barrier, Event

import pytest

from pydoit_sc import errors
from pydoit_sc.files import make_folders
from pydoit_sc.linux import exchange
from pydoit_sc.store import (
    Finished,
    Live,
    Outcome,
    Record,
    Staged,
    StoreError,
    Taken,
    TakenError,
    UnreadableError,
    folders,
    history,
    reading,
    replacing,
)
from pydoit_sc.store.accepted import read_accepted, write_accepted
from pydoit_sc.store.holds import Holds
from pydoit_sc.store.notes import UNKNOWN
from pydoit_sc.store.posix import PosixStore
from pydoit_sc.store.stamps import parse_written
from pydoit_sc.submissions.notes import read_notes

ROUNDS = 50

#: A worker: it makes its folder with an attempt in it, says so, and waits to be killed.
WORKER = """
import os, sys
from pydoit_sc.store import Live
from pydoit_sc.store.stamps import parse_written
from pydoit_sc.store.posix import PosixStore
store = PosixStore(sys.argv[1])
with store.workspace(sys.argv[2], sys.argv[3] if sys.argv[3:] else None) as folder:
    os.mkdir(f"{folder}/{sys.argv[2]}-1")
    store.announce(sys.argv[2], {"some/run": Live(host="here", folder=folder, since=1.5)})
    print(folder, flush=True)
    sys.stdin.read()
"""

#: Publishes an attempt for each line of standard input, `run code supersedes`, and answers with its outcome.
PUBLISHER = """
import json, os, sys
from pydoit_sc.store import Finished, Staged
from pydoit_sc.store.stamps import parse_written
from pydoit_sc.store.posix import PosixStore
store, worker = PosixStore(sys.argv[1], durable=False), sys.argv[2]
with store.workspace(worker, None) as workspace:
    for n, line in enumerate(sys.stdin):
        key, code, supersedes = json.loads(line)
        folder = f"{workspace}/{worker}-{n}"
        os.makedirs(f"{folder}/results")
        for file in ("stdout", "stderr", "results/one", "results/two"):
            with open(f"{folder}/{file}", "w") as stream:
                stream.write(f"{worker}-{n}")
        with open(f"{folder}/run.json", "w") as stream:
            json.dump({"attempt": f"{worker}-{n}", "fingerprint": ""}, stream)
        with open(f"{folder}/status_code", "w") as stream:
            stream.write(str(code))
        finished = Finished(key, f"{worker}-{n}", folder, supersedes)
        print("ready", flush=True)
        sys.stdin.readline()
        print(store.commit(Staged(finished, folder)).value, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> PosixStore:
    (tmp_path / "store").mkdir()
    return PosixStore(str(tmp_path / "store"), durable=False)


def attempt(folder: Path, key: str, name: str, code: int = 0, supersedes: str | None = None) -> Finished:
    """Write an attempt whose files all hold its name."""
    own = folder / name
    (own / "results").mkdir(parents=True)
    for file in ("stdout", "stderr", "results/one", "results/two"):
        (own / file).write_text(name)
    (own / "run.json").write_text(json.dumps({"attempt": name, "fingerprint": ""}))
    (own / "status_code").write_text(str(code))
    return Finished(key, name, str(own), supersedes)


def publish(store: PosixStore, finished: Finished) -> Outcome:
    """Stage and commit one attempt."""
    with store.workspace(finished.attempt.partition("-")[0], None):
        (staged,) = store.stage([finished])
        assert isinstance(staged, Staged), staged
        return store.commit(staged)


def the_one(folder: Path) -> str:
    """Return the attempt that an output is of: all its files say the same."""
    files = ("stdout", "stderr", "results/one", "results/two")
    (name,) = {(folder / file).read_text() for file in files} | {
        json.loads((folder / "run.json").read_text())["attempt"]
    }
    return name


def no_exchange(a: str, b: str) -> bool:
    """Behave as on NFS."""
    return False


@pytest.fixture(params=["exchange", "fallback"])
def store_either_way(
    request: pytest.FixtureRequest, store: PosixStore, monkeypatch: pytest.MonkeyPatch
) -> PosixStore:
    """The store on a file system that can swap two folders, and on one that cannot."""
    if request.param == "fallback":
        monkeypatch.setattr(replacing, "exchange", no_exchange)
    return store


def test_replacing_keeps_the_old_outcome_either_way(store_either_way: PosixStore, tmp_path: Path) -> None:
    store = store_either_way
    assert publish(store, attempt(tmp_path, "run", "a-1", code=1)) is Outcome.PUBLISHED
    assert publish(store, attempt(tmp_path, "run", "b-1")) is Outcome.PUBLISHED
    assert publish(store, attempt(tmp_path, "run", "c-1")) is Outcome.LOST
    assert publish(store, attempt(tmp_path, "run", "d-1", supersedes="b-1")) is Outcome.PUBLISHED
    root = Path(store.root)
    assert the_one(root / "run") == "d-1"
    history = root / ".pydoit_sc/history/run"
    assert {folder.name: the_one(folder) for folder in history.iterdir()} == {"a-1": "a-1", "b-1": "b-1"}
    assert os.listdir(root / ".pydoit_sc/attempts") == []


@pytest.mark.parametrize("before", [None, 1], ids=["fresh", "over a failed one"])
def test_threads_that_race_have_one_winner(
    store_either_way: PosixStore, tmp_path: Path, before: int | None
) -> None:
    store, root, start = store_either_way, Path(store_either_way.root), Barrier(3)

    def race(staged: Staged) -> Outcome:
        start.wait(30)
        return store.commit(staged)

    with ThreadPoolExecutor(3) as pool:
        for n in range(ROUNDS):
            key = f"deep/{n}"
            if before is not None:
                publish(store, attempt(tmp_path, key, f"old-{n}", code=before))
            finished = [attempt(root / ".pydoit_sc/tmp", key, f"w{i}-{n}") for i in range(3)]
            outcomes = list(pool.map(race, [Staged(one, one.folder) for one in finished]))
            assert sorted(outcome.value for outcome in outcomes) == ["lost", "lost", "published"]
            winner = finished[outcomes.index(Outcome.PUBLISHED)]
            assert the_one(root / key) == winner.attempt
            assert not any(os.path.exists(one.folder) for one in finished)
            history = root / ".pydoit_sc/history" / key
            kept = [folder.name for folder in history.iterdir()] if history.exists() else []
            assert kept == ([] if before is None else [f"old-{n}"])


@pytest.mark.parametrize("known", [None, "old"], ids=["fresh", "over a known one"])
def test_processes_that_race_have_one_winner(store: PosixStore, tmp_path: Path, known: str | None) -> None:
    root = Path(store.root)
    with publisher(store.root, "p") as p, publisher(store.root, "q") as q:
        for n in range(ROUNDS):
            key = f"{n}"
            if known:
                publish(store, attempt(tmp_path, key, f"old-{n}"))
            # One of the two fails in every third round: it may not take the place of the completed one.
            codes = (0, 1 if n % 3 == 0 else 0)
            for one, code in zip((p, q), codes, strict=True):
                say(one, json.dumps([key, code, known and f"old-{n}"]))
            assert hear(p) == hear(q) == "ready"
            for one in (p, q):
                say(one, "go")
            outcomes = {"p": hear(p), "q": hear(q)}
            winner = the_one(root / key)
            assert (root / key / "status_code").read_text() == "0"
            if codes == (0, 0):
                assert sorted(outcomes.values()) == ["lost", "published"]
                assert outcomes[winner[0]] == "published"
            else:
                assert winner == f"p-{n}"
                assert outcomes["p"] == "published"


@contextmanager
def publisher(root: str, name: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, root, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        yield process


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_only_the_attempts_of_dead_workers_are_cleared(store: PosixStore) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, store.root, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("dead", "live")
    ]
    try:
        dead, live = (hear(worker) for worker in workers)
        assert store.running()["some/run"].folder in (dead, live)
        workers[0].send_signal(signal.SIGKILL)
        workers[0].wait(30)
        assert os.path.exists(f"{dead}/dead-1")
        assert store.running() == {"some/run": Live(host="here", folder=live, since=1.5)}
        with store.workspace("third", None) as third:
            assert not os.path.exists(dead)
            assert os.path.exists(f"{live}/live-1")
            assert third == f"{store.root}/.pydoit_sc/attempts/third/closed"
            assert sorted(os.listdir(f"{store.root}/.pydoit_sc/attempts")) == ["live", "third"]
        workers[1].send_signal(signal.SIGKILL)
        workers[1].wait(30)
        assert store.running() == {}
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    with store.workspace("fourth", None):
        assert os.listdir(f"{store.root}/.pydoit_sc/attempts") == ["fourth"]


def test_a_worker_that_was_taken_for_dead_publishes_nothing(
    store: PosixStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is gone at once, and what its runs write there again is no whole attempt, and is not published."""
    with store.workspace("w", None) as folder:
        staged = [Staged(one, one.folder) for one in (attempt(Path(folder), "a", "w-1"),)]
        os.utime(f"{os.path.dirname(folder)}/worker.json", (0, 0))
        monkeypatch.setattr(folders, "machine", lambda: "another machine")
        with PosixStore(store.root).workspace("other", None):
            assert not os.path.exists(folder)
        with pytest.raises(StoreError, match="w-1"):
            store.commit(staged[0])
        again = attempt(Path(folder), "b", "w-2")  # a run may make its folders again
        (error,) = store.stage([again])
        assert isinstance(error, StoreError)
        assert "has taken this one for dead" in str(error)
    assert store.scan(["a", "b"]) == {}


def test_a_folder_that_is_removed_while_runs_execute(store: PosixStore) -> None:
    with store.workspace("w", None) as folder:
        one = attempt(Path(folder), "a", "w-1")
        shutil.rmtree(store.root)
        (error,) = store.stage([one])
        assert f"{os.path.dirname(folder)}: removed, or another worker" in str(error)
        with pytest.raises(StoreError) as raised:
            store.hold("w", ["b"])
        assert str(raised.value) == f"{store.root}/.pydoit_sc/holds: removed while runs execute"


@pytest.mark.parametrize("link", [".pydoit_sc", ".pydoit_sc/attempts"])
def test_our_own_folders_are_no_links(store: PosixStore, tmp_path: Path, link: str) -> None:
    home = tmp_path / "home"
    for name in ("thesis", ".ssh", "attempts/thesis"):
        (home / name).mkdir(parents=True)
        os.utime(home / name, (0, 0))
    Path(store.root, link).parent.mkdir(exist_ok=True)
    Path(store.root, link).symlink_to(home)
    with pytest.raises(StoreError, match=f"{link}: is a symbolic link"), store.workspace("w", None):
        pass
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*")) == [
        ".ssh", "attempts", "attempts/thesis", "thesis"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": {"host": 1}}', '{"run": null}', '"\\ud800"'])
def test_what_a_worker_says_is_executing_may_be_anything(store: PosixStore, text: str) -> None:
    with store.workspace("w", None) as folder:
        own = Path(folder).parent
        (own / "running.json").write_text(text)
        assert store.running() == {}
        store.announce("w", {"run": Live(host="h", folder=folder, since=1.0)})
        assert store.running().keys() == {"run"}
        assert sorted(os.listdir(own)) == ["closed", "running.json", "worker.json"]


def test_what_executes_is_closed_to_others_and_what_is_published_is_not(store: PosixStore) -> None:
    before = os.umask(0o002)
    try:
        with store.workspace("w", None) as folder:
            modes = [os.stat(path).st_mode & 0o777 for path in (os.path.dirname(folder), folder)]
            assert modes == [0o755, 0o700]
            make_folders(f"{folder}/w-1")
            one = attempt(Path(folder), "run", "w-1")
            assert store.commit(Staged(one, one.folder)) is Outcome.PUBLISHED
    finally:
        os.umask(before)
    assert os.stat(f"{store.root}/run").st_mode & 0o777 == 0o775


@pytest.mark.usefixtures("ordinary")
def test_notes_that_are_closed_are_told_and_passed_over(
    store: PosixStore, capfd: pytest.CaptureFixture[str]
) -> None:
    accepted = Path(store.root, ".pydoit_sc/accepted")
    write_accepted(store, {"a-1": "1-0-0-0"})
    (accepted / "theirs").mkdir(0)
    (accepted / "closed.json").touch(0)
    told: list[str] = []
    for _ in range(2):
        assert read_accepted(store, told.append) == {"a-1": "1-0-0-0"}
    assert [line.partition(": ")[2] for line in told] == [
        "is not what `accept` writes, and is ignored; delete it"
    ] * 2
    words = "cannot be read, and what is noted there is not known"
    assert capfd.readouterr().err == f"WARNING: {accepted}/theirs: {words}\n"  # once
    accepted.chmod(0)
    assert read_accepted(store, told.append) == {}
    assert capfd.readouterr().err == f"WARNING: {accepted}: {words}\n"
    accepted.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another user's link")
def test_no_notes_are_read_by_way_of_another_users_link(
    store: PosixStore, capfd: pytest.CaptureFixture[str]
) -> None:
    accepted = Path(store.root, ".pydoit_sc/accepted")
    accepted.parent.mkdir()
    accepted.symlink_to("/usr")
    os.chown(accepted, 65534, 65534, follow_symlinks=False)
    assert store.notes("accepted") == []
    assert capfd.readouterr().err.startswith(f"WARNING: {accepted}: is a symbolic link of another user")


def test_a_note_is_not_read_that_is_too_large(store: PosixStore) -> None:
    for folder in ("accepted", "submitted"):
        store.write_note(f"{folder}/x.json", b"")
        os.truncate(f"{store.root}/.pydoit_sc/{folder}/x.json", 1 << 30)
    told: list[str] = []
    tracemalloc.start()
    try:
        assert (read_accepted(store, told.append), read_notes(store)) == ({}, [])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert len(told) == 1


def test_what_others_may_write_to_is_nobodys_note(store: PosixStore) -> None:
    before = os.umask(0)
    try:
        store.write_note("submitted/x.json", b"mine")
    finally:
        os.umask(before)
    note = Path(store.root, ".pydoit_sc/submitted/x.json")
    assert note.stat().st_mode & 0o777 == 0o644
    assert store.read_note_and_owner("submitted/x.json") == (b"mine", os.geteuid())
    note.chmod(0o664)
    assert store.read_note_and_owner("submitted/x.json") == (b"mine", UNKNOWN)
    note.rename(note.parent / "y.json")
    note.symlink_to("y.json")
    with pytest.raises(FileNotFoundError):
        store.read_note("submitted/x.json")


def test_a_link_in_an_output_leads_to_its_own_files_alone(store: PosixStore, tmp_path: Path) -> None:
    """Whoever may write to it may have put it there; it would lead to what the user alone can read."""
    publish(store, attempt(tmp_path, "stage/run", "w-1"))
    run, secret = Path(store.root, "stage/run"), tmp_path / "secret"
    secret.mkdir()
    (secret / "one").write_text("secret")
    (run / "stderr").unlink()
    for link, to in {"best": "results/one", "results/best": "../stdout"}.items():
        (run / link).symlink_to(to)
    for link in ("stderr", "results/out"):
        (run / link).symlink_to(secret / "one")
    (run / "there").symlink_to(secret)
    (Path(store.root) / "moved").symlink_to("stage")
    for name in ("stdout", "results/one", "best", "results/best"):
        for key in ("stage/run", "moved/run"):
            with store.open(key, name) as file:
                assert file.read() == b"w-1" == store.tail(key, name, 10)
    for name in ("stderr", "results/out", "there/one"):
        with pytest.raises(UnreadableError, match=f"^{run}/{name}: it leads out of its run's output$"):
            store.open("stage/run", name)
        with pytest.raises(UnreadableError, match="leads out"):
            store.tail("stage/run", name, 10)


def test_what_a_dead_worker_wrote_to_a_scratch_disk_is_cleared(store: PosixStore, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, store.root, "dead", str(scratch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        dead = hear(worker)
        assert os.stat(dead).st_mode & 0o077 == 0
        (scratch / "pydoit-sc-worker-notes").mkdir()
        (scratch / "pydoit-sc-worker-notes/file").touch()  # somebody's own
        with store.workspace("second", str(scratch)):
            assert os.path.exists(f"{dead}/dead-1")
        worker.kill()
        worker.wait(30)
    with store.workspace("third", str(scratch)) as third:
        assert sorted(os.listdir(scratch)) == ["pydoit-sc-worker-notes", os.path.basename(third)]


@pytest.mark.parametrize("quick", [False, True])
def test_a_record_is_of_one_attempt_while_another_worker_replaces_the_run(
    store: PosixStore, quick: bool
) -> None:
    root, enough = Path(store.root), Event()
    for name, attempt, code in (("run", "failed", 4), ("other", "completed", 0)):
        said: dict[str, object] = {"fingerprint": "", "attempt": attempt}
        if quick:
            said |= {"status_code": code, "started": 1.0, "finished": 2.0, "host": "vm"}
            said |= {"rank": 0, "cpu_seconds": 0.5, "files": {}}
        text = json.dumps(said)
        assert quick == (parse_written(b"%d" % code, text.encode()) is not None)
        (root / name).mkdir(parents=True)
        (root / name / "run.json").write_text(text)
        (root / name / "status_code").write_text(str(code))

    def swap() -> None:
        while not enough.is_set():
            assert exchange(f"{root}/run", f"{root}/other")

    with ThreadPoolExecutor() as threads:
        swapping = threads.submit(swap)
        seen, until = set[tuple[int | None, str]](), time.monotonic() + 60
        try:
            while len(seen) < 2 and time.monotonic() < until:  # at first only one thread may get to work
                seen |= {(record.code, record.attempt) for _ in range(3000) if (record := store.peek("run"))}
        finally:
            enough.set()
        swapping.result()
    assert seen == {(4, "failed"), (0, "completed")}


def test_results_come_from_a_scratch_disk(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        if os.stat(scratch).st_dev == os.stat(tmp_path).st_dev:
            pytest.skip("needs two file systems")
        store = PosixStore(str(tmp_path / "store"))
        with store.workspace("w", scratch) as folder:
            assert Path(folder).is_relative_to(scratch)
            one, two = (attempt(Path(folder), key, name) for key, name in (("a", "w-1"), ("b", "w-2")))
            Path(one.folder, "results/new\nline \udcff").write_bytes(b"\0")
            Path(one.folder, "results/link").symlink_to("nowhere")
            os.mkfifo(f"{one.folder}/results/pipe")
            Path(two.folder, "stdout").unlink()
            Path(two.folder, "stdout").symlink_to(two.folder)
            staged = store.stage([one, two])
            outcomes = [store.commit(item) for item in staged if isinstance(item, Staged)]
            assert outcomes == [Outcome.PUBLISHED] * 2
            assert not os.path.exists(one.folder)
            store.settle()
        assert os.listdir(scratch) == []
    assert the_one(tmp_path / "store/a") == "w-1"
    assert (tmp_path / "store/a/results/new\nline \udcff").read_bytes() == b"\0"
    assert (tmp_path / "store/a/results/link").readlink() == Path("nowhere")


def test_an_output_that_cannot_be_read_is_no_absence(store: PosixStore, tmp_path: Path) -> None:
    root = Path(store.root)
    publish(store, attempt(tmp_path, "good", "w-1"))
    for name, target in {
        "input output error": "/proc/self/mem",  # reading its first byte is EIO
        "loop": "status_code",
        "folder": "/",
    }.items():
        (root / name).mkdir()
        (root / name / "status_code").symlink_to(target)
    (root / "parents").symlink_to("parents")
    for key in ("input output error", "loop", "folder"):
        with pytest.raises(StoreError, match=f"{key}/status_code"):
            store.peek(key)
    for call in (
        lambda: store.scan(["good", "input output error"]),
        lambda: list(store.look(["input output error"])),
        lambda: list(store.look(["input output error"] * 200, repeat("f"))),
        lambda: list(store.documents(["input output error"], lambda key, why: pytest.fail(f"{key}: {why}"))),
        lambda: list(store.contents(["input output error"], lambda key, why: pytest.fail(f"{key}: {why}"))),
    ):
        with pytest.raises(StoreError, match="input output error/status_code"):
            call()
    # What is wrong for good with one run's own files is of that run alone.
    whys = {"loop": "status_code: Too many levels of symbolic links", "folder": "status_code: Is a directory"}
    whys["parents/a"] = "Too many levels of symbolic links"
    words = {key: f"its outcome cannot be read: {why}" for key, why in whys.items()}
    assert store.scan(["good", *words]) == {
        "good": Record(0, "w-1"),
        **{key: Record(None, reason=said) for key, said in words.items()},
    }
    for more in (0, 200):
        keys = [*words, *(f"parents/{n}" for n in range(more)), "good"]
        *found, good = store.look(keys)
        assert found[:3] == [Taken(said) for said in words.values()]
        assert set(found[3:]) <= {Taken(words["parents/a"])}
        assert good == Record(0, "w-1")
    for read in (store.documents, store.contents):
        unread: dict[str, str] = {}
        assert [one[0] for one in read([*words, "good"], unread.__setitem__)] == ["good"]
        assert unread == {
            "loop": f"{root}/loop/status_code: Too many levels of symbolic links",
            "folder": f"{root}/folder/status_code: Is a directory",
            "parents/a": f"{root}/parents/a: Too many levels of symbolic links",
        }
        with pytest.raises(UnreadableError, match="loop/status_code"):
            list(read(["loop"]))
    for key in ("loop", "folder"):
        with pytest.raises(TakenError, match=f"{key}/status_code: .*, and it stays as it is"):
            store.forget(key)
    for scan in (
        lambda: store.files("parents/a"),
        lambda: store.open("parents/a", "stdout"),
        lambda: store.forget("parents/a"),
    ):
        with pytest.raises(StoreError, match="parents"):
            scan()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENOMEM])
def test_an_error_that_may_pass_is_none_of_the_run(
    store: PosixStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    publish(store, attempt(tmp_path, "run", "w-1"))

    def fail(*_: object) -> bytes:
        raise OSError(number, os.strerror(number), "status_code")

    monkeypatch.setattr(reading, "read_file", fail)
    monkeypatch.setattr(reading, "_read_block", fail)
    calls: list[Callable[[], object]] = [
        lambda: store.scan(["run"]),
        lambda: list(store.look(["run"])),
        lambda: list(store.look(["run"], ["f"])),
        lambda: list(store.documents(["run"], lambda *_: None)),
        lambda: list(store.contents(["run"], lambda *_: None)),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="run/status_code: ") as raised:
            call()
        assert not isinstance(raised.value, UnreadableError)


def test_a_file_where_a_folder_should_be(store: PosixStore, tmp_path: Path) -> None:
    root = Path(store.root)
    (root / "run").write_text("mine")
    (root / "above").write_text("mine")
    for key in ("run", "above/run"):
        assert store.scan([key]) == {}
        with pytest.raises(StoreError, match=f"{root}/above|{root}/run"):
            publish(store, attempt(tmp_path, key, f"{key[0]}-1"))
    assert (root / "run").read_text() == (root / "above").read_text() == "mine"
    blocked = PosixStore(str(root / "run"))
    with pytest.raises(StoreError, match=f"{root}/run"), blocked.workspace("w", None):
        pass


@pytest.mark.usefixtures("ordinary")
def test_what_may_not_be_read_is_told_with_its_name(
    store: PosixStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(store.root)
    publish(store, attempt(tmp_path, "stage/run", "w-1"))
    calls: dict[str, Callable[[], object]] = {
        "look": lambda: list(store.look(["stage/run"])),
        "many": lambda: list(store.look(["stage/run"] * 200)),
        "documents": lambda: list(store.documents(["stage/run"])),
        "contents": lambda: list(store.contents(["stage/run"])),
        "peek": lambda: store.peek("stage/run"),
        "files": lambda: store.files("stage/run"),
        "open": lambda: store.open("stage/run", "stdout").close(),
        "beside": lambda: store.beside(["stage/run"]),
        "orphans": lambda: list(store.orphans(set())),
    }
    told = {"look", "many", "beside", "orphans"}
    locked = {
        "stage": set(calls),
        "stage/run": set(calls),
        "stage/run/status_code": {"look", "many", "documents", "contents", "peek"},
        "stage/run/results": {"files", "contents"},
    }
    for path, wrong in locked.items():
        mode = (root / path).stat().st_mode
        (root / path).chmod(0)
        for name, call in calls.items():
            if name not in wrong:
                call()
                continue
            if name in told:
                answer = str(call())
                assert name == "orphans" or "cannot be read" in answer
                assert (capsys.readouterr().err != "") == (name == "orphans")
                continue
            with pytest.raises(StoreError, match=f"{root}/stage.*: Permission denied"):
                call()
        (root / path).chmod(mode)
        errors._WARNED.clear()
    assert store.scan(["stage/run"]) == {"stage/run": Record(0, "w-1")}


@pytest.mark.usefixtures("ordinary")
def test_whose_it_is_that_may_not_be_read(store: PosixStore, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("takes root to give a file away")
    root, denied = Path(store.root), "its outcome cannot be read: status_code: Permission denied"
    for n, uid in enumerate((0, 65534, 123456)):
        publish(store, attempt(tmp_path, f"stage/{n}", f"w-{n}"))
        (root / f"stage/{n}").chmod(0o700)
        os.chown(root / f"stage/{n}", uid, -1)
    mine, other, unknown = store.look(["stage/0", "stage/1", "stage/2"])
    assert isinstance(mine, Record)
    assert other == Taken(f"{denied}, it belongs to {pwd.getpwuid(65534).pw_name}")
    assert unknown == Taken(f"{denied}, it belongs to user 123456")
    (root / "stage").chmod(0o700)
    os.chown(root / "stage", 65534, -1)
    (one,) = store.look(["stage/0"])
    assert isinstance(one, Taken) and "belongs to" in one.words


@pytest.mark.usefixtures("ordinary")
def test_what_may_not_be_written_is_an_error_that_names_it(store: PosixStore, tmp_path: Path) -> None:
    root = Path(store.root)
    with store.workspace("w", None):
        finished = attempt(root / ".pydoit_sc/attempts/w", "stage/run", "w-1")
        old = attempt(tmp_path, "stage/old", "old-1", code=1)
        publish(store, old)
        (root / "stage").chmod(0o555)
        again = attempt(root / ".pydoit_sc/attempts/w", "stage/old", "w-2")
        for one in (finished, again):
            with pytest.raises(StoreError, match=f"{root}.*stage/.*: Permission denied"):
                store.commit(Staged(one, one.folder))
            assert the_one(Path(one.folder)) == one.attempt  # nothing is lost: it can be tried again
        for call in (store.forget, store.remove):
            with pytest.raises(StoreError, match=f"{root}/stage/old.*: Permission denied"):
                call("stage/old")
        (root / "stage").chmod(0o755)
        assert store.commit(Staged(again, again.folder)) is Outcome.PUBLISHED
    root.chmod(0o555)
    fresh = PosixStore(str(root / "not yet"))
    for where, scratch in ((fresh, None), (store, str(root / "scratch"))):
        with pytest.raises(StoreError, match=f"{root}/.*: Permission denied"), where.workspace("w", scratch):
            pass
    root.chmod(0o755)


def test_an_attempt_that_has_vanished_is_an_error(store: PosixStore, tmp_path: Path) -> None:
    with store.workspace("w", None), pytest.raises(StoreError, match="w-1"):
        store.commit(Staged(Finished("run", "w-1", f"{tmp_path}/w-1", None), f"{tmp_path}/w-1"))
    assert not (Path(store.root) / "run").exists()


def test_a_place_that_changes_at_every_try_is_an_error(
    store: PosixStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, folder = Path(store.root, "run"), tmp_path / "w-1"
    for path in (output, folder):
        path.mkdir(parents=True)
        (path / "stdout").touch()
    monkeypatch.setattr(
        replacing.Replacer, "replace", lambda *_: None
    )  # as if another program were always quicker
    with (
        store.workspace("w", None),
        pytest.raises(StoreError, match=f"^{output}: cannot be replaced: something else was there at each"),
    ):
        store.commit(Staged(Finished("run", "w-1", str(folder), None), str(folder)))
    assert folder.exists()


def test_a_name_in_the_history_that_another_worker_takes_just_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, store = tmp_path / "a", PosixStore(str(tmp_path))
    for _ in range(3):
        output.mkdir()
        (output / "status_code").write_text("1")
        (output / "run.json").write_text(json.dumps({"attempt": "x-1", "fingerprint": "", "status_code": 1}))
        monkeypatch.setattr(os.path, "lexists", lambda _: False)  # it was not there when it was looked for
        assert store.forget("a")
        monkeypatch.undo()
    assert sorted(os.listdir(tmp_path / ".pydoit_sc/history/a")) == ["x-1", "x-1.1", "x-1.2"]


def test_a_history_without_a_free_name_is_an_error(store: PosixStore) -> None:
    for place in (home := Path(store.root, ".pydoit_sc/history/a"), output := Path(store.root, "a")):
        place.mkdir(parents=True)
    (output / "status_code").write_text("1")  # of `sc`: nobody knows its attempt
    for name in ("unknown", *(f"unknown.{n}" for n in range(1, history.PLACES))):
        (home / name / "results").mkdir(parents=True)
    with pytest.raises(
        StoreError, match=r"history/a/unknown: expected a free name, found 1,000 of this attempt; `clean`"
    ):
        store.forget("a")
    assert (output / "status_code").exists()


@pytest.mark.parametrize("swaps", [True, False])
def test_an_old_outcome_that_cannot_be_kept_stays(
    store: PosixStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with store.workspace("w", None) as folder:
        old, new = attempt(Path(folder), "run", "w-1", 1), attempt(Path(folder), "run", "w-2")
        store.commit(Staged(old, old.folder))
        if not swaps:
            monkeypatch.setattr(replacing, "exchange", lambda *_: False)
        monkeypatch.setattr(history, "make_folders", full)
        with pytest.raises(StoreError, match="no space"):
            store.commit(Staged(new, new.folder))
        assert (the_one(Path(store.root, "run")), the_one(Path(new.folder))) == ("w-1", "w-2")


def test_a_history_that_is_removed_just_now_is_made_again(
    store: PosixStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = f"{store.root}/.pydoit_sc/history/run"
    made: list[str] = []

    def make_once(path: str) -> None:
        make_folders(path)
        made.append(path)
        if len(made) == 1:
            os.rmdir(path)  # as `clean` does

    with store.workspace("w", None) as folder:
        for name, code in (("w-1", 1), ("w-2", 0)):
            one = attempt(Path(folder), "run", name, code)
            monkeypatch.setattr(history, "make_folders", make_once)
            assert store.commit(Staged(one, one.folder)) is Outcome.PUBLISHED
    assert made == [home] * 2
    assert (the_one(Path(store.root, "run")), os.listdir(home)) == ("w-2", ["w-1"])


def test_a_hold_that_another_worker_has_taken_over_is_left(store: PosixStore) -> None:
    holds = Path(store.root, ".pydoit_sc/holds")
    holds.mkdir(parents=True)
    mine = Holds(str(holds), f"{store.root}/.pydoit_sc/attempts")
    mine.take("a", "run")
    (link,) = holds.iterdir()
    link.unlink()
    link.symlink_to("b+1")
    mine.release("run")
    assert os.readlink(link) == "b+1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another user's link")
@pytest.mark.parametrize(
    "link", ["stage", ".pydoit_sc/history", ".pydoit_sc/history/stage", ".pydoit_sc/submitted"]
)
def test_a_link_of_another_user_leads_nowhere(store: PosixStore, tmp_path: Path, link: str) -> None:
    """In a shared folder: to the outputs of another project, for the user's `clean`; the user's own links are followed."""
    elsewhere, root = tmp_path / "elsewhere", Path(store.root)
    elsewhere.mkdir()
    with store.workspace("w", None) as folder:
        if link != "stage":
            old = attempt(Path(folder), "stage/0", "w-1", 1)
            store.commit(Staged(old, old.folder))
        else:
            (elsewhere / "0").mkdir()
            (elsewhere / "0/status_code").write_text("0")
        (root / link).parent.mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(elsewhere)
        os.chown(root / link, 65534, 65534, follow_symlinks=False)
        new = attempt(Path(folder), "stage/0", "w-2")
        before = sorted(elsewhere.rglob("*"))
        said = f"^{root / link}: is a symbolic link of another user"
        for act in (
            (
                lambda: store.commit(Staged(new, new.folder)),
                lambda: store.forget("stage/0"),
                lambda: store.remove("stage/0"),
            )
            if link != ".pydoit_sc/submitted"
            else (
                lambda: store.write_note("submitted/x.json", b""),
                lambda: store.remove_note("submitted/x.json"),
            )
        ):
            with pytest.raises(StoreError, match=said):
                act()
        assert sorted(elsewhere.rglob("*")) == before
        os.chown(root / link, 0, 0, follow_symlinks=False)
        if link == "stage":
            assert store.remove("stage/0")


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_lies_in_the_place_of_the_lock_holds_nobody_up(
    store: PosixStore, tmp_path: Path, kind: str
) -> None:
    lock = Path(store.root, ".pydoit_sc/replacing")
    with store.workspace("w", None) as folder:
        {"pipe": os.mkfifo, "link": lambda path: path.symlink_to(tmp_path / "new"), "folder": os.mkdir}[kind](
            lock
        )
        for name, code in (("w-1", 1), ("w-2", 0)):
            one = attempt(Path(folder), "run", name, code)
            assert store.commit(Staged(one, one.folder)) is Outcome.PUBLISHED
    assert the_one(Path(store.root, "run")) == "w-2"
    assert not (tmp_path / "new").exists()


def test_a_lock_that_somebody_keeps_is_waited_for_once(
    store: PosixStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replacing, "_WAITED", 1.0)
    assert publish(store, attempt(tmp_path, "run", "w-0", code=1)) is Outcome.PUBLISHED
    took = []
    with open(f"{store.root}/.pydoit_sc/replacing", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for n in range(1, 4):
            began = time.monotonic()
            assert publish(store, attempt(tmp_path, "run", f"w-{n}", code=1)) is Outcome.PUBLISHED
            took.append(time.monotonic() - began)
    assert took[0] > 1
    assert max(took[1:]) < 1
    assert the_one(Path(store.root, "run")) == "w-3"
    assert len(list(Path(store.root, ".pydoit_sc/history/run").iterdir())) == 3
