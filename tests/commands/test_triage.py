"""A backfill of a year with two bugs, as a user meets it: seen, sorted, mended and completed with six commands."""

from __future__ import annotations

from tests.conftest import Box

BATCH = """\
[batch]
remote_output_path = "file://out"
nprocs = 4
[runs.day]
name = "{day.start}"
cmd = "sh work.sh {day.start}"
file_dep = ["work.sh"]
[runs.day.matrix]
day = { from = 2022-01-01, to = 2022-12-31, every = "1 day" }
"""

WORK = """\
case $1 in
    *-07) echo "reading prices/$1.csv" >&2; echo "KeyError: 'closing_price'" >&2; exit 1 ;;
    2022-1*-20) echo "ZeroDivisionError in window $1" >&2; exit 3 ;;
esac
echo "price of $1"
"""


def test_a_year_with_two_bugs_takes_six_commands(box: Box) -> None:
    box.batchfile(BATCH)
    box.write("work.sh", WORK)

    done = box("run")
    assert done.code == 1
    assert "350 completed, 15 failed, in " in done.out
    assert done.out.splitlines()[-2:] == [
        "12 × exit 1  KeyError: 'closing_price'               e.g. day:2022-01-07  pydoit-sc run --like day:2022-01-07",
        " 3 × exit 3  ZeroDivisionError in window 2022-10-20  e.g. day:2022-10-20  pydoit-sc run --like day:2022-10-20",
    ]
    kinds = box("failures").out.splitlines()
    assert [line.split("  ")[-1] for line in kinds] == ["pydoit-sc run --group 1", "pydoit-sc run --group 2"]
    assert box("logs", "day:2022-03-07").err == "reading prices/2022-03-07.csv\nKeyError: 'closing_price'\n"

    box.write("work.sh", 'echo "price of $1"\n')
    done = box("run", "--status", "error")
    assert done.code == 0
    assert "15 completed" in done.out
    box.ok("accept", "--yes", "--status", "stale")  # what was completed makes no use of the mended lines
    assert box.ok("status").splitlines()[-1] == "total  365 runs: 365 completed"
