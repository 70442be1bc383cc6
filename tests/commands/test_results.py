"""`results`: one table of what runs have written, from their records and their files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from doit.exceptions import InvalidCommand, InvalidDodoFile

from pydoit_sc.batchfile import load
from pydoit_sc.commands.results import ResultsCommand
from pydoit_sc.outcomes import resulttable
from pydoit_sc.outcomes.results import LARGEST_RESULT, ResultKey, read_results
from pydoit_sc.outcomes.resulttable import ResultTable
from pydoit_sc.store.objects import ObjectStore
from tests.conftest import HEAD, Box
from tests.store.memory_blobs import Bucket, MemoryBlobs

RUNS = HEAD + '[runs.a]\ncmd = "true {x} {model}"\nname = "{x}"\nmatrix = { x = [1, 2, 3], model = ["m"] }\n'


def output(
    results: dict[str, str | bytes], code: int = 0, attempt: str = "w-1", **more: float
) -> dict[str, bytes]:
    """Return the files of an output, as our worker writes them."""
    files = {
        f"results/{name}": text.encode() if isinstance(text, str) else text for name, text in results.items()
    }
    files.update(stdout=b"", stderr=b"")
    entries = {
        name: {"size": len(data), "md5": hashlib.md5(data).hexdigest()} for name, data in files.items()
    }
    known = {"fingerprint": "", "attempt": attempt, "status_code": code, "files": entries, **more}
    return {**files, "run.json": json.dumps(known).encode(), "status_code": str(code).encode()}


def put(box: Box, run: str, results: dict[str, str | bytes], code: int = 0, **more: float) -> None:
    for name, data in output(results, code, "w-1", **more).items():
        box.write(f"out/a/{run}/{name}", data)


@pytest.fixture
def three(box: Box) -> Box:
    """Three runs, of which the last has failed."""
    box.batchfile(RUNS)
    loss = {
        "1": '{"loss": 10, "test": {"f1": 0.5}}',
        "2": '{"loss": 9.5, "model": "own"}',
        "3": '{"loss": 0}',
    }
    took = {"started": 1795593114.75, "finished": 1795593117.0, "peak_memory": 2_500_000_000}
    for run, text in loss.items():
        put(box, run, {"metrics.json": text}, int(run == "3"), **took)
    return box


class Shown:
    """What a command has shown."""

    def __init__(self, box: Box, capsys: pytest.CaptureFixture[str]) -> None:
        self._box, self._capsys = box, capsys
        self.code, self.out, self.err = 0, "", ""

    def __call__(self, *words: str) -> Shown:
        self.code = ResultsCommand(config={}).parse_execute(
            ["-f", str(self._box.folder / "batchfile.toml"), *words]
        )
        self.out, self.err = self._capsys.readouterr()
        return self

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """Return what is shown as JSON."""
        found: list[dict[str, Any]] = json.loads(self("--format", "json", *words).out)
        return found


@pytest.fixture
def shown(box: Box, capsys: pytest.CaptureFixture[str]) -> Shown:
    return Shown(box, capsys)


def test_one_table(three: Box, shown: Shown) -> None:
    first, second = shown.rows()
    assert first == {
        "name": "a:1", "x": 1, "model": "m", "seconds": 2.25, "memory": 2_500_000_000,
        "loss": 10, "test.f1": 0.5, "metrics.json:model": None,
    }  # fmt: skip
    assert (second["model"], second["metrics.json:model"]) == ("m", "own")
    assert (shown.code, shown.err) == (0, "2 of 3 runs, 2 rows\n")
    assert shown("--columns", "name,seconds,memory,loss").out.splitlines() == [
        "name    seconds    memory    loss",
        "---------------------------------",
        "a:1      2.25 s    2.5 GB      10",
        "a:2      2.25 s    2.5 GB     9.5",
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--sort", "loss"), "21"),
        (("--sort", "-loss", "--limit", "1"), "1"),
        (("--sort", "test.f1"), "12"),
        (("--sort", "-test.f1"), "12"),
        (("--sort", "metrics.json:loss", "--code", "0,1"), "321"),
        (("--status", "error"), "3"),
        (("--limit", "1"), "1"),
        (("a:2", "a:3"), "2"),
    ],
)
def test_sorted_and_selected(three: Box, shown: Shown, words: tuple[str, ...], names: str) -> None:
    assert shown.rows("--columns", "name", *words) == [{"name": f"a:{name}"} for name in names]


def test_the_first_rows_are_said_to_be_some(three: Box, shown: Shown) -> None:
    assert shown("--sort", "loss", "--limit", "1").err == "2 of 3 runs, the first 1 of 2 rows\n"


def test_a_named_column_may_be_that_of_a_later_run(three: Box, shown: Shown) -> None:
    """Also where the rows that are shown, the first ones, lack it: it is empty there."""
    for names in ("model", "metrics.json:model", "loss"):
        assert shown("--columns", f"name,{names}", "--limit", "1", "--format", "csv").code == 0
    assert shown(
        "--columns", "name,metrics.json:model", "--limit", "1", "--format", "csv"
    ).out.splitlines() == [
        "name,metrics.json:model",
        "a:1,",
    ]
    assert shown.err == "1 of 3 runs, 1 rows\n"
    assert "metrics.json:model" not in shown("--limit", "1").out
    with pytest.raises(InvalidDodoFile, match="--columns: unknown column `nope`"):
        shown("--columns", "nope", "--limit", "1")


def test_what_has_no_order_is_last(box: Box, shown: Shown) -> None:
    box.batchfile(RUNS.replace("[1, 2, 3]", "[1, 2, 3, 4, 5]"))
    for run, value in {"1": "NaN", "2": '"10"', "3": "null", "4": "9", "5": '"b"'}.items():
        put(box, run, {"m.json": f'{{"v": {value}}}'})
    assert [row["x"] for row in shown.rows("--sort", "v")] == [4, 2, 5, 1, 3]
    assert [row["x"] for row in shown.rows("--sort", "-v")] == [5, 2, 4, 1, 3]
    assert [row["v"] for row in shown.rows()] == [None, "10", None, 9, "b"]  # JSON has no NaN


def test_a_terminal_has_the_columns_that_fit(box: Box, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    box.batchfile(RUNS)
    put(box, "1", {"m.json": json.dumps({f"metric {n}": n for n in range(20)})})
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    assert shown().out.splitlines()[0].split() == [
        "name",
        "x",
        "model",
        "seconds",
        "memory",
        *["metric", "0"],
    ]
    names = ", ".join(f"metric {n}" for n in range(1, 9))
    assert shown.err.splitlines()[0] == f"and 19 more columns: {names}, …; --columns chooses"
    assert shown("--sort", "metric 19").out.splitlines()[0].split("    ")[-1].strip() == "metric 19"
    assert len(shown("--columns", ",".join(f"metric {n}" for n in range(9))).out.splitlines()[0]) > 60
    assert len(shown.rows()[0]) == 25


def test_a_name_in_several_files_is_asked_for(box: Box, shown: Shown) -> None:
    box.batchfile(RUNS)
    put(box, "1", {"train.json": '{"loss": 1, "n": 5}', "test.json": '{"loss": 2}'})
    assert list(shown.rows()[0])[3:] == ["seconds", "memory", "test.json:loss", "train.json:loss", "n"]
    with pytest.raises(
        InvalidDodoFile, match=r"--sort: `loss` means several columns: test\.json:loss, train\.json:loss;"
    ):
        shown("--sort", "loss")
    with pytest.raises(
        InvalidDodoFile, match=r"--columns: unknown column `train\.json:los`; did you mean `train"
    ):
        shown("--columns", "train.json:los")
    assert shown.rows("--columns", "train.json:n") == [{"n": 5}]


def test_several_rows_of_a_run(box: Box, shown: Shown) -> None:
    box.batchfile(RUNS)
    curve, last = "step,loss\n1,0.5\n2,0.25\n", "name,007\n007,=1+1\n"
    put(
        box,
        "1",
        {"curve.csv": curve, "last.csv": last, "steps.json": '[{"s": 1}, {"s": 2}]', "score.json": "0.5"},
    )
    found = shown.rows("--columns", "last.csv:name,007,score,step,loss,s")
    common = {"last.csv:name": "007", "007": "=1+1", "score": 0.5}
    assert found == [
        {**common, "step": 1, "loss": 0.5, "s": None},
        {**common, "step": 2, "loss": 0.25, "s": None},
        {**common, "step": None, "loss": None, "s": 1},
        {**common, "step": None, "loss": None, "s": 2},
    ]
    as_csv = shown("--format", "csv", "--columns", "007,score,s").out
    assert as_csv.splitlines()[:2] == ["007,score,s", "'=1+1,0.5,"]


BAD: dict[str, tuple[str, bytes, str]] = {
    "torn": ("m.json", b'{"loss": 1', r"line 1, column 11: not JSON: Expecting ',' delimiter"),
    "empty": ("m.json", b"", "line 1, column 1: not JSON: Expecting value"),
    "deep": ("m.json", b"[" * 100_000, "nested too deep"),
    "twice": ("m.json", b'{"a.b": 1, "a": {"b": 2}}', "`a.b` is there twice"),
    "digits": ("m.json", b"9" * 5000, "Exceeds the limit"),
    "bytes": ("m.json", b'{"loss": "\xff"}', "byte 11 is not UTF-8"),
    "ragged": ("m.csv", b"a,b\n1\n", "line 2: expected 2 cells as in the header, found 1"),
    "columns": ("m.csv", b"a,a\n1,2\n", "line 1: the column `a` is there twice"),
    "no header": ("m.csv", b"\n", "no header row"),
    "quotes": ("m.csv", b'a\n"1\n', "line 2: not CSV"),
    "large": ("m.json", b" " * (LARGEST_RESULT + 1), "expected 4 MiB at most, found more"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_named_and_loses_nothing(box: Box, shown: Shown, what: str) -> None:
    box.batchfile(RUNS)
    name, data, message = BAD[what]
    put(box, "1", {name: data, "good.json": '{"kept": 1}'})
    put(box, "2", {"good.json": '{"kept": 2}'})
    assert [row["kept"] for row in shown.rows()] == [1, 2]
    assert shown.code == 2
    assert shown.err.splitlines()[1].startswith(f"warning: a:1: results/{name}: {message}"), shown.err


def test_what_is_no_file_of_the_attempt(box: Box, shown: Shown) -> None:
    box.batchfile(RUNS)
    put(box, "1", {"a.json": "1", "b.json": "2", "c.json": "3", "d.txt": "4", "deep/e.json": "5"})
    results = box.folder / "out/a/1/results"
    (results / "a.json").write_text("6")
    (results / "b.json").unlink()
    (results / "c.json").unlink()
    os.mkfifo(results / "c.json")
    assert list(shown.rows()[0]) == ["name", "x", "model", "seconds", "memory"]
    assert shown.err.splitlines()[1:] == [
        "warning: a:1: results/a.json: its content is not that of the attempt",
        "warning: a:1: results/b.json: missing",
        "warning: a:1: results/c.json: not a regular file",
    ]


@pytest.mark.parametrize("name", ["results/\0.json", "results/\ud800.json"])
def test_what_no_file_can_be_called(box: Box, shown: Shown, name: str) -> None:
    box.batchfile(RUNS)
    for run in ("1", "2"):
        put(box, run, {"m.json": '{"loss": 1}'})
    known = json.loads(box.out("a/1/run.json"))
    known["files"][name] = {"size": 1}
    box.write("out/a/1/run.json", json.dumps(known))
    assert [row["loss"] for row in shown.rows()] == [1, 1]
    shown_name = name.encode("unicode_escape").decode()
    assert shown.err.splitlines()[1:] == [f"warning: a:1: {shown_name}: no name of a file in an output"]


def test_outputs_of_sc_have_no_run_json(box: Box, shown: Shown) -> None:
    box.batchfile(RUNS)
    box.write("out/a/1/status_code", "0")
    box.write("out/a/1/results/m.json", '{"loss": 1}')
    assert shown.rows("--columns", "name,seconds,loss") == [{"name": "a:1", "seconds": None, "loss": 1}]


def test_a_run_of_a_list_is_known_by_its_command(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = str(box.write("cmds.txt", "python fit.py -n 1\n")), str(box.folder / "out")
    ((_, run),) = load(file, remote_output_path=out).runs()
    for name, data in output({"m.json": '{"loss": 1}'}).items():
        box.write(f"out/{run.key}/{name}", data)
    words = ["-f", file, "--remote-output-path", out, "--json", "--columns", "cmd,loss"]
    assert ResultsCommand(config={}).parse_execute(words) == 0
    assert json.loads(capsys.readouterr().out) == [{"cmd": "python fit.py -n 1", "loss": 1}]


def test_axes_that_are_called_as_our_columns(box: Box, shown: Shown) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "{seconds}"\nmatrix = { seconds = [7] }\n')
    put(box, "7", {"m.json": '{"name": "n"}'})
    assert shown.rows() == [
        {"name": "a:7", "axis:seconds": 7, "seconds": None, "memory": None, "m.json:name": "n"}
    ]


@pytest.mark.parametrize("end", ["csv", "jsonl", "parquet", "duckdb"])
def test_files(three: Box, shown: Shown, end: str) -> None:
    put(
        three,
        "2",
        {"metrics.json": '{"loss": true, "big": 1e400, "huge": 100000000000000000000, "test": {"f1": "x"}}'},
    )
    path = three.folder / f"m.{end}"
    for _ in range(2):  # the second time in place of the first
        assert shown("--to", str(path)).code == 0
    assert shown.out == ""
    assert [name for name in os.listdir(three.folder) if name.endswith(".part")] == []
    columns = ("name", "loss", "big", "huge", "test.f1")
    found: list[tuple[Any, ...]]
    if end == "csv":
        found = [
            tuple(row[name] for name in columns) for row in csv.DictReader(io.StringIO(path.read_text()))
        ]
        assert found == [("a:1", "10", "", "", "0.5"), ("a:2", "true", "inf", "1" + "0" * 20, "x")]
        return
    if end == "jsonl":
        rows = map(json.loads, path.read_text().splitlines())
        found = [tuple(row[name] for name in columns) for row in rows]
        assert found == [("a:1", 10, None, None, 0.5), ("a:2", True, None, 10**20, "x")]
        return
    if end == "parquet":
        import polars

        found = polars.read_parquet(path).select(columns).rows()
    else:
        import duckdb

        with duckdb.connect(str(path)) as database:
            found = database.sql(f"SELECT {', '.join(map(json.dumps, columns))} FROM results").fetchall()
    assert found == [("a:1", "10", None, None, "0.5"), ("a:2", "true", float("inf"), 1e20, "x")]


@pytest.mark.parametrize("end", ["parquet", "duckdb"])
def test_columns_whose_names_runs_have_written(box: Box, shown: Shown, end: str) -> None:
    """They are one line, have bytes, and are told apart."""
    box.batchfile(RUNS)
    long = "k" * 3000
    keys = ["a\nb", "a\\nb", "\ud800", "\\ud800", "\x1b[2J", long]
    put(box, "1", {"m.json": json.dumps({key: n for n, key in enumerate(keys)}), "\n.json": '{"b": 7}'})
    put(box, "2", {"m.csv": '"a\nb"\n8\n'})
    names = ["b", "m.json:a\\nb", "m.json:a\\nb'", "m.json:\\ud800", "m.json:\\ud800'", "\\x1b[2J", long]
    names.append("m.csv:a\\nb")
    assert shown.rows("--columns", ",".join(names)) == [
        dict(zip(names, [7, *range(6), None], strict=True)),
        dict(zip(names, [*[None] * 7, 8], strict=True)),
    ]
    lines = shown().out.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) < 800
    with pytest.raises(InvalidDodoFile) as error:
        shown("--columns", "nope")
    assert "k…" in str(error.value)
    assert len(str(error.value)) < 400
    assert shown("--to", str(box.folder / f"m.{end}")).code == 0


def test_a_database_keeps_its_other_tables(three: Box, shown: Shown) -> None:
    import duckdb

    path = str(three.folder / "m.duckdb")
    with duckdb.connect(path) as database:
        database.execute("CREATE TABLE mine AS SELECT 1 AS one")
    shown("--to", path)
    with duckdb.connect(path) as database:
        assert database.sql("SELECT count(*), (SELECT one FROM mine) FROM results").fetchall() == [(2, 1)]
    three.write("no.duckdb", "this is no database, and stays as it is" * 100)
    with pytest.raises(InvalidDodoFile, match=r"no\.duckdb"):
        shown("--to", str(three.folder / "no.duckdb"))


def test_files_that_cannot_be_written(three: Box, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("m.txt", "out", "s3://bucket/m.csv"):
        with pytest.raises(
            InvalidCommand, match=r"--to: expected a file that ends in \.csv, .*--remote-output-path"
        ):
            shown("--to", name)
    for end in ("csv", "parquet", "duckdb"):
        with pytest.raises(InvalidDodoFile, match=rf"missing/m\.{end}: "):
            shown("--to", str(three.folder / f"missing/m.{end}"))
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(InvalidDodoFile, match=r"pip install 'pydoit-sc\[frames\]' brings polars"):
        shown("--to", "m.parquet")


def test_a_number_of_an_axis_is_no_formula(box: Box, shown: Shown) -> None:
    box.write("axis.csv", "lr,note\n-0.5,-x\n")
    box.batchfile(
        HEAD + '[runs.a]\ncmd = "true {row.lr}"\nname = "1"\nmatrix = { row = { csv = "axis.csv" } }\n'
    )
    put(box, "1", {"m.csv": "note,n\n#1,1\n#2,2\n"})
    assert shown("--format", "csv", "--columns", "row.lr,row.note,note").out.splitlines() == [
        "row.lr,row.note,note",
        "-0.5,'-x,#1",
        "-0.5,'-x,#2",
    ]


def test_the_run_list_itself_is_not_replaced(box: Box) -> None:
    box.write("cmds.csv", "cmd\ntrue\n")
    (box.folder / "link.csv").symlink_to("cmds.csv")
    for name in ("cmds.csv", "link.csv"):
        done = box("results", "cmds.csv", "--remote-output-path", "out", "--to", name)
        assert (
            done.refused()
            == f"ERROR: --to: `{name}` is a file that the batch is read from; name another file\n"
        )
    assert (box.folder / "cmds.csv").read_text() == "cmd\ntrue\n"


def test_a_full_disk_is_told(three: Box, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resulttable, "TemporaryFile", partial(open, "/dev/full", "w+b"))
    with pytest.raises(
        InvalidDodoFile, match=r"the rows cannot be kept in .*: No space left on device; \$TMPDIR"
    ):
        shown()


@pytest.mark.parametrize("end", ["csv", "jsonl", "parquet"])
def test_a_disk_that_is_full_for_the_file_is_told_with_its_name(three: Box, shown: Shown, end: str) -> None:
    path = three.folder / f"m.{end}"
    path.symlink_to("/dev/full")
    with pytest.raises(InvalidDodoFile, match=rf"m\.{end}: .*No space left on device"):
        shown("--to", str(path))


def test_a_table_has_booleans_as_conditions_have_them(box: Box, shown: Shown) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true {z}"\nmatrix = { z = [true, false] }\n')
    for run in ("true", "false"):
        put(box, run, {"m.json": f'{{"good": {run}}}'})
    assert shown("--columns", "z,good", "--sort", "name").out.splitlines()[2:] == [
        "false    false",
        "true     true",
    ]
    assert [row["z"] for row in shown.rows("--where", "z=true")] == [True]


def test_nothing_is_there(box: Box, shown: Shown) -> None:
    box.batchfile(RUNS)
    assert shown.rows() == []
    assert shown("--format", "csv").out == "name,x,model,seconds,memory\n"
    head = "name    x    model    seconds    memory"
    assert (shown().out.splitlines()[0], shown.err) == (head, "0 of 3 runs, 0 rows\n")
    assert shown.rows("--columns", "name,x,loss", "--sort", "-loss") == []
    assert shown("--columns", "x,loss", "--sort", "f1", "--format", "csv").out == "x,loss\n"


def test_an_axis_is_known_without_a_row_of_its_stage(three: Box, shown: Shown) -> None:
    three.batchfile(RUNS + '[runs.b]\ncmd = "true {y}"\nmatrix = { y = [1] }\n')
    assert shown.rows("--columns", "name,y", "--limit", "1") == [{"name": "a:1", "y": None}]


def test_a_column_is_there_once(three: Box, shown: Shown) -> None:
    words = ("--columns", "loss,name,metrics.json:loss,loss")
    assert shown(*words, "--limit", "1", "--format", "csv").out == "loss,name\n10,a:1\n"
    assert shown(*words, "--to", str(three.folder / "m.parquet")).code == 0


def _objects(box: Box, count: int) -> tuple[ObjectStore, list[tuple[str, str]]]:
    """Return a store of so many runs, each tenth with a file of results, all in its index; and its requests."""
    bucket, requests = Bucket(), list[tuple[str, str]]()
    box.batchfile(RUNS.replace("[1, 2, 3]", f"{{ range = [0, {count}] }}"))
    blobs = MemoryBlobs(bucket)
    store = ObjectStore("memory://store", blobs)
    for x in range(count):
        files = output({"m.json": json.dumps({"loss": x})} if x % 10 == 0 else {})
        for name, data in files.items():
            blobs.put(f"a/{x}/{name}", data)
        store._index.add(files["run.json"], lambda request: request())
    store.settle()
    blobs.before = lambda verb, path: requests.append((verb, path))
    return store, requests


def test_one_listing_and_a_request_for_each_file_of_results(box: Box) -> None:
    store, requests = _objects(box, 200)
    store.stagers = 4
    batch = load(str(box.folder / "batchfile.toml"))
    rows = list(read_results(store, batch.runs(), pytest.fail))
    assert [row.name for row in rows] == [f"a:{x}" for x in range(200)]
    assert [row.values for row in rows[:11:10]] == [
        {ResultKey("m.json", "loss"): 0},
        {ResultKey("m.json", "loss"): 10},
    ]
    assert [verb for verb, _ in requests].count("list") == 1
    assert len([path for _, path in requests if path.endswith("m.json")]) == 20
    assert len(requests) < 20 + 5


def test_a_run_that_is_replaced_meanwhile_is_read_once_more(box: Box) -> None:
    store, _ = _objects(box, 3)
    batch = load(str(box.folder / "batchfile.toml"))
    blobs = store._blobs
    assert isinstance(blobs, MemoryBlobs)

    def replaced(verb: str, path: str) -> None:
        if path == "a/0/results/m.json":
            blobs.before = lambda verb, path: None
            for name, data in output({"m.json": '{"loss": 7}'}, attempt="w-2").items():
                blobs.put(f"a/0/{name}", data)

    blobs.before = replaced
    rows = list(read_results(store, batch.runs(), pytest.fail))
    assert [(row.record.attempt, list(row.values.values())) for row in rows[:1]] == [("w-2", [7])]


def test_rows_come_as_they_are_read(box: Box) -> None:
    store, requests = _objects(box, 200)
    rows = read_results(store, load(str(box.folder / "batchfile.toml")).runs(), pytest.fail)
    next(rows)
    assert len([path for _, path in requests if path.endswith("m.json")]) == 1


def test_a_table_ends_with_its_error(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from ()
        raise KeyError("x")

    with pytest.raises(KeyError):
        ResultTable(broken())
