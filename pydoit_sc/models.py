"""Build pydantic models when they are first used, and without pydantic's search for plugins.

The search reads the metadata of every installed package, a fifth of the time of a short command.
"""

from __future__ import annotations

import os
import threading

from pydantic import BaseModel

from pydoit_sc.later import later

_VARIABLE = "PYDANTIC_DISABLE_PLUGINS"
_ONE = threading.Lock()


def build(model: type[BaseModel]) -> None:
    """Complete a model whose build was deferred (`defer_build`); a model that is complete costs nothing."""
    if model.__pydantic_complete__:
        return
    with _ONE:  # the environment is that of all threads
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = "__all__"  # not for longer than this: programs inherit the environment
        try:
            with later("importlib.metadata"):  # for the search alone, and slow itself
                model.model_rebuild()
        finally:
            del os.environ[_VARIABLE]
            if before is not None:
                os.environ[_VARIABLE] = before
