"""Text on a screen: it can always be written, and a terminal obeys none of it."""

from __future__ import annotations

import io
import os
import threading

import pytest

from pydoit_sc.show.screen import Screen, screen


def _shown(text: str, encoding: str = "utf-8") -> bytes:
    theirs, ours = os.pipe()
    on = Screen(ours, encoding)
    on.write(text)
    on.flush()
    os.close(ours)
    with open(theirs, "rb") as reader:
        return reader.read()


def test_what_is_written() -> None:
    assert _shown("é\x1b]52;c;x\x07\r\t\n日") == "é\\x1b]52;c;x\\x07\\r\t\n日".encode()
    assert _shown("é日\udce9\ud800", "latin-1") == b"\xe9\\u65e5\\xe9\\ud800"
    assert _shown("1\xa0000\u202f€\u3000.") == "1\xa0000\u202f€\u3000.".encode()
    assert _shown("\u202ereversed") == b"\\u202ereversed"


def test_what_we_draw_ourselves() -> None:
    theirs, ours = os.pipe()
    on = Screen(ours, "utf-8")
    on.draw("\x1b[2K")
    on.flush()
    os.close(ours)
    with open(theirs, "rb") as reader:
        assert reader.read() == b"\x1b[2K"


def test_a_descriptor_that_does_not_wait() -> None:
    theirs, ours = os.pipe2(os.O_NONBLOCK)
    os.set_blocking(theirs, True)
    got: list[bytes] = []

    def read() -> None:
        with open(theirs, "rb") as reader:
            got.append(reader.read())

    reader = threading.Thread(target=read)
    reader.start()
    on = Screen(ours, "utf-8")
    on.write("x" * 1_000_000)  # much more than a pipe holds
    on.flush()
    assert on.lasting.failure == ""
    os.close(ours)
    reader.join()
    assert got == [b"x" * 1_000_000]


def test_a_reader_who_is_gone() -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    on = Screen(ours, "utf-8")
    for _ in range(3):
        on.write("x\n")
        on.flush()
    assert on.lasting.failure == ""
    os.close(ours)


def test_a_full_disk_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    with open("/dev/full", "wb") as full:
        on = Screen(full.fileno(), "utf-8")
        for _ in range(3):
            on.write("x\n")
            on.flush()
        assert on.lasting.failure == "No space left on device"
    assert capfd.readouterr().err == "the output cannot be written: No space left on device\n"


def test_a_stream_without_a_file() -> None:
    stream = io.StringIO()
    assert screen(stream) is stream
