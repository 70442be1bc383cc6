"""Start programs, each in a session of its own: by a small library in C where there is one, or else by posix_spawn.

posix_spawn returns when the program is loaded; until then the worker could do nothing else. The library, `starter.c`, does
not wait, so that it is known only from the end of a child whether it ever had its program.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

LIBRARY = os.path.join(os.path.dirname(__file__), "libstarter.so")
#: Where this is set in the environment, the library is not used.
PURE = "PYDOIT_SC_PURE"
#: Python ignores SIGPIPE, and a shell may start us with others ignored; programs expect the defaults.
DEFAULTS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Starter:
    """Starts programs by posix_spawn."""

    def start(self, words: tuple[str, ...], env: Mapping[bytes, bytes], stdout: str, stderr: str) -> int:
        """Start a program, whose path is the first of the words, with files that it appends to; return its pid, or raise OSError."""
        return os.posix_spawn(
            words[0],
            words,
            env,
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
    """Starts programs by the library; raises OSError where that cannot be loaded."""

    def __init__(self, path: str) -> None:
        import ctypes  # noqa: PLC0415 - only what executes runs needs it

        library = ctypes.PyDLL(path)  # keeps the interpreter's lock: a call takes less than handing that over
        text, size = ctypes.c_char_p, ctypes.c_size_t
        self._start = library.start_program
        self._start.argtypes = (text, size, text, size, text, text)
        self._error = library.start_error
        self._await = ctypes.CDLL(path).await_programs  # which may take long

    def start(self, words: tuple[str, ...], env: Mapping[bytes, bytes], stdout: str, stderr: str) -> int:
        """Start a program; see above. Where the library does not do it, posix_spawn does."""
        said = b"".join([b"%b\0" % os.fsencode(word) for word in words])
        variables = b"".join([b"%b=%b\0" % item for item in env.items()])
        if said.count(b"\0") != len(words) or variables.count(b"\0") != len(env):
            return super().start(words, env, stdout, stderr)  # which refuses zero bytes
        out, err = os.fsencode(stdout), os.fsencode(stderr)
        pid: int = self._start(said, len(said), variables, len(variables), out, err)
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


def make_starter() -> Starter:
    """Return the quickest way that there is here."""
    if os.environ.get(PURE) or not os.path.exists(LIBRARY):
        return Starter()
    try:
        return QuickStarter(LIBRARY)
    except (OSError, AttributeError):  # built for another machine or C library; of another version
        return Starter()
