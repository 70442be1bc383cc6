"""A batch from Python: what it answers is what the commands answer, and it is of the moment."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pydoit_sc as sc
from tests.commands.test_status import executing
from tests.conftest import HEAD, Box


def test_the_answers_are_those_of_the_commands(weather: Box) -> None:
    batch = sc.load()
    assert f"{batch.status()!r}\n" == weather.ok("status")
    assert repr(batch.plan()) == weather.ok("plan").splitlines()[0]
    assert weather("failures").out.startswith(repr(batch.failures()).partition("  group")[0])


@pytest.mark.parametrize(
    "given",
    [
        sc.load,
        lambda folder: sc.load(str(folder / "batchfile.toml")),
        lambda folder: sc.load(folder / "batchfile.toml", to=folder / "out"),
    ],
)
def test_a_batch_is_loaded_from_anywhere(
    weather: Box, monkeypatch: pytest.MonkeyPatch, given: object
) -> None:
    monkeypatch.chdir("/")
    assert callable(given)
    assert [run.status.value for run in given(weather.folder)] == [
        "completed",
        "completed",
        "error",
        "completed",
    ]


def test_the_variable_names_the_batch(weather: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("PYDOIT_SC_FILE", str(weather.folder / "batchfile.toml"))
    assert len(sc.load()) == 4


def test_a_list_of_commands(weather: Box) -> None:
    weather.write("cmds.txt", "echo a\necho b\n")
    batch = sc.load("cmds.txt", to="listed")
    assert [run.cmd for run in batch] == ["echo a", "echo b"]
    assert repr(batch.plan()) == "2 of 2 runs to execute: 2 no outcome yet"
    assert batch.output == f"file://{weather.folder}/listed"


def test_answers_are_of_the_moment(weather: Box) -> None:
    batch = sc.load()
    before, run = batch.plan(), batch["day:2022-03-08"]
    weather.write("out/day/2022-03-08/status_code", "7")
    assert (len(batch.plan()), len(before), batch["day:2022-03-08"].code, run.code) == (2, 1, 7, 0)
    assert [kind.code for kind in batch.failures()] == [1, 7]


def test_a_run(weather: Box) -> None:
    run = sc.load()["day:2022-03-05"]
    assert (run.name, run.stage) == ("day:2022-03-05", "day")
    assert run.cmd.startswith("cat data/2022-03-05.csv && ")
    assert run.axes["day.start"] == "2022-03-05"
    assert (run.status, run.reason, run.code) == (sc.Status.COMPLETED, "up to date", 0)
    assert run.started and run.ended and run.started <= run.ended
    assert run.seconds is None or 0 < run.seconds < 60
    assert run.output == f"file://{weather.folder}/out/day/2022-03-05"
    assert set(run.files) == {"stdout", "stderr", "status_code", "run.json", "results/degrees.json"}
    assert (run.stdout, run.stderr) == ("12.8\n", "")


def test_a_run_without_an_outcome(weather: Box) -> None:
    weather.ok("forget", "day:2022-03-05")
    run = sc.load()["day:2022-03-05"]
    assert (run.status, run.code, run.seconds, run.host, run.started, dict(run.files)) == (
        sc.Status.INCOMPLETE, None, None, None, None, {},
    )  # fmt: skip
    with pytest.raises(sc.UserError, match="`day:2022-03-05` has no output in file://"):
        run.stdout  # noqa: B018


def test_a_file_that_a_run_does_not_have(weather: Box) -> None:
    run = sc.load()["day:2022-03-05"]
    for path in (
        "results/a",
        "../2022-03-06/stdout",
        f"{weather.folder}/out/day/2022-03-05/stdout",
        "results",
    ):
        with pytest.raises(sc.UserError) as raised:
            run.open(path)
        assert path in str(raised.value)
    with pytest.raises(
        sc.UserError,
        match=r"no file `results/a`; it has results/degrees.json, run.json, status_code, stderr, stdout",
    ):
        run.open("results/a")


def test_a_file_is_opened_by_its_path(weather: Box) -> None:
    with sc.load(Path("batchfile.toml"))["day:2022-03-05"].open(Path("stdout")) as file:
        assert file.read() == b"12.8\n"


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: sc.load(b"batchfile.toml"), "load: batchfile is a text or a path, found "),  # type: ignore[arg-type]
        (lambda: sc.load(to=7), "load: to is a text or a path, found 7"),  # type: ignore[arg-type]
        (lambda: sc.load(names=["a"]), "load: names is a text, found a list"),  # type: ignore[arg-type]
        (lambda: sc.load().results(["name"]), "results: columns and sort are texts, found a list"),  # type: ignore[arg-type]
        (lambda: sc.load().results(sort=["name"]), "results: columns and sort are texts, found a list"),  # type: ignore[arg-type]
        (lambda: sc.load()["day:2022-03-05"].open(7), "open: path is a text or a path, found 7"),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_another_kind(weather: Box, ask: Callable[[], object], message: str) -> None:
    with pytest.raises(sc.UserError) as refused:
        ask()
    assert str(refused.value).startswith(message)


def test_a_run_keeps_what_the_store_had(weather: Box) -> None:
    batch = sc.load()
    before, chosen, one = list(batch), list(batch.select("day")), batch["day:2022-03-07"]
    weather.write("data/2022-03-07.csv", "10.0\n")
    assert batch.run().completed == 1
    for run in (before[2], chosen[2], one):
        assert (run.status, run.code) == (sc.Status.ERROR, 1)
    assert batch["day:2022-03-07"].code == 0
    assert sc.load().results(sort=None).height == 4


def test_several_values_of_a_word(weather: Box) -> None:
    batch = sc.load()

    def names(**words: Any) -> list[str]:
        return [run.name for run in batch.select(**words)]

    assert names(status=["failed", sc.Status.STALE]) == names(status="error") == ["day:2022-03-07"]
    assert names(code=[0, 1], since=1e6) == names()
    assert names(code=iter([1])) == names(code=1) == names(code="1") == ["day:2022-03-07"]


def test_a_run_that_executes_elsewhere(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true"\nmatrix = { x = [1, 2] }\n')
    batch = sc.load(box.folder)
    with executing(box, _2="node3"):
        assert [run.status.value for run in batch] == ["incomplete", "running"]
        assert batch["a:2"].reason.startswith("on node3 since ")
        assert batch.status().total.hosts == {"node3": 1}


def test_words_select_runs(weather: Box) -> None:
    batch = sc.load()
    assert [run.name for run in batch.select(status="error,incomplete")] == ["day:2022-03-07"]
    assert [
        run.name for run in batch.select("day:*", where=["day>2022-03-05", "day<2022-03-08"], limit=1)
    ] == ["day:2022-03-06"]
    assert (
        len(batch.select(code=1))
        == len(batch.select(group=1))
        == len(batch.select(like="day:2022-03-07"))
        == 1
    )
    assert repr(batch.select("day", status="error").plan()) == "1 of 1 runs to execute: 1 failed before"
    assert len(batch.select(slowest=2)) <= 2


def test_nothing_matches(weather: Box) -> None:
    none = sc.load().select(status="stale")
    assert (list(none), len(none), list(none.plan()), none.failures(), none.status().total.size) == (
        [],
        0,
        [],
        (),
        0,
    )
    assert repr(none.plan()) == "no runs"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ({"status": "eror"}, "--status: unknown status `eror`; did you mean `error`?"),
        ({"where": "dya=2"}, "--where: no run has an axis `dya`"),
        ({"limit": 0}, "--limit: expected a number of at least 1, found `0`"),
    ],
)
def test_words_that_mean_nothing(weather: Box, word: dict[str, str], message: str) -> None:
    with pytest.raises(sc.UserError) as caught:
        len(sc.load().select(**word))  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    option, value = next(iter(word.items()))
    assert str(caught.value) in weather("plan", f"--{option}", str(value)).err


def test_a_word_that_means_nothing_is_one_at_once(weather: Box) -> None:
    batch: Any = sc.load()
    for names, words, message in (
        (["nonsense"], {}, "no run or stage is named `nonsense`"),
        (["day", "day:*x"], {}, "no run or stage is named `day:[*]x`"),
        ([], {"where": "dya=2"}, "--where: no run has an axis `dya`"),
        (["day"], {"where": "dya=2"}, "--where: no run has an axis `dya`"),
        ([], {"like": "day:0"}, "no run or stage is named `day:0`"),
        ([["day:1", "day:2"]], {}, "names, where and like are texts, found "),
        ([0], {}, "names, where and like are texts, found 0"),
        ([], {"where": [1]}, "names, where and like are texts, found 1"),
        ([], {"like": 3}, "names, where and like are texts, found 3"),
    ):
        with pytest.raises(sc.UserError, match=message):
            batch.select(*names, **words)
    for name in (0, ["day:2022-03-05"], slice(2), None):
        with pytest.raises(sc.UserError, match="a batch is asked by the name of a run, found "):
            batch[name]


def test_a_selection_prints_nothing(weather: Box, capfd: pytest.CaptureFixture[str]) -> None:
    batch = sc.load()
    chosen = batch.select(group=1)
    assert (len(list(chosen)), len(chosen), chosen.status().total.size, len(chosen.plan())) == (1, 1, 1, 1)
    assert len(chosen.results()) == 1
    assert list(batch)
    assert capfd.readouterr() == ("", "")
    assert weather("status", "--group", "1").err.startswith("group 1: ")


def test_errors_are_those_of_the_command_line(weather: Box) -> None:
    batch = sc.load()
    assert ("day:2022-03-05" in batch, "day:nope" in batch, 3 in batch) == (True, False, False)
    with pytest.raises(sc.UserError) as caught:
        batch["day:2022-03-5"]
    assert str(caught.value).replace(str(weather.folder) + "/", "") in weather(
        "plan", "day:2022-03-5"
    ).err.replace(str(weather.folder) + "/", "")
    with pytest.raises(sc.UserError, match="`day` is 4 runs; expected one"):
        batch["day"]
    weather.edit("cmd =", "cmdd =")
    with pytest.raises(sc.UserError) as caught:
        sc.load("batchfile.toml")
    assert str(caught.value) in weather("plan", "-f", "batchfile.toml").err


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("-", "not standard input"),
        ("nope.toml", "no such file"),
        ("data", "data: there is no batchfile.toml"),
    ],
)
def test_what_is_no_batch(weather: Box, file: str, message: str) -> None:
    with pytest.raises(sc.UserError, match=message):
        sc.load(file)


def test_nothing_is_printed(weather: Box, capfd: pytest.CaptureFixture[str]) -> None:
    batch = sc.load()
    for value in (batch, batch.plan(), batch.status(), batch.failures(), batch["day:2022-03-07"]):
        assert repr(value)
        assert value._repr_html_().count("<table>") == 1
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed_of_a_note_that_is_not_sound(
    weather: Box, capfd: pytest.CaptureFixture[str]
) -> None:
    weather.write("out/.pydoit_sc/accepted/x.json", "[")
    weather.edit("cat data", "cat  data")  # stale: is it accepted?
    assert len(sc.load().plan()) == 4
    assert capfd.readouterr() == ("", "")
    assert "accepted/x.json: is not what `accept` writes" in weather("plan").err


def test_names_and_texts_in_html_are_no_tags(box: Box) -> None:
    box.batchfile(
        HEAD + '[runs.a]\ncmd = "echo \'<script>\' >&2; false"\nname = "<b>{x}"\nmatrix = { x = [1] }\n'
    )
    assert box().code == 1
    batch = sc.load(box.folder)
    for value in (batch.plan(), batch.failures(), batch["a:<b>1"]):
        shown = value._repr_html_()
        assert "<script>" not in shown
        assert "<b>" not in shown
        assert "&lt;" in shown


@pytest.mark.slow  # a million runs
def test_a_million_runs_are_no_list(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(
        HEAD + '[runs.a]\ncmd = "echo {x}"\nmatrix = { x = { range = [0, 1000000] } }\n'
    )
    batch = sc.load(tmp_path)
    assert len(batch) == 1_000_000
    assert [run.name for run in itertools.islice(batch.plan(), 2)] == ["a:0", "a:1"]
    assert [run.name for run in itertools.islice(batch, 2)] == ["a:0", "a:1"]


def test_the_package_imports_nothing_of_it_before_it_is_used() -> None:
    lines = "import sys, pydoit_sc; print([m for m in sys.modules if m.startswith('pydoit_sc.')])"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_all_that_it_gives_is_there() -> None:
    from pydoit_sc import api

    assert sc.__all__ == api.__all__
    assert all(getattr(sc, name) is getattr(api, name) for name in sc.__all__)
    assert set(sc.__all__) < set(dir(sc))
    with pytest.raises(AttributeError, match="module 'pydoit_sc' has no attribute 'laod'"):
        sc.laod  # noqa: B018


def test_results_are_a_data_frame(weather: Box) -> None:
    weather.write("out/day/2022-03-06/results/degrees.json", "torn")
    with pytest.warns(UserWarning, match="day:2022-03-06: results/degrees.json") as warned:
        found = sc.load().results(sort="degrees")
    assert [Path(one.filename) for one in warned] == [Path(__file__)]
    assert found.columns == ["name", "day.start", "seconds", "memory", "degrees"]
    assert found["name"].to_list() == ["day:2022-03-08", "day:2022-03-05", "day:2022-03-06"]
    assert found["degrees"].to_list() == [9.4, 12.8, None]
    assert sc.load().select("day:*[58]", limit=1).results("name").rows() == [("day:2022-03-05",)]
    assert sc.load().select(status="incomplete").results().is_empty()
    with pytest.raises(sc.UserError, match=r"--sort: unknown column `degree`; did you mean `degrees`?"):
        sc.load().select("day:*[58]").results(sort="degree")


def test_the_types_of_columns_do_not_depend_on_the_rows(weather: Box) -> None:
    assert sc.load(to="out").results("name", "name").columns == ["name"]
    (weather.folder / "out/day/2022-03-05/run.json").unlink()
    for known in ("day:*5", "day:*8", "day:*7"):
        schema = sc.load().select(known).results("name", "seconds", "memory", "day.start").schema
        assert [str(kind) for kind in schema.values()] == ["String", "Float64", "Int64", "String"]


def test_results_say_what_brings_polars(weather: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(sc.UserError, match=r"pip install .pydoit-sc.frames.. brings polars"):
        sc.load().results()
    assert len(sc.load().failures()) == 1
