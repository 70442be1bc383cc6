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


def test_a_plan_loads_little(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(
        f'{HEAD}[runs.a]\ncmd = "true {{x}}"\nmatrix = {{ x = [0, 1] }}\n'
    )
    program = (
        "import sys; from pydoit_sc.cli import main; code = main(['plan']);"
        f"print(code, sorted({SLOW} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"
