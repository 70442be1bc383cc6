"""Execute a batch from Python: by the command `run`, in a process of its own."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from pydoit_sc.batch import Batch
from pydoit_sc.engines.leash import on_leash
from pydoit_sc.errors import UserError
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.selection import Selection

_ERROR = "ERROR: "
_REFUSED = 3  # the exit code where nothing was started
_KEPT = 1000  # lines of what is shown


class ExecutionError(UserError):
    """Something could not be executed, or the execution was stopped; `counts`: how far it has come, None if unknown."""

    def __init__(self, text: str, counts: Counts | None) -> None:
        super().__init__(text)
        self.counts = counts


def words_of(
    batch: Batch, selection: Selection, options: Mapping[str, object], flags: Mapping[str, bool]
) -> list[str]:
    """Return the words for a command on runs of a batch.

    >>> from pathlib import Path
    >>> batch = Batch("b", Path("/b.toml"), "out", (), words=("-f", "/b.toml"))
    >>> words_of(batch, Selection(("a",)), {"retries": 2, "timeout": None}, {"moved": True})
    ['-f', '/b.toml', '--retries=2', '--moved', '--', 'a']
    """
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    set_ = [f"--{name}" for name, is_set in flags.items() if is_set]
    return [*batch.words, *given, *set_, *shlex.split(selection.said), "--", *selection.words]


def execute(words: Sequence[str], folder: str, tell: Callable[[str], None] | None) -> Counts:
    """Execute `run` with these words in a folder, and return how it has ended; `tell` gets each line that it shows.

    An interrupt stops it as Ctrl-C does, a second one at once, and is raised when it has ended. Raises UserError for what
    it refuses, ExecutionError where something could not be executed.
    """
    interrupted = False
    shown = deque[str](maxlen=_KEPT)
    with subprocess.Popen(
        on_leash(sys.executable, "-m", "pydoit_sc", "run", "--json", "--reporter=batch", *words),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        start_new_session=True,  # an interrupt reaches it once: from here
    ) as process:
        assert process.stdout and process.stderr
        while True:
            try:
                for line in process.stderr:
                    if tell:
                        tell(line.removesuffix("\n"))
                    shown.append(line)
                figures = process.stdout.read()
                code = process.wait()
                break
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                interrupted = True
            except BaseException:  # of `tell`, or of a signal handler of the program
                process.terminate()
                raise
    if interrupted:
        raise KeyboardInterrupt
    return _end(code, figures, "".join(shown))


def _end(code: int, figures: str, shown: str) -> Counts:
    """Return how `run` has ended, by its exit code, its figures and the end of what it has shown; or raise that."""
    if not figures:
        text = (shown.partition(_ERROR)[2] or shown).strip() or f"`pydoit-sc run` ended with {code}"
        raise UserError(text) if code == _REFUSED else ExecutionError(text, None)
    known = json.loads(figures)
    counts = Counts(**{**known, "why": tuple(known["why"])})
    if code > 1:
        raise ExecutionError("; ".join(counts.why) or f"exit code {code}", counts)
    return counts
