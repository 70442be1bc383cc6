"""Modules that come when something of them is called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pydoit_sc.later import later
from tests.conftest import HEAD

SLOW = {
    "cloudpickle",
    "difflib",
    "importlib.metadata",
    "logging",
    "multiprocessing",
    "pdb",
    "pydoit_sc.store.documents",
    "socket",
}


def test_a_stand_in_is_loaded_when_it_is_called() -> None:
    before = sys.modules.pop("colorsys", None)
    try:
        with later("colorsys", "json"):
            import colorsys
            import json
        assert "colorsys" not in sys.modules
        assert json is sys.modules["json"]  # it was there already
        assert colorsys.rgb_to_hsv(0.5, 0.5, 0.5) == (0.0, 0.0, 0.5)
        assert "colorsys" in sys.modules
    finally:
        if before:
            sys.modules["colorsys"] = before


#: What only a worker needs.
WORKER = {
    "pydoit_sc.store.asking",
    "pydoit_sc.tasks.chunk",
    "pydoit_sc.tasks.executing",
    "pydoit_sc.tasks.passing",
    "pydoit_sc.worker.attempts",
    "pydoit_sc.worker.executor",
}


def _loaded(folder: Path, names: set[str], *words: str) -> str:
    """Return the exit code of a command, and which of these modules it has loaded."""
    program = (
        f"import sys; from pydoit_sc.cli import main; code = main({list(words)});"
        f"print(code, sorted({names} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


def test_what_executes_nothing_loads_little(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(
        f'{HEAD}[runs.a]\ncmd = "true {{x}}"\nmatrix = {{ x = [0, 1] }}\n'
    )
    assert _loaded(tmp_path, SLOW | WORKER, "plan") == "0 []"
    executing = {"pydoit_sc.store.documents", "pydoit_sc.tasks.chunk", "pydoit_sc.worker.executor"}
    assert _loaded(tmp_path, executing, "run") == "0 ['pydoit_sc.worker.executor']"
    assert _loaded(tmp_path, SLOW | WORKER, "run") == "0 []"
