"""Write what the documents say of the tables from their models: `python -m tests.batchfile.reference`."""

from __future__ import annotations

import re
from pathlib import Path

from pydoit_sc.batchfile.axes import CsvAxis, GlobAxis, MatrixTable, RangeAxis
from pydoit_sc.batchfile.batchtables import BatchTable, SyncTable
from pydoit_sc.batchfile.build import engine_tables
from pydoit_sc.batchfile.jsonschema import json_schema
from pydoit_sc.batchfile.runtables import ListedRun, RunTable
from pydoit_sc.batchfile.stages import StageTable
from pydoit_sc.batchfile.tables import AttemptTable, Table
from pydoit_sc.batchfile.timeaxis import WindowsAxis

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = DOCS / "batchfile.schema.json"
OURS: tuple[type[Table], ...] = (
    AttemptTable, BatchTable, StageTable, RunTable, ListedRun, SyncTable, MatrixTable, WindowsAxis, RangeAxis, CsvAxis, GlobAxis,
)  # fmt: skip
TABLES = {model.__name__: model for model in (*OURS, *engine_tables().values())}

_PART = re.compile(r"(<!-- keys: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def keys_of(model: type[Table]) -> str:
    """Return the table of a model's keys: its own, then those that it shares with others."""
    shared = [] if model is AttemptTable else list(AttemptTable.model_fields)
    own = [name for name in model.model_fields if name not in shared]
    rows = [(model.model_fields[name].alias or name, model.model_fields[name].description) for name in own]
    if issubclass(model, AttemptTable) and shared:
        rows.append(("`, `".join(shared), "as above"))
    return "| key | meaning |\n| --- | --- |\n" + "".join(
        f"| `{key}` | {meaning} |\n" for key, meaning in rows
    )


def written(text: str) -> str:
    """Return a document with its tables as the models have them."""
    return _PART.sub(lambda part: f"{part[1]}{keys_of(TABLES[part[2]])}{part[3]}", text)


if __name__ == "__main__":
    SCHEMA.write_text(json_schema())
    for document in sorted(DOCS.glob("*.md")):
        document.write_text(written(document.read_text()))
