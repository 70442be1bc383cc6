"""Lines that are drawn again and again at the end of a terminal."""

from __future__ import annotations

import io

import pytest

from pydoit_sc.show.footer import Footer
from pydoit_sc.show.screen import Screen
from tests.terminals import Window


def test_lines_are_drawn_again_below_those_that_stay() -> None:
    with Window() as window:
        footer = Footer(window.stream())
        footer.line("first")
        assert window.shown() == ["first"]
        assert b"\x1b" not in window.raw  # where nothing is drawn, nothing is moved
        footer.draw(["one", "two", "three"])
        footer.line("second\nof two lines")
        footer.draw(["one", "2"])
        assert window.shown() == ["first", "second", "of two lines", "one", "2"]
        footer.clear()
        footer.line("last")
        assert window.shown() == ["first", "second", "of two lines", "last"]


def test_the_cursor_stands_at_the_first_line() -> None:
    """So a terminal that breaks lines anew when it is resized, as most do and pyte does not, moves it with that line."""
    with Window() as window:
        footer = Footer(window.stream())
        footer.line("stays")
        for lines in (["one", "two", "three"], ["one"], ["one", "two"]):
            footer.draw(lines)
            window.shown()
            assert (window.screen.cursor.y, window.screen.cursor.x) == (1, 0)


def test_a_line_that_stays_is_broken_by_the_terminal_alone() -> None:
    name = "month:" + "x" * 100
    with Window(40) as window:
        footer = Footer(window.stream())
        footer.draw(["bar"])
        footer.line(f"failed {name}")
        assert "".join(window.shown()) == f"failed {name}bar"
        assert name.encode() in window.raw


def test_lines_wider_than_the_terminal_take_one_row_each() -> None:
    with Window(20, 10) as window:
        footer = Footer(window.stream())
        for _ in range(3):
            footer.draw(["x" * 50, "y" * 50])
        shown = window.shown()
        assert [line[:19] for line in shown] == ["x" * 19, "y" * 19]


def test_a_terminal_that_is_resized() -> None:
    with Window(60) as window:
        footer = Footer(window.stream())
        footer.line("stays")
        footer.draw(["x" * 59, "y" * 59])
        assert window.shown() == ["stays", "x" * 59, "y" * 59]
        window.resize(20)
        assert footer.size() == (20, 24)
        footer.draw(["x" * 19, "y" * 19])
        assert window.shown() == ["stays", "x" * 19, "y" * 19]
        window.resize(60)
        footer.draw(["x" * 59])
        assert window.shown() == ["stays", "x" * 59]


def test_a_terminal_with_few_rows() -> None:
    with Window(20, 3) as window:
        footer = Footer(window.stream())
        footer.line("stays")
        for _ in range(3):
            footer.draw(["one", "two", "three", "four"])
        assert window.shown() == window.all_lines() == ["stays", "one", "two"]


def test_what_others_write_stays_above() -> None:
    """A warning on standard error, the output of a task of a dodo.py."""
    with Window() as window:
        footer, other = Footer(window.stream()), window.stream()
        footer.draw(["x" * 60, "y" * 60])
        other.write("WARNING: odd\n")
        other.flush()
        assert window.shown() == ["WARNING: odd"]
        footer.draw(["x" * 60])
        assert window.shown() == ["WARNING: odd", "x" * 60]
        footer.clear()
    assert Screen.clear is None


def test_a_text_that_stays_is_not_obeyed() -> None:
    with Window() as window:
        footer = Footer(window.stream())
        footer.line("a\x1b[2Jb [bold]c[/nope] :100:")
        assert window.shown() == ["a\\x1b[2Jb [bold]c[/nope] :100:"]


def test_a_stream_without_a_terminal() -> None:
    stream = io.StringIO()
    footer = Footer(stream)
    assert footer.size() == (80, 24)
    footer.line("é")
    assert stream.getvalue() == "é\n"


@pytest.fixture(autouse=True)
def nothing_drawn() -> None:
    Screen.clear = None
