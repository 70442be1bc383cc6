"""Placeholders: the texts of a stage with a matrix, written out for every combination, and earlier outputs in other commands."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from pydoit_sc.batchfile.errors import Where, did_you_mean, nearest, show
from pydoit_sc.batchfile.fields import told
from pydoit_sc.batchfile.matrix import AFTER, NONE, Combinations
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.batchfile.shell import Reading
from pydoit_sc.batchfile.values import Scalar, attribute, attributes, text
from pydoit_sc.made import Part, Texts
from pydoit_sc.shells import LIKE_SH

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)
Escape = Callable[[str], str]

#: The output of an earlier run where other braces are literal, with its `!s` and its format.
_OUTPUT = re.compile(r"(?<!\{)\{" + AFTER + r"\.([^{}!:]+)(!s)?(?::([^{}]*))?\}(?!\})")

_INTEGERS = "bcdoxX"  # how the formats end that take no other number

_BRACES = "write `{{` and `}}` for braces"

#: The longest text of a template, all combinations together: a batch is held in memory.
MOST_TEXT = 4_000_000_000  # characters


class Field(NamedTuple):
    """One placeholder, `{axis.attribute:spec}` or `{axis!s}`."""

    axis: str
    attribute: str
    spec: str
    raw: bool  # `!s`: not quoted for the shell

    def __str__(self) -> str:
        return f"{self.axis}.{self.attribute}" if self.attribute else self.axis


Piece = str | Field


def parse(template: str) -> list[Piece]:
    """Return a template's literal texts and placeholders in order; raise ValueError."""
    pieces: list[Piece] = []
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{str(error).lower()}; {_BRACES}") from None
    for literal, name, spec, conversion in parsed:
        if literal:
            pieces.append(literal)
        if name is not None:
            pieces.append(_field(name, spec or "", conversion))
    return pieces


def parse_outputs(stages: Collection[str], template: str) -> list[Piece]:
    """Return the placeholders of these stages' outputs, `{after.STAGE}`, in order, and all else between them as literal texts.

    >>> [str(piece) for piece in parse_outputs(["a"], "awk '{print $1}' {after.a}/stdout ${after.b}")]
    ["awk '{print $1}' ", 'after.a', '/stdout ${after.b}']
    """
    pieces: list[Piece] = []
    end = 0
    for found in _OUTPUT.finditer(template):
        if found[1] in stages:
            pieces += [
                template[end : found.start()],
                Field(AFTER, found[1], found[3] or "", raw=bool(found[2])),
            ]
            end = found.end()
    return [piece for piece in (*pieces, template[end:]) if piece]


def _field(name: str, spec: str, conversion: str | None) -> Field:
    if not name:
        raise ValueError(f"`{{}}` names no axis; {_BRACES}")
    if conversion not in (None, "s"):
        raise ValueError(
            f"`{{{name}!{conversion}}}`: the only conversion is `!s`, which leaves out the quoting"
        )
    if "{" in spec:
        raise ValueError(f"`{{{name}:{spec}}}`: a format has no placeholders in it")
    axis, _, attr = name.partition(".")
    return Field(axis, attr, spec, raw=conversion == "s")


def render(pieces: list[Piece], combinations: Combinations, escape: Escape = str) -> Texts:
    """Return the text of every combination, with each value that is not raw escaped; raise ValueError."""
    columns = _Columns(combinations)
    for piece in pieces:
        if isinstance(piece, str):
            columns.literal(piece)
        else:
            texts = _written(piece, combinations)
            columns.values(piece, texts if piece.raw or escape is str else list(map(escape, texts)))
    return columns.texts()


def render_command(pieces: list[Piece], combinations: Combinations) -> Texts:
    """Return the command of every combination, values quoted for the shell; raise ValueError."""
    shell = Reading()
    columns = _Columns(combinations)
    for i, piece in enumerate(pieces):
        if isinstance(piece, str):
            shell.read(piece)
            columns.literal(piece)
            continue
        texts = _written(piece, combinations)
        if piece.raw:
            shell.pass_raw(texts)
        else:
            texts = _quoted(piece, texts, shell, "".join(map(str, pieces[i + 1 : i + 2])))
            shell.pass_value()
        columns.values(piece, texts)
    return columns.texts()


class _Columns:
    """The pieces of a template, for every combination, while there is room for what they give together."""

    def __init__(self, combinations: Combinations) -> None:
        self._combinations = combinations
        self._parts: list[Part] = []
        self._room = MOST_TEXT

    def literal(self, piece: str) -> None:
        self._parts.append(piece)
        self._room = _left(self._room, len(piece) * self._combinations.count)

    def values(self, field: Field, texts: list[str]) -> None:
        column = self._combinations.columns[field.axis]
        self._room = _left(self._room, sum(map(list(map(len, texts)).__getitem__, column)))
        self._parts.append((column, texts))

    def texts(self) -> Texts:
        return Texts(self._parts, self._combinations.count)


class Writer(NamedTuple):
    """Writes the texts of a stage out for every combination of its matrix, and notes what is wrong with them.

    `where` is the place of a text. Each method returns a value for each combination, or None after noting a fault.
    """

    combinations: Combinations
    notes: Notes
    parse: Callable[[str], list[Piece]] = parse

    def texts(self, template: str, where: Where, escape: Escape = str) -> Texts | None:
        """Write a text; `escape` is applied to each value, not to what stands around it, and not to `{value!s}`."""
        return self._noted(template, where, lambda pieces: render(pieces, self.combinations, escape))

    def commands(self, template: str, where: Where) -> Texts | None:
        """Write a command, values quoted for the shell."""
        return self._noted(template, where, lambda pieces: render_command(pieces, self.combinations))

    def unquotable(self, template: str, shell: Sequence[str]) -> str | None:
        """Return why the placeholders of a command cannot be quoted for a shell that is not like sh; None without any."""
        try:
            pieces = self.parse(template)
        except ValueError:
            return None  # `commands` says why
        field = next((piece for piece in pieces if isinstance(piece, Field) and not piece.raw), None)
        return None if field is None else _unquotable(field, shell)

    def read(self, written: Sequence[H] | None, where: Where, read: Callable[[H], T]) -> list[T] | None:
        """Read what has been written, each different one once; `read` raises ValueError for one that is not sound."""
        values: dict[H, T] = {}
        for one in dict.fromkeys(written or ()):
            try:
                values[one] = read(one)
            except ValueError as error:
                row = (written or ()).index(one)
                self.notes.add(
                    where, f"{told(error, one)} (in the combination {self.combinations.describe(row)})"
                )
                return None
        return None if written is None else list(map(values.__getitem__, written))

    def _noted(self, template: str, where: Where, write: Callable[[list[Piece]], Texts]) -> Texts | None:
        pieces: list[Piece] = []
        try:
            pieces = self.parse(template)
            return write(pieces)
        except ValueError as error:
            for said in _faults(pieces, self.combinations) or [str(error)]:
                self.notes.add(where, said)
            return None


def _faults(pieces: Iterable[Piece], combinations: Combinations) -> list[str]:
    """Return what is wrong with the placeholders of a text, each thing once."""
    faults: dict[str, None] = {}
    for piece in dict.fromkeys(pieces):
        if isinstance(piece, Field):
            try:
                _written(piece, combinations)
            except _TooMuchError:
                break  # to write others may take as long
            except ValueError as error:
                faults[str(error)] = None
    return list(faults)


class _TooMuchError(ValueError):
    """What a template gives is more than a batch may have."""


def _left(room: int, size: int) -> int:
    if size > room:
        raise _TooMuchError(f"all combinations together have more than {MOST_TEXT:,} characters")
    return room - size


def _written(field: Field, combinations: Combinations) -> list[str]:
    """Return a placeholder's text for each value of its axis; raise ValueError."""
    key = (field.axis, field.attribute, field.spec)
    if key not in combinations.written:
        combinations.written[key] = _texts(field, combinations)
    return combinations.written[key]


def _texts(field: Field, combinations: Combinations) -> list[str]:
    known = {
        _join(key, attr) for key, values in combinations.values.items() for attr in attributes(values[0])
    }
    if field.axis not in combinations.values:
        raise ValueError(_unknown(str(field), known))
    column = combinations.columns[field.axis]
    if NONE in column:
        lacking = combinations.describe(column.index(NONE))
        raise ValueError(f"`{{{field}}}` has no value in the combination {lacking}")
    texts, room = [], MOST_TEXT
    for i, value in enumerate(combinations.values[field.axis]):
        try:
            found = attribute(value, field.attribute)
        except LookupError:
            of_value = {_join(field.axis, a) for a in attributes(value)}
            if field.axis == AFTER and not of_value:
                raise ValueError(
                    f"`{{{field}}}` is the output of a run of `{field.attribute}`, and `after` names none"
                ) from None
            raise ValueError(_unknown(str(field), of_value)) from None
        try:
            texts.append(text(found, field.spec))
            room -= len(texts[-1])
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise ValueError(
                _unwritten(field, found, error) + _combination(i, column, combinations)
            ) from None
        _left(room, 0)
    return texts


def _unwritten(field: Field, value: Scalar, error: Exception) -> str:
    """Return why a format does not write a value."""
    spec, shown = field.spec[:40], show(value, 40)
    if isinstance(value, str) and _is_of_numbers(field.spec):
        what = "an integer" if spec[-1] in _INTEGERS else "a number"
        return f"`{{{field}:{spec}}}`: expected {what} for `:{spec}`, found {shown}"
    return f"`{{{field}:{spec}}}` cannot write {shown}: {error}"


def _is_of_numbers(spec: str) -> bool:
    try:
        return bool(text(0, spec))
    except ValueError:
        return False


def _combination(i: int, column: Sequence[int], combinations: Combinations) -> str:
    """Return the end of a message about a value: a combination that has it, where there are several."""
    row = next((row for row, position in enumerate(column) if position == i), None)
    if row is None or combinations.count == 1:
        return ""
    return f" (in the combination {combinations.describe(row)})"


def _join(key: str, attr: str) -> str:
    return f"{key}.{attr}" if attr else key


def _unknown(name: str, known: Iterable[str]) -> str:
    choices = sorted(known)
    hint = did_you_mean(f"{{{name}}}", [f"{{{choice}}}" for choice in choices])
    braces = "" if nearest(name, choices) else f"; {_BRACES}"
    return f"unknown placeholder `{{{name[:60]}}}`{hint}{braces}"


def _unquotable(field: Field, shell: Sequence[str]) -> str:
    variable = re.sub(r"\W", "_", field.axis).upper()
    return (
        f"`{{{field}}}` cannot be quoted for the shell `{' '.join(shell)[:60]}`, only for {', '.join(LIKE_SH)} with `-c`; "
        f'pass it in the environment, `env = {{ {variable} = "{{{field}}}" }}`, or write `{{{field}!s}}`'
    )


def _quoted(field: Field, texts: list[str], shell: Reading, behind: str) -> list[str]:
    """Return the values as words of the shell, for the place that it has read to; raise ValueError."""
    if where := shell.unsafe():
        variable = re.sub(r"\W", "_", field.axis)
        raise ValueError(
            f"`{{{field}}}` stands {where}, where a value cannot be quoted; begin the command with `{variable}={{{field}}};` "
            f"and write `${variable}` here, or write `{{{field}!s}}`"
        )
    quoted = [shlex.quote(words) for words in texts]
    if shell.in_quotes() and quoted != texts:
        words = next(words for words, safe in zip(texts, quoted, strict=True) if words != safe)
        raise ValueError(
            f"`{{{field}}}` stands inside quotes, but values are quoted already, here {words[:40]!r};"
            f" take the quotes away, or write `{{{field}!s}}`"
        )
    if (
        behind[:1] in ("<", ">")
        and not shell.in_quotes()
        and (words := next(filter(str.isdecimal, texts), ""))
    ):
        raise ValueError(
            f"`{{{field}}}` stands before `{behind[0]}`, where the shell takes a number, here {words[:40]}, for a "
            f"descriptor; put a blank between them"
        )
    return quoted
