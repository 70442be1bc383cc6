"""The JSON schema and the documents' tables are those of the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli
from jsonschema import Draft202012Validator

from pydoit_sc.batchfile.jsonschema import json_schema
from tests.batchfile.reference import DOCS, SCHEMA, written

ROOT = DOCS.parent
EXAMPLES = sorted([ROOT / "batchfile.toml", *ROOT.glob("examples/*/batchfile.toml")])
AGAIN = "`python -m tests.batchfile.reference` writes it again"


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    found = json.loads(json_schema())
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


def test_the_committed_schema_is_that_of_the_models() -> None:
    assert SCHEMA.read_text() == json_schema(), AGAIN


@pytest.mark.parametrize("document", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_the_tables_of_the_documents_are_those_of_the_models(document: Path) -> None:
    assert written(document.read_text()) == document.read_text(), AGAIN


def plain(value: Any) -> Any:
    """Return what an editor's validator sees of TOML: dates are text to it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, float)) else str(value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_are_valid(schema: Draft202012Validator, path: Path) -> None:
    assert [error.message for error in schema.iter_errors(plain(tomli.loads(path.read_text())))] == []


BATCH = '[batch]\nremote_output_path = "o"\n'


@pytest.mark.parametrize(
    "axis",
    [
        'a = [{ name = "s", lr = 0.1, day = 2024-03-01 }, { name = "l", lr = 1, day = 2024-03-02 }]',
        'a = { csv = "p.csv", delimiter = ";" }',
        'a = ["x"]\ninclude = [{ a = "y", b = { c = 1, d = true } }]',
    ],
)
def test_the_schema_takes_what_the_models_take(schema: Draft202012Validator, axis: str) -> None:
    text = f'{BATCH}[runs.a]\ncmd = "x"\n[runs.a.matrix]\n{axis}'
    assert [error.message for error in schema.iter_errors(plain(tomli.loads(text)))] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        BATCH + "nproc = 1\n",
        BATCH + "nprocs = 0\n",
        BATCH + "durable = 1\n",
        BATCH + "[runs.a]\n",
        BATCH + '[runs.a]\ncmd = ""\n',
        BATCH + '[runs.a]\ncmd = "x"\ntimout = 1\n',
        BATCH + '[runs.a]\ncmd = "x"\nretry_on = [0]\n',
        BATCH + '[runs.a]\ncmd = "x"\nmatrix = { m = { rnge = [1, 2] } }\n',
        BATCH + '[runs.a]\ncmd = "x"\nmatrix = { m = { from = 2012-01-01 } }\n',
        BATCH + '[[runs]]\nname = "x"\n',
        BATCH + "[slurm]\nqueue = 1\n",
        BATCH + "[kubernetes]\ngpus = 0\n",
        BATCH + "[slrum]\n",
    ],
)
def test_what_a_batchfile_may_not_say(schema: Draft202012Validator, text: str) -> None:
    assert list(schema.iter_errors(plain(tomli.loads(text))))
