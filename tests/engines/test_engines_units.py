"""What all engines share: the registry, notes of submissions, groups of chunks, and code that machines fetch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from pydoit_sc.batchfile import BatchfileError, build, load
from pydoit_sc.chunks.read import read_chunk
from pydoit_sc.engines.base import EngineError, JobState, State
from pydoit_sc.engines.local import Local
from pydoit_sc.engines.registry import engine_names, load_engine
from pydoit_sc.fingerprint import NOTHING
from pydoit_sc.plan import Ledger
from pydoit_sc.proc import started_at
from pydoit_sc.store import Record, open_store
from pydoit_sc.submissions import notes
from pydoit_sc.submissions.choose import Shape, Wanted, choose, earlier_runs, group_texts
from pydoit_sc.submissions.notes import ask, claim, new_note, outcomes, read_notes, under_way, write_note
from pydoit_sc.sync.code import send_code, start_folder
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.extract import archive_name
from pydoit_sc.sync.fetch import fetch_all
from pydoit_sc.sync.upload import FileSync
from pydoit_sc.worker import earlier

STAGES = """\
[batch]
remote_output_path = "out"
[runs.a]
cmd = "a {x}"
matrix = { x = [1, 2, 3] }
[runs.b]
cmd = "b"
after = ["a"]
[runs.c]
cmd = "c {x}"
after = ["a", "b"]
matrix = { x = [1, 2] }
[runs.d]
cmd = "d"
after = ["a"]
"""


class Fixed(Local):
    """An engine whose jobs stand as they are told to."""

    def __init__(self, states: dict[str, State]) -> None:
        self.states = states

    def poll(self, jobs: Sequence[str]) -> dict[str, JobState]:
        return {job: JobState(self.states.get(job, State.ENDED)) for job in jobs}


def _stages(folder: Path) -> Ledger:
    (folder / "batchfile.toml").write_text(STAGES)
    return Ledger(load(folder / "batchfile.toml"), {})


OTHER = """
from pydantic import Field
from pydoit_sc.batchfile.fields import Count
from pydoit_sc.batchfile.tables import Table

class OtherTable(Table):
    y: Count | None = Field(default=None, description="a number")

class Other:
    name = "other"
    table = OtherTable
"""


def test_our_own_engines() -> None:
    assert {"local", "slurm", "saturn", "dask", "kubernetes"} <= set(engine_names())
    for name in ("local", "slurm", "saturn"):
        assert load_engine(name).name == name
    with pytest.raises(EngineError, match=r"no engine is named `slrum`; did you mean `slurm`\?"):
        load_engine("slrum")


def test_an_engine_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It brings a table of its name; a broken one is one line."""
    info = tmp_path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pydoit_sc.engines]\nother = other_engine:Other\n")
    (tmp_path / "b.toml").write_text(
        '[batch]\nremote_output_path = "o"\n[[runs]]\ncmd = "a"\n[other]\nx = 1\n'
    )
    with pytest.raises(BatchfileError, match="other: unknown table"):
        load(tmp_path / "b.toml")
    monkeypatch.syspath_prepend(tmp_path)
    build._engines.cache_clear()
    with pytest.raises(
        BatchfileError, match=r"b\.toml:5:1: other: the engine cannot be used: ModuleNotFoundError"
    ):
        load(tmp_path / "b.toml")
    with pytest.raises(
        EngineError, match=r"`other`: other_engine:Other of other cannot be used: ModuleNotFoundError"
    ):
        load_engine("other")
    (tmp_path / "other_engine.py").write_text(OTHER)
    assert load_engine("other").name == "other"
    with pytest.raises(BatchfileError, match=r"b\.toml:6:1: other\.x: unknown key; known are `y`"):
        load(tmp_path / "b.toml")
    (tmp_path / "b.toml").write_text((tmp_path / "b.toml").read_text().replace("x = 1", "y = 1"))
    assert load(tmp_path / "b.toml").tables["other"].y == 1  # type: ignore[attr-defined]
    build._engines.cache_clear()


def test_groups_of_chunks(tmp_path: Path) -> None:
    ledger = _stages(tmp_path)
    choice = choose(ledger, Wanted(completed=False, failures=True), ordered=True)
    groups = group_texts(ledger.batch, choice, Shape("cores", 2, always=False), "ID")
    names = [
        [[run["task"] for run in json.loads(text)["pydoit_sc"]["runs"].values()] for text in group]
        for group in groups
    ]
    assert names == [[["a:1", "a:2"], ["a:3"]], [["b"], ["d"]], [["c:1", "c:2"]]]
    after = [[json.loads(text)["pydoit_sc"]["after"] for text in group] for group in groups]
    assert after == [[[], []], [["a"], ["a"]], [["a", "b"]]]
    assert {stage: len(runs) for stage, runs in earlier_runs(ledger, choice).items()} == {"a": 3, "b": 1}
    alone = choose(ledger, Wanted(completed=False, failures=True))
    assert (len(alone.items), alone.later, alone.waiting) == (3, [], {"b": "a", "c": "a", "d": "a"})


def test_a_later_stage_whose_file_dep_is_yet_to_be_made(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(STAGES.replace('cmd = "b"', 'cmd = "b"\nfile_dep = ["made"]'))
    ledger = Ledger(load(tmp_path / "batchfile.toml"), {})
    choice = choose(ledger, Wanted(completed=False, failures=True), ordered=True)
    assert choice.waiting == {"b": "a", "c": "b"}
    assert [[stage.name for stage, _, _ in group] for group in choice.groups] == [["a"] * 3, ["d"]]


def test_a_chunk_of_a_later_stage(tmp_path: Path) -> None:
    """It starts when every run before it is completed as its submission wants it, with the plan's fingerprint."""
    ledger = _stages(tmp_path)
    choice = choose(ledger, Wanted(completed=False, failures=True), ordered=True)
    groups = group_texts(ledger.batch, choice, Shape(1, 9, always=False), "ID")
    (tmp_path / "chunk.json").write_text(groups[1][0])
    chunk, runs = read_chunk(tmp_path / "chunk.json"), earlier_runs(ledger, choice)
    good = {key: Record(0, f"x-{key}", fingerprint, "ID") for key, fingerprint in runs["a"].items()}
    wanted = {"a": runs["a"]}
    assert earlier.incomplete(chunk, wanted, good) == {}
    assert earlier.incomplete(chunk, wanted, {}) == {"a": 3}
    assert earlier.incomplete(chunk, wanted, {**good, "a/1": Record(1, "x", "", "ID")}) == {"a": 1}
    assert earlier.incomplete(chunk, wanted, {**good, "a/1": Record(0, "x", "1-0-0-0", "older")}) == {"a": 1}

    stage = ledger.batch.stages[1]
    before = ledger.fingerprint(stage, stage.runs[0])
    for run in ledger.batch.stages[0].runs:
        ledger.publish(run, good[run.key])
    after = ledger.fingerprint(stage, stage.runs[0])
    assert before != after
    assert [item.fingerprint for item in earlier.with_attempts(chunk, good).works] == [after]
    assert not after.endswith(f"-{NOTHING}")


def test_submissions_in_the_store(tmp_path: Path) -> None:
    store = open_store(str(tmp_path), {})
    states = {"j1": State.RUNNING, "j2": State.ENDED}
    common = {"engine": "x", "batch": "b", "chunks": 1, "runs": 2, "nprocs": 1, "scale": None}
    one, two, three = (new_note(id=f"2026-{n}", jobs=(f"j{n}",), **common) for n in (1, 2, 3))
    write_note(store, one)
    write_note(store, two)
    (tmp_path / ".pydoit_sc/submitted/torn.json").write_text('{"id": ')
    assert {note.id for note in read_notes(store)} == {"2026-1", "2026-2"}
    assert [note.id for note in under_way(store, lambda _: Fixed(states))] == ["2026-1"]
    assert [note.ended for note in read_notes(store)] == [False, True]
    assert [note.id for note in claim(store, three, lambda _: Fixed(states))] == ["2026-1"]
    assert claim(store, three, lambda _: Fixed({})) == []

    def broken(_: str) -> Fixed:
        raise EngineError("no answer")

    assert ask([one], broken)["2026-1"].under_way
    counted = outcomes([one, two], [Record(0, "", "", "2026-1"), Record(3, "", "", "2026-1"), Record(0)])
    assert counted == {"2026-1": (1, 1), "2026-2": (0, 0)}


def test_two_that_submit_at_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither has seen the other before it wrote its own note: this one draws back, and the other goes on."""
    store = open_store(str(tmp_path), {})
    common = {"engine": "x", "batch": "b", "chunks": 1, "runs": 2, "nprocs": 1, "scale": None}
    other, mine = new_note(id="a", **common), new_note(id="b", **common)
    looks = []

    def load(_: str) -> Fixed:
        return Fixed({"j": State.RUNNING})

    def first_look(*_: object) -> list[object]:
        looks.append(1)
        if len(looks) > 1:
            return list(under_way(store, load))
        write_note(store, other)
        return []

    def other_goes_on(_: float) -> None:
        assert {note.id: note.ended for note in read_notes(store)} == {"a": False, "b": True}
        write_note(store, other.but(jobs=("j",)))

    monkeypatch.setattr(notes, "under_way", first_look)
    monkeypatch.setattr(time, "sleep", other_goes_on)
    assert [note.id for note in claim(store, mine, load)] == ["a"]


def test_a_submission_that_was_given_up(tmp_path: Path) -> None:
    """Its process is no more, so it does not hinder the next one."""
    store = open_store(str(tmp_path), {})
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    common = {"engine": "x", "batch": "b", "chunks": 1, "runs": 2, "nprocs": 1, "scale": None}
    note = new_note(id="a", **common)
    assert note.being_made
    write_note(store, note.but(pid=process.pid))
    assert claim(store, new_note(id="b", **common), lambda _: Fixed({})) == []


def test_a_process_id_that_is_used_again() -> None:
    """A job of the engine `local` is a process of one start, not whatever has its number later."""
    host, mine = os.uname().nodename, f"{os.getpid()}"
    assert [job.state for job in Local().poll([f"{host}/{mine}/{started_at(os.getpid())}"]).values()] == [
        State.RUNNING
    ]
    assert [job.state for job in Local().poll([f"{host}/{mine}/123-abc"]).values()] == [State.ENDED]


def test_code_is_fetched_once(tmp_path: Path) -> None:
    project = tmp_path / "my project"
    (project / "sub").mkdir(parents=True)
    (project / "sub" / "work.sh").write_text("echo worked\n")
    (project / "batchfile.toml").write_text(
        '[batch]\nremote_output_path = "out"\n[[runs]]\ncmd = "a"\n'
        '[sync]\ndirs = [".:the code", "sub:lib"]\nexclude = ["*.big"]\n'
    )
    (project / "x.big").write_text("")
    lines = send_code(load(project / "batchfile.toml"), "ID", {}, lambda _: None)
    env = {**os.environ, "TMPDIR": str(tmp_path), "pydoit_sc_python": sys.executable}
    for _ in range(2):
        shown = subprocess.run(
            ["sh", "-c", f"{lines}pwd; ls; sh ../lib/work.sh"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        folder, *names = shown.stdout.splitlines()
        assert names == ["batchfile.toml", "sub", "worked"]
        assert folder == f"{tmp_path}/pydoit-sc-{os.getuid()}/ID/the code"
        (Path(folder).parent / "mark").touch()
    assert os.stat(tmp_path / f"pydoit-sc-{os.getuid()}").st_mode & 0o777 == 0o700
    assert (Path(folder).parent / "mark").exists()


def test_workers_that_fetch_at_once(tmp_path: Path) -> None:
    """The first to be ready wins; the others take what it has put there."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "x").write_text("x" * 100_000)
    from pydoit_sc.sync.upload import stage

    url = stage(FileSync(str(tmp_path / "code"), "/c"), f"file://{tmp_path}/staged").url
    words = [sys.executable, "-m", "pydoit_sc.sync", "fetch", str(tmp_path / "f" / "ID"), "{}", url, "c"]
    workers = [subprocess.Popen(words) for _ in range(6)]
    assert [worker.wait(60) for worker in workers] == [0] * 6
    assert os.listdir(tmp_path / "f") == ["ID"]
    with pytest.raises(SyncError, match="no such file"):
        fetch_all(str(tmp_path / "g" / "ID"), [(f"file://{tmp_path}/{archive_name('0' * 64)}", ".")], {})
    assert os.listdir(tmp_path / "g") == []


@pytest.mark.parametrize(
    ("syncs", "start"),
    [
        ([("/p", "/")], "."),
        ([("/p", "/code")], "code"),
        ([("/x", "/x"), ("/", "/all")], "all/p"),
    ],
)
def test_where_runs_start(syncs: list[tuple[str, str]], start: str) -> None:
    assert start_folder([FileSync(*sync) for sync in syncs], "/p") == start
    with pytest.raises(SyncError, match=r"none of sync\.dirs holds the batchfile's folder"):
        start_folder([FileSync("/pp", "/")], "/p")


@pytest.mark.parametrize("text", ["x:/abs", "/abs", "..", "x:../y"])
def test_where_folders_may_go(tmp_path: Path, text: str) -> None:
    (tmp_path / "batchfile.toml").write_text(
        f'[batch]\nremote_output_path = "out"\n[[runs]]\ncmd = "a"\n[sync]\ndirs = ["{text}"]\n'
    )
    with pytest.raises(SyncError, match="expected a DEST inside of the folder"):
        send_code(load(tmp_path / "batchfile.toml"), "ID", {}, lambda _: None)


def test_no_wait_for_a_note_of_long_ago(tmp_path: Path) -> None:
    common = {"engine": "x", "batch": "b", "chunks": 1, "runs": 2, "nprocs": 1, "scale": None}
    assert not new_note(id="a", **common).but(when=time.time() - 3600).being_made
