"""Forget or remove the outputs of many runs: on object stores some at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydoit_sc.outcomes.sidebyside import side_by_side
from pydoit_sc.store import Store, TakenError


def change_each(
    store: Store, change: Callable[[str], object], keys: Mapping[str, str]
) -> Iterator[tuple[str, TakenError | None]]:
    """Call `change`, a method of the store, for these runs, given by name; yield each with why it is left: something else has its place.

    Raises StoreError.
    """

    def call(name: str) -> tuple[str, TakenError | None]:
        try:
            change(keys[name])
        except TakenError as error:
            return name, error
        return name, None

    if keys:
        with store.changing():
            yield from side_by_side(call, keys, store.stagers)
