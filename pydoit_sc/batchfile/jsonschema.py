"""The JSON schema of batchfile.toml, by which editors complete and check."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from pydoit_sc.batchfile.batchtables import BatchTable, SyncTable
from pydoit_sc.batchfile.build import engine_tables
from pydoit_sc.batchfile.runtables import RunTable
from pydoit_sc.batchfile.stages import StageTable
from pydoit_sc.batchfile.tables import Table


def json_schema() -> str:
    """Return the schema (draft 2020-12) of batchfiles, with the tables of the engines that are installed."""
    tables: dict[str, type[Table]] = {"batch": BatchTable, "sync": SyncTable, **engine_tables()}
    models: list[type[Table]] = [*tables.values(), StageTable, RunTable]
    refs, parts = models_json_schema([(model, "validation") for model in models])
    found = {model: refs[model, "validation"] for model in models}
    stages = {"type": "object", "additionalProperties": found[StageTable]}
    runs = {"description": "stages, [runs.NAME], or a plain list, [[runs]]"}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "batchfile.toml",
        "type": "object",
        "properties": {
            **{name: found[model] for name, model in tables.items()},
            "runs": {**runs, "anyOf": [stages, {"type": "array", "items": found[RunTable]}]},
        },
        "required": ["batch"],
        "additionalProperties": False,
        "$defs": parts["$defs"],
    }
    return json.dumps(_tidy(schema), indent=1, ensure_ascii=False) + "\n"


def _tidy(part: Any) -> Any:
    """Return a part of a schema without null, which TOML does not have, and without titles that repeat the key."""
    if isinstance(part, list):
        return [_tidy(item) for item in part]
    if not isinstance(part, dict):
        return part
    tidy = {key: _tidy(value) for key, value in part.items() if not _is_noise(key, value)}
    kinds = [kind for kind in tidy.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del tidy["anyOf"]
        return {**kinds[0], **tidy}
    return {**tidy, "anyOf": kinds} if kinds else tidy


def _is_noise(key: str, value: object) -> bool:
    return (key == "title" and value != "batchfile.toml") or (key == "default" and value is None)
