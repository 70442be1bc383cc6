"""Disks of our own: one whose power can be cut, so that what was not brought to it is gone, and one that loses data."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydoit_sc.linux import syncfs

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2  # what the journal has not written is lost, too
_SIZE = 16 << 20  # bytes
_BUSY = 20.0  # seconds


class Disk:
    """An ext4 file system in a file, mounted by a loop device; raises CalledProcessError where that is impossible."""

    def __init__(self, folder: Path, size: int = _SIZE) -> None:
        self.mount = folder / "disk"
        self._image = folder / "image"
        self.mount.mkdir()
        with open(self._image, "wb") as image:
            image.truncate(size)
        _run("mkfs.ext4", "-qF", str(self._image))
        self._attach()

    def sync(self) -> None:
        """Bring to the disk what belongs to it by now."""
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            syncfs(fd)
        finally:
            os.close(fd)

    def cut(self) -> None:
        """Cut the power, and start the machine again."""
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)
        self._unmount()
        self._attach()

    def close(self) -> None:
        """Unmount the disk, even if somebody still has a file open there."""
        _run("umount", "--lazy", str(self.mount))

    def _unmount(self) -> None:
        """Unmount the disk; a process that another thread is just forking may have our file open for a moment.

        A process that has mounts of its own may have ours among them: then the disk would come back as it is now.
        """
        until = time.monotonic() + _BUSY
        while True:
            try:
                _run("umount", str(self.mount))
                break
            except subprocess.CalledProcessError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        while _run("losetup", "--associated", str(self._image)):
            assert time.monotonic() < until, f"{self._image} is mounted elsewhere, too (lsns --type mnt)"
            time.sleep(0.02)

    def _attach(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.mount))


@contextmanager
def losing_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk that says it has four times the space there is: it loses data on the way from the memory to it."""
    below = folder / "below"
    below.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(below))
    try:
        with closing(Disk(below, 4 * _SIZE)) as disk:
            yield disk.mount
    finally:
        _run("umount", "--lazy", str(below))


def _run(*words: str) -> bytes:
    return subprocess.run(words, check=True, capture_output=True).stdout
