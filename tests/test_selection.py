"""Which runs a command is about: each word alone, words together, and what is said where nothing matches."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

import pytest

from pydoit_sc.batch import Status
from pydoit_sc.errors import UserError
from pydoit_sc.project import Project
from pydoit_sc.selection import NothingMatchesError, Selection, parse_selection, select, select_to_execute
from pydoit_sc.store import Record
from pydoit_sc.store.index import pack
from pydoit_sc.store.objects import ObjectStore
from tests.conftest import HEAD, Box
from tests.store.memory_blobs import Bucket, MemoryBlobs

BATCH = (
    HEAD
    + """
[runs.day]
cmd = "true {model} {seed}"
matrix = { model = ["a", "b"], seed = { range = [0, 5] } }
[runs.month]
cmd = "true {month.start}"
name = "{month.start:%Y-%m}"
after = ["day"]
matrix = { month = { from = 2012-01-01, to = 2012-03-01, every = "1 month" } }
"""
)


def outcome(
    box: Box, key: str, code: int, stderr: str = "", *, ago: float = 10.0, seconds: float = 1.0
) -> None:
    """Put the outcome of a run into the store, without a fingerprint: it is current."""
    ended = time.time() - ago
    stamp = {
        "attempt": "abc-1",
        "fingerprint": "",
        "status_code": code,
        "started": ended - seconds,
        "finished": ended,
    }
    for name, text in {"status_code": str(code), "stderr": stderr, "run.json": json.dumps(stamp)}.items():
        box.write(f"out/{key}/{name}", text)


@pytest.fixture
def picked(box: Box) -> Box:
    """Of model a three have failed in two ways and two are completed; of model b all is to do but one, killed long ago."""
    box.batchfile(BATCH)
    for seed in (0, 1):
        outcome(box, f"day/a_{seed}", 1, f"KeyError: {seed}\n", seconds=10 - seed)
    outcome(box, "day/a_2", 1, "ValueError\n", seconds=20)
    for seed in (3, 4):
        outcome(box, f"day/a_{seed}", 0, seconds=seed)
    outcome(box, "day/b_0", 137, ago=7200)
    return box


def names(box: Box, *words: str, **options: object) -> list[str]:
    """Return the names of the runs that are selected."""
    project = Project.load(str(box.folder / "batchfile.toml"))
    return [stage.task_name(run) for stage, run in select(project, parse_selection(options, words))]


def planned(box: Box, *words: str, **options: object) -> list[str]:
    """Return the names of the runs that `run` looks at."""
    project = Project.load(str(box.folder / "batchfile.toml"))
    parts = select_to_execute(project, parse_selection(options, words))
    return [stage.task_name(run) for stage in parts for run in stage.runs]


FAILED = ["day:a_0", "day:a_1", "day:a_2"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"statuses": "error"}, [*FAILED, "day:b_0"]),
        ({"statuses": "completed, error", "where": ["model=a"]}, [*FAILED, "day:a_3", "day:a_4"]),
        ({"statuses": "failed"}, [*FAILED, "day:b_0"]),  # which is how people call it
        ({"codes": "137"}, ["day:b_0"]),
        ({"codes": "0,137"}, ["day:a_3", "day:a_4", "day:b_0"]),
        ({"statuses": "error", "codes": "1"}, FAILED),
        ({"statuses": "error", "codes": "1", "limit": "2"}, FAILED[:2]),
        ({"since": "1h"}, [*FAILED, "day:a_3", "day:a_4"]),
        ({"since": "1h", "statuses": "completed"}, ["day:a_3", "day:a_4"]),
        ({"since": "3h", "codes": "137"}, ["day:b_0"]),
        ({"like": "day:a_1"}, FAILED[:2]),
        ({"like": "day:a_1", "where": ["seed>0"]}, FAILED[1:2]),
        ({"like": "day:a_2", "statuses": "error"}, FAILED[2:]),
        ({"group": "1"}, FAILED[:2]),
        ({"group": "2"}, FAILED[2:]),
        ({"group": "1", "codes": "137"}, ["day:b_0"]),
        ({"slowest": "2"}, ["day:a_2", "day:a_0"]),
        ({"slowest": "2", "statuses": "completed"}, ["day:a_4", "day:a_3"]),
        ({"slowest": "3", "limit": "1"}, ["day:a_2"]),
        ({"where": ["model!=a", "seed>=3"]}, ["day:b_3", "day:b_4"]),
        ({"where": ["month<2012-02"]}, ["month:2012-01"]),
        ({"where": ["month.start=2012-0[23]*"]}, ["month:2012-02", "month:2012-03"]),
        ({"limit": "1"}, ["day:a_0"]),
    ],
)  # fmt: skip
def test_words_narrow(picked: Box, options: dict[str, object], found: list[str]) -> None:
    assert names(picked, **options) == found


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"slowest": "3", "limit": "1"}, ["day:a_2"]),
        ({"slowest": "3", "limit": "2"}, ["day:a_0", "day:a_2"]),  # not a_1, which took least of the three
        (
            {"slowest": "9", "limit": "3"},
            ["day:a_0", "day:a_1", "day:a_2"],
        ),  # the completed ones do not execute
    ],
)
def test_a_limit_takes_the_slowest_to_execute(
    picked: Box, options: dict[str, object], found: list[str]
) -> None:
    assert planned(picked, **options) == found


def test_an_axis_that_is_a_window_in_one_stage_and_a_list_in_another(box: Box) -> None:
    windows = 'day = { from = 2012-01-01, to = 2012-01-02, every = "1 day" }'
    box.batchfile(
        f'{HEAD}[runs.a]\ncmd = "true"\nmatrix = {{ {windows} }}\n'
        '[runs.b]\ncmd = "true"\nmatrix = { day = ["mon", "tue"] }\n'
    )
    assert names(box, where=["day=mon"]) == ["b:mon"]
    assert names(box, where=["day=2012-01-01"]) == ["a:2012-01-01"]
    with pytest.raises(UserError, match="day: expected a date, or a part of one, as in `2012-01-01`"):
        names(box, where=["day=sun"])


def test_names_and_options_narrow(picked: Box) -> None:
    assert names(picked, "day:*_0", "month") == [
        "day:a_0",
        "day:b_0",
        "month:2012-01",
        "month:2012-02",
        "month:2012-03",
    ]
    assert names(picked, "day:*_0", "month", statuses="error") == ["day:a_0", "day:b_0"]
    assert names(picked, "day:b*", like="day:b_0") == ["day:b_0"]
    with pytest.raises(NothingMatchesError):
        names(picked, "day:b*", like="day:a_0")  # its kind is known, though it is not among them


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"statuses": "stale"}, "--status stale: 13 runs, 2 completed, 4 error, 7 incomplete"),
        ({"group": "9"}, "--group 9: 13 runs, 2 completed, 4 error, 7 incomplete"),
        ({"where": ["model=b", "seed=4"], "statuses": "error"}, "--status error --where model=b --where seed=4: 1 of 13 runs, 1 incomplete, none failed"),
        ({"where": ["model=c d"]}, "--where 'model=c d': 13 runs"),
        ({"where": ["model=c d"], "statuses": "error"}, "--status error --where 'model=c d': 13 runs"),
    ],
)  # fmt: skip
def test_nothing_matches(picked: Box, options: dict[str, object], answer: str) -> None:
    with pytest.raises(NothingMatchesError, match="no run matches") as raised:
        names(picked, **options)
    assert str(raised.value) == f"no run matches {answer}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statuses": ","}, "--status: expected a value, found an empty one; is a variable unset?"),
        ({"statuses": ""}, "--status: expected a value, found an empty one"),
        ({"statuses": "error, "}, "--status: expected a value, found an empty one"),
        ({"codes": ","}, "--code: expected a value, found an empty one"),
        ({"like": ""}, "--like: expected a value, found an empty one"),
        ({"limit": ""}, "--limit: expected a number of at least 1, found ``"),
        ({"since": ""}, "--since: expected a duration"),
        ({"where": [""]}, "--where: expected a condition"),
        ({"statuses": "eror"}, "--status: unknown status `eror`; did you mean `error`?"),
        ({"codes": "256"}, "--code: expected a number from 0 to 255, found `256`"),
        ({"codes": "SIGKILL"}, "--code: expected a number from 0 to 255, found `SIGKILL`"),
        ({"limit": "0"}, "--limit: expected a number of at least 1, found `0`"),
        ({"group": "-1"}, "--group: expected a number of at least 1, found `-1`"),
        ({"slowest": "ten"}, "--slowest: expected a number of at least 1, found `ten`"),
        ({"since": "yesterday"}, '--since: expected a duration such as "90s", "10m"'),
        ({"where": ["model"]}, "--where: expected a condition such as 'model=a' or 'seed<10', found `model`"),
        ({"where": ["model==a"]}, "--where: expected a condition such as 'model=a' or 'seed<10', found `model==a`"),
        ({"where": ["modle=a"]}, "--where: no run has an axis `modle`; did you mean `model`?"),
        ({"where": ["month<soon"]}, "--where: month: expected a date, or a part of one, as in `2012-01-01`, found `soon`"),
        ({"where": ["x=a"]}, "--where: no run has an axis `x`; the axes are model, month.start, seed"),
        ({"like": "day:a_3"}, "--like: expected a run that has failed, found `day:a_3`, which has not"),
        ({"like": "day"}, "--like: expected one run, found `day`, which is 10"),
        ({"like": "dya"}, "no run or stage is named `dya`; did you mean `day`?"),
    ],
)  # fmt: skip
def test_mistakes(picked: Box, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as raised:
        names(picked, **options)
    assert message in str(raised.value)


def test_a_limit_of_an_execution_counts_what_would_execute(picked: Box) -> None:
    assert planned(picked, limit="3") == FAILED
    for seed in range(3):
        outcome(picked, f"day/a_{seed}", 0)
    assert planned(picked, limit="3") == ["day:b_0", "day:b_1", "day:b_2"]
    assert planned(picked, limit="6") == [f"day:{m}_{s}" for m in "ab" for s in range(5)] + ["month:2012-01"]


def test_what_is_selected_comes_with_what_it_needs(picked: Box) -> None:
    assert planned(picked, statuses="error") == [*FAILED, "day:b_0"]
    assert planned(picked, where=["month=2012-01-01"])[-1] == "month:2012-01"
    assert len(planned(picked, where=["month=2012-01-01"])) == 11


def test_what_is_up_to_date_is_nothing_to_do_and_no_error(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true"\n')
    outcome(box, "a", 0)
    assert planned(box, limit="5") == ["a"]


def test_a_decision_is_pure() -> None:
    cases: Iterable[tuple[Selection, Status, Record | None, bool]] = (
        (Selection(), Status.INCOMPLETE, None, True),
        (Selection(since=10.0), Status.INCOMPLETE, None, False),
        (Selection(since=10.0), Status.COMPLETED, Record(0), False),  # of `sc`: it is not known when
        (Selection(since=10.0), Status.COMPLETED, Record(0, ended=95.0), True),
        (
            Selection(since=1000.0),
            Status.COMPLETED,
            Record(0, ended=95.0),
            True,
        ),  # longer than there are times
        (Selection(since=1000.0), Status.COMPLETED, Record(0), False),
        (Selection(codes=frozenset({0})), Status.STALE, Record(0), True),
        (Selection(codes=frozenset({0})), Status.INCOMPLETE, Record(None), False),
        (Selection(statuses=frozenset({Status.RUNNING})), Status.ERROR, Record(1), False),
    )
    for selection, status, record, taken in cases:
        assert selection.takes(status, record, 100.0) is taken


@pytest.mark.parametrize(
    ("options", "lists", "tails"),
    [
        ({"limit": "5"}, 0, 0),
        ({"where": ["x<7"]}, 0, 0),
        ({"codes": "1"}, 1, 0),
        ({"since": "1h", "slowest": "3"}, 1, 0),
        ({"statuses": "error", "codes": "1"}, 2, 0),  # and what workers say they execute
        ({"group": "1"}, 1, 10),
        ({"like": "day:3", "where": ["x<150"]}, 1, 1 + 8),
    ],
)  # fmt: skip
def test_no_completed_run_costs_a_request(
    box: Box, options: dict[str, object], lists: int, tails: int
) -> None:
    """On an object store: one listing and the index, whatever is asked, and stderr of failed runs alone."""
    box.batchfile(HEAD + '[runs.day]\ncmd = "true {x}"\nmatrix = { x = { range = [0, 200] } }\n')
    client, stamps = MemoryBlobs(Bucket()), []
    for x in range(200):
        code = int(x % 20 == 3)
        stamp = {
            "attempt": f"a-{x}",
            "fingerprint": "",
            "status_code": code,
            "started": time.time() - 9,
            "finished": time.time(),
        }
        stamps.append(json.dumps(stamp).encode())
        for name, data in {"status_code": b"%d" % code, "stderr": b"no", "run.json": stamps[-1]}.items():
            client.put(f"day/{x}/{name}", data)
    client.put(".pydoit_sc/index/1", pack(stamps))
    requests: list[tuple[str, str]] = []
    client.before = lambda verb, path: requests.append((verb, path))
    project = Project.load(str(box.folder / "batchfile.toml"))
    project._store = ObjectStore("memory://out", client)
    assert select(project, parse_selection(options))
    assert sum(verb == "list" for verb, _ in requests) == lists
    assert sum(path.endswith("/stderr") for _, path in requests) == tails
    assert sum(verb == "get" and "/run.json" in path for verb, path in requests) == 0
    if lists:  # what is executed then has been read, too
        assert select_to_execute(project, parse_selection({**options, "limit": "3"}))
        assert sum(request == ("list", "") for request in requests) == 1
