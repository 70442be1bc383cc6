"""The program with a bug planted in it, to see that the suite finds it: `planted.py BUG -- batch CHUNK`.

Each bug is one that stores like ours have had. It is a function below that replaces one of the product's; a further
bug needs nothing but a further function with `@bug`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence

from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.cli import main
from pydoit_sc.store import Finished, Outcome, Record, posix, replacing
from pydoit_sc.store.blobs import Blob
from pydoit_sc.store.index import read_index
from pydoit_sc.store.layout import STATUS_CODE
from pydoit_sc.store.leases import Leases
from pydoit_sc.store.objects import ObjectStore
from pydoit_sc.store.publication import Publication

BUGS: dict[str, Callable[[], None]] = {}


def bug(plant: Callable[[], None]) -> Callable[[], None]:
    """Make a bug known by its function's name."""
    BUGS[plant.__name__] = plant
    return plant


def plant(name: str) -> None:
    """Put the bug of this name into this process's program."""
    BUGS[name]()


@bug
def status_code_first() -> None:
    """The mark that says that a run is finished comes before what it stands for."""
    _publish_by_file(lambda name: name != STATUS_CODE)


@bug
def rename_by_file() -> None:
    """The mark comes last, but each file is renamed by itself, as if nobody else could publish the run."""
    _publish_by_file(lambda name: name == STATUS_CODE)


@bug
def no_sync() -> None:
    """Nothing waits for the disk."""
    posix.PosixStore.settle = lambda self: None  # type: ignore[method-assign]


@bug
def completed_again() -> None:
    """What is completed is executed once more."""

    def completed(self: Chunk, fingerprint: str, record: Record | None) -> bool:
        return False

    Chunk.completed = completed  # type: ignore[method-assign]


@bug
def last_one_wins() -> None:
    """A completed outcome is replaced by whoever comes later."""

    def stays(there: Record | None, supersedes: str | None, fingerprint: str) -> bool:
        return False

    replacing.stays = stays  # type: ignore[attr-defined]


@bug
def sealed_first() -> None:
    """On objects: the mark that says that a run is finished is uploaded before what it stands for."""
    real = Publication._claim

    def claim(self: Publication) -> Mapping[str, Blob] | None:
        there = real(self)
        if there is not None:
            self._seal()
        return there

    Publication._claim = claim  # type: ignore[method-assign]


@bug
def lease_ignored() -> None:
    """On objects: a worker that has lost its lease goes on."""

    def renew(self: Leases) -> None:
        self._version = self._blobs.put(f".pydoit_sc/leases/{self.worker}", self._text(self.worker))

    Leases.renew = renew  # type: ignore[method-assign]
    Leases.is_recent = True  # type: ignore[assignment,method-assign]
    Leases.check = lambda self, name=None: None  # type: ignore[method-assign]


@bug
def started_blindly() -> None:
    """On objects: a worker that was frozen starts what is left of its chunk, without a look at its lease."""
    ObjectStore.peek = lambda self, key: None  # type: ignore[method-assign]


class _Everything:
    def __contains__(self, _digest: object) -> bool:
        return True


@bug
def index_believed() -> None:
    """On objects: what the index says of a run is believed, without a look at whether it has changed since."""
    real = ObjectStore._small_contents

    def read(
        self: ObjectStore, codes: Mapping[str, Blob], run_jsons: Mapping[str, Blob], index: Sequence[Blob]
    ) -> dict[str, tuple[bytes, bytes | None]]:
        listed = [*self._blobs.list(".pydoit_sc/index")]
        believed = read_index(self._blobs, listed, _Everything()).values()
        entries = sorted(map(json.loads, believed), key=lambda said: said["finished"])
        oldest = {_name(said): json.dumps(said).encode() for said in reversed(entries)}
        small = real(self, codes, run_jsons, index)
        return {key: (code, oldest.get(key, said)) for key, (code, said) in small.items()}

    def _name(said: dict[str, str]) -> str:
        return said["fingerprint"].split()[2]  # "fingerprint of NAME now"

    ObjectStore._small_contents = read  # type: ignore[method-assign]


def _publish_by_file(order: Callable[[str], bool]) -> None:
    def commit(self: posix.PosixStore, attempt: Finished, folder: str) -> Outcome:
        target = self._path(attempt.key)
        os.makedirs(target, exist_ok=True)
        for name in sorted(os.listdir(folder), key=order):
            if os.path.isdir(f"{target}/{name}"):
                shutil.rmtree(f"{target}/{name}")
            os.replace(f"{folder}/{name}", f"{target}/{name}")
        os.rmdir(folder)
        return Outcome.PUBLISHED

    posix.PosixStore._commit = commit  # type: ignore[method-assign]


if __name__ == "__main__":
    plant(sys.argv[1])
    sys.exit(main(sys.argv[3:]))
