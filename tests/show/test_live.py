"""The picture of a batch that is watched."""

from __future__ import annotations

from collections import Counter

import pytest

from pydoit_sc.batch import Status
from pydoit_sc.show.footer import cells
from pydoit_sc.show.live import View, buckets, picture
from pydoit_sc.standing import Standing
from pydoit_sc.store import Live

NOW = 1_795_593_114.0
STANDING = Standing(
    Counter({Status.COMPLETED: 50, Status.ERROR: 1, Status.RUNNING: 2, Status.INCOMPLETE: 47}), pace=0.5
)
HOSTILE = View(
    {"日本-" + "long-" * 10: STANDING, "b\n\x1b[2J": Standing(), "total": STANDING},
    [
        ("month:2012-01", Live(host="node3", folder="/f", since=NOW - 3723, rank=1)),
        ("a\nb\x1b[31m", Live(host="h" * 500, folder="/f", since=-1e300, rank=10**20)),
        ("later", Live(host="é", folder="/f", since=float("inf"))),
        ("none", Live(host="", folder="", since=float("nan"))),
    ],
    [NOW - 1, NOW - 100, 1e300, -5.0],
    NOW,
    "s3://b: \x1b is gone",
)


@pytest.mark.parametrize("columns", [0, 1, 10, 40, 80, 200])
@pytest.mark.parametrize("rows", [4, 9, 11, 50])
@pytest.mark.parametrize("graphic", [True, False])
def test_it_fits_whatever_is_in_it(columns: int, rows: int, graphic: bool) -> None:
    lines = picture(HOSTILE, columns, rows, graphic=graphic)
    assert len(lines) <= max(rows, 6)
    assert [line for line in lines if cells(line) > columns or "\x1b" in line or "\n" in line] == []
    if not graphic:
        assert (
            "".join(picture(View({"a": STANDING}, [], [NOW], NOW), columns, rows, graphic=False))
            .replace("…", "")
            .isascii()
        )


def test_the_picture() -> None:
    running = [(f"month:{n}", Live(host="node3", folder="/f", since=NOW - n, rank=n % 4)) for n in range(100)]
    view = View({"month": STANDING, "total": STANDING}, running, [NOW - n / 2 for n in range(60)], NOW)
    assert picture(view, 80, 10, graphic=True) == [
        "month ██████████x░░░░░░░░░ 50/100, 1 failed, 2 running, 1:38 left",
        "total ██████████x░░░░░░░░░ 50/100, 1 failed, 2 running, 1:38 left",
        "",
        "          ██████████████████████████████| 1.5 a second ended in the last 40 s",
        "",
        "running   host   rank  for",
        "month:99  node3     3  1:39",
        "month:98  node3     2  1:38",
        "month:97  node3     1  1:37",
        "and 97 more",
    ]
    assert len(picture(view, 80, 200, graphic=True)) == 106


def test_a_time_that_cannot_be_is_told_as_unknown() -> None:
    shown = picture(HOSTILE, 200, 50, graphic=True)
    assert [line.split("  ")[-1].strip() for line in shown[-4:]] == [
        "an unknown time",
        "1:02:03",
        "0:00",
        "0:00",
    ]


def test_the_length_of_a_bucket_is_that_of_the_pace() -> None:
    for every, width in ((0.5, 1), (60, 60), (86400, 86400)):
        found, counts = buckets([NOW - every * n for n in range(1, 100)], NOW)
        assert found == width
        assert sum(counts) >= 20
    assert buckets([NOW - 86400 * 400], NOW) == (86400, [0] * 40)
    assert sum(buckets([NOW + 30, NOW + 3600], NOW)[1]) == 1  # another clock, and nonsense
