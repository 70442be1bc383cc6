"""Models are built when they are first used, by whichever thread that is."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, cast

import pytest
from pydantic import BaseModel, ConfigDict, create_model

from pydoit_sc.models import build


@pytest.mark.parametrize("before", [None, "some"])
def test_threads_build_at_once(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    if before is None:
        monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    else:
        monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", before)
    config, fields = ConfigDict(defer_build=True), cast(Any, {f"f{i}": (int, i) for i in range(20)})
    models: list[type[BaseModel]] = [create_model(f"M{n}", __config__=config, **fields) for n in range(40)]
    together = Barrier(8)

    def build_some(start: int) -> None:
        together.wait()
        for model in models[start::8]:
            build(model)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(build_some, range(8)))
    assert all(model.__pydantic_complete__ for model in models)
    assert os.environ.get("PYDANTIC_DISABLE_PLUGINS") == before
