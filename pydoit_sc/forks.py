"""Let forked processes share a work of pure computation and reading: they see what this one has, and send back what they find."""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 8  # processes: file systems answer hardly more readers sooner


def shares(size: int, least: int) -> list[slice]:
    """Return the parts of so many things for the processes that are worth while, each of `least` or more.

    One part where this process has threads: a fork would have their locks, but not them.
    """
    cores = 1 if has_threads() else min(len(os.sched_getaffinity(0)), _MOST)
    parts = max(1, min(cores, size // least))
    return [slice(size * n // parts, size * (n + 1) // parts) for n in range(parts)]


def has_threads() -> bool:
    """Return whether this process has another thread, of Python or of a library."""
    return len(os.listdir("/proc/self/task")) > 1


def in_processes(works: Sequence[Callable[[], T]]) -> list[T]:
    """Return what these find, each in a process of its own, but for the last, which is called here; raises what they raise."""
    children = [_fork(work) for work in works[:-1]]
    try:
        last = works[-1]()
    finally:
        answers = [_answer(*child) if child else b"" for child in children]
    return [_found(answer, work) for answer, work in zip(answers, works[:-1], strict=True)] + [last]


def _fork(work: Callable[[], object]) -> tuple[int, int] | None:
    """Begin a work in a new process; return its id, and where it writes its answer; None where there cannot be another one."""
    try:
        read, write = os.pipe()
    except OSError:
        return None
    try:
        pid = os.fork()
    except OSError:
        os.close(read)
        os.close(write)
        return None
    if pid:
        os.close(write)
        return pid, read
    try:
        gc.disable()  # it would touch what both processes share, and so copy it
        os.close(read)
        with open(write, "wb") as stream:
            pickle.dump(_tried(work), stream, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)  # nothing of this process is flushed or closed twice


def _tried(work: Callable[[], object]) -> tuple[object, Exception | None]:
    try:
        return work(), None
    except Exception as error:
        return None, error


def _answer(pid: int, read: int) -> bytes:
    with open(read, "rb") as stream:
        answer = stream.read()
    os.waitpid(pid, 0)
    return answer


def _found(answer: bytes, work: Callable[[], T]) -> T:
    """Return what an answer says; where there is no process, or it was killed, or cannot say it, the work is done here."""
    try:
        found: Any
        found, error = pickle.loads(answer)
    except Exception:
        return work()
    if error is not None:
        raise error
    return found  # type: ignore[no-any-return]
