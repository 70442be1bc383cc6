"""Batchfiles from text, and the problems of bad ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile import BatchfileError, load

Write = Callable[..., Batch]
Problems = Callable[..., list[str]]


@pytest.fixture
def make(tmp_path: Path) -> Write:
    """Write a file and load it."""

    def make(text: str | bytes, name: str = "batchfile.toml", **options: str) -> Batch:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return load(path, **options)

    return make


@pytest.fixture
def problems(make: Write, tmp_path: Path) -> Problems:
    """Write a bad file and return the lines of its error, without the folder."""

    def problems(text: str | bytes, name: str = "batchfile.toml", **options: str) -> list[str]:
        with pytest.raises(BatchfileError) as caught:
            make(text, name, **options)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return problems
