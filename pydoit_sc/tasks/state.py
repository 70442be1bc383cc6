"""doit's database as a batch needs it: a small file that is never locked, never half written and may be deleted.

It remembers what a user's own tasks save, and what `ignore` says of them. Of runs it knows nothing: the store does.
"""

from __future__ import annotations

from typing import Any

from doit.dependency import JsonDB
from doit.exceptions import InvalidDodoFile

from pydoit_sc.files import open_regular, write_whole


class StateDB(JsonDB):  # type: ignore[misc]
    """A JSON file, written only when something has changed, and in one step."""

    desc = "JSON file, replaced in one step"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        super().__init__(name, codec, module_name=module_name)
        self._before = self.codec.encode(self._db)

    def _load(self) -> dict[str, Any]:
        try:
            with open_regular(self.name) as file:
                found = self.codec.decode(file.read().decode())
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        except OSError as error:
            raise InvalidDodoFile(f"{self.name}: {error.strerror}") from error
        sound = isinstance(found, dict) and all(isinstance(values, dict) for values in found.values())
        return found if sound else {}

    def dump(self) -> None:
        """Write the file, if there is anything new to remember."""
        text = self.codec.encode(self._db)
        if text != self._before:
            try:
                write_whole(self.name, text.encode())
            except OSError as error:
                raise InvalidDodoFile(f"{self.name}: {error.strerror}") from error
