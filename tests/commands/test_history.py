"""`history`, and `logs --attempt`: all attempts at a run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from doit.exceptions import InvalidCommand

from pydoit_sc.commands import history as history_module
from pydoit_sc.commands.history import HistoryCommand
from pydoit_sc.outcomes.history import Past, attempts_at
from pydoit_sc.store import Live, Outputs, open_store
from pydoit_sc.store.documents import Provenance
from tests.conftest import HEAD, Box


@pytest.fixture
def box_with_history(box: Box) -> Box:
    """A run with a retried attempt, a forgotten failure, and an outcome; beside it one without any."""
    box.batchfile(HEAD + '[runs.a]\ncmd = "true {x}"\nmatrix = { x = [1, 2] }\n')
    places = {"w-1": ".pydoit_sc/history/a/1/w-1", "v-1": ".pydoit_sc/history/a/1/v-1", "v-2": "a/1"}
    for n, (attempt, place) in enumerate(places.items()):
        code = 75 - 75 * n // 2
        known = Provenance(
            fingerprint="", attempt=attempt, status_code=code, cmd="", host=f"node{n}", rank=0,
            started=1795593114.76 + 100 * n, finished=1795593115.0 + 200 * n, cpu_seconds=0.0, submission="s1",
            reason="timed out after 5 s" if n == 1 else None,
        )  # fmt: skip
        box.write(f"out/{place}/run.json", known.to_json())
        box.write(f"out/{place}/status_code", str(code))
        box.write(f"out/{place}/stdout", f"this is {attempt}\n")
    return box


@pytest.fixture
def history(box_with_history: Box, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    def show(*words: str, form: str = "table") -> tuple[str, str]:
        given = ["-f", str(box_with_history.folder / "batchfile.toml"), "--format", form]
        assert HistoryCommand(config={}).parse_execute([*given, *words]) == 0
        return capsys.readouterr()

    return show


def test_attempts_are_counted_from_the_first(history: Callable[..., tuple[str, str]]) -> None:
    lines = history("a:1")[0].splitlines()
    assert lines[0].split() == ["attempt", "started", "took", "ended", "memory", "host", "submission"]
    assert [line.split()[3:] for line in lines[2:]] == [
        ["0.24", "s", "exit", "75", "node0", "s1"],
        ["1:40", "timed", "out", "after", "5", "s", "node1", "s1"],
        ["3:20", "completed", "node2", "s1"],
    ]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]


def test_an_outcome_without_a_status_code_is_told_as_such(
    history: Callable[..., tuple[str, str]], box_with_history: Box
) -> None:
    box_with_history.write("out/a/2/status_code", "None")  # as `sc` writes it where it fails itself
    assert history("a:2")[0].splitlines()[2].split()[1:] == ["no", "status", "code"]


def test_json_has_the_times_for_programs(
    history: Callable[..., tuple[str, str]], box_with_history: Box
) -> None:
    store = open_store(str(box_with_history.folder / "out"), {}, durable=False)
    with store.workspace("worker", None):
        store.announce("worker", {"a/2": Live(host="node9", folder="/f", since=1795593114.76)})
        found = json.loads(history("a", form="json")[0])
    assert found[1] == {
        "run": "a:1", "attempt": 2, "id": "v-1", "started": "2026-11-25T07:53:34Z", "finished": "2026-11-25T07:55:15Z",
        "seconds": 100.24, "status_code": 38, "reason": "timed out after 5 s", "memory": None, "host": "node1",
        "submission": "s1",
    }  # fmt: skip
    assert found[3] == {"run": "a:2", "attempt": 1, "started": "2026-11-25T07:51:54Z", "host": "node9"}


@pytest.mark.parametrize(("attempt", "rows"), [("v-2", 3), ("v-3", 4)])
def test_an_attempt_that_has_just_ended_is_there_once(
    history: Callable[..., tuple[str, str]], box_with_history: Box, attempt: str, rows: int
) -> None:
    store = open_store(str(box_with_history.folder / "out"), {}, durable=False)
    with store.workspace("worker", None):
        store.announce("worker", {"a/1": Live(host="node9", folder=f"/f/{attempt}", since=1.0)})
        assert len(json.loads(history("a:1", form="json")[0])) == rows


def test_what_has_no_history(history: Callable[..., tuple[str, str]]) -> None:
    assert history("a:2") == ("", "no attempt has ended: a:2\n")
    with pytest.raises(InvalidCommand, match="expected the name of a run"):
        history()
    assert history("--status", "error")[1].startswith("no run matches")
    assert history("--status", "completed")[0].count("completed") == 1


def test_runs_on_an_object_store_are_asked_for_side_by_side(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    def look(store: Outputs, key: str) -> list[Past]:
        both.wait(60)
        return attempts_at(store, key)

    monkeypatch.setattr(history_module, "attempts_at", look)
    box.batchfile(
        '[batch]\nremote_output_path = "memory://history"\n[runs.a]\ncmd = "true {x}"\nmatrix = { x = [1, 2] }\n'
    )
    assert HistoryCommand(config={}).parse_execute(["-f", str(box.folder / "batchfile.toml"), "a"]) == 0


def test_logs_of_an_attempt(box_with_history: Box) -> None:
    assert box_with_history.ok("logs", "a:1") == "this is v-2\n"
    assert box_with_history.ok("logs", "--attempt", "1", "a:1") == "this is w-1\n"
    assert (
        "a:1: expected the number of an attempt"
        in box_with_history("logs", "a:1", "--attempt", "4").refused()
    )
