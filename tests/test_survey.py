"""A ledger that keeps no current outcome of many runs says what one says that keeps all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc import forks, native, survey
from pydoit_sc.batch import PLAIN, Run, Status
from pydoit_sc.cli import main
from pydoit_sc.commands import summarize
from pydoit_sc.forecast import Forecast
from pydoit_sc.native import PURE
from pydoit_sc.plan import plan
from pydoit_sc.positions import moved
from pydoit_sc.project import Project
from pydoit_sc.standing import goes_on, stand, stand_all
from pydoit_sc.store import Live, Record, StoreError
from pydoit_sc.submissions.choose import Choice, Wanted, choose, earlier_fingerprints
from pydoit_sc.verdicts import UP_TO_DATE, Verdict, count

BATCH = """
[batch]
remote_output_path = "out"
[runs.a]
cmd = "echo {n}"
matrix = {n = {range = [0, 60, 1]}}
[runs.b]
cmd = "echo {n}"
after = ["a:{n}"]
matrix = {n = {range = [0, 60, 1]}}
[runs.c]
cmd = "echo {n}"
after = ["a"]
matrix = {n = {range = [0, 60, 1]}}
"""


STARTED = 1795703482.125

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(params=["one process", "several, with the library"])
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A batch of which all is executed, in which 60 runs are many."""
    monkeypatch.setattr(survey, "_MANY_HERE", 50)
    if request.param == "one process":
        monkeypatch.setenv(PURE, "1")
    else:
        monkeypatch.setattr(survey, "_LEAST", 20)
        monkeypatch.delenv(PURE, raising=False)
        monkeypatch.setattr(native, "LIBRARY", str(request.getfixturevalue("library")))
    monkeypatch.setattr(forks, "has_threads", lambda: False)  # pytest-xdist has one
    (tmp_path / "batchfile.toml").write_text(BATCH)
    project = open_project(tmp_path, sparing=False)
    for number, (_, run) in enumerate(project.batch.runs()):
        started, ended = STARTED * (number > 3), STARTED + number / 8
        record = Record(0, f"w-{number}", project.ledger.fingerprint(run), started=started, ended=ended)
        project.ledger.publish(run, record)
        write(tmp_path, run.key, record)
    return tmp_path


def write(folder: Path, key: str, record: Record) -> None:
    place = folder / "out" / key
    place.mkdir(parents=True, exist_ok=True)
    told: dict[str, object] = {"fingerprint": record.fingerprint, "attempt": record.attempt}
    if record.started:  # as a worker writes it
        told |= {
            "status_code": record.code,
            "started": record.started,
            "finished": record.ended,
            "host": "vm",
        }
        told |= {"rank": 0, "cpu_seconds": 0.5, "files": {}}
    (place / "run.json").write_text(json.dumps(told))
    (place / "status_code").write_text(str(record.code))


def open_project(folder: Path, *, sparing: bool = True) -> Project:
    project = Project.load(str(folder / "batchfile.toml"))
    project.needs_verdicts_only = sparing
    return project


def told(project: Project) -> tuple[Mapping[Verdict, int], list[tuple[str, Verdict]]]:
    """Return what a plan says: the counts, and which runs would execute and why."""
    planned = list(plan(project.ledger, project.batch.stages))
    counts = count((item.verdict for item in planned), project.batch.size)
    return counts, [(item.run.key, item.verdict) for item in planned if item.verdict is not UP_TO_DATE]


def run_of(project: Project, word: str) -> Run:
    ((_, run),) = project.select([word])
    return run


def test_no_current_outcome_is_kept(folder: Path) -> None:
    project = open_project(folder)
    assert told(project) == ({UP_TO_DATE: 180}, [])
    assert not project.ledger.records
    whole = open_project(folder, sparing=False)
    assert told(whole) == told(project)
    assert len(whole.ledger.records) == 180
    settled = project.ledger.settled
    assert {name: len(one.attempts) for name, one in settled.items()} == {"a": 60, "b": 0, "c": 0}
    run = run_of(project, "b:59")  # one that is asked for is read again
    assert project.ledger.record(run) == whole.ledger.records[run.key]
    took = [[one.ledger.took(run) for _, run in one.batch.runs()] for one in (project, whole)]
    assert took[0] == took[1]
    assert took[0][:2] + took[0][-1:] == [None, None, 179 / 8]
    assert Forecast(project.ledger).seconds(*project.select(["a:0"])[0]) == 32 / 8


def test_a_current_outcome_whose_run_executes_again(folder: Path) -> None:
    project, whole = open_project(folder), open_project(folder, sparing=False)
    live = {
        "b/59": Live(host="h", folder="/f/w-900", since=1.0),
        "b/7": Live(host="h", folder="/f/w-67", since=1.0),
    }
    for one in (project, whole):
        stages = one.batch.stages
        assert stand(one.ledger, stages[1], live).statuses == {Status.COMPLETED: 59, Status.RUNNING: 1}
        assert goes_on(one.ledger, stages, live)
        assert not goes_on(one.ledger, stages, {"b/7": live["b/7"]})
    assert sum(1 for _ in project.ledger.unsettled(project.batch.stages[1], live)) == 2


def mine(folder: Path, *keys: str, failed: bool = False) -> int:
    for key in keys:
        (folder / "out" / key / "notes").touch()
        if failed:
            write(folder, key, Record(7, "w-900", "f"))
    return len(keys)


CHANGES: dict[str, Callable[[Path], object]] = {
    "failed": lambda out: write(out.parent, "a/7", Record(7, "w-900", "f")),
    "gone": lambda out: shutil.rmtree(out / "a" / "59"),
    "all gone": shutil.rmtree,
    "again": lambda out: write(out.parent, "a/7", Record(0, "w-900", "")),
    "torn": lambda out: (out / "a" / "3" / "run.json").write_text("{"),
    "beside a failure": lambda out: mine(out.parent, "a/7", failed=True),
    "beside stale ones": lambda out: [CHANGES["edited"](out), mine(out.parent, "a/7", "b/7")],
    "no code": lambda out: (out / "b" / "3" / "status_code").write_text("x"),
    "somebody's": lambda out: [
        path.rename(path.with_name(f"my-{path.name}")) for path in [*(out / "c" / "0").iterdir()]
    ],
    "no code, but a folder": lambda out: unreadable(out / "b" / "3" / "status_code"),
    "a folder for a run.json": lambda out: unreadable(out / "a" / "3" / "run.json"),
    "inside": lambda out: write(out.parent, "c", Record(0)),
    "edited": lambda out: (out.parent / "batchfile.toml").write_text(BATCH.replace("echo", "printf", 1)),
    "ignored": lambda out: (out.parent / ".pydoit_sc.ignored.json").write_text('{"out/a/3": ""}'),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_verdicts_are_the_same(folder: Path, change: Callable[[Path], object]) -> None:
    change(folder / "out")
    expected = told(open_project(folder, sparing=False))
    assert told(open_project(folder)) == expected
    assert expected != ({UP_TO_DATE: 180}, [])


def test_what_lies_beside_outcomes_is_looked_for_where_these_are_replaced(folder: Path) -> None:
    mine(folder, "a/7", "b/7", "c/7")
    write(folder, "a/7", Record(7, "w-900", "f"))
    for sparing in (False, True):
        project, asked = open_project(folder, sparing=sparing), list[str]()

        def ask(
            keys: Sequence[str], beside: Any = project.ledger.beside, asked: list[str] = asked
        ) -> Mapping[str, str]:
            asked += keys
            return dict(beside(keys))

        project.ledger.beside = ask
        words = {key: verdict.words for key, verdict in told(project)[1]}
        assert asked == ["a/7", "b/7", *(f"c/{n}" for n in range(60))]
        assert [key for key, said in words.items() if "`notes`" in said] == ["a/7", "b/7", "c/7"]
        forced = plan(project.ledger, project.batch.stages, always=True)
        assert sum("`notes`" in item.verdict.words for item in forced) == 3


def test_what_has_been_published_since_counts(folder: Path) -> None:
    for sparing in (False, True):
        project = open_project(folder, sparing=sparing)
        assert told(project) == ({UP_TO_DATE: 180}, [])
        run = run_of(project, "a:7")
        project.ledger.publish(run, Record(0, "w-900", project.ledger.fingerprint(run)))
        _, changed = told(project)
        assert [key for key, _ in changed] == ["b/7", *(f"c/{n}" for n in range(60))]


def unreadable(place: Path) -> int:
    place.unlink()
    place.mkdir()
    return 1


def test_what_may_be_read_later_is_an_error_wherever_it_is(folder: Path) -> None:
    place = folder / "out" / "a" / "0" / "status_code"
    place.unlink()
    place.symlink_to("/proc/self/mem")  # reading its first byte is EIO
    with pytest.raises(StoreError, match=r"out/a/0/status_code: Input/output error"):
        told(open_project(folder))


def test_what_cannot_be_read_is_told_of_its_run(folder: Path) -> None:
    unreadable(folder / "out" / "c" / "0" / "status_code")
    words = "its outcome cannot be read: status_code: Is a directory"
    counts, changed = told(open_project(folder))
    assert changed == [("c/0", Verdict(Status.INCOMPLETE, words))]
    assert counts == {UP_TO_DATE: 179, Verdict(Status.INCOMPLETE, words): 1}


def test_a_submission_and_figures_are_the_same(folder: Path) -> None:
    shutil.rmtree(folder / "out" / "a" / "7")
    write(folder, "c/3", Record(7, "w-901", "f"))
    choice = _chosen(folder)
    assert [work.task for work in choice.works] == ["a:7"]
    assert choice.found == {Status.INCOMPLETE: 1, Status.ERROR: 0, Status.COMPLETED: 118}
    CHANGES["edited"](folder / "out")
    choice = _chosen(folder)  # all of `b` and `c` waits for it, and is current as yet
    assert (len(choice.works), choice.waiting["b"].count) == (60, 60)


def test_what_later_runs_wait_for_is_told_without_reading(folder: Path) -> None:
    project, whole = open_project(folder), open_project(folder, sparing=False)
    (earlier,) = run_of(project, "c:3").after
    project.ledger.scan = lambda keys: pytest.fail(f"{keys} are read")
    found = earlier_fingerprints(project.ledger, earlier)
    assert len(found) == 60
    assert found == earlier_fingerprints(whole.ledger, earlier)


def _chosen(folder: Path) -> Choice:
    found = []
    for sparing in (False, True):
        project = open_project(folder, sparing=sparing)
        choice = choose(project.ledger, Wanted(completed=False, failures=True), project.batch.stages)
        found.append((choice, stand_all(project.ledger, project.batch.stages, {})))
    assert found[0] == found[1]
    return found[1][0]


def test_only_what_is_left_is_executed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder / "out" / "a" / "7")
    monkeypatch.chdir(folder)
    assert main(["run", "-n", "2"]) == 0
    told_of = {key for key, _ in told(open_project(folder, sparing=False))[1]}
    assert told_of == set()
    made = {path.parent.name for path in (folder / "out").glob("*/*/stdout")}
    assert made == {"7", *(str(n) for n in range(60))}  # a:7, what comes after it, and all of c
    assert {path.parent.name for path in (folder / "out" / "b").glob("*/stdout")} == {"7"}


def test_doits_own_reporters_tell_of_each_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert main(["run", "-r", "console"]) == 0
    assert capsys.readouterr().out.count("-- ") == 180


def test_a_summary_is_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(folder / "out" / "a" / "7")
    write(folder, "c/3", Record(7, "w-901", "f"))
    monkeypatch.chdir(folder)
    shown = []
    for many in (1000, 50):
        monkeypatch.setattr(survey, "_MANY_HERE", many)
        monkeypatch.setattr(summarize, "MANY", many)
        for words in (
            [],
            ["--format", "csv", "--columns", "name,status,status_code,reason"],
            ["--format", "csv"],
        ):
            assert main(["summarize-batch", *words]) == 0
            shown.append(capsys.readouterr())
    assert shown[:3] == shown[3:]
    assert shown[0].out.count("\n") == 182
    assert shown[0].err.startswith("1 error, 1")


@pytest.mark.parametrize("named", [True, False])
def test_a_list_of_runs_is_spared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    monkeypatch.setattr(survey, "_MANY_HERE", 50)
    monkeypatch.setattr(forks, "has_threads", lambda: False)
    path, out = tmp_path / "jobs.jsonl", f"{tmp_path}/out"

    def opened(numbers: Iterable[int], *, sparing: bool = True) -> Project:
        lines = ({"cmd": f"echo {n}"} | ({"name": f"n{n}"} if named else {}) for n in numbers)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        project = Project.load(str(path), remote_output_path=out)
        project.needs_verdicts_only = sparing
        return project

    new = opened(range(60), sparing=False)
    for n, (_, run) in enumerate(new.batch.runs()):
        write(
            tmp_path, run.key, Record(0, f"w-{n}", new.ledger.fingerprint(run), started=1000.0, ended=1001.0)
        )
    project, whole = opened(range(60)), opened(range(60), sparing=False)
    assert told(project) == told(whole) == ({UP_TO_DATE: 60}, [])
    assert (list(project.ledger.settled), project.ledger.records) == ([PLAIN], {})
    run = run_of(project, f"runs:{whole.batch.stages[0].runs[7].name}")
    assert project.ledger.record(run) == whole.ledger.records[run.key]
    assert (project.ledger.took(run), project.ledger.verdict(*project.select([f"runs:{run.name}"])[0])) == (
        1.0,
        UP_TO_DATE,
    )
    without = [*range(55), *range(56, 60)]  # all that follow the line that is removed are where others were
    one, other = opened(without), opened(without, sparing=False)
    assert told(one) == told(other)
    strange = moved(one.ledger, one.batch.stages)
    assert strange == moved(other.ledger, other.batch.stages)
    assert strange == ([] if named else ["55", "56", "57", "58"])
