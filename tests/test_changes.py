"""What exactly has changed since a run was published, from its `run.json`."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from pydoit_sc.changes import details, in_full, word_diff
from pydoit_sc.fingerprint import condensed, digest_variables
from pydoit_sc.plan import plan
from pydoit_sc.project import Project
from pydoit_sc.store.documents import Provenance
from tests.conftest import HEAD, Box

STAGES = f"""{HEAD}env = {{ TOKEN = "canary-1" }}
[runs.align]
cmd = "align --seed 1 {{s}}"
file_dep = ["enrich.py", "{{s}}.csv"]
matrix = {{ s = ["p", "q", "r"] }}
[runs.gather]
cmd = "gather"
after = ["align:p"]
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """All runs of a batch, published as a worker does."""
    for name in ("enrich.py", "p.csv", "q.csv", "r.csv"):
        (tmp_path / name).write_text(name)
    (tmp_path / "batchfile.toml").write_text(STAGES)
    publish(tmp_path, "")
    return tmp_path


def load(folder: Path) -> Project:
    return Project.load(str(folder / "batchfile.toml"))


def publish(folder: Path, only: str, at: float = 100.0) -> None:
    project = load(folder)
    for number, (stage, run) in enumerate(project.batch.runs()):
        if only in run.key:
            work = project.ledger.work(stage, run)
            document = Provenance(
                fingerprint=work.fingerprint, attempt=f"w-{number}-{at:.0f}", status_code=0, cmd=run.cmd, host="h", rank=0, started=at,
                finished=at + 1, cpu_seconds=0.0, env=digest_variables(run.settings.env), file_dep=dict(work.files),
            )  # fmt: skip
            place = folder / "out" / run.key
            place.mkdir(parents=True, exist_ok=True)
            (place / "run.json").write_bytes(document.to_json())
            (place / "status_code").write_text("0")
            project = load(folder)


def reasons(folder: Path) -> dict[str, str]:
    project = load(folder)
    planned = list(in_full(project.ledger, project.store, plan(project.ledger, project.batch.stages)))
    return {item.run.key: item.verdict.words for item in planned if item.verdict.execute}


def told(folder: Path, key: str) -> list[str]:
    project = load(folder)
    (run,) = (run for _, run in project.batch.runs() if run.key == key)
    return list(details(project.ledger, project.store, run))


def test_the_file_that_was_edited_is_named(published: Path) -> None:
    assert reasons(published) == {}
    (published / "q.csv").write_text("edited")
    assert reasons(published) == {"align/q": "file_dep q.csv edited"}
    (published / "enrich.py").write_text("edited")
    found = reasons(published)
    assert (found["align/p"], found["align/r"]) == ("file_dep enrich.py edited",) * 2
    assert found["align/q"] == "file_dep enrich.py edited, q.csv edited"
    assert told(published, "align/q") == ["file_dep: enrich.py edited, q.csv edited"]


def test_files_and_variables_that_come_and_go(published: Path) -> None:
    text = STAGES.replace('"{s}.csv"]', '"p.csv"]').replace(
        'TOKEN = "canary-1"', 'TOKEN = "canary-2", B = "1"'
    )
    (published / "batchfile.toml").write_text(text.replace("--seed 1 {s}", "--seed 2 {s}"))
    assert reasons(published)["align/q"] == (
        "the command has changed, env B added, TOKEN changed, file_dep p.csv added, q.csv removed"
    )
    lines = told(published, "align/q")
    assert lines == [
        "cmd: align --seed [-1-]{+2+} q",
        "env: B added, TOKEN changed",
        "file_dep: p.csv added, q.csv removed",
    ]
    assert "canary" not in "".join(lines)


def test_a_stage_of_many_inputs_hides_no_change_of_another(published: Path) -> None:
    """Documents are read for some runs of each stage: where each run has an input of its own, each may have changed otherwise."""
    many = [f"{n:02}" for n in range(20)]
    text = f"""{HEAD}
[runs.align]
cmd = "align {{s}}"
file_dep = ["enrich.py", "{{s}}.csv"]
matrix = {{ s = {many} }}
[runs.plot]
cmd = "plot {{s}}"
file_dep = ["enrich.py"]
matrix = {{ s = {many} }}
"""
    for name in many:
        (published / f"{name}.csv").write_text(name)
    (published / "batchfile.toml").write_text(text)
    publish(published, "")
    (published / "enrich.py").write_text("edited")
    found = reasons(published)
    assert [found[f"plot/{name}"] for name in many] == ["file_dep enrich.py edited"] * 20
    assert Counter(found.values()) == {"file_dep enrich.py edited": 28, "a file_dep has changed": 12}


def test_the_earlier_run_that_was_published_is_named(published: Path) -> None:
    (published / "p.csv").write_text("edited")
    publish(published, "align/p", at=200.0)
    assert reasons(published) == {"gather": "the earlier runs have changed"}
    assert told(published, "gather") == ["published since: align:p"]


def test_an_earlier_run_that_was_forgotten_or_is_no_more_is_told(published: Path) -> None:
    batchfile = published / "batchfile.toml"
    batchfile.write_text(batchfile.read_text().replace('["align:p"]', '["align"]'))
    publish(published, "gather", at=200.0)
    shutil.rmtree(published / "out/align/q")
    assert reasons(published)["gather"] == "an earlier run is to be executed: align:q"
    assert told(published, "gather") == ["without an outcome: align:q"]
    (published / "p.csv").write_text("edited")
    batchfile.write_text(batchfile.read_text().replace(', "q"', ""))
    assert reasons(published)["gather"] == "an earlier run is to be executed: align:p"
    publish(published, "align/p", at=150.0)
    assert reasons(published) == {"gather": "the earlier runs have changed"}
    assert told(published, "gather") == ["it comes after other runs than then, or other attempts at them"]


def test_an_outcome_that_tells_nothing(published: Path) -> None:
    place = published / "out/align/q/run.json"
    fingerprint = load(published).ledger.records["align/q"].fingerprint
    place.write_text(f'{{"fingerprint": "{fingerprint}", "attempt": "w-1", "status_code": 0, "file_dep": 7}}')
    (published / "q.csv").write_text("edited")
    assert reasons(published) == {"align/q": "a file_dep has changed"}
    assert told(published, "align/q") == []


def test_many_files_are_folders_and_what_is_kept_is_bounded() -> None:
    assert condensed({"a.csv": "1", "d/b.csv": "2"}).keys() == {"a.csv", "d/b.csv"}
    many = {f"data/{n % 3}/{n}.csv": f"{n}" for n in range(10_000)}
    assert condensed(many).keys() == {"data/0/", "data/1/", "data/2/"}
    changed = condensed({**many, "data/1/1.csv": "x"})
    assert {name for name, digest in condensed(many).items() if changed[name] != digest} == {"data/1/"}
    assert condensed({f"data/{n}/x.csv": "0" for n in range(10_000)}).keys() == {"data/"}
    assert condensed({f"d{n}/{n}/x.csv": "0" for n in range(10_000)}).keys() == {"./"}


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("a b", "a b", "a b"),
        ("a", "", "[-a-]"),
        ("", "b", "{+b+}"),
        ("cat 'x y'", "cat 'x z'", "cat 'x [-y'-]{+z'+}"),
    ],
)
def test_words(old: str, new: str, shown: str) -> None:
    assert word_diff(old, new) == shown


def test_long_commands_are_shown_in_part() -> None:
    words = " ".join(map(str, range(100)))
    assert word_diff(f"{words} a", f"{words} b") == "0 1 2 3  … 96 97 98 99 [-a-]{+b+}"
    assert len(word_diff("a " * 60_000, "b " * 60_000)) < 1100


def test_plan_and_info_tell_what_has_changed(box: Box) -> None:
    box.batchfile(STAGES.replace("align --seed 1", "echo 1").replace('"gather"', '"true"'))
    for name in ("enrich.py", "p.csv", "q.csv", "r.csv"):
        box.write(name, name)
    box.ok()
    box.write("enrich.py", "edited")
    (box.folder / "out/align/r/status_code").write_text("7")
    box.edit("echo 1", "echo 2")
    box.edit("canary-1", "canary-2")
    reason = "the command has changed, env TOKEN changed, file_dep enrich.py edited"
    plan = box.ok("plan").splitlines()
    assert (
        plan[0].startswith("4 of 4 runs to execute: 2 ")
        and reason in plan[0]
        and "1 failed before" in plan[0]
    )
    shown = ["cmd: echo [-1-]{+2+} p", "env: TOKEN changed", "file_dep: enrich.py edited"]
    lines = box.ok("plan", "align:p").splitlines()
    assert [line.strip() for line in lines[1:]] == [f"align:p  stale: {reason}", *shown]
    info = box("info", "align:p").out
    assert "\n".join(f"   {line}" for line in shown) in info
    assert "canary" not in info + (box.folder / "out/align/p/run.json").read_text()
