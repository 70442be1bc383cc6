"""What a bar shows, and where a bar moves."""

from __future__ import annotations

import io
import os
import time
from itertools import pairwise

import pytest

from pydoit_sc.show import bars
from pydoit_sc.show.bars import MovingBar, NoBar, PlainBar, bar_lines, make_bar, name_longest
from pydoit_sc.show.footer import cells
from pydoit_sc.show.progress import Progress, Running
from tests.terminals import Window

LONG = [("month:a-name-that-is-rather-long-日本", 3700.0), ("month:2012-01", 62.0), ("month:2012-02", 0.3)]


def progress(done: int = 305, failed: int = 7, running: int = 4, seconds: float = 62) -> Progress:
    one = Progress()
    one.begin(1500, 30)
    one.started = time.monotonic() - seconds
    one.done, one.failed = done, failed
    one.running = lambda: Running(running, LONG)
    return one


def test_all_is_there_at_80_columns() -> None:
    picture, figures, names = bar_lines(progress(), 79, graphic=True)
    assert picture.endswith("  20 %  1:02, 3:54 left")
    assert (picture.count("━"), picture.count("─")) == (8, 32)
    assert figures == "305/1,500 done, 7 failed, 30 skipped, 4 running"
    assert names == "month:a-name-that-is-rather-long-日本 1:01:40, month:2012-01 1:02"


def test_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" in next(bar_lines(progress(), 79, graphic=True))
    monkeypatch.setenv("NO_COLOR", "1")
    picture = next(bar_lines(progress(), 79, graphic=True))
    assert "\x1b" not in picture
    assert (picture.count("━"), picture.count("x"), picture.count("─")) == (7, 1, 32)


@pytest.mark.parametrize("columns", [0, 1, 5, 20, 39, 79, 199])
@pytest.mark.parametrize("done", [0, 1, 750, 1493])
def test_no_line_is_wider_than_the_terminal(columns: int, done: int) -> None:
    for line in bar_lines(progress(done), columns, graphic=False):
        plain = line.replace("\x1b[", "\0").split("\0")
        assert cells(plain[0] + "".join(part.partition("m")[2] for part in plain[1:])) <= max(columns, 12)


def test_figures_are_broken_between_each_other_alone() -> None:
    assert list(bar_lines(progress(), 39, graphic=True))[1:3] == [
        "305/1,500 done, 7 failed, 30 skipped,",
        "4 running",
    ]


def test_names() -> None:
    assert name_longest(LONG, 30) == "month:a-name-that-is-… 1:01:40"
    assert name_longest([], 30) == ""
    assert name_longest([("a\x1b[2J\nb", 2)], 30) == "a\\x1b[2J\\nb 0:02"


def test_what_a_moving_bar_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "_FRAMES", 3600.0)
    with Window(100) as window:
        bar, one = MovingBar(window.stream()), progress()
        bar.update(one)
        assert len(window.shown()) == 3
        one.running = Running
        bar.update(one)  # too soon
        assert "4 running" in window.shown()[1]
        bar.line("failed a:1: status code 1")
        assert window.shown()[0] == "failed a:1: status code 1"
        bar.close(one)
        assert window.shown()[1:] == ["305 completed, 7 failed, 30 skipped, 1,188 not executed, in 1:02"]


def test_the_time_left_counts_running_runs_by_half() -> None:
    one = Progress()
    one.begin(8, 0)
    one.started = time.monotonic() - 60
    assert one.seconds_left(4) is None
    one.done = 1
    assert one.seconds_left(4) == pytest.approx(100, abs=1)


def test_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten seconds at first, then ever more seldom, but often enough for CI that ends silent jobs."""
    stream, now = io.StringIO(), 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    bar, one = PlainBar(stream), progress(seconds=0)
    times = []
    while now < 1000 + 86400:
        now += 1
        before = stream.tell()
        bar.update(one)
        if stream.tell() > before:
            times.append(now - 1000)
    assert times[:3] == [10, 20, 30]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert (min(gaps), max(gaps)) == (10, 300)
    assert len(times) < 400
    first = stream.getvalue().splitlines()[0]
    assert first.startswith(
        "305/1,500 done, 7 failed, 30 skipped, 4 running, 0:10, 0:38 left; longest month:a-name"
    )


def test_where_a_bar_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    with Window() as window:
        stream = window.stream()
        for term in ("dumb", "", "unknown"):
            monkeypatch.setenv("TERM", term)
            assert type(make_bar(stream, quiet=False)) is PlainBar
        monkeypatch.setenv("TERM", "xterm")
        assert type(make_bar(stream, quiet=False)) is MovingBar
        assert type(make_bar(stream, quiet=True)) is NoBar
        monkeypatch.setenv("CI", "true")
        assert type(make_bar(stream, quiet=False)) is PlainBar
        monkeypatch.delenv("CI")
        monkeypatch.delenv("TERM")
        assert type(make_bar(stream, quiet=False)) is PlainBar
    assert type(make_bar(io.StringIO(), quiet=False)) is PlainBar


def test_letters_that_the_encoding_does_not_have() -> None:
    theirs, ours = os.pipe()
    with open(theirs, "rb"), open(ours, "w", encoding="ascii") as stream:
        assert not bars.encodes(stream, "━")
    assert next(iter(bar_lines(progress(), 79, graphic=False))).count("#") == 7
