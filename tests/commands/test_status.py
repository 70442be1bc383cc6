"""`status`: how each stage stands, from what the store says."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import botocore.session
import pytest
from doit.exceptions import InvalidCommand

from pydoit_sc.batch import Status
from pydoit_sc.commands import watch as watch_module
from pydoit_sc.commands.status import StatusCommand
from pydoit_sc.ledger import Ledger
from pydoit_sc.standing import Standing, goes_on, stand
from pydoit_sc.store import Live, Record, StoreError, open_store
from pydoit_sc.store.documents import Lease, Provenance
from pydoit_sc.store.posix import PosixStore
from tests.conftest import HEAD, STAGES, Box
from tests.s3 import KEYS
from tests.stages import batch, stage
from tests.starts import PROGRAMS
from tests.terminals import Window
from tests.test_plan import execute


def outcome(box: Box, key: str, code: int = 0, seconds: float | None = None) -> None:
    """Write a run's outcome, as `sc` leaves it, or with a `run.json` that says how long it took."""
    box.write(f"out/{key}/status_code", str(code))
    if seconds is not None:
        known = Provenance(
            fingerprint="", attempt="w-1", status_code=code, cmd="", host="h", rank=0, started=1.0,
            finished=1 + seconds, cpu_seconds=0.0,
        )  # fmt: skip
        box.write(f"out/{key}/run.json", known.to_json())


@contextmanager
def executing(box: Box, **hosts: str) -> Iterator[None]:
    """Have a live worker say that it executes runs of the stage `a`, on these hosts."""
    store = open_store(str(box.folder / "out"), {}, durable=False)
    with store.workspace("worker", None):
        live = {f"a/{run[1:]}": Live(host=host, folder="/f/w-1", since=1.0) for run, host in hosts.items()}
        store.announce("worker", live)
        yield


def status(box: Box, *words: str, file: str = "batchfile.toml", form: str = "table") -> None:
    """Show it, in this process."""
    given = ["-f", str(box.folder / file), "--format", form]
    assert StatusCommand(config={}).parse_execute([*given, *words]) == 0


def figures(
    box: Box, capsys: pytest.CaptureFixture[str], *words: str, file: str = "batchfile.toml"
) -> dict[str, Any]:
    """Return what JSON says of each stage, and of the total, without what is 0, empty or unknown."""
    status(box, *words, file=file, form="json")
    found = json.loads(capsys.readouterr().out)
    listed = {one.pop("stage"): one for one in found["stages"]} | {"total": found["total"]}
    return {name: {key: value for key, value in one.items() if value} for name, one in listed.items()}


def test_a_line_for_each_stage_and_the_total(stages: Box, capsys: pytest.CaptureFixture[str]) -> None:
    status(stages)
    outcome(stages, "a/1")
    outcome(stages, "a/2", 7)
    status(stages)
    assert capsys.readouterr().out.splitlines() == [
        "a      3 runs: 3 incomplete",
        "b      1 run: 1 incomplete",
        "total  4 runs: 4 incomplete",
        "a      3 runs: 1 completed, 1 failed, 1 incomplete",
        "b      1 run: 1 incomplete",
        "total  4 runs: 1 completed, 1 failed, 2 incomplete",
    ]


def test_statuses_are_those_of_the_plan(stages: Box, capsys: pytest.CaptureFixture[str]) -> None:
    stages.ok()
    assert figures(stages, capsys)["total"] == {"runs": 4, "completed": 4}
    stages.write("in", "2")
    stages.ok("ignore", "a:3")
    assert figures(stages, capsys) == {
        "a": {"runs": 3, "stale": 2, "ignored": 1},
        "b": {"runs": 1, "completed": 1},
        "total": {"runs": 4, "completed": 1, "stale": 2, "ignored": 1},
    }
    status(stages)
    assert "a      3 runs: 2 stale, 1 ignored\n" in capsys.readouterr().out


def test_names_are_shown_alone(stages: Box, capsys: pytest.CaptureFixture[str]) -> None:
    outcome(stages, "a/1")
    assert figures(stages, capsys, "a:[12]", "a:1") == {
        "a": {"runs": 2, "completed": 1, "incomplete": 1},
        "total": {"runs": 2, "completed": 1, "incomplete": 1},
    }
    assert figures(stages, capsys, "b") == {key: {"runs": 1, "incomplete": 1} for key in ("b", "total")}


def test_runs_that_execute_elsewhere(stages: Box, capsys: pytest.CaptureFixture[str]) -> None:
    outcome(stages, "a/1", seconds=30)
    with executing(stages, _2="node3", _3="node3"):
        found = figures(stages, capsys)
    outcome(stages, "a/2", 1)
    with executing(stages, _2="node\x1b[3\n1"):  # a failed run again; anybody may have written the note
        status(stages)
    assert found["a"] == {
        "runs": 3, "completed": 1, "running": 2, "hosts": {"node3": 2}, "runs_per_second": 2 / 30, "seconds_left": 30,
    }  # fmt: skip
    assert "runs_per_second" not in found["total"]
    assert capsys.readouterr().out.splitlines()[0] == (
        "a      3 runs: 1 completed, 1 incomplete, 1 running on node\\x1b[3\\n1; about 2.0 a minute, 1:00 left"
    )


def test_a_completed_run_that_executes_again(stages: Box, capsys: pytest.CaptureFixture[str]) -> None:
    """Which `-a` does: until its next attempt, another one than that of its outcome, has been published."""
    outcome(stages, "a/1", seconds=30)
    with executing(stages, _1="node3"):
        assert (
            figures(stages, capsys)["a"].items() >= {"completed": 1, "incomplete": 2}.items()
        )  # has just ended
        known = stages.folder / "out/a/1/run.json"
        known.write_text(known.read_text().replace('"w-1"', '"w-0"'))
        found = figures(stages, capsys)["a"]
        assert (found["running"], found["incomplete"], found["hosts"]) == (1, 2, {"node3": 1})
        (row,) = json.loads(stages("summarize-batch", "--format", "json", "--status", "running").out)
    assert row["name"] == "a:1"


@pytest.mark.parametrize(("attempt", "goes"), [("w-0", True), ("w-1", False)])
def test_what_executes_again_goes_on(attempt: str, goes: bool) -> None:
    ledger = Ledger(batch(stage("a", 3)), {})
    execute(ledger)
    live = {"a/1": Live(host="h", folder="/f/w-1", since=1.0)}
    for code in (0, 1):
        ledger.records["a/1"] = ledger.records["a/1"]._replace(code=code, attempt=attempt)
        assert goes_on(ledger, ledger.batch.stages, live) == goes


def test_the_running_ones_of_many_hosts(stages: Box, capsys: pytest.CaptureFixture[str]) -> None:
    stages.edit("[1, 2, 3]", "[1, 2, 3, 4, 5, 6, 7]")
    with executing(stages, _1="n1", _2="n1", _3="n2", _4="n3", _5="n4", _6="n5"):
        status(stages, "a")
    line = "1 incomplete, 2 running on n1, 1 running on n2, 1 running on n3, 2 running on 2 more"
    assert capsys.readouterr().out.splitlines()[0] == f"a      7 runs: {line}"


def test_a_time_that_is_not_known_is_left_out(stages: Box, capsys: pytest.CaptureFixture[str]) -> None:
    with executing(stages, _2="node3"):
        assert "seconds_left" not in figures(stages, capsys)["a"]  # nothing is completed
        for seconds in (None, -5, 0, float("inf"), 1e300):
            outcome(stages, "a/1", seconds=seconds)
            assert "seconds_left" not in figures(stages, capsys)["a"]
        stages.write("out/a/1/run.json", "torn")
        assert "seconds_left" not in figures(stages, capsys)["a"]


def test_the_time_left_is_that_of_what_has_yet_to_execute() -> None:
    ledger = Ledger(batch(stage("a", 100)), {})
    execute(ledger, {f"a/{n}" for n in range(50)})
    for key in ("a/7", "a/8"):  # others were published by `sc`, which does not say
        ledger.records[key] = ledger.records[key]._replace(started=1.0, ended=3.0)
    ledger.records["a/99"] = Record(1)
    ledger.records["a/0"] = ledger.records["a/0"]._replace(attempt="w-1")
    live = {f"a/{n}": Live(host="h", folder="/f/w-1", since=1.0) for n in (0, 60, 61, 62)}
    found = stand(ledger, ledger.batch.stages[0], live)
    counts = {Status.COMPLETED: 50, Status.ERROR: 1, Status.INCOMPLETE: 46, Status.RUNNING: 3}
    assert found == Standing(
        Counter(counts), 0, Counter(h=3), pace=2.0
    )  # 4 at once: a:0 has just been completed
    assert found.seconds_left == 49 / 2
    assert stand(ledger, ledger.batch.stages[0], {}).pace is None


def test_an_empty_batch(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    box.write("jobs.json", json.dumps({"remote_output_path": "out", "runs": []}))
    status(box, file="jobs.json")
    assert capsys.readouterr().out.splitlines() == ["runs   0 runs", "total  0 runs"]
    assert figures(box, capsys, file="jobs.json") == {"runs": {}, "total": {}}


def test_a_plain_list_and_its_outputs_elsewhere(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    box.write("jobs.json", json.dumps({"remote_output_path": "out", "runs": [{"cmd": "a"}, {"cmd": "b"}]}))
    outcome(box, "0")
    status(box, file="jobs.json")
    lines = ["runs   2 runs: 1 completed, 1 incomplete", "total  2 runs: 1 completed, 1 incomplete"]
    assert capsys.readouterr().out.splitlines() == lines
    there = box.ok("status", "-f", "jobs.json", "--remote-output-path", "elsewhere")
    assert there.splitlines()[0] == "runs   2 runs: 2 incomplete"


LONG = "preprocess-the-" + "very-" * 8 + "long"
HOST = "ip-10-0-0-1.eu-central-1.compute.internal"


def shown_on_a_terminal(box: Box, width: int) -> list[str]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with subprocess.Popen(
        [PROGRAMS / "pydoit-sc", "status"], cwd=box.folder, env=box.env, stdout=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 1 << 16):
                shown += more
        except OSError:  # its end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return shown.decode().splitlines()


@pytest.fixture
def long(box: Box) -> Iterator[Box]:
    """A batch with a long name, of which a run executes on a host with a long name."""
    box.batchfile(STAGES + f'[runs.{LONG}]\ncmd = "true"\n')
    box.write("in", "1")
    outcome(box, "a/1", seconds=30)
    outcome(box, "a/2", 1)
    with executing(box, _3=HOST):
        yield box


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_are_as_wide_as_the_screen(
    long: Box, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    status(long)
    whole = capsys.readouterr().out
    assert len(whole.splitlines()) == 4
    assert f"  3 runs: 1 completed, 1 failed, 1 running on {HOST}; about 2.0 a minute, 0:30 left\n" in whole
    monkeypatch.setenv("COLUMNS", str(width))
    status(long)
    shown = capsys.readouterr().out
    too_wide = [line for line in shown.splitlines() if len(line) > width]
    assert [line for line in too_wide if not (LONG in line or HOST in line)] == []
    assert shown.split() == whole.split()  # names in one piece
    assert (len(shown.splitlines()) == 4) == (width == 200)


def test_on_a_terminal(long: Box) -> None:
    lines = shown_on_a_terminal(long, 40)
    assert lines[:3] == [
        "a              3 runs: 1 completed, 1",
        "    failed, 1 running on",
        f"    {HOST};",
    ]


def test_a_stage_of_this_name(box: Box) -> None:
    box.batchfile(HEAD + '[runs.status]\ncmd = "echo {x} >> log"\nmatrix = { x = [1, 2] }\n')
    assert box.ok("status").splitlines()[0] == "status  2 runs: 2 incomplete"
    assert box.executed() == []
    box.ok("run", "status")
    assert box.executed() == ["1", "2"]
    assert box.ok("status", "status").splitlines()[0] == "status  2 runs: 2 completed"


@pytest.fixture
def bucket(s3: str, box: Box, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """A bucket for a batch, and a client."""
    aws: Mapping[str, str] = {**KEYS, "AWS_ENDPOINT_URL": s3, "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    client = botocore.session.get_session().create_client("s3")
    name = f"status-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    return name, client


@pytest.mark.slow  # the server
def test_on_s3(bucket: tuple[str, Any], box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    name, client = bucket
    box.batchfile(
        f'[batch]\nremote_output_path = "s3://{name}/out"\n'
        '[runs.a]\ncmd = "echo {x}"\nmatrix = { x = { range = [0, 30] } }\n'
    )
    lease = Lease(worker="w", host="node3", running={"a/7": Live(host="node3", folder="/f", since=1.0)})
    known = Provenance(
        fingerprint="",
        attempt="w-1",
        status_code=0,
        cmd="",
        host="h",
        rank=0,
        started=1.0,
        finished=3.0,
        cpu_seconds=0.0,
    )
    for key, data in {
        ".pydoit_sc/leases/w": lease.to_json(),
        "a/1/run.json": known.to_json(),
        "a/1/status_code": b"0",
        "a/2/status_code": b"3",
    }.items():
        client.put_object(Bucket=name, Key=f"out/{key}", Body=data)
    for words in ((), ("a:[1-7]",)):
        assert figures(box, capsys, *words)["a"] == {
            "runs": 7 if words else 30, "completed": 1, "failed": 1, "incomplete": 4 if words else 27, "running": 1,
            "hosts": {"node3": 1}, "runs_per_second": 0.5, "seconds_left": 10 if words else 56,
        }  # fmt: skip


def test_watched_on_a_terminal_until_all_have_ended(stages: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(stages, "a/1", seconds=30)
    shown: list[list[str]] = []
    with Window(61) as window, executing(stages, _2="node3"):

        def pause(seconds: float) -> None:
            shown.append(window.shown())
            for key in ("a/2", "a/3", "b"):
                outcome(stages, key, int(key == "a/3"), seconds=30)
            stages.write("out/b/status_code", "0")

        monkeypatch.setattr(watch_module, "time", Time(pause))
        monkeypatch.setattr(sys, "stdout", window.stream())
        monkeypatch.setenv("TERM", "xterm")
        for name in ("CI", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        status(stages, "--watch")
        last = window.shown()
    bar = "█" * 5
    assert shown[0][:3] == [
        f"a     {bar}{'░' * 10} 1/3, 1 running, 1:00 left",
        f"b     {'░' * 15} 0/1",
        f"total {bar[:3]}{'░' * 12} 1/4, 1 running",
    ]
    assert shown[0][-2:-1] == ["running  host   rank  for"]
    assert shown[0][-1].split()[:2] == ["a:2", "node3"]
    assert last[:3] == [
        f"a     {bar * 2}xxxxx 2/3, 1 failed",
        f"b     {bar * 3} 1/1",
        f"total {bar * 2}█xxxx 3/4, 1 failed",
    ]


@pytest.mark.parametrize("words", [(), ("a", "b")])
def test_watched_without_a_terminal(
    stages: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    def pause(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            for key in ("a/1", "a/2", "a/3", "b"):
                outcome(stages, key)

    looks: list[float] = []
    monkeypatch.setattr(watch_module, "time", Time(pause))
    status(stages, "--watch", *words)
    lines = capsys.readouterr().out.splitlines()
    assert [line[21:] for line in lines] == ["0/4", "4/4"]  # behind the time
    assert len(looks) == 3 and min(looks) >= 1  # nobody waits behind the end
    with pytest.raises(InvalidCommand, match="--watch: shows a picture, not json"):
        status(stages, "--watch", form="json")


def test_a_watch_ends_where_the_rest_waits_for_a_run_that_has_failed(
    stages: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pause(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 1:  # the failed run is executed anew
            outcome(stages, "a/3")
            outcome(stages, "a/2", 1)
        else:
            outcome(stages, "b")

    looks: list[float] = []
    monkeypatch.setattr(watch_module, "time", Time(pause))
    for key, code in (("a/1", 0), ("a/2", 0), ("a/3", 1)):
        outcome(stages, key, code)
    with executing(stages, _3="node3"):
        monkeypatch.setattr(watch_module, "EVERY", 0.0)
        real = PosixStore.running
        monkeypatch.setattr(PosixStore, "running", lambda store: {} if looks else real(store))
        status(stages, "--watch", "b")
    assert len(looks) == 1
    stages.write(".pydoit_sc.ignored.json", '{"out/a/2": ""}')  # so it holds nothing up
    status(stages, "--watch")
    assert len(looks) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [line[21:] for line in lines if line[0].isdecimal()] == ["0/1", "2/4", "3/4"]
    assert lines[1] == "nothing executes, and what is left waits for runs that have failed"
    assert len(lines) == 4


def test_a_store_that_is_gone_for_a_while_ends_no_watch(
    stages: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, looks = PosixStore.running, list[int]()

    def running(store: PosixStore) -> Mapping[str, Live]:
        looks.append(1)
        if len(looks) == 2:
            raise StoreError("the server is away")
        return real(store)

    def pause(seconds: float) -> None:
        for key in ("a/1", "a/2", "a/3", "b") if len(looks) == 2 else ():
            outcome(stages, key)

    monkeypatch.setattr(PosixStore, "running", running)
    monkeypatch.setattr(watch_module, "time", Time(pause))
    status(stages, "--watch")
    assert [line[21:] for line in capsys.readouterr().out.splitlines()] == [
        "0/4",
        "the server is away",
        "4/4",
    ]


class Time:
    """The module `time`, with something else to do in each pause."""

    time, monotonic = staticmethod(time.time), staticmethod(time.monotonic)

    def __init__(self, pause: Callable[[float], object]) -> None:
        self.sleep = pause
