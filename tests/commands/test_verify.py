"""`verify`: it finds what is not as it was published, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.commands.verify import _repair
from pydoit_sc.store import open_store
from tests.conftest import HEAD, Box

RUNS = (
    HEAD
    + '[runs.a]\ncmd = "echo {x}; echo r > $SATURN_RUN_LOCAL_RESULTS_DIR/r; exit {x}"\nmatrix = { x = [0, 1] }\n'
)
BY_SIZE = "{} of them have files that were compared by size alone; `--read` compares their contents\n"


def _change_run_json(out: Path, **changes: object) -> None:
    file = out / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda out: (out / "stdout").write_text(""), "stdout: expected 2 bytes, found 0"),
    "lost": (lambda out: (out / "results/r").unlink(), "results/r: missing"),
    "added": (lambda out: (out / "results/more").write_text("x"), "results/more: not of the attempt"),
    "swapped": (lambda out: (out / "status_code").write_text("7"), "status_code: expected 0, as run.json says, found 7"),
    "no code": (lambda out: (out / "status_code").write_text("zero"), "status_code: expected 0 … 255, found b'zero'"),
    "torn": (lambda out: (out / "run.json").write_text('{"att'), "run.json: torn, or not one of ours"),
    "wrong kind": (lambda out: _change_run_json(out, files=[1]), "run.json: torn, or not one of ours"),
}  # fmt: skip


def test_all_is_whole(box: Box) -> None:
    box.batchfile(RUNS)
    assert box("verify").err == "0 of 2 runs are finished\n"
    assert box("run").code == 1
    done = box("verify")
    assert (done.code, done.out, done.err) == (
        0,
        "",
        f"2 of 2 runs are finished: 2 whole\n{BY_SIZE.format(2)}",
    )
    assert box("verify", "a:1").err == f"1 of 1 runs are finished: 1 whole\n{BY_SIZE.format(1)}"
    assert "no run or stage is named `b`" in box("verify", "b").refused()


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found_and_repaired(box: Box, what: str) -> None:
    box.batchfile(RUNS)
    box("run")
    damage, message = DAMAGE[what]
    damage(box.folder / "out/a/0")
    done = box("verify")
    assert (done.code, done.out) == (1, f"a:0: {message}\n")
    assert "1 whole, 1 not whole" in done.err
    assert "verify --repair" in done.err
    done = box("verify", "--repair")
    assert (done.code, done.out) == (1, f"a:0: {message}; now incomplete\n")
    assert not (box.folder / "out/a/0").exists()
    assert box("verify").err == f"1 of 2 runs are finished: 1 whole\n{BY_SIZE.format(1)}"
    box("run")
    assert box("verify").err == f"2 of 2 runs are finished: 2 whole\n{BY_SIZE.format(2)}"


@pytest.mark.parametrize("name", ["stdout", "results/r", "results/large"])
def test_another_byte_is_found_by_reading(box: Box, name: str) -> None:
    large = "head -c 100000 /dev/zero > $SATURN_RUN_LOCAL_RESULTS_DIR/large"  # too large for the event loop
    box.batchfile(HEAD + f'[runs.a]\ncmd = "echo out; echo r > $SATURN_RUN_LOCAL_RESULTS_DIR/r; {large}"\n')
    box("run")
    done = box("verify", "--read")
    assert (done.code, done.out, done.err) == (0, "", "1 of 1 runs are finished: 1 whole\n")
    file = box.folder / "out/a" / name
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b"?")
    assert box("verify").code == 0
    message = f"a: {name}: its content is not that of the attempt"
    done = box("verify", "--read")
    assert (done.code, done.out) == (1, f"{message}\n")
    assert "`pydoit-sc verify --read --repair` makes runs" in done.err
    assert (
        "`pydoit-sc verify --read --repair a --code 0` makes"
        in box("verify", "--read", "a", "--code", "0").err
    )
    done = box("verify", "--read", "--repair")
    assert (done.code, done.out) == (1, f"{message}; now incomplete\n")
    box("run")
    assert (file.read_bytes(), box("verify", "--read").code) == (data, 0)


def test_what_says_nothing_of_its_files_is_counted(box: Box) -> None:
    box.batchfile(RUNS)
    box("run")
    (box.folder / "out/a/0/run.json").unlink()
    said = json.loads((box.folder / "out/a/1/run.json").read_text())
    del said["files"]
    (box.folder / "out/a/1/run.json").write_text(json.dumps(said))
    done = box("verify")
    assert (done.code, done.out) == (0, "")
    assert done.err == "2 of 2 runs are finished: 2 without a run.json that lists its files\n"


def test_what_has_become_whole_meanwhile_is_not_forgotten(box: Box) -> None:
    box.batchfile(RUNS)
    box("run")
    store, unread = open_store(f"file://{box.folder}/out", {}), list[str]()
    assert _repair(store, "a/0", unread.append) == "it has changed meanwhile, and is left"
    assert (box.folder / "out/a/0/stdout").exists()
    (box.folder / "out/a/0/stdout").unlink()
    assert _repair(store, "a/0", unread.append) == "now incomplete"
    assert _repair(store, "a/0", unread.append) == "it has changed meanwhile, and is left"
