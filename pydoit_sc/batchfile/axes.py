"""The axes of a matrix: their tables, and the list of values that each one means."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from pydoit_sc.batchfile.csvfile import first_line, parse_csv
from pydoit_sc.batchfile.document import Source, failure, read_bytes
from pydoit_sc.batchfile.errors import InvalidError, show
from pydoit_sc.batchfile.fields import Parsed, Text, expected, fault, list_of
from pydoit_sc.batchfile.rows import read_tables
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.batchfile.timeaxis import WindowsAxis
from pydoit_sc.batchfile.values import SCALAR_WORDS, SCALARS, Cell, FilePath, Row, Value, too_many
from pydoit_sc.errors import reason
from pydoit_sc.globbing import find


def _limit(values: int) -> None:
    if said := too_many(values):
        raise fault(said)
    if values < 1:
        raise fault("the axis has no values")


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e15 <= value <= 1e15:
        raise expected("a number")
    return value


def _steps(value: object) -> object:
    if not isinstance(value, list) or len(value) not in (2, 3):
        raise expected("[start, stop, step]")
    return tuple(value)


def _step(numbers: tuple[float, ...]) -> tuple[float, ...]:
    if numbers[2:] == (0,):
        raise fault("the step is 0")
    return numbers


def _scalar(value: object) -> object:
    if not isinstance(value, SCALARS):
        raise expected(SCALAR_WORDS)
    return value


def _item(value: object) -> object:
    return value if isinstance(value, dict) else _scalar(value)


def _not_empty(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise fault("expected at least one value, found an empty list")
    return values


def _delimiter(value: object) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"#\r\n':
        raise expected("one character, such as `;`")
    return value


_SCALAR = {"type": ["string", "number", "boolean"]}
_TABLE = {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR}

Number = Annotated[float, Parsed(_number, {"type": "number"})]
Numbers = Annotated[tuple[Number, ...], BeforeValidator(_steps), AfterValidator(_step)]
Delimiter = Annotated[str, Parsed(_delimiter, {"type": "string", "minLength": 1, "maxLength": 1})]
Item = Annotated[Any, Parsed(_item, {"anyOf": [_SCALAR, _TABLE]})]
Listed = Annotated[tuple[Item, ...], list_of("a list of values"), AfterValidator(_not_empty)]


class RangeAxis(Table):
    """Numbers from a start to a stop, which is left out."""

    range: Numbers = Field(description="`[start, stop]` or `[start, stop, step]`; `stop` is left out")

    def _parts(self) -> tuple[Any, Any, Any]:
        numbers: tuple[Any, ...] = self.range
        start, stop, step = numbers if len(numbers) == 3 else (*numbers, 1)
        if all(isinstance(number, int) for number in numbers):
            return start, stop, step
        return Decimal(repr(start)), Decimal(repr(stop)), Decimal(repr(step))  # 0.3, not 3 × 0.1

    def _size(self) -> int:
        start, stop, step = self._parts()
        if isinstance(start, int):
            return int(max(0, -((start - stop) // step)))
        return int(((stop - start) / step).to_integral_value(ROUND_CEILING))

    @model_validator(mode="after")
    def _check(self) -> RangeAxis:
        _limit(self._size())
        return self

    def values(self, _: Source) -> list[Value]:
        """Return the numbers: integers if all three are."""
        start, _stop, step = self._parts()
        kind = int if isinstance(start, int) else float
        return [kind(start + i * step) for i in range(self._size())]

    def refusal(self, wanted: object) -> str:
        """Return why a value can be none of the axis, "" where it may be one, on this day or on another."""
        is_number = isinstance(wanted, (int, float)) and not isinstance(wanted, bool)
        return "" if is_number else f"expected a number, found {show(wanted)}"


class CsvAxis(Table):
    """The rows of a CSV file with a header row."""

    csv: Text = Field(description="a CSV file; one value for each of its rows, `{row.column}`")
    delimiter: Delimiter | None = Field(
        default=None, description='what separates its cells; left out: `","`, in a file `*.tsv` a tab'
    )

    def values(self, source: Source) -> list[Value]:
        """Return the rows; raises BatchfileError about the file."""
        name = os.path.expanduser(self.csv)
        file = os.path.join(os.path.dirname(source.file), name)
        path = os.path.join(source.folder, name)
        raw = read_bytes(path, file)
        source.has_read(path, raw)
        text = raw.decode()
        header = set(first_line(io.StringIO(text)))
        if self.delimiter is None and ";" in header and header.isdisjoint(',\t"'):
            raise failure(file, 'expected commas between the columns, found `;`; give `delimiter = ";"`')
        rows = parse_csv(text, file, self.delimiter)
        if not rows:
            raise failure(file, "no rows below the header")
        return [Row({column: Cell(cell) for column, cell in cells.items()}) for cells in rows]

    def refusal(self, wanted: object) -> str:
        """Return why a value can be none of the axis, as RangeAxis does."""
        return (
            ""
            if isinstance(wanted, dict)
            else f"expected a table of some columns of a row, found {show(wanted)}"
        )


class GlobAxis(Table):
    """The files that match a pattern."""

    glob: Text = Field(
        description="a pattern of files, which counts from this file: `{path}`, `{path.stem}`, `{path.name}`; folders and "
        "outputs of the batch are left out"
    )

    def values(self, source: Source) -> list[Value]:
        """Return the files in the order of their names; raises InvalidError if there is none, or they cannot be read."""
        try:
            found = find(os.path.expanduser(self.glob), source.folder, source.outputs)
        except OSError as error:
            raise InvalidError((("glob",), reason(error))) from None
        if not found:
            left_out = "folders, and outputs of the batch, are left out"
            raise InvalidError(
                (("glob",), f"no file matches {show(self.glob)} in {source.folder}; {left_out}")
            )
        return [FilePath(path) for path in found]

    def refusal(self, wanted: object) -> str:
        """Return why a value can be none of the axis, as RangeAxis does."""
        return "" if isinstance(wanted, str) else f"expected the path of a file, found {show(wanted)}"


class _UnclearAxis(Table):
    """A table that is no axis, or could be several; it is there for the message."""

    from_: Any = Field(default=None, alias="from")
    to: Any = None
    every: Any = None
    span: Any = None
    tz: Any = None
    range: Any = None
    csv: Any = None
    delimiter: Any = None
    glob: Any = None

    @model_validator(mode="after")
    def _refuse(self) -> _UnclearAxis:
        raise expected("one of `from`, `range`, `csv` and `glob`")


_KINDS = {
    **dict.fromkeys(("from", "to", "every", "span", "tz"), "<windows>"),
    "range": "<range>",
    **dict.fromkeys(("csv", "delimiter"), "<csv>"),
    "glob": "<glob>",
}


def _variant(spec: object) -> str | None:
    """Return the tag of the table that an axis is; None where it is neither a list nor a table."""
    if isinstance(spec, (list, tuple)):
        return "<list>"
    if not isinstance(spec, dict):
        return None
    kinds = {_KINDS.get(key, "") for key in spec}
    return kinds.pop() if len(kinds) == 1 and "" not in kinds else "<unclear>"


#: Where pydantic puts one of these tags into the place of a fault, the rest of it counts from this table.
VARIANTS: Mapping[str, type[Table]] = {
    "<list>": Table,
    "<windows>": WindowsAxis,
    "<range>": RangeAxis,
    "<csv>": CsvAxis,
    "<glob>": GlobAxis,
    "<unclear>": _UnclearAxis,
}


class _AnyAxis:
    """One of the axes, told apart by `_variant`; pydantic's own Discriminator would put the unclear one into the schema."""

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices: dict[Any, CoreSchema] = {
            tag: handler.generate_schema(kind) for tag, kind in VARIANTS.items()
        }
        choices["<list>"] = handler.generate_schema(Listed)
        return core_schema.tagged_union_schema(
            choices,
            _variant,
            custom_error_type="no_axis",
            custom_error_message="expected a list of values, or a table with `from`, `range`, `csv` or `glob`",
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        sound = {tag: choice for tag, choice in schema["choices"].items() if tag != "<unclear>"}
        return handler({**schema, "choices": sound})


Axis = Annotated[Any, _AnyAxis()]


def _placeholder(key: object) -> str:
    if (
        not isinstance(key, str)
        or not key.replace("-", "_").isidentifier()
        or not key.isascii()
        or key[0] == "-"
    ):
        raise fault("a placeholder has letters, digits, `_` and `-`")
    return key


def _entry(value: object) -> object:
    if isinstance(value, dict):
        if not value or not all(isinstance(cell, SCALARS) for cell in value.values()):
            raise fault(f"expected keys of a table or a row, each with {SCALAR_WORDS}")
    elif not isinstance(value, SCALARS):
        raise expected("one value")
    return value


def _with_keys(value: object) -> object:
    if not isinstance(value, dict) or not value:
        raise expected("a table with keys")
    return value


_ENTRY = {"anyOf": [_SCALAR, _TABLE]}
Placeholder = Annotated[str, Parsed(_placeholder, {"type": "string"})]
Entry = Annotated[dict[Placeholder, Annotated[Any, Parsed(_entry, _ENTRY)]], BeforeValidator(_with_keys)]
Entries = Annotated[tuple[Entry, ...], list_of("a list of tables")]


class MatrixTable(Table):
    """`[runs.NAME.matrix]`: the axes by their names, and changes to their product."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Axis] = Field(init=False)
    variants: ClassVar[Mapping[str, type[Table]]] = VARIANTS

    include: Entries = Field(
        default=(), description="entries that add keys or combinations, as in a GitHub Actions matrix"
    )
    exclude: Entries = Field(
        default=(), description="combinations to leave out, as in a GitHub Actions matrix"
    )

    @property
    def axes(self) -> Mapping[str, Any]:
        """The axes in their order: lists of values, and tables with `values`."""
        return self.__pydantic_extra__


def read_axis(axis: Any, source: Source) -> Sequence[Value]:
    """Return an axis' values, at least one; raises InvalidError, or BatchfileError about a CSV file."""
    if isinstance(axis, tuple):
        return read_tables(axis) if any(isinstance(value, dict) for value in axis) else axis
    found: Sequence[Value] = axis.values(source)
    return found
