"""Pass through what the one run writes that a user has named."""

from __future__ import annotations

from collections.abc import Iterable

from pydoit_sc.batch import task_of
from pydoit_sc.outcomes.output import LiveOutput
from pydoit_sc.show.written import Printer, print_output
from pydoit_sc.store import Live, Store
from pydoit_sc.store.layout import STDERR, STDOUT
from pydoit_sc.worker.attempts import Attempt


class Passing:
    """The output of a run, as it comes."""

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._printer = Printer(task_of(key), (STDOUT, STDERR), prefixed=False)
        self._output: LiveOutput | None = None

    def look(self, live: Iterable[Attempt]) -> None:
        """Print what is new; a retry is a further attempt."""
        for attempt in live:
            if self._output is None or self._output.attempt != attempt.id:
                self._leave()
                place = Live(host="", folder=attempt.folder, since=attempt.started)
                self._output = LiveOutput(self._store, self._key, place)
        if self._output is not None:
            for name in self._printer.names:
                for data in self._output.new(name):
                    self._printer.write(name, data)

    def end(self, *, published: bool) -> None:
        """Print the rest, all of it where the run has ended before anybody looked."""
        if self._output is None and published:
            print_output(self._store, self._key, self._printer)
        self._leave(self._key if published else None)

    def _leave(self, key: str | None = None) -> None:
        if self._output is not None:
            for name in self._printer.names:
                for data in self._output.rest(name, key):
                    self._printer.write(name, data)
            self._output.close()
            self._output = None
