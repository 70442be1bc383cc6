"""What every engine does alike: `submit`, `submissions`, `cancel`, and a store that says the same in the end."""

from __future__ import annotations

import re
import signal

import pytest

from tests.engines.place import Place

pytestmark = pytest.mark.slow

#: A backfill: a run for each month, some of which fail until there is a file `go`, and one that comes after them.
BACKFILL = """\
[batch]
remote_output_path = "file://out"
nprocs = 2
scale = 2
batch_size = 3
durable = false

[runs.month]
name = "{m.start:%Y-%m}"
cmd = "echo {m.start:%Y-%m} >> log; echo {m.start} {m.last}; test {m.start:%m} != 02 -a {m.start:%m} != 05 || test -e go"
matrix = { m = { from = 2024-01-01, to = 2024-07-01, every = "1 month" } }

[runs.sum]
cmd = "echo sum >> log; cat out/month/*/stdout | wc -l"
after = ["month"]
"""

#: Runs that go on until there is a file `go`.
WAITING = """\
[batch]
remote_output_path = "file://out"
nprocs = 2
scale = 2
batch_size = 2
durable = false
grace = "2s"

[[runs]]
cmd = "echo a >> log; while test ! -e go; do sleep 0.05; done"
[[runs]]
cmd = "echo b >> log; while test ! -e go; do sleep 0.05; done"
[[runs]]
cmd = "echo c >> log; while test ! -e go; do sleep 0.05; done"
"""

MONTHS = {f"2024-{n:02}" for n in range(1, 8)}
FAILING = {"2024-02", "2024-05"}


def test_a_backfill_with_failing_runs(place: Place) -> None:
    place.batchfile(BACKFILL)
    out = place("submit", "--wait", code=1 if place.engine == "saturn" else 2)
    assert "failed month:2024-02: status code 1" in out
    assert place.codes() == {f"month/{name}": int(name in FAILING) for name in MONTHS}
    assert place.executed() == dict.fromkeys(MONTHS, 1)
    place.until_ended()
    assert re.search(rf"{place.engine} .* 5 +2 +ended", place("submissions"))

    place.write("go", "")
    place("submit", "--wait")
    assert set(place.codes().values()) == {0}
    assert place.executed() == {**dict.fromkeys(MONTHS, 1), **dict.fromkeys(FAILING, 2), "sum": 1}
    assert (place.folder / "out" / "sum" / "stdout").read_text().strip() == "7"
    place.published_once()
    assert "nothing to execute, nothing submitted" in place("submit", "--wait")


def test_under_way(place: Place) -> None:
    place.batchfile(WAITING)
    out = place("submit")
    assert "pydoit-sc submissions -f " in out
    place.until(lambda: len(place.log()) == 3)
    assert re.search("[1-9] running", place("submissions"))
    assert re.search("is under way|is running", place("submit", code=3))
    assert "cancelled" in place("cancel")
    place.until_ended()
    assert place.codes() == {}
    assert "no submission of yours is under way" in place("cancel")
    place.write("go", "")
    place("submit", "--wait")
    assert place.codes() == {"0": 0, "1": 0, "2": 0}
    assert place.executed() == {"a": 2, "b": 2, "c": 2}
    place.published_once()


def test_ctrl_c_ends_the_waiting_only(place: Place) -> None:
    place.batchfile(WAITING)
    with place.start("submit", "--wait") as waiting:
        place.until(lambda: len(place.log()) == 3)
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, err) == (130, "")
    assert "the job goes on without being watched\n" in out
    place.write("go", "")
    place.until_ended()
    assert place.codes() == {"0": 0, "1": 0, "2": 0}
    assert place.executed() == {"a": 1, "b": 1, "c": 1}
    place.published_once()


def test_too_many_failures_end_it(place: Place) -> None:
    place.batchfile(
        WAITING.replace("echo a >> log;", "echo a >> log; exit 7;"), durable="max_failures = 1\ndurable"
    )
    out = place("submit", "--wait", code=1)
    assert "1 run failed, which is max_failures" in out
    place.until_ended()
    assert place.codes() == {"0": 7}


def test_always(place: Place) -> None:
    place.batchfile(BACKFILL)
    place.write("go", "")
    for _ in range(2):
        place("submit", "--wait", "--always")
    assert place.executed() == dict.fromkeys([*MONTHS, "sum"], 2)
    assert "up to date" in place("plan")
