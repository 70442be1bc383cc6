"""`logs`: the bytes that a run has written, or writes."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from doit.exceptions import InvalidCommand

from pydoit_sc.commands import logs as logs_module
from pydoit_sc.commands.logs import LogsCommand
from pydoit_sc.outcomes.output import LiveOutput
from pydoit_sc.store import Finished, Live, Outcome, Staged, Store, open_store
from pydoit_sc.store import asking as asking_module
from pydoit_sc.worker import showing as showing_module
from pydoit_sc.worker.showing import Showing
from tests.conftest import HEAD, Box, until


def test_logs_are_the_bytes(box: Box) -> None:
    box.batchfile(HEAD + "[runs.a]\ncmd = '''printf '\\377\\000é\\r\\n'; printf 'no\\376' >&2'''\n")
    assert "no output" in box("logs", "a").refused()
    box.ok()
    both = box("logs", "a")
    assert (both.code, both.out.encode(errors="surrogateescape"), both.err) == (
        0,
        b"\xff\0\xc3\xa9\r\n".replace(b"\r\n", b"\n"),  # text mode of this test
        "no\udcfe",
    )
    assert box("logs", "a", "--stdout").err == ""
    only = box("logs", "--stderr", "a")
    assert (only.out, only.err) == ("", "no\udcfe")
    assert "expected the name of a run" in box("logs").refused()


def test_logs_follow_a_run_until_it_ends(box: Box) -> None:
    box.batchfile(
        HEAD + '[runs.a]\ncmd = "echo begin; while [ ! -e go ]; do sleep 0.02; done; echo end; echo no >&2"\n'
    )
    with box.start() as worker:
        until(lambda: "running" in box("summarize-batch", "--status", "running").out.split())
        with box.start("logs", "--follow", "a") as logs:
            assert logs.stdout is not None
            assert logs.stdout.readline() == "begin\n"
            box.write("go", "")
            out, err = logs.communicate(timeout=60)
        worker.communicate(timeout=60)
    assert (logs.returncode, out, err) == (0, "end\n", "no\n")
    assert worker.returncode == 0
    assert box("logs", "--follow", "a").out == "begin\nend\n"  # it has ended: as without


THREE = HEAD + '[runs.a]\ncmd = "true {x}"\nmatrix = { x = [1, 2, 3] }\n'


class Streams:
    """What was written to standard output and standard error."""

    def __init__(self, capture: pytest.CaptureFixture[bytes]) -> None:
        self._capture, self._seen = capture, (b"", b"")

    def read(self) -> tuple[bytes, bytes]:
        """Return all of it."""
        new = self._capture.readouterr()
        self._seen = self._seen[0] + new.out, self._seen[1] + new.err
        return self._seen


@pytest.fixture
def streams(capfdbinary: pytest.CaptureFixture[bytes]) -> Streams:
    """Standard output and standard error."""
    return Streams(capfdbinary)


def logs(box: Box, *words: str) -> None:
    assert LogsCommand(config={}).parse_execute(["-f", str(box.folder / "batchfile.toml"), *words]) == 0


def test_lines_of_several_runs_have_their_names(box: Box, streams: Streams) -> None:
    box.batchfile(THREE)
    box.write("out/a/1/stdout", "one\ntwo")
    box.write("out/a/1/stderr", "no\n")
    box.write("out/a/3/stdout", "")
    box.write("out/a/3/stderr", "progress\r" * 10_000)
    logs(box, "a:[12]", "a:3")
    assert streams.read() == (b"a:1: one\na:1: two\n", b"a:1: no\na:3: " + b"progress\r" * 10_000 + b"\n")
    with pytest.raises(InvalidCommand, match="`a:2` has no output in "):
        logs(box, "a:2")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and have no file in reach: as on another machine."""
    for module in (logs_module, asking_module, showing_module):
        for name in ("LOOK_EVERY", "SHOW_EVERY", "_ASK_EVERY", "PAUSE"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, 0.02)
    monkeypatch.setattr(LiveOutput, "_open", lambda self, name: None)


@contextmanager
def elsewhere(box: Box, **attempts: str) -> Iterator[tuple[Store, Path]]:
    """Have a worker on another machine execute attempts `0a-1` …, whose files lie in a folder of their own."""
    store, folder = open_store(str(box.folder / "out"), {}, durable=False), box.folder / "scratch"
    showing = Showing(store, "0a")
    with store.workspace("0a", None):
        live = {}
        for key, attempt in attempts.items():
            for name in ("stdout", "stderr"):
                box.write(f"scratch/{attempt}/{name}", f"{name} of {attempt}\n")
            live[f"a/{key[1:]}"] = Live(host="node3", folder=str(folder / attempt), since=1.0)
        store.announce("0a", live)
        showing.folders = {attempt: str(folder / attempt) for attempt in attempts.values()}
        showing.start()
        try:
            yield store, folder
        finally:
            showing.close()


def test_what_a_worker_elsewhere_shows(box: Box, streams: Streams, quick: None) -> None:
    box.batchfile(THREE)
    with elsewhere(box, _1="0a-1", _2="0a-2"):
        logs(box, "a:1")
        assert streams.read() == (b"stdout of 0a-1\n", b"stderr of 0a-1\n")
        box.write("scratch/0a-2/stdout", b"x" * 200_000)
        logs(box, "--stdout", "a:2")
    out, err = streams.read()
    assert out[15:] == b"x" * (64 << 10)
    assert err[15:] == b"a:2: 134,464 earlier bytes of stdout are not shown\n"
    left = box.folder / "out" / ".pydoit_sc"
    until(
        lambda: not list(left.glob("*/0a"))
    )  # the notes are removed at the end of who asks, and of the worker


class Time:
    """The module `time`, with something to do in each pause."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step

    def sleep(self, seconds: float) -> None:
        self._step()
        time.sleep(min(seconds, 0.01))


def test_followed_elsewhere_until_its_end(
    box: Box, streams: Streams, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.batchfile(THREE)
    with elsewhere(box, _1="0a-1") as (store, folder):
        # Each pause of the command is a step of the story.
        steps = iter(_story(box, store, folder, streams))
        monkeypatch.setattr(logs_module, "time", Time(lambda: next(steps)))
        logs(box, "--follow", "--stdout", "a:1")
    assert streams.read()[0] == b"stdout of 0a-1\nmore\nthe last line\n"


def test_a_run_that_has_yet_to_start_is_waited_for(
    box: Box, streams: Streams, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.batchfile(THREE)
    with elsewhere(box, _1="0a-1", _2="0a-2") as (store, _):
        later = {"a/2": Live(host="node3", folder="/f/0a-2", since=1.0)}
        store.announce("0a", {"a/1": Live(host="node3", folder="/f/0a-1", since=1.0)})

        def story() -> Iterator[None]:
            while b"waiting for `a:2` and 1 more\n" not in streams.read()[1]:
                yield
            box.write("out/a/3/stdout", "third\n")  # it starts and ends between two looks
            box.write("out/a/3/stderr", "")
            box.write("out/a/3/status_code", "0")
            while b"a:3: third\n" not in streams.read()[0]:
                yield
            store.announce("0a", later)
            while b"a:2: stdout of 0a-2\n" not in streams.read()[0]:
                yield
            box.write("out/a/2/run.json", '{"attempt": "0a-2", "fingerprint": "f"}')
            box.write("out/a/2/status_code", "0")
            yield
            raise AssertionError("it goes on after the end of the runs")

        steps = story()
        monkeypatch.setattr(logs_module, "time", Time(lambda: next(steps)))
        logs(box, "--follow", "a:2", "a:3")


def test_nothing_is_waited_for_where_nothing_executes(
    box: Box, streams: Streams, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.batchfile(THREE)
    monkeypatch.setattr(logs_module, "PATIENCE", 0.02)
    with pytest.raises(InvalidCommand, match="`a:2` has no output in "):
        logs(box, "--follow", "a:2")
    assert streams.read()[1] == (
        b"waiting for `a:2`\nnothing executes, and nothing is submitted: no longer waiting for `a:2`\n"
    )
    box.write("out/a/1/stdout", "one\n")
    logs(box, "--follow", "--stdout", "a:1", "a:2")
    assert streams.read()[0] == b"a:1: one\n"
    asked: list[float] = []

    def is_submitted(store: Store, batch: object) -> list[object]:
        asked.append(1)
        return [1] if len(asked) < 3 else []

    monkeypatch.setattr(logs_module, "under_way", is_submitted)
    monkeypatch.setattr(logs_module, "_ASK_ENGINE_EVERY", 0.0)
    with pytest.raises(InvalidCommand, match="`a:2` has no output in "):
        logs(box, "--follow", "a:2")
    assert len(asked) == 3


def _story(box: Box, store: Store, folder: Path, streams: Streams) -> Iterator[None]:
    while streams.read()[0] != b"stdout of 0a-1\n":
        yield
    with (folder / "0a-1" / "stdout").open("a") as file:
        file.write("more\n")
    while not streams.read()[0].endswith(b"more\n"):
        yield
    with (folder / "0a-1" / "stdout").open("a") as file:
        file.write("the last line\n")
    store.announce("0a", {})  # it executes no longer, and is not published yet
    yield
    box.write("scratch/0a-1/status_code", "0")
    box.write("scratch/0a-1/run.json", '{"attempt": "0a-1", "fingerprint": "f"}')
    (staged,) = store.stage([Finished("a/1", "0a-1", str(folder / "0a-1"), None)])
    assert isinstance(staged, Staged) and store.commit(staged) is Outcome.PUBLISHED
    yield
    raise AssertionError("it goes on after the end of the run")


def test_a_worker_that_does_not_answer(
    box: Box, streams: Streams, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.batchfile(THREE)
    monkeypatch.setattr(logs_module, "ASKED_FOR", 0.05)
    with elsewhere(box, _1="0a-1") as (store, _):
        for attempt in ("0b-1", "0a-1;x", "x"):  # whose worker is gone, or that anybody has written
            live = Live(host="node\x1b9", folder=f"/nowhere/{attempt}", since=1.0)
            store.announce("0a", {"a/3": live})
            with pytest.raises(InvalidCommand, match="`a:3` has no output in"):
                logs(box, "a:3")
    assert b"no answer yet from node\\x1b9: a worker looks every 0.02 s\n" in streams.read()[1]


def test_notes_that_anybody_may_have_written(box: Box) -> None:
    store = open_store(str(box.folder / "out"), {}, durable=False)
    showing = Showing(store, "0a")
    box.write("f/stdout", "x")
    showing.folders = {"0a-1": str(box.folder / "f")}
    for note in (b"", b"[]", b'{"attempts": ["0b-1", "../x"], "token": "1"}', b"x" * 100_000):
        store.write_note("asked/0a", note)
        showing.look(0.0)
    assert store.notes("shown") == []
    store.write_note("asked/0a", b'{"attempts": ["0a-1"], "token": "1"}')
    showing.look(0.0)
    assert store.notes("shown") == ["shown/0a"]
    store.remove_note("shown/0a")
    box.write("f/stdout", "xy")
    showing.look(100.0)  # nobody has asked again
    assert store.notes("shown") == []
    store.remove_note("shown/0a")
    for shown in (b"", b'{"attempts": {"0a-1": {"stdout": {"size": 5, "data": "?"}}}}'):
        store.write_note("shown/0a", shown)
        with asking_module.Asking(store) as asking:
            found = asking.look(["0a-1", "../../x-1"])
        assert [ending.after(0) for endings in found.values() for ending in endings.values()] in (
            [],
            [(b"", 5)],
        )


def test_nothing_is_shown_of_what_a_link_leads_to(box: Box) -> None:
    """It may be a secret of the worker's user, and everybody may ask."""
    store = open_store(str(box.folder / "out"), {}, durable=False)
    showing = Showing(store, "0a")
    box.write("secret", "secret")
    box.write("f/stderr", "x")
    (box.folder / "f/stdout").symlink_to(box.folder / "secret")
    showing.folders = {"0a-1": str(box.folder / "f")}
    store.write_note("asked/0a", b'{"attempts": ["0a-1"], "token": "1"}')
    showing.look(0.0)
    with asking_module.Asking(store) as asking:
        assert asking.look(["0a-1"])["0a-1"].keys() == {"stderr"}


def test_an_attempt_that_was_retried_just_now_is_in_the_history(box: Box, streams: Streams) -> None:
    """Short attempts are over before a worker has told of the next one."""
    box.batchfile(THREE)
    with elsewhere(box, _1="0a-1") as (_, folder):
        home = box.folder / "out/.pydoit_sc/history/a/1"
        home.mkdir(parents=True)
        (folder / "0a-1").rename(home / "0a-1")
        logs(box, "a:1")
        assert streams.read() == (b"stdout of 0a-1\n", b"stderr of 0a-1\n")


def test_logs_turn_to_the_next_attempt(box: Box, streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    box.batchfile(THREE)
    monkeypatch.setattr(logs_module, "_ASK_EVERY", 0.02)
    with elsewhere(box, _1="0a-1") as (store, folder):
        shutil.rmtree(folder / "0a-1")
        box.write("scratch/0a-2/stdout", "second\n")
        box.write("scratch/0a-2/stderr", "")
        live = Live(host="node3", folder=str(folder / "0a-2"), since=1.0)
        threading.Timer(0.1, lambda: store.announce("0a", {"a/1": live})).start()
        logs(box, "a:1")
        assert streams.read() == (b"second\n", b"")
