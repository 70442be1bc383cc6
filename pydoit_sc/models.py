"""Build pydantic models when they are first used, and without pydantic's search for plugins.

The search reads the metadata of every installed package, a fifth of the time of a short command.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from pydantic import BaseModel, ConfigDict

from pydoit_sc.later import later

_VARIABLE = "PYDANTIC_DISABLE_PLUGINS"
_ONE = threading.Lock()


class Deferred(BaseModel):
    """What each of our models is below: built when one is made for the first time, or by `build` before one is read."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """Build the model; called by pydantic, too."""
        with _ONE:  # the environment is that of all threads
            before = os.environ.get(_VARIABLE)
            os.environ[_VARIABLE] = "__all__"  # not for longer than this: programs inherit the environment
            try:
                with later("importlib.metadata"):  # for the search alone, and slow itself
                    return super().model_rebuild(**options)
            finally:
                del os.environ[_VARIABLE]
                if before is not None:
                    os.environ[_VARIABLE] = before


def build(model: type[BaseModel]) -> None:
    """Complete a model whose build was deferred; a model that is complete costs nothing."""
    if not model.__pydantic_complete__:
        model.model_rebuild()
