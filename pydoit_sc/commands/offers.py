"""What the word at the cursor of a command line may become, given what is known of the program and of the batch."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydoit_sc.catalogue import COMMANDS

_MANY = 100  # names: of more of them, what is up to the next separator is offered
_BEHIND = "\U0010ffff"  # all that a name may go on with
_NAMES = {"RUN", "STAGE", "PATTERN"}  # words of a usage that names stand for


class Flag(NamedTuple):
    """An option, as far as completion goes."""

    names: Sequence[str]  # `-n`, `--process`
    takes: str | None  # what its value is, as a usage has it: `table|json`, `RUN`; None: it takes none
    purpose: str


class Known(NamedTuple):
    """What is known of the program and of the batch."""

    usages: Mapping[str, str]  # what each command takes: `[BATCH] [STAGE | RUN ...]`
    flags: Mapping[str, Sequence[Flag]]  # by command
    names: Sequence[str]  # of stages and runs, sorted


class Typed(NamedTuple):
    """A command line up to the cursor."""

    words: Sequence[str]  # before the one at the cursor
    current: str
    raw: str  # that one with its quotes
    quote: str  # that is open


class Offer(NamedTuple):
    """What the word at the cursor may become."""

    word: str
    purpose: str = ""
    is_whole: bool = True  # False: it goes on


def split(line: str) -> Typed:
    r"""Return the words of a command line as a shell reads them.

    >>> split("pydoit-sc plan 'a b' month\\ 1:")
    Typed(words=['pydoit-sc', 'plan', 'a b'], current='month 1:', raw='month\\ 1:', quote='')
    """
    words, word, quote, start, escaped = [], "", "", 0, False
    for at, char in enumerate(line):
        if escaped:
            word, escaped = word + char, False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            word, quote = (word, "") if char == quote else (word + char, quote)
        elif char in "'\"":
            quote = char
        elif not char.isspace():
            word += char
        else:
            words += [word] if at > start else []
            word, start = "", at + 1
    return Typed(words, word, line[start:], quote)


def offers(known: Known, words: Sequence[str], current: str) -> Iterator[Offer]:
    """Yield what the word at the cursor may become, behind these words that follow the program's name."""
    named = bool(words) and words[0] in COMMANDS
    command = words[0] if named else "run"
    flags = {name: flag for flag in known.flags.get(command, ()) for name in flag.names}
    before, open_flag = 0, None  # how many words are no options; the one whose value comes next
    for word in words[named:]:
        if open_flag is None and word.startswith("-"):
            flag = flags.get(word)
            open_flag = flag if flag and flag.takes is not None else None
        else:
            before, open_flag = before + (open_flag is None), None
    name, equals, value = current.partition("=")
    if open_flag is not None:
        yield from _values(known, open_flag.takes or "", current)
    elif equals and name in flags:
        for offer in _values(known, flags[name].takes or "", value):
            yield offer._replace(word=f"{name}={offer.word}")
    elif current.startswith("-"):
        for name, flag in flags.items():
            if name.startswith("--") and name.startswith(current):
                yield Offer(name, flag.purpose)
    else:
        usage = known.usages.get(command, "") if named else "RUN" if words else "COMMAND RUN"
        yield from _values(known, usage, current)


def _values(known: Known, usage: str, current: str) -> Iterator[Offer]:
    """Yield the words that a usage stands for; of values that may be joined by commas, those that are not given yet."""
    words = set(re.findall(r"[\w|,.-]+", usage))
    if "COMMAND" in words:
        yield from (
            Offer(name, entry.purpose) for name, entry in COMMANDS.items() if name.startswith(current)
        )
    for choices in (word for word in words if "|" in word and not word.isupper()):
        given, comma, last = current.rpartition(",") if choices.endswith(",") else ("", "", current)
        for choice in choices.rstrip(",").split("|"):
            if choice.startswith(last) and choice not in given.split(","):
                yield Offer(f"{given}{comma}{choice}")
    if words & _NAMES:
        yield from _narrow(known.names, current)


def _narrow(names: Sequence[str], begun: str) -> Iterator[Offer]:
    """Yield the names that begin so; of stages not their runs, and of many runs what they have up to the next separator.

    >>> months = [f"month:{year}-{month:02}" for year in range(2000, 2012) for month in range(1, 13)]
    >>> names = ["month", *months]
    >>> [offer.word for offer in _narrow(names, "mo")], [offer.word for offer in _narrow(names, "month:2001-1")]
    (['month', 'month:'], ['month:2001-10', 'month:2001-11', 'month:2001-12'])
    >>> [offer.word for offer in _narrow(names, "month:")][:2]
    ['month:2000-', 'month:2001-']
    """
    first, end = bisect_left(names, begun), bisect_left(names, begun + _BEHIND)
    ways = [":"] if ":" not in begun else ["[-_./:]", "."] if end - first > _MANY else ["$"]
    for way in ways:
        found = list(_groups(names, first, end, re.compile(way), len(begun)))
        if len(found) <= _MANY:
            break
    yield from found


def _groups(
    names: Sequence[str], first: int, end: int, separator: re.Pattern[str], begun: int
) -> Iterator[Offer]:
    """Yield what these names have up to the next separator, once each; a name whole that is the only one to begin so."""
    while first < end:
        name = names[first]
        found = separator.search(name, begun)
        group = name[: found.end()] if found else name
        after = bisect_left(names, group + _BEHIND, first, end) if found else first + 1
        yield Offer(group, is_whole=False) if after > first + 1 else Offer(name)
        first = after
