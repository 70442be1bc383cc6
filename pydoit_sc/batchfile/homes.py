"""Where a key of a batchfile belongs that stands in a wrong table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from pydoit_sc.batchfile.axes import MatrixTable
from pydoit_sc.batchfile.batchtables import BatchTable, SyncTable
from pydoit_sc.batchfile.errors import Where
from pydoit_sc.batchfile.runtables import RunTable
from pydoit_sc.batchfile.stages import StageTable
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.installed import engine_class, engine_names

_TABLES: Mapping[str, type[Table]] = {
    "[batch]": BatchTable,
    "[runs.NAME]": StageTable,
    "[runs.NAME.matrix]": MatrixTable,
    "[[runs]]": RunTable,
    "[sync]": SyncTable,
}


def home(where: Where) -> str:
    """Say of a key which table it belongs in, "" where none has it; `where` is its place in a table that has it not.

    >>> home(("nprocs",)), home(("runs", "a", "nprocs")), home(("runs", "a", "matrix", "nprocs"))
    ('belongs in [batch]', 'belongs in [batch]', 'belongs in [batch]')
    >>> home(("runs", "a", "matrix", "timeout"))
    'is a key of the stage: it stands above [runs.a.matrix]'
    """
    *above, key = map(str, where)
    if len(above) > 1 and above[0] != "runs":
        return ""  # a table in another one has keys of its own
    if above[2:] == ["matrix"] and key in StageTable.model_fields:
        return f"is a key of the stage: it stands above [runs.{above[1]}.matrix]"
    found = [name for name, table in _TABLES.items() if key in table.model_fields]
    if not found and not {*above} & {*engine_names()}:  # what one engine is told is no advice about another
        found = [f"[{name}]" for name, table in _tables_of_engines() if key in table.model_fields]
    *others, last = found or [""]
    return f"belongs in {', '.join(others)}{' or ' if others else ''}{last}" if last else ""


def _tables_of_engines() -> Iterator[tuple[str, type[Table]]]:
    for name in engine_names():
        with suppress(Exception):  # whatever its package raises, which is told where its table is given
            yield name, engine_class(name).table
