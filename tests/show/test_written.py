"""What runs have written, on the streams that they wrote it to."""

from __future__ import annotations

import pytest

from pydoit_sc.show.written import Printer

Captured = pytest.CaptureFixture[bytes]


def test_bytes_pass_as_they_are(capsysbinary: Captured) -> None:
    printer = Printer("a:1", ["stdout", "stderr"], prefixed=False)
    printer.write("stdout", b"\xff no end")
    printer.write("stderr", b"\x1b[31mred")
    printer.end()
    assert capsysbinary.readouterr() == (b"\xff no end", b"\x1b[31mred")


def test_lines_that_come_in_pieces_have_the_name_once(capsysbinary: Captured) -> None:
    printer = Printer("a:\x1b1", ["stdout", "stderr"], prefixed=True)
    for name, data in [("stdout", b"one\ntw"), ("stderr", b"oops\n"), ("stdout", b"o\n\nend")]:
        printer.write(name, data)
    assert capsysbinary.readouterr() == (b"a:\\x1b1: one\na:\\x1b1: two\na:\\x1b1: \n", b"a:\\x1b1: oops\n")
    printer.end()
    assert capsysbinary.readouterr() == (b"a:\\x1b1: end\n", b"")


def test_a_line_without_an_end_is_not_kept_for_ever(capsysbinary: Captured) -> None:
    printer = Printer("a", ["stdout"], prefixed=True)
    printer.write("stdout", b"." * 65_536)
    assert capsysbinary.readouterr().out == b""
    printer.write("stdout", b"\r")
    assert capsysbinary.readouterr().out == b"a: " + b"." * 65_536 + b"\r\n"
    printer.end()
    assert capsysbinary.readouterr().out == b""
