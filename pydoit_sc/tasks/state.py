"""doit's database as a batch needs it: a small file that is never locked, never half written and may be deleted.

It remembers what `ignore` says and what a user's own tasks save. Of runs it knows nothing: the store does.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from doit.dependency import DatabaseException, JsonDB
from doit.exceptions import InvalidDodoFile

from pydoit_sc.files import not_for_all


class StateDB(JsonDB):  # type: ignore[misc]
    """A JSON file, written only when something has changed, and in one step."""

    desc = "JSON file, replaced in one step"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        super().__init__(name, codec, module_name=module_name)
        self._before = self.codec.encode(self._db)

    def _load(self) -> dict[str, Any]:
        try:
            return dict(super()._load())
        except (DatabaseException, OSError):
            return {}

    def dump(self) -> None:
        """Write the file, if there is anything new to remember."""
        text = self.codec.encode(self._db)
        if text != self._before:
            temporary = f"{self.name}.{os.getpid()}"
            try:
                with open(temporary, "w", encoding="utf-8", opener=not_for_all) as file:
                    file.write(text)
                os.replace(temporary, self.name)
            except OSError as error:
                with suppress(OSError):
                    os.unlink(temporary)
                raise InvalidDodoFile(f"{self.name}: {error.strerror}") from error
