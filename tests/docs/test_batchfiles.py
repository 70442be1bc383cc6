"""The batchfiles that pages show are such, with what they leave out: where outputs go, and runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli

from pydoit_sc.batchfile import load
from tests.docs.pages import PAGES

_HEAD = '[batch]\nremote_output_path = "file://output"\n'
_RUN = '[[runs]]\ncmd = "true"\n'
#: The files that axes of these batchfiles read.
_FILES = {
    "samples.csv": "id,file\ns1,a.fastq\n",
    "params.csv": "id;lr\n1;0.1\n",
    "texts.csv": "name,path\nfirst,one.txt\n",
    "cmds.txt": "true\n",
    "data/a.csv": "",
}


_AXES = "[runs.x.matrix]\n"


def _blocks() -> list[object]:
    return [
        pytest.param(part, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(
            re.findall(r"^```toml[^\n]*\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        )
        for part in _parts(block)
    ]


def _parts(block: str) -> list[str]:
    """Return the block; where it shows axes alone, which would be many runs together, a stage for each."""
    if not block.startswith(_AXES):
        return [block]
    axes = [line for line in block.splitlines()[1:] if not line.startswith(("include", "exclude"))]
    return [f'[runs.x]\ncmd = "true"\n{_AXES}{axis}\n' for axis in axes]


@pytest.mark.parametrize("block", _blocks())
def test_a_batchfile_that_a_page_shows(tmp_path: Path, block: str) -> None:
    for name, text in _FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    said = tomli.loads(block)
    head = "" if "batch" in said else _HEAD
    if "batch" in said and "remote_output_path" not in said["batch"]:
        block = block.replace("[batch]\n", _HEAD)
    run = "" if "runs" in said or "runs_from" in said.get("batch", {}) else _RUN
    (tmp_path / "batchfile.toml").write_text(head + block + run)
    assert load(tmp_path / "batchfile.toml").stages
