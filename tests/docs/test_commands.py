"""docs/commands.md says what the program says of itself, and commands in the text of pages are such as it takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pydoit_sc.catalogue import COMMANDS
from tests.docs.commands import PAGE, command_of, page
from tests.docs.pages import PAGES


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tests.docs.commands"


def test_no_table_has_an_option_twice() -> None:
    for table in page().split("| option | meaning |")[1:]:
        names = re.findall(r"^\| <code>(.+?)</code>", table.partition("\n\n")[0], re.MULTILINE)
        assert len(names) == len(set(names)), names


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_commands_in_a_text_are_ones(document: Path) -> None:
    """Those that a test does not run: in the midst of a sentence, and such as need an account or another machine."""
    text = document.read_text().replace("\\\n", " ")
    shown = re.findall(r"^\$ pydoit-sc (.+)$", text, re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for span in [*shown, *re.findall(r"`pydoit-sc ([^`]+)`", prose)]:
        words = shlex.split(re.split(r" [|>&;]|<\(", span)[0], comments=True)
        if words and words[0] not in COMMANDS:
            assert re.match(r"-|[A-Z]|\w+:", words[0]), span
            words.insert(0, "run")
        if words:
            command_of(words[0]).cmdparser.parse([word for word in words[1:] if word != "--help"])
