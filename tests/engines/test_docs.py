"""The batchfiles of docs/engines.md for Dask and Kubernetes are what these engines take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pydoit_sc.batchfile import load
from pydoit_sc.engines.registry import load_engine
from tests.engines.handed import submission_of

DOCS = Path(__file__).parents[2] / "docs" / "engines.md"
HEAD = '[batch]\nremote_output_path = "s3://bucket/x"\n[[runs]]\ncmd = "true"\n'


def blocks(engine: str) -> list[str]:
    """Return the TOML blocks of an engine's section, those that it has switched off by `# ` switched on."""
    section = re.search(rf"^## {engine}$(.*?)(?=^## |\Z)", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    assert section is not None
    found = re.findall(r"^```toml$\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    return [re.sub(r"^# (?=\w+ = )", "", block, flags=re.MULTILINE) for block in found]


@pytest.mark.parametrize(("engine", "count"), [("Dask", 4), ("Kubernetes", 1)])
def test_the_batchfiles_of_the_documents(tmp_path: Path, engine: str, count: int) -> None:
    name = engine.lower()
    assert len(blocks(engine)) == count
    for number, block in enumerate(blocks(engine)):
        folder = tmp_path / str(number)
        for file in ("examples/weather/summarize.py", "data/seattle-weather.csv"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        (folder / "batchfile.toml").write_text(block if "[batch]" in block else HEAD + block)
        batch = load(folder / "batchfile.toml")
        submission = submission_of(batch, name, batch.tables[name])
        assert load_engine(name).prepare(submission)
