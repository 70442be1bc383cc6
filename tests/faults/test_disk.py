"""A disk that loses data after it has taken it: the kernel says so once, to whoever asks first."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from pydoit_sc.store import Finished, StoreError
from pydoit_sc.store.posix import PosixStore
from tests.faults import explore
from tests.faults.power import losing_disk
from tests.faults.tally import Tally

LOST = "Input/output error|No space left on device|Read-only file system"  # what ext4 becomes after the first
_MORE_THAN_IT_HAS = 32 << 20  # bytes


@pytest.mark.usefixtures("can_cut_power")
def test_nothing_is_published_whose_data_the_disk_has_lost(tally: Tally) -> None:
    """Another worker's sync hears of the loss first, and the loser's own sync would succeed the second time."""
    began, violations = time.monotonic(), 1
    with tempfile.TemporaryDirectory(dir=explore.PLACE) as folder, losing_disk(Path(folder)) as disk:
        root = disk / "store"
        try:
            lose(root)
            violations = 0
        finally:
            what = "data lost on its way to the disk"
            tally.add("file system, two workers", what, 3, 3, violations, time.monotonic() - began)


def lose(root: Path) -> None:
    """Let two workers write, lose the data of the first, and let each of them sync, the second one before."""
    one, other = PosixStore(str(root)), PosixStore(str(root))
    with one.workspace("one", None) as folder, other.workspace("other", None):
        attempt = Path(folder, "one-1")
        attempt.mkdir()
        (attempt / "stdout").write_bytes(os.urandom(_MORE_THAN_IT_HAS))
        (attempt / "status_code").write_bytes(b"0")
        with pytest.raises(StoreError, match=LOST):
            other.settle()
        finished = Finished("run", "one-1", str(attempt), None)
        for _ in ("at once", "as one of a later group"):
            with pytest.raises(StoreError, match=LOST):
                one.stage([finished])
