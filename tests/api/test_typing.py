"""A user's script that uses the package passes mypy --strict, and a mistake in one is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api as mypy

SCRIPT = """\
import pydoit_sc as sc

batch: sc.LoadedBatch = sc.load("batchfile.toml", to="out")
run = batch["day:2022-03-07"]
seconds: float | None = run.seconds
text: str = run.stderr
worst: list[str] = [one.name for one in batch.select(status="error", limit=3) if one.code == 1]
left: int = len(batch.plan())
reasons: dict[str, str] = {one.name: one.reason for one in batch.plan()}
failed: int = batch.status().total.statuses[sc.Status.ERROR]
kinds: list[tuple[int, str]] = [(len(kind), kind.failure) for kind in batch.failures()]
best: list[str] = batch.select(limit=5).results("name", sort="-loss")["name"].to_list()
counts: sc.Counts = batch.select("day:*").run(nprocs=2, max_failures="5%", progress=True)
done: int = counts.completed + counts.failed
submitted = batch.submit(engine="local", timeout="2h")
if submitted is not None:
    counts = submitted.wait()
try:
    sc.load("nope.toml")
except sc.UserError as error:
    print(error)
"""


@pytest.mark.slow  # mypy reads the package anew
def test_a_script_of_a_user(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "wrong.py").write_text(f"{SCRIPT}code: str = run.code\nbatch.plann()\n")
    options = ["--strict", "--python-version", "3.10", "--cache-dir", str(tmp_path / "cache")]
    out, err, code = mypy.run([*options, str(tmp_path / "script.py")])
    assert (code, err) == (0, ""), out
    out, _, code = mypy.run([*options, str(tmp_path / "wrong.py")])
    assert code == 1
    assert [line.rpartition("[")[2] for line in out.splitlines()[:-1]] == ["assignment]", "attr-defined]"], (
        out
    )
