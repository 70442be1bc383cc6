"""Start programs, each in a session of its own: by a small library in C where there is one, or else by posix_spawn.

posix_spawn returns when the program is loaded; until then the worker could do nothing else. The library does not wait, so
that it is known only from the end of a child whether it ever had its program.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydoit_sc import native

if TYPE_CHECKING:
    from ctypes import PyDLL

#: Python ignores SIGPIPE, and a shell may start us with others ignored; programs expect the defaults.
DEFAULTS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Environment(NamedTuple):
    """The variables of a program: those that programs in a row have in common, and its own, which are others.

    What they have in common is encoded once, as long as it is the same mapping.
    """

    common: Mapping[str, str]
    own: Mapping[str, str]

    def whole(self) -> dict[str, str]:
        """Return all of them."""
        return {**self.common, **self.own}


class Starter:
    """Starts programs by posix_spawn."""

    def __init__(self) -> None:
        self._common: Mapping[str, str] = {}
        self._encoded: dict[bytes, bytes] = {}

    def start(self, words: tuple[str, ...], env: Environment, stdout: str, stderr: str) -> int:
        """Start a program, whose path is the first of the words, with files that it appends to; return its pid, or raise OSError."""
        if env.common is not self._common:
            self._encoded, self._common = _encoded(env.common), env.common
        return os.posix_spawn(
            words[0],
            words,
            {**self._encoded, **_encoded(env.own)},
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, stdout, _APPEND, 0o644),
                (os.POSIX_SPAWN_OPEN, 2, stderr, _APPEND, 0o644),
            ),
            setsid=True,
            setsigmask=(),
            setsigdef=DEFAULTS,
        )

    def error_of(self, _pid: int) -> int:
        """Return the errno for which a child that has ended never had its program, once; 0 where it had."""
        return 0

    def settle(self, _seconds: float) -> None:
        """Return when all children are in their sessions and have their programs, or when the time is over."""


class QuickStarter(Starter):
    """Starts programs by the library."""

    def __init__(self, quick: PyDLL) -> None:
        import ctypes  # noqa: PLC0415 - only what executes runs needs it

        super().__init__()
        text, size = ctypes.c_char_p, ctypes.c_size_t
        self._start = quick.start_program
        self._start.argtypes = (text, size, text, size, text, size, text, text)
        self._said: Mapping[str, str] = {}  # what is common, and its text
        self._text = b""
        self._error = quick.start_error
        self._await = ctypes.CDLL(quick._name).await_programs  # which may take long

    def start(self, words: tuple[str, ...], env: Environment, stdout: str, stderr: str) -> int:
        """Start a program; see above. Where the library does not do it, posix_spawn does."""
        try:
            if env.common is not self._said:
                self._text, self._said = _joined([*map("=".join, env.common.items())]), env.common
            said, own = _joined(words), _joined([*map("=".join, env.own.items())])
        except ValueError:
            return super().start(words, env, stdout, stderr)  # which says what is wrong
        text, out, err = self._text, os.fsencode(stdout), os.fsencode(stderr)
        pid: int = self._start(said, len(said), text, len(text), own, len(own), out, err)
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid or super().start(words, env, stdout, stderr)

    def error_of(self, pid: int) -> int:
        """Return the errno of a start that has failed, once."""
        error: int = self._error(pid)
        return error

    def settle(self, seconds: float) -> None:
        """Return when all children have their programs, or when the time is over."""
        self._await(int(1000 * seconds))


def _encoded(env: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in env.items()}


def _joined(strings: Sequence[str]) -> bytes:
    """Return strings with a zero byte behind each; raises ValueError where one has such a byte itself."""
    text = "\0".join([*strings, ""])
    if text.count("\0") != len(strings):
        raise ValueError("a zero byte")
    return os.fsencode(text)


def make_starter() -> Starter:
    """Return the quickest way that there is here."""
    quick = native.find()
    return QuickStarter(quick) if quick else Starter()
