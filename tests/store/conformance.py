"""What every store promises, as checks that each kind of store passes alike."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from pathlib import Path

import pytest

from pydoit_sc.store import (
    Current,
    Finished,
    HeldError,
    Outcome,
    Record,
    Staged,
    Store,
    StoreError,
    Taken,
    TakenError,
)
from pydoit_sc.store.accepted import read_accepted, write_accepted
from pydoit_sc.store.manifest import fault
from pydoit_sc.store.places import Beside

#: Names that a shell, a URL, a pattern, an XML listing or an option parser would read as something else.
HOSTILE = (
    "-rf",
    "--help",
    "two words",
    " edges ",
    "it's",
    'say "hi"',
    "$(touch pwned)",
    "`id`",
    "a;b|c&d",
    "100%",
    "%2e%2e%2fup",
    "#hash",
    "a+b",
    "a&amp;<b>",
    "back\\slash",
    "~",
    "…",
    "äöü-日本語-🎉",
    "e\u0301",  # decomposed: not the same name as é
    "é",
    "{braces}",
    "file:x",
    "x" * 200,
    "deep/er/and deeper/%41",
    "1",
    "10",
    "1.5/0",
)


@dataclass
class Place:
    """A store under test, the way other programs write into it, and a folder for attempts."""

    store: Store
    put: Callable[[str, bytes], None]  # a path below the root, as `sc` would write it
    paths: Callable[[], set[str]]  # all files that are there, below the root
    folder: Path
    reopen: Callable[[], Store]
    not_in_keys: str = ""  # characters that this store cannot tell from others
    count: int = field(default=0)

    def attempt(
        self,
        key: str,
        code: int = 0,
        *,
        stdout: bytes = b"out\n",
        results: Mapping[str, bytes] | None = None,
        supersedes: str | None = None,
        fingerprint: str = "f",
    ) -> Finished:
        """Write an attempt as a worker leaves it."""
        self.count += 1
        name = f"abc-{self.count}"
        folder = self.folder / name
        (folder / "results").mkdir(parents=True)
        (folder / "stdout").write_bytes(stdout)
        (folder / "stderr").write_bytes(b"")
        for path, data in (results or {}).items():
            (folder / "results" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "results" / path).write_bytes(data)
        (folder / "run.json").write_text(
            json.dumps({"attempt": name, "fingerprint": fingerprint, "submission": "s"})
        )
        (folder / "status_code").write_text(str(code))
        return Finished(key, name, str(folder), supersedes, fingerprint)

    def publish(self, *attempts: Finished) -> list[Outcome | StoreError]:
        """Stage attempts together and commit them; an error stands in its attempt's place."""
        outcomes: list[Outcome | StoreError] = []
        with self.store.workspace("abc", None):
            for staged in self.store.stage(attempts):
                try:
                    outcomes.append(self.store.commit(staged) if isinstance(staged, Staged) else staged)
                except StoreError as error:
                    outcomes.append(error)
            self.store.settle()
        return outcomes

    def record(self, key: str) -> Record | None:
        """Return what a program that starts now would find."""
        return self.reopen().scan([key]).get(key)

    def read(self, key: str, file: str = "stdout") -> bytes:
        """Return a file of a run."""
        with self.store.open(key, file) as stream:
            return stream.read()

    def history(self, key: str) -> set[str]:
        """Return the paths of a run's history."""
        above = f".pydoit_sc/history/{key}/"
        return {path[len(above) :] for path in self.paths() if path.startswith(above)}


def nothing_there(place: Place) -> None:
    """A store that nobody has written to answers that it has nothing, and stays so."""
    store = place.store
    assert store.scan(["a", "b/c"]) == {}
    assert dict(store.files("a")) == {}
    assert list(store.orphans(set())) == []
    assert store.forget("a") is False
    assert store.remove("a/b") is False
    assert dict(store.running()) == {}
    for file in ("stdout", "results/x"):
        with pytest.raises(FileNotFoundError):
            store.open("a", file)
    assert place.paths() == set()


STATUS_CODES: Mapping[str, int | None] = {
    "0": 0, "0\n": 0, " 7 ": 7, "007": 7, "255": 255, "256": None, "1000": None, "None": None, "": None, "-1": 129, "-9": 137,
    "-64\n": 192, "-65": None, "-100": None, "-0": None, "-07": None, "- 9": None, "--9": None, "-": None,
    "12a": None, "0x0": None, "0.0": None, "0 0": None, "٣": None, "0" * 5000: None, "\0": None,
}  # fmt: skip


def status_codes(place: Place) -> None:
    """A status code is 0 … 255 in decimal, or -n of a signal, as `sc` has it; a file that holds something else is an error, not an absence."""
    for i, text in enumerate(STATUS_CODES):
        place.put(f"run {i}/status_code", text.encode())
    place.put("invalid/status_code", b"\xff\xfe0")
    place.put("only-output/stdout", b"0")
    keys = [f"run {i}" for i in range(len(STATUS_CODES))]
    records = place.store.scan(iter([*keys, "invalid", "only-output", "missing", *keys]))
    assert {key: record.code for key, record in records.items()} == {
        **dict(zip(keys, STATUS_CODES.values(), strict=True)),
        "invalid": None,
    }
    assert all(record == Record(record.code) for record in records.values())


def run_json(place: Place) -> None:
    """A run.json that is missing, torn or foreign takes nothing from the status code."""
    whole = {"attempt": "abc-1", "fingerprint": "f", "submission": "s", "more": [1]}
    texts = {
        "whole": json.dumps(whole).encode(),
        "torn": json.dumps(whole).encode()[:-5],
        "empty": b"",
        "null": b"null",
        "list": b"[]",
        "text": b'"attempt"',
        "numbers": b'{"attempt": 1, "fingerprint": 2}',
        "partial": b'{"attempt": "abc-1"}',
        "binary": b"\xff\x00\xfe" * 50,
        "deep": b"[" * 100_000,
        "path": b'{"attempt": "../../../../up", "fingerprint": "f"}',
        "of another": json.dumps({**whole, "status_code": 0}).encode(),
    }
    for key, text in texts.items():
        place.put(f"{key}/status_code", b"3")
        place.put(f"{key}/run.json", text)
    records = place.store.scan(texts)
    assert records.pop("whole") == Record(3, "abc-1", "f", "s")
    assert records == {key: Record(3) for key in texts if key != "whole"}
    assert all(place.store.forget(key) for key in texts)
    assert place.store.scan(texts) == {}
    assert all(path.startswith(".pydoit_sc/history/") for path in place.paths())


def documents(place: Place) -> None:
    """The two small files of runs come in the order in which they are asked for, those without an outcome left out."""
    assert place.publish(place.attempt("b/1"), place.attempt("a", 7)) == [Outcome.PUBLISHED] * 2
    place.put("of sc/status_code", b"0")
    place.put("torn/stdout", b"")
    found = {
        key: (code, text) for key, code, text in place.store.documents(["torn", "of sc", "b/1", "-", "a"])
    }
    assert [(key, code) for key, (code, _) in found.items()] == [("of sc", b"0"), ("b/1", b"0"), ("a", b"7")]
    assert found["of sc"][1] is None
    assert json.loads(found["a"][1] or b"")["attempt"] == "abc-2"


def outputs(place: Place) -> None:
    """What a run has written comes back byte for byte, under its own names, and nothing else does."""
    results = {
        "plain.txt": b"1\n",
        "sub/folder/data.bin": bytes(range(256)) * 5000,
        "empty": b"",
        "[1]*?.txt": b"pattern",
        "two words/ünï code": b"x",
        "status_code": b"1",
        "stdout": b"a result, not the output",
    }
    stdout = b"\xff\0invalid utf-8\r\n" * 3
    assert place.publish(place.attempt("a/run", stdout=stdout, results=results)) == [Outcome.PUBLISHED]
    assert place.record("a/run") == Record(0, "abc-1", "f", "s")
    assert place.read("a/run") == stdout
    files = place.store.files("a/run")
    assert {path for path in files if "/" not in path} == {"stdout", "stderr", "status_code", "run.json"}
    for path, data in results.items():
        assert files[f"results/{path}"] == len(data)
        assert place.read("a/run", f"results/{path}") == data
    assert len(files) == len(results) + 4
    assert not (place.folder / "abc-1").exists()
    assert list(place.store.orphans({"a/run"})) == []
    assert list(place.store.orphans(set())) == ["a/run"]
    with pytest.raises(FileNotFoundError):
        place.store.open("a/run", "results/missing")


def tails(place: Place) -> None:
    """The end of a file is read, whether it is long or not; nothing of what is missing or no file."""
    long = bytes(range(256)) * 1000
    attempt = place.attempt("run", 1, stdout=long, results={"short": b"12345", "empty": b""})
    assert place.publish(attempt) == [Outcome.PUBLISHED]
    assert place.store.tail("run", "stdout", 1000) == long[-1000:]
    assert place.store.tail("run", "results/short", 3) == b"345"
    assert place.store.tail("run", "results/short", 1000) == b"12345"
    for nothing in ("stderr", "results/empty", "results/missing", "results"):
        assert place.store.tail("run", nothing, 1000) == b""
    assert place.store.tail("missing", "stdout", 1000) == b""


def hostile_names(place: Place) -> None:
    """A key is its name and nothing else: no pattern, no option, no command, no prefix of another."""
    keys = [key for key in HOSTILE if not set(key) & set(place.not_in_keys)]
    attempts = [place.attempt(key, 1, stdout=key.encode()) for key in keys]
    assert place.publish(*attempts) == [Outcome.PUBLISHED] * len(keys)
    records = place.reopen().scan(keys)
    names = {key: attempt.attempt for key, attempt in zip(keys, attempts, strict=True)}
    assert {key: record.attempt for key, record in records.items()} == names
    assert sorted(place.store.orphans(set())) == sorted(keys)
    assert list(place.store.orphans(set(keys))) == []
    for key in keys:
        assert place.read(key) == key.encode()
        assert place.store.files(key)["stdout"] == len(key.encode())
    # Replaced, forgotten and removed one by one: the others stay.
    some = keys[::6]
    again = [place.attempt(key, stdout=b"again", supersedes=names[key]) for key in some]
    assert place.publish(*again) == [Outcome.PUBLISHED] * len(some)
    left = set(keys)
    for i, key in enumerate(some):
        assert f"{names[key]}/stdout" in place.history(key)
        assert (place.store.forget(key) if i % 2 else place.store.remove(key)) is True
        assert bool(place.history(key)) is bool(i % 2)
        left.remove(key)
        assert place.store.scan(keys).keys() == left
    assert set(place.store.orphans(set())) == left


def completed_wins(place: Place) -> None:
    """A completed outcome that the plan did not know stays, whatever comes after it."""
    assert place.publish(place.attempt("run", stdout=b"first")) == [Outcome.PUBLISHED]
    before = place.paths()
    for late in (
        place.attempt("run", stdout=b"late", results={"late": b""}),
        place.attempt("run", 1, stdout=b"late"),
        place.attempt("run", stdout=b"late", supersedes="another"),
    ):
        assert place.publish(late) == [Outcome.LOST]
        assert not Path(late.folder).exists()
    assert place.paths() == before
    assert place.read("run") == b"first"
    place.put("foreign/status_code", b"0\n")  # `sc` has completed it meanwhile
    assert place.publish(place.attempt("foreign")) == [Outcome.LOST]
    assert place.record("foreign") == Record(0)


def another_command(place: Place) -> None:
    """A completed outcome of another command, which the plan did not know, is replaced: it is not what was asked for."""
    old = place.attempt("run", stdout=b"old", fingerprint="before")
    new = place.attempt("run", stdout=b"new", fingerprint="after")
    late = place.attempt("run", stdout=b"late", fingerprint="after")
    assert place.publish(old, new, late) == [Outcome.PUBLISHED, Outcome.PUBLISHED, Outcome.LOST]
    assert (place.read("run"), place.record("run")) == (b"new", Record(0, new.attempt, "after", "s"))
    assert {path.partition("/")[0] for path in place.history("run")} == {old.attempt}


def current(place: Place) -> None:
    """Of an outcome that is completed and current no record is made where its fingerprint is given."""
    place.publish(place.attempt("good"), place.attempt("failed", 7))
    place.put("sc/status_code", b"0")
    place.put("sc/stdout", b"")
    keys = ["good", "good", "failed", "none", "sc", "good"]
    good, other, failed, none, sc, unknown = place.reopen().look(keys, ["f", "g", "f", "f", "f", None])
    assert (good, sc, none) == (Current("abc-1", 0.0), Current("", 0.0), None)
    assert other == unknown == place.record("good")
    assert failed == place.record("failed")


def superseding(place: Place) -> None:
    """What the plan knew is replaced whole, by a success as by a failure; the old outcome is kept aside."""
    old = place.attempt("run", results={"a": b"old", "b/c": b"old"})
    new = place.attempt("run", stdout=b"new", results={"a": b"new"}, supersedes=old.attempt)
    worse = place.attempt("run", 9, supersedes=new.attempt)
    for attempt in (old, new, worse):
        assert place.publish(attempt) == [Outcome.PUBLISHED]
        assert place.record("run") == Record(9 if attempt is worse else 0, attempt.attempt, "f", "s")
    assert "results/a" not in place.store.files("run")
    assert {path.partition("/")[0] for path in place.history("run")} == {old.attempt, new.attempt}
    assert f"{old.attempt}/results/b/c" in place.history("run")
    place.put("foreign/status_code", b"0")
    place.put("foreign/results/only-theirs", b"1")
    assert place.publish(place.attempt("foreign", supersedes="")) == [Outcome.PUBLISHED]
    assert place.store.files("foreign").keys() == {"run.json", "status_code", "stderr", "stdout"}


def failures(place: Place) -> None:
    """A failed or unfinished output is replaced by any outcome, and kept as history."""
    failed = place.attempt("run", 3, stdout=b"failed", results={"half": b"x"})
    assert place.publish(failed) == [Outcome.PUBLISHED]
    assert place.publish(place.attempt("run", 4)) == [Outcome.PUBLISHED]
    assert place.publish(place.attempt("run", 0)) == [Outcome.PUBLISHED]
    assert place.record("run") == Record(0, "abc-3", "f", "s")
    assert {path.partition("/")[0] for path in place.history("run")} == {"abc-1", "abc-2"}
    assert f"{failed.attempt}/results/half" in place.history("run")
    place.put("torn/stdout", b"`sc` was killed")
    place.put("torn/results/half", b"x")
    place.put("unreadable/status_code", b"None")
    assert place.publish(place.attempt("torn"), place.attempt("unreadable")) == [Outcome.PUBLISHED] * 2
    assert "results/half" not in place.store.files("torn")
    assert place.read("torn") == b"out\n"
    assert place.history("torn") == {"unknown/stdout", "unknown/results/half"}


def one_bad_attempt(place: Place) -> None:
    """An attempt that cannot be published does not hinder the others of its group."""
    attempts = [place.attempt(key) for key in ("a", "b", "c")]
    for path in sorted(Path(attempts[1].folder).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    Path(attempts[1].folder).rmdir()
    outcomes = place.publish(*attempts)
    assert outcomes[::2] == [Outcome.PUBLISHED] * 2
    assert isinstance(outcomes[1], StoreError)
    assert place.store.scan("abc").keys() == {"a", "c"}


def special_files(place: Place) -> None:
    """A pipe among the results neither hangs nor fails the publication."""
    attempt = place.attempt("run", results={"kept": b"1"})
    os.mkfifo(f"{attempt.folder}/results/pipe")
    assert place.publish(attempt) == [Outcome.PUBLISHED]
    assert place.read("run", "results/kept") == b"1"


def forgetting(place: Place) -> None:
    """A forgotten run is incomplete and its output is in the history; a removed one leaves nothing."""
    for stdout in (b"one", b"two"):
        place.put("run/status_code", b"0")
        place.put("run/stdout", stdout)
        assert place.store.forget("run") is True
        assert place.store.forget("run") is False
        assert place.record("run") is None
    assert sorted(path for path in place.history("run") if path.endswith("stdout")) == [
        "unknown.1/stdout",
        "unknown/stdout",
    ]
    place.publish(place.attempt("run"), place.attempt("run2"), place.attempt("x/y"), place.attempt("x/z"))
    assert place.store.remove("run") is True
    assert place.store.remove("run") is False
    assert place.store.remove("x/y") is True
    assert not [path for path in place.paths() if path.startswith(("run/", "x/y/")) or "/run/" in path]
    assert place.store.scan(["run", "run2", "x/y", "x/z"]).keys() == {"run2", "x/z"}


def strangers(place: Place) -> None:
    """What is no run's output is told by a survey, and neither replaced, nor forgotten, nor removed."""
    store = place.store
    place.publish(place.attempt("stage/0"), place.attempt("stage/1"), place.attempt("outer"))
    place.put("data/mine", b"1")
    place.put("mixed/status_code", b"7")
    place.put("mixed/notes.txt", b"1")
    place.put("deep/results/mine", b"1")
    place.publish(place.attempt("own", 1, results={"x": b"1"}))
    own = {"attempt": "abc-9", "fingerprint": "f", "files": {"beside/x": {"size": 1}}}
    place.put("own/run.json", json.dumps(own).encode())
    place.put("own/beside/x", b"1")  # a run may write beside its results: `run.json` lists it
    before = place.paths()
    stage, data, inside, own_record, new, mixed = place.reopen().look(
        ["stage", "data", "outer/0", "own", "new", "mixed"]
    )
    assert isinstance(stage, Taken) and stage.words.startswith("its place has `0`, `1`, which is of no run")
    assert isinstance(data, Taken)
    assert isinstance(inside, Taken) and "inside the output of another run, `outer`" in inside.words
    assert isinstance(own_record, Record) and isinstance(mixed, Record) and new is None
    news = [f"new{n}" for n in range(200)]
    many = list(place.reopen().look(["stage", "data", *news, "own", "outer/0"]))
    assert many == [stage, data, *(None for _ in news), own_record, inside]
    told = {
        "mixed": "its place has `notes.txt`, which is of no run, and stays as it is: move it away, or give the run another name"
    }
    for keys in (["mixed", "own", "stage/0"], ["mixed", "own", "stage/0", *news]):
        store = place.reopen()
        beside = Beside(store.beside)
        assert len(list(store.look(keys, None, beside))) == len(keys)
        assert beside(["mixed", "own", "stage/0"]) == told
        assert beside(["stage/1"]) == beside([]) == {}
    assert beside.listed in (None, {"mixed"})
    for key in ("stage", "data", "mixed", "deep"):
        (refused,) = place.publish(place.attempt(key))
        assert isinstance(refused, TakenError), refused
        with pytest.raises(TakenError, match=f"/{key} has "):
            store.forget(key)
        with pytest.raises(TakenError):
            store.remove(key)
    assert {path for path in place.paths() if not path.startswith(".pydoit_sc/")} == {
        path for path in before if not path.startswith(".pydoit_sc/")
    }
    assert place.publish(place.attempt("own")) == [Outcome.PUBLISHED]


def history_of_inner_runs(place: Place) -> None:
    """To remove a run leaves the history of runs whose keys lie below its own."""
    place.publish(place.attempt("stage/0"))
    place.store.forget("stage/0")
    for _ in range(2):
        place.publish(place.attempt("stage"))
        place.store.forget("stage")
    assert (place.store.remove("stage"), place.store.remove("stage")) == (True, False)
    assert {path.partition("/")[0] for path in place.history("stage")} == {"0"}


def glances(place: Place) -> None:
    """A glance tells how runs have ended, and knows when, also of those that the index does not have."""
    keys = [f"run {n}" for n in range(15)]
    for key in keys[:12]:
        place.put(f"{key}/status_code", b"0")
    place.put("run 12/status_code", b"nonsense")
    assert place.publish(*(place.attempt(key, 3) for key in keys[13:]))[1] is Outcome.PUBLISHED
    for asked in (keys, keys[10:14], [*keys, "missing"]):
        found, known = place.reopen().glance(asked), place.reopen().scan(asked)
        assert {key: record.code for key, record in found.items()} == {
            key: record.code for key, record in known.items()
        }
        assert found["run 13"].attempt in ("", "abc-1")  # without ETags the index tells nothing


def whole(place: Place) -> None:
    """What has been published is whole; other content of the same size is found, if need be by reading it."""
    attempt = place.attempt("run", results={"r": b"1"})
    said = Path(attempt.folder) / "run.json"
    said.write_text(json.dumps({**json.loads(said.read_bytes()), "status_code": 0}))
    assert place.publish(attempt) == [Outcome.PUBLISHED]

    def told() -> str | None:
        ((_, found),) = place.reopen().contents(["run"])
        return fault(found, lambda name: md5(place.read("run", name)).hexdigest())

    listed = told()
    assert not listed
    place.put("run/results/r", b"2")
    assert told() == (listed if listed is None else "results/r: its content is not that of the attempt")


def retried(place: Place) -> None:
    """An attempt that was retried is in the history, whatever becomes of the run, and the run is held further."""
    first = place.attempt("run", 75, stdout=b"no\n")._replace(retried=True)
    shutil.rmtree(f"{first.folder}/results")
    last = place.attempt("run", 0)
    with place.store.workspace("abc", None):
        assert place.store.hold("abc", ["run"]) == {"run": 0}
        (staged,) = place.store.stage([first])
        assert isinstance(staged, Staged) and place.store.commit(staged) is Outcome.KEPT
        assert place.record("run") is None
        other = place.reopen()
        with other.workspace("other", None):
            assert isinstance(other.hold("other", ["run"])["run"], HeldError)
        (staged,) = place.store.stage([last])
        assert isinstance(staged, Staged) and place.store.commit(staged) is Outcome.PUBLISHED
    (kept,) = place.store.former("run")
    assert place.history("run") == {
        f"abc-1/{name}" for name in ("stdout", "stderr", "run.json", "status_code")
    }
    assert place.store.scan([kept, "run"]) == {
        kept: Record(75, "abc-1", "f", "s"),
        "run": Record(0, "abc-2", "f", "s"),
    }
    assert place.read(kept) == b"no\n"
    assert place.store.former("other") == []
    assert place.store.remove("run")
    assert place.store.former("run") == []


def orphaned(place: Place) -> None:
    """Outputs of runs that are no more are found at any depth; our own files and results are none."""
    for key in ("kept", "gone", "a/b/gone", "a/kept", "gone.too"):
        place.put(f"{key}/status_code", b"1")
        place.put(f"{key}/results/status_code", b"1")
        place.put(f"{key}/results/deep/status_code", b"1")
    place.put("no-output/stdout", b"")
    place.put("status.only/status_code", b"0")
    place.store.forget("status.only")
    place.put("unfinished/results/status_code", b"1")
    place.put("killed/stdout", b"")
    place.put("killed/x/status_code", b"1")
    known = {"kept", "a/kept", "unfinished", "killed"}
    assert sorted(place.store.orphans(known)) == ["a/b/gone", "gone", "gone.too"]
    # In the place of a run there may be those of a stage that had one more axis.
    assert sorted(place.store.orphans({*known, "a/b", "gone/x"})) == ["a/b/gone", "gone", "gone.too"]
    assert sorted(place.store.orphans({"a", "kept", "unfinished"})) == [
        "a/b/gone",
        "a/kept",
        "gone",
        "gone.too",
        "killed/x",
    ]


def workspaces(place: Place) -> None:
    """A worker gets an empty folder of its own, where it asked for it, gone when it ends."""
    scratch = place.folder / "not/yet there"
    for where in (None, str(scratch)):
        with place.store.workspace("w1", where) as one, place.store.workspace("w2", where) as two:
            assert one != two
            assert {*os.listdir(one), *os.listdir(two)} <= {"worker.json"}
            assert where is None or Path(one).is_relative_to(scratch)
            Path(one, "file").write_text("x")
        assert not os.path.exists(one)
        assert not os.path.exists(two)
    assert os.listdir(scratch) == []
    blocked = place.folder / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match="file"), place.store.workspace("w1", str(blocked)):
        pass


def notes(place: Place) -> None:
    """A note of ours comes back as it was last written, is no output, and stands in no scan."""
    store = place.store
    assert store.notes("submissions") == []
    with pytest.raises(FileNotFoundError):
        store.read_note("submissions/s1/0.json")
    for text in (b"one", b"two\n"):
        store.write_note("submissions/s1/0.json", text)
        assert place.reopen().read_note("submissions/s1/0.json") == text
        found, owner = store.read_note_and_owner("submissions/s1/0.json")
        assert (found, owner) in ((text, os.geteuid()), (text, None))
    with pytest.raises(FileNotFoundError):
        store.read_note_and_owner("submissions/s1/0.json", at_most=3)
    store.write_note("submissions/s1/logs/a b", b"")
    assert store.notes("submissions") == ["submissions/s1/0.json", "submissions/s1/logs/a b"]
    assert store.notes("submissions/s") == []
    assert list(store.orphans(set())) == []


def accepted(place: Place) -> None:
    """What a user has accepted is seen from everywhere; of what others have put there, nothing is trusted."""
    told: list[str] = []
    assert read_accepted(place.reopen(), told.append) == {}
    write_accepted(place.store, {"a-1": "1-0-0-0", "a-2": "2-0-0-0"})
    write_accepted(place.store, {"a-2": "3-0-0-0"})
    many = {f"b-{n}": "1-0-0-0" for n in range(50_001)}  # more than a note has
    write_accepted(place.store, many)
    for name, text in (("bad", b"{"), ("worse", b'{"outcomes": {"a-1": 7}}'), ("deep", b"[" * 100_000)):
        place.store.write_note(f"accepted/{name}.json", text)
    assert read_accepted(place.reopen(), told.append) == {
        "a-1": "1-0-0-0",
        "a-2": "3-0-0-0",
        **many,
    }
    assert [line.partition("accepted/")[2].partition(":")[0] for line in told] == [
        "bad.json",
        "deep.json",
        "worse.json",
    ]


CHECKS = (
    nothing_there, status_codes, run_json, documents, outputs, tails, hostile_names, completed_wins, another_command, current, superseding, failures,
    one_bad_attempt, special_files, forgetting, strangers, history_of_inner_runs, glances, whole, retried, orphaned, workspaces, notes, accepted,
)  # fmt: skip
