"""In a real Jupyter kernel: values show themselves, runs execute, an interrupt stops them, and the kernel goes on."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.conftest import HEAD, Box

nbclient = pytest.importorskip("nbclient", reason="the tests have Jupyter from Python 3.11 on")
nbformat = pytest.importorskip("nbformat")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # a kernel; Jupyter's own warnings

CELLS = (
    "import pydoit_sc as sc\nbatch = sc.load('batchfile.toml')\nbatch",
    "batch.plan()",
    "batch.status()",
    "batch.run()",
    "batch.failures()",
    "batch.results('name', 'degrees')",
    "batch['day:2022-03-07']",
    "print(batch['day:2022-03-07'].stderr, end='')",
    "batch.run(progress=True).failed",
    # The kernel's own children are none of our business, and its signals are as they were.
    "import subprocess\nchild = subprocess.Popen(['sleep', '0.2'])\nbatch.run()\nchild.wait()",
    "import os, signal\nos.getcwd(), signal.getsignal(signal.SIGINT)",
    "sc.load('nope.toml')",
)


def executed(box: Box, *cells: str) -> list[Any]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(
        notebook, timeout=120, allow_errors=True, resources={"metadata": {"path": str(box.folder)}}
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells]


def html(outputs: Any) -> str:
    return str(outputs[0].data["text/html"])


def test_a_notebook(weather: Box) -> None:
    batch, plan, status, run, failures, results, one, stderr, shown, child, state, error = executed(
        weather, *CELLS
    )
    assert "&lt;batch weather: 4 runs in 1 stage&gt;" in html(batch)
    assert "<td>day:2022-03-07</td><td>error</td><td>status code 1</td>" in html(plan)
    assert "<tr><td>total</td><td>4</td><td>3</td><td>1</td>" in html(status)
    assert run[0].data["text/plain"].startswith("1 failed, 3 skipped, in 0:")
    assert "<td>cat: data/2022-03-07.csv: No such file or directory</td>" in html(failures)
    assert "<td>cat data/2022-03-07.csv &amp;&amp; cp " in html(one)
    assert "12.8" in html(results)
    assert stderr[0].text == "cat: data/2022-03-07.csv: No such file or directory\n"
    assert shown[0].text.startswith("1 of 4 runs to execute: 1 failed before\n")
    assert shown[-1].data["text/plain"] == "1"
    assert child[0].data["text/plain"] == "0"
    cwd, handler = state[0].data["text/plain"].split(",", 1)
    assert cwd == f"('{weather.folder}'"
    assert "default_int_handler" in handler
    assert (error[0].ename, error[0].evalue) == ("BatchfileError", "nope.toml: no such file")


def test_an_interrupt_stops_the_runs_and_not_the_kernel(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "echo $PPID > pid; kill -INT $(cat kernel); while :; do :; done"\n')
    stopped, after = executed(
        box,
        "import os, pydoit_sc as sc\nopen('kernel', 'w').write(str(os.getpid()))\nsc.load().run()",
        "sc.load()['a'].status.value",
    )
    assert stopped[0].ename == "KeyboardInterrupt"
    assert after[0].data["text/plain"] == "'incomplete'"
    assert not os.path.exists(f"/proc/{(box.folder / 'pid').read_text().strip()}")
