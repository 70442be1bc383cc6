"""`failures`: what has failed, by kind, from what the store has."""

from __future__ import annotations

import json
import os

import fsspec
import pytest

from pydoit_sc.cli import main
from pydoit_sc.commands import failures
from pydoit_sc.outcomes import failed
from pydoit_sc.outcomes.kinds import Failure, kinds_of
from tests.conftest import HEAD, Box
from tests.s3 import KEYS

DAYS = HEAD + '[runs.day]\ncmd = "true {x}"\nmatrix = { x = { range = [0, 40] } }\n[runs.end]\ncmd = "true"\n'


def outcome(box: Box, key: str, code: int, stderr: str, reason: str = "") -> None:
    """Put the outcome of a run into the store."""
    stamp = {"attempt": "abc-1", "fingerprint": "f", "status_code": code, "reason": reason}
    for name, text in {"status_code": str(code), "stderr": stderr, "run.json": json.dumps(stamp)}.items():
        box.write(f"out/{key}/{name}", text)


@pytest.fixture
def triaged(box: Box) -> Box:
    """A batch of which 11 runs have failed in one way, 3 in another, one in a third; one is completed, the rest not begun."""
    box.batchfile(DAYS)
    for x in range(11):
        trace = f'Traceback (most recent call last):\n  File "a.py", line {x}\n'
        outcome(box, f"day/{x}", 1, trace + "KeyError: 'closing_price'\n")
    for x in range(11, 14):
        outcome(box, f"day/{x}", 143, f"step {x}\n", "timed out after 1 s")
    outcome(box, "day/14", 0, "a warning\n")
    outcome(box, "end", 127, "sh: 1: \x1b]52;c;x\x07: not found\n")
    return box


def test_kinds_the_most_frequent_first(triaged: Box) -> None:
    done = triaged("failures")
    assert (done.code, done.err) == (0, "15 of 41 runs have failed\n")
    assert done.out == (
        "11 × exit 1                   KeyError: 'closing_price'          e.g. day:0   pydoit-sc run --group 1\n"
        " 3 × timed out after 1 s      step 11                            e.g. day:11  pydoit-sc run --group 2\n"
        " 1 × command not found (127)  sh: 1: \\x1b]52;c;x\\x07: not found  e.g. end     pydoit-sc run --group 3\n"
    )


def test_ignored_runs_are_no_failures_and_change_no_number(triaged: Box) -> None:
    triaged.ok("ignore", "day:*")
    done = triaged("failures")
    assert "1 failed, 40 ignored" in triaged.ok("status")
    assert done.err == "1 of 41 runs have failed\n"
    assert done.out.endswith("e.g. end  pydoit-sc run --group 3\n")
    assert triaged("list", "-q", "--group", "3").out.split() == ["end"]
    assert triaged("ignore", "--undo", "--like", "day:1").out.count("no longer ignored: ") == 11
    assert triaged("failures").err == "12 of 41 runs have failed\n"


def test_selected_and_as_json(triaged: Box) -> None:
    done = triaged("failures", "day:1*", "end", "--format", "json")
    assert done.err == "6 of 12 runs have failed\n"
    assert json.loads(done.out) == [
        {
            "group": 1, "count": 3, "status_code": 143, "failure": "timed out after 1 s", "stderr": "step 11",
            "runs": ["day:11", "day:12", "day:13"],
        },
        {
            "group": 2, "count": 2, "status_code": 1, "failure": "exit 1", "stderr": "KeyError: 'closing_price'",
            "runs": ["day:1", "day:10"],
        },
        {
            "group": 3, "count": 1, "status_code": 127, "failure": "command not found (127)",
            "stderr": "sh: 1: \x1b]52;c;x\x07: not found", "runs": ["end"],
        },
    ]  # fmt: skip


def test_a_group_that_is_not_there(triaged: Box) -> None:
    done = triaged("failures", "--group", "9", "--where", "x<10")
    assert (done.code, done.out) == (0, "")
    assert done.err == "no run matches --group 9 --where 'x<10': 10 of 10 runs have failed\n"
    done = triaged("failures", "--json", "--group", "9")
    assert (done.out, done.err) == ("[]\n", "no run matches --group 9: 15 of 41 runs have failed\n")


def test_the_first_of_a_group_are_of_that_group(triaged: Box) -> None:
    (kind,) = json.loads(triaged("failures", "--json", "--group", "2", "--limit", "2").out)
    assert (kind["group"], kind["runs"]) == (2, ["day:11", "day:12"])


def test_nothing_has_failed(box: Box) -> None:
    box.batchfile(DAYS)
    assert box("failures", "end") == box("failures", "end", "--format", "table")
    done = box("failures", "--format", "json")
    assert (done.code, done.out, done.err) == (0, "[]\n", "0 of 41 runs have failed\n")
    assert "did you mean `day`?" in box("failures", "dya").refused()
    assert "expected one of table, json" in box("failures", "--format", "xml").refused()


def test_odd_files_in_the_place_of_stderr(triaged: Box) -> None:
    for key in ("day/0", "day/1", "day/2"):
        os.remove(triaged.folder / f"out/{key}/stderr")
    os.mkfifo(triaged.folder / "out/day/0/stderr")
    os.mkdir(triaged.folder / "out/day/1/stderr")
    assert "3 × exit 1                   (nothing on stderr) " in triaged("failures").out


def test_it_fits_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = kinds_of(Failure(f"day:{x}", 1, "", f"{'no' * x} {'word ' * 99}".encode()) for x in range(30))
    numbered = list(enumerate(kinds, 1))
    failures._print(numbered, "pydoit-sc run", 80)
    *lines, last = capsys.readouterr().out.splitlines()
    assert len(lines) == failures.SHOWN
    assert {len(line) for line in lines} <= {79, 80}
    assert lines[19].startswith("1 × exit 1  nononono")
    assert lines[19].endswith("…  e.g. day:19  pydoit-sc run --group 20")
    assert last == "and 10 more runs of 10 kinds; `--json` has them"
    failures._print(numbered, "pydoit-sc run", 40)
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert (len(first), second) == (40, "    e.g. day:0  pydoit-sc run --group 1")


def test_stderr_of_many_is_not_read(
    triaged: Box, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "READ", 10)
    monkeypatch.setattr(failed, "READ", 10)
    assert main(["failures", "-f", str(triaged.folder / "batchfile.toml"), "--format", "json"]) == 0
    shown = capsys.readouterr()
    assert shown.err.endswith(
        "stderr was read of the first 10; the others are counted by their status codes\n"
    )
    found = {(kind["status_code"], kind["stderr"]): kind["count"] for kind in json.loads(shown.out)}
    assert found == {(1, "KeyError: 'closing_price'"): 10, (1, None): 1, (143, None): 3, (127, None): 1}


@pytest.mark.slow
def test_on_s3(triaged: Box, s3: str) -> None:
    here = triaged("failures", "--format", "json").out
    triaged.env.update(KEYS)
    files = fsspec.filesystem(
        "s3", key=KEYS["AWS_ACCESS_KEY_ID"], secret=KEYS["AWS_SECRET_ACCESS_KEY"], endpoint_url=s3
    )
    files.mkdir("failures")
    files.put(str(triaged.folder / "out"), "failures/out", recursive=True)
    there = triaged(
        "failures", "--remote-output-path", "s3://failures/out", "--format", "json", AWS_ENDPOINT_URL=s3
    )
    assert (there.code, there.out) == (0, here)
