"""Other programs are called, and their failures name them."""

from __future__ import annotations

import os

import pytest

from pydoit_sc.programs import ProgramError, call


def test_the_output_comes_back() -> None:
    assert call("printf", "%s|", "a b", "$c") == "a b|$c|"


def test_bytes_that_are_no_text_come_back_as_in_paths_and_are_shown_as_escapes() -> None:
    assert os.fsencode(call("printf", "caf\\351")) == b"caf\xe9"
    with pytest.raises(ProgramError, match=r"^sh: no caf\\xe9$"):
        call("sh", "-c", "printf 'no caf\\351' >&2; exit 1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sh", "-c", "echo 'sh: error: no such\n job' >&2; exit 3"), r"^sh: no such job$"),
        (("sh", "-c", "exit 3"), r"^sh: exit code 3$"),
        (("no-such-program-here", "x"), r"^the program `no-such-program-here` is not on PATH: install it$"),
    ],
)
def test_failures(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        call(*words, missing="install it")


def test_a_program_apart_is_not_in_the_group_that_ctrl_c_is_for() -> None:
    group = "cut -d ' ' -f 5 /proc/$$/stat"
    assert int(call("sh", "-c", group)) == os.getpgrp() != int(call("sh", "-c", group, apart=True))


def test_a_program_that_does_not_answer() -> None:
    with pytest.raises(ProgramError, match=r"^sleep: .*timed out"):
        call("sleep", "60", timeout=0.1)
