"""The texts of errors are harmless to a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydoit_sc.errors import UserError, on_a_line, printable, reason


def test_control_characters_are_escaped_and_lines_kept() -> None:
    assert printable("a\nb\x1b]52;c;eA==\x07 ü\r") == "a\nb\\x1b]52;c;eA==\\x07 ü\\r"
    assert on_a_line("a\nb\r ü") == "a\\nb\\r ü"
    assert str(UserError("\x1b[31mred")) == "\\x1b[31mred"


def test_the_reason_of_a_system_error_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with pytest.raises(OSError) as caught:
        path.read_text()
    assert reason(caught.value) == f"{path}: No such file or directory"
    assert reason(OSError(28, "No space left on device")) == "No space left on device"
    assert reason(ValueError("odd")) == "odd"
