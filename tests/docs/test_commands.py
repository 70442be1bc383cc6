"""docs/commands.md says what the program says of itself."""

from tests.docs.commands import PAGE, page


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tests.docs.commands"
