"""The table [dask]: what is wrong with it is told when the batchfile is read, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydoit_sc.batchfile import BatchfileError, load
from pydoit_sc.engines.dask_table import EITHER

BATCH = '[batch]\nremote_output_path = "out"\n[runs.a]\ncmd = "true"\n'


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("adress = 'tcp://x:1'", ":6:1: dask.adress: unknown key; did you mean `address`?"),
        ("address = 8786", ':6:1: dask.address: expected a string, found 8786; write "8786"'),
        ("options = [1]", ":6:1: dask.options: expected a table, found a list"),
        ("cluster = 'slurm'", ':6:1: dask.cluster: expected "local", "ssh" or the dotted name of a class, such as dask_jobqueue.PBSCluster, found "slurm"'),
        ("cluster = 'loacl'", 'PBSCluster, found "loacl"; did you mean "local"?'),
        ("cluster = \"os.system('x').y\"", "PBSCluster, found \"os.system('x').y\""),
        ("cluster = 'local'\noptions = { day = 2024-01-01 }", ":7:1: dask.options: expected strings, numbers, lists and tables; Object of type date is not JSON serializable"),
        ("address = 'tcp://x:1'\noptions = {}", ":5:1: dask: `options` are arguments of a `cluster`; an `address` takes none"),
        ("address = 'tcp://x:1'\ncluster = 'local'", f":5:1: dask: {EITHER}, found both"),
        ("resources = { GPU = 1 }", f":5:1: dask: {EITHER}, found neither"),
        ("resources = { GPU = '1' }", ':6:15: dask.resources.GPU: expected a number above 0, found "1"'),
    ],
)  # fmt: skip
def test_what_the_keys_may_not_be(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "batchfile.toml").write_text(f"{BATCH}[dask]\n{lines}\n")
    with pytest.raises(BatchfileError) as error:
        load(tmp_path / "batchfile.toml")
    assert str(error.value).endswith(message)


def test_an_empty_table_says_nothing_yet(tmp_path: Path) -> None:
    """Another engine may be used; who submits to Dask is told then."""
    (tmp_path / "batchfile.toml").write_text(f"{BATCH}[dask]\n")
    assert "dask" in load(tmp_path / "batchfile.toml").tables
