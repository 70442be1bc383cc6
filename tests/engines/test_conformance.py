"""What every engine does alike: `submit`, `submissions`, `cancel`, and a store that says the same in the end."""

from __future__ import annotations

import json
import os
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
    out = place("submit", "--wait", code=1)
    assert re.search("failed month:2024-0[25]: status code 1", out)  # whose worker was quicker
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
    id_ = json.loads(place("submissions", "--json"))[0]["submission"]
    assert place("cancel", id_) == f"{id_} ({place.engine}) has ended already\n"
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
    assert "the job continues unwatched\n" in out
    place.write("go", "")
    place.until_ended()
    assert place.codes() == {"0": 0, "1": 0, "2": 0}
    assert place.executed() == {"a": 1, "b": 1, "c": 1}
    place.published_once()


def test_who_waits_for_what_is_cancelled(place: Place) -> None:
    place.batchfile(WAITING)
    with place.start("submit", "--wait") as waiting:
        place.until(lambda: len(place.log()) == 3)
        place("cancel")
        out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, err) == (1, ""), out
    assert "3 incomplete: cancelled\n" in out


def test_too_many_failures_end_it(place: Place) -> None:
    place.batchfile(
        WAITING.replace("echo a >> log;", "echo a >> log; exit 7;"), durable="max_failures = 1\ndurable"
    )
    out = place("submit", "--wait", code=1)
    assert "stopped after 1 failure (`max_failures`)" in out
    place.until_ended()
    assert place.codes() == {"0": 7}


def test_always(place: Place) -> None:
    place.batchfile(BACKFILL)
    place.write("go", "")
    for _ in range(2):
        place("submit", "--wait", "--always")
    assert place.executed() == dict.fromkeys([*MONTHS, "sum"], 2)
    assert "up to date" in place("plan")


#: Samples that go through two stages each, the second time by what the first has made, and a report of all.
PIPELINE = """\
[batch]
remote_output_path = "file://out"
nprocs = 2
scale = 2
durable = false

[runs.align]
name = "{s}"
cmd = "echo align:{s} >> log; test ! -e fail-{s} && cat in-{s}"
file_dep = ["in-{s}"]
matrix = { s = SAMPLES }

[runs.call]
name = "{s}"
cmd = "echo call:{s} >> log; cat {after.align}/stdout"
after = ["align:{s}"]
matrix = { s = SAMPLES }

[runs.report]
cmd = "echo report >> log; cat out/call/*/stdout | wc -l"
after = ["call"]
"""


def test_each_sample_goes_its_own_way(place: Place) -> None:
    """One sample fails: the others complete. It is mended, then another is edited: exactly its three runs each time."""
    samples = [f"s{n}" for n in range(200 if "PYDOIT_SC_NIGHTLY" in os.environ else 30)]
    for sample in samples:
        place.write(f"in-{sample}", f"{sample}\n")
    place.write("fail-s9", "")
    place.batchfile(PIPELINE.replace("SAMPLES", json.dumps(samples)))
    out = place("submit", "--wait", code=1)
    if place.engine != "saturn":  # where each round is a submission of its own
        assert "2 incomplete: waits for align:s9 (failed)" in out
    once = {f"{stage}:{sample}": 1 for stage in ("align", "call") for sample in samples}
    assert place.executed() == {name: 1 for name in once if name != "call:s9"}

    (place.folder / "fail-s9").unlink()
    place("submit", "--wait")
    assert place.executed() == {**once, "align:s9": 2, "report": 1}
    assert (place.folder / "out/report/stdout").read_text().strip() == str(len(samples))

    place.write("in-s7", "edited\n")
    place("submit", "--wait")
    assert place.executed() == {**once, "align:s9": 2, "align:s7": 2, "call:s7": 2, "report": 2}
    assert (place.folder / "out/call/s7/stdout").read_text() == "edited\n"
    assert "up to date" in place("plan", "--check")
