"""Compile the small library in C into the wheel. Without a C compiler, or on another machine than x86-64, the wheel is pure."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path(__file__).with_name("pydoit_sc") / "quick.c"
LIBRARY = "libquick.so"


def compile_library(folder: Path) -> Path | None:
    """Return the library, compiled into a folder; None where that is not possible."""
    made, library = folder / f".{LIBRARY}.{os.getpid()}", folder / LIBRARY
    digest = hashlib.blake2b(SOURCE.read_bytes(), digest_size=16).hexdigest()
    words = [
        os.environ.get("CC", "cc"),
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-fPIC",
        "-shared",
        f"-DSOURCE_DIGEST={digest}",
        str(SOURCE),
        "-o",
        str(made),
    ]
    try:
        subprocess.run(words, check=True, capture_output=True)
        made.replace(library)  # a worker may have the old one in its memory
    except (OSError, subprocess.CalledProcessError):
        made.unlink(missing_ok=True)
        return None
    return library


class CompileLibrary(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the library to a wheel, or to the checkout that an editable install is of."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile; called by hatchling before it packs."""
        if version == "editable":
            compile_library(SOURCE.parent)
        elif library := compile_library(Path(tempfile.mkdtemp())):
            build_data["force_include"][str(library)] = f"pydoit_sc/{LIBRARY}"
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
