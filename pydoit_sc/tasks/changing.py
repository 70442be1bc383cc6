"""Forget or remove the outputs of many runs: on object stores some at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydoit_sc.sidebyside import side_by_side
from pydoit_sc.store import Outputs, Store, TakenError
from pydoit_sc.store.places import FILES


def change_each(
    store: Store, change: Callable[[str], bool], keys: Mapping[str, str]
) -> Iterator[tuple[str, bool | TakenError]]:
    """Call `change`, a method of the store, for these runs, given by name; yield for each whether there was anything.

    Or why it is left: something else has its place. Raises StoreError.
    """

    def call(name: str) -> tuple[str, bool | TakenError]:
        try:
            return name, change(keys[name])
        except TakenError as error:
            return name, error

    if keys:
        with store.changing():
            yield from side_by_side(call, keys, store.stagers)


def look_at_each(store: Store, keys: Mapping[str, str]) -> Iterator[tuple[str, bool | TakenError]]:
    """Yield for each of these runs whether there is anything that `remove` would remove, or why it would not; raises StoreError."""
    known, beside = store.scan(keys.values()), store.beside([*keys.values()])

    def look(name: str) -> tuple[str, bool | TakenError]:
        key = keys[name]
        if key in beside:
            return name, TakenError(beside[key])
        return name, key in known or is_anything_left(store, key)

    yield from side_by_side(look, keys, store.stagers)


def is_anything_left(store: Outputs, key: str) -> bool:
    """Return whether there is anything of a run, or of its history."""
    return not FILES.isdisjoint(store.files(key)) or bool(store.former(key))
