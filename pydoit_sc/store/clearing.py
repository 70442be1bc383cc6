"""Forget and remove the outputs of runs on an object store, as a user's command does: each key is held under a lease."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from pydoit_sc.store.blobs import Blobs
from pydoit_sc.store.claims import Claims
from pydoit_sc.store.history import attempts_in, home_of
from pydoit_sc.store.leases import TTL, Leases


class Clearing:
    """The keys that a command clears; several threads may do so at once, where they share its lease."""

    def __init__(self, blobs: Blobs, url: str) -> None:
        self._blobs, self._url = blobs, url
        self._shared: Leases | None = None

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Take one lease for all that is cleared until the end: each stays in the store for a day."""
        with self._lease() as shared:
            self._shared = shared
            try:
                yield
            finally:
                self._shared = None

    @contextmanager
    def _lease(self) -> Iterator[Leases]:
        leases = Leases(self._blobs, self._url)
        with leases.keep(secrets.token_hex(5)):
            yield leases

    def forget(self, key: str) -> bool:
        """Move an output to the history."""
        with self._clearing(key) as (claims, files):
            claims.to_history(key, files)
        return bool(files)

    def remove(self, key: str) -> bool:
        """Delete an output and its history."""
        with self._clearing(key) as (claims, files):
            claims.check_ours(key, files)
            claims.delete(key, files)
            history = home_of(key)
            names = claims.list(history)
            attempts = attempts_in(names)  # others are of runs whose keys lie below this one
            claims.delete(history, (name for name in names if name.partition("/")[0] in attempts))
        return bool(files or attempts)

    @contextmanager
    def _clearing(self, key: str) -> Iterator[tuple[Claims, Collection[str]]]:
        """Hold a key; give the names of the run's objects."""
        claims = Claims(self._blobs, Leases(self._blobs, self._url), self._url)
        if not claims.list(key):
            yield claims, ()
            return
        with ExitStack() as ours:
            leases = self._shared or ours.enter_context(self._lease())
            claims = Claims(self._blobs, leases, self._url)
            with claims.clearing(key, 2 * TTL) as files:
                yield claims, files.keys()
