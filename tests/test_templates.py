"""Templates are found in a checkout and in a wheel, which has the library in C, too, where it can be compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from hatch_build import compile_library
from pydoit_sc.templates import read_template

ROOT = Path(__file__).parents[1]


def test_a_checkout_has_them() -> None:
    assert read_template("slurm.sh") == (ROOT / "templates" / "slurm.sh").read_text()


def test_without_a_compiler_a_wheel_is_pure(tmp_path: Path) -> None:
    pack = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    env = {**os.environ, "CC": "no-such-compiler"}
    subprocess.run([sys.executable, "-c", pack, tmp_path], cwd=ROOT, env=env, capture_output=True, check=True)
    assert [wheel.name.partition("-py3")[2] for wheel in tmp_path.glob("*.whl")] == ["-none-any.whl"]


def test_a_wheel_has_them(tmp_path: Path) -> None:
    pack = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", pack, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with_library = compile_library(tmp_path) is not None
    assert ("pydoit_sc/libquick.so" in zipfile.ZipFile(wheel).namelist()) == with_library
    assert wheel.name.endswith("-py3-none-any.whl") != with_library
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    page = {path.name for path in (tmp_path / "installed" / "pydoit_sc" / "report").glob("page.*")}
    assert page == {"page.py", "page.html", "page.css", "page.js"}
    read = (
        "from pydoit_sc.templates import read_template; print(read_template('init/batchfile.toml'), end='')"
    )
    found = subprocess.run(
        [sys.executable, "-P", "-c", read] if sys.version_info >= (3, 11) else [sys.executable, "-c", read],
        cwd=tmp_path / "installed",
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == (ROOT / "templates" / "init" / "batchfile.toml").read_text()
