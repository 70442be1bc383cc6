"""`logs`: show what runs have written, or follow them while they execute."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.commands.base import OPT_ATTEMPT, Command
from pydoit_sc.commands.parsing import flag, parse_count
from pydoit_sc.commands.selecting import OR_OPTIONS, SELECTING, SOME_NAMES, selected
from pydoit_sc.errors import UserError, printable
from pydoit_sc.outcomes.history import attempt_at
from pydoit_sc.outcomes.output import LiveOutput
from pydoit_sc.project import Project
from pydoit_sc.show.written import Printer, print_output
from pydoit_sc.store import Live, Store
from pydoit_sc.store.asking import ASKED_FOR, LOOK_EVERY, SHOW_EVERY, Asking
from pydoit_sc.store.layout import STDERR, STDOUT
from pydoit_sc.submissions.notes import under_way
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

PAUSE = 0.2  # seconds between two looks at files that are being written
#: Seconds without any run that executes; on file systems a worker says within one what it executes.
PATIENCE = 3.0
_ASK_EVERY = 1.0
_ASK_ENGINE_EVERY = 30.0
MOST_FOLLOWED = 64  # runs


class LogsCommand(Command):
    """Show what runs have written."""

    name = "logs"
    doc_usage = SOME_NAMES
    doc_description = (
        "A run's stdout goes to standard output, its stderr to standard error, byte for byte; of several runs, each line "
        "begins with the run's name. Of a run that executes now, on any machine: what it has written so far. Where its "
        "files are out of reach, its worker is asked for them. It looks for that every 5 s, and shows the last 64 kB of "
        "each file. With `--follow`, runs without an outcome are waited for, as long as something executes or has "
        "been submitted.\n"
        "\n"
        "`history RUN` counts the attempts of `--attempt`; without it, it is the one that executes, or else the last "
        "that was published.\n"
        "\n"
        f"{OR_OPTIONS}\n"
        "\n"
        "Exit code: 0, also where no run matches the options; 3 where the runs have no output."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *SELECTING,
        flag("stdout", "stdout only"),
        flag("stderr", "stderr only"),
        flag("follow", "show what they write until they have ended; wait for those that have yet to start"),
        OPT_ATTEMPT,
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Copy the files; the exit code is 0, or 3 where the runs have no output."""
        number = parse_count(options["attempt"], "--attempt")
        project = open_project(options)
        chosen = selected(project, options, words)
        if chosen is None:
            raise InvalidCommand(f"logs: expected the name of a run; see `{self.bin_name} help logs`")
        both = options["stdout"] == options["stderr"]
        names = [name for name in (STDOUT, STDERR) if both or options[name]]
        printers = {
            run.key: Printer(stage.task_name(run), names, prefixed=len(chosen) > 1) for stage, run in chosen
        }
        if number is not None:
            keys = [(attempt_at(project.store, key, number), printer) for key, printer in printers.items()]
            found = [print_output(project.store, key, printer) for key, printer in keys]
        else:
            live = _live(project.store, printers)
            ended = [key for key in printers if key not in live]
            found = [print_output(project.store, key, printers[key]) for key in ended]
            if options["follow"]:
                awaited = [key for key, one in zip(ended, found, strict=True) if not one]
                found.append(_follow(project, live, printers, awaited))
            else:
                found.append(_show(project.store, live, printers))
        if chosen and not any(found):
            raise InvalidCommand(f"logs: {_listed(printers.values())} no output in {project.store.url}")
        return 0


def _listed(printers: Iterable[Printer]) -> str:
    names = [f"`{printer.run}`" for printer in printers]
    return f"{names[0]} has" if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more have"


def _live(store: Store, keys: Iterable[str]) -> dict[str, LiveOutput]:
    """Return those of these runs that execute now; a worker may not have said yet that one has ended."""
    running = store.running()
    wanted = [key for key in keys if key in running]
    records = store.scan(wanted) if wanted else {}
    outputs = {key: LiveOutput(store, key, running[key]) for key in wanted}
    return {
        key: output
        for key, output in outputs.items()
        if key not in records or records[key].attempt != output.attempt
    }


def _show(store: Store, live: dict[str, LiveOutput], printers: Mapping[str, Printer]) -> bool:
    """Print what these runs have written so far; return whether something of them could be had."""
    found = False
    until = time.monotonic() + ASKED_FOR
    with Asking(store) as asking:
        while silent := _ask(asking, live.values()):
            if time.monotonic() > until:
                _tell(silent)
                break
            time.sleep(_ASK_EVERY)
            _turn_to_retries(store, live)
    for key, output in live.items():
        if output.is_known:
            _print_new(output, printers[key])
            printers[key].end()
            found = True
        else:
            found |= print_output(store, key, printers[key])  # it may have ended meanwhile
        output.close()
    return found


def _turn_to_retries(store: Store, live: dict[str, LiveOutput]) -> None:
    """Look at the attempts of now where nothing was had of the ones before: short ones are over before they are read."""
    running = store.running()
    for key, output in live.items():
        now = running.get(key)
        if not output.is_known and now is not None:
            output.close()
            live[key] = LiveOutput(store, key, now)


def _follow(
    project: Project, live: dict[str, LiveOutput], printers: Mapping[str, Printer], awaited: Iterable[str]
) -> bool:
    """Print what these runs write until all have ended, also those that have yet to start; return whether there are any."""
    if len(live) > MOST_FOLLOWED:
        raise UserError(f"--follow: expected {MOST_FOLLOWED} runs that execute at most, found {len(live):,}")
    store = project.store
    pause = SHOW_EVERY if store.takes_requests else PAUSE
    until, found = time.monotonic() + ASKED_FOR, bool(live)
    waiting = _Waiting(project, awaited, printers)
    with Asking(store) as asking:
        while live or waiting.keys:
            running = store.running()
            for key in waiting.started(running, MOST_FOLLOWED - len(live)):
                live[key], found = LiveOutput(store, key, running[key]), True
            found |= waiting.ended()
            silent = _ask(asking, live.values())
            if silent and time.monotonic() > until:
                _tell(silent)
                until = math.inf
            for key, output in live.items():
                _print_new(output, printers[key])
            _end(store, live, printers, running)
            if waiting.is_in_vain(running):
                break
            if live or waiting.keys:
                time.sleep(pause)
    return found


class _Waiting:
    """The runs that are followed and have not started yet, as long as something executes or has been submitted."""

    def __init__(self, project: Project, keys: Iterable[str], printers: Mapping[str, Printer]) -> None:
        self.keys = dict.fromkeys(keys)
        self._project, self._store, self._printers = project, project.store, printers
        self._patience = 2 * LOOK_EVERY if project.store.takes_requests else PATIENCE
        self._until = time.monotonic() + self._patience
        self._next_look = 0.0
        if self.keys:
            print(f"waiting for {self._names}", file=sys.stderr)

    @property
    def _names(self) -> str:
        first = self._printers[next(iter(self.keys))].run
        return f"`{printable(first)}`" + (f" and {len(self.keys) - 1:,} more" if len(self.keys) > 1 else "")

    def started(self, running: Mapping[str, Live], at_most: int) -> list[str]:
        """Take out, and return, some of those that execute now."""
        found = [key for key in self.keys if key in running][:at_most] if self.keys else []
        for key in found:
            del self.keys[key]
        return found

    def ended(self) -> bool:
        """Take out those that have ended between two looks, and print what they have written."""
        if not self.keys or (began := time.monotonic()) < self._next_look:
            return False
        found = list(self._store.glance(self.keys))
        for key in found:
            del self.keys[key]
            print_output(self._store, key, self._printers[key])
        self._next_look = began + 5 * (time.monotonic() - began) + PAUSE
        return bool(found)

    def is_in_vain(self, running: Mapping[str, Live]) -> bool:
        """Return whether nothing has executed for a while, and nothing is submitted, so that none of them will start."""
        now = time.monotonic()
        if not self.keys or running:
            self._until = now + self._patience
        if now < self._until:
            return False
        if under_way(self._store, self._project.batch):
            self._until = now + _ASK_ENGINE_EVERY
            return False
        print(
            f"nothing executes, and nothing is submitted: no longer waiting for {self._names}",
            file=sys.stderr,
        )
        return True


def _ask(asking: Asking, outputs: Iterable[LiveOutput]) -> list[LiveOutput]:
    """Ask for the outputs that are out of reach; return those of which nothing was shown yet."""
    elsewhere = {output.attempt: output for output in outputs if not output.is_here}
    for attempt, shown in asking.look(elsewhere).items():
        elsewhere[attempt].show(shown)
    return [output for output in elsewhere.values() if not output.is_known]


def _tell(silent: Iterable[LiveOutput]) -> None:
    hosts = ", ".join(sorted({printable(output.live.host) for output in silent}))
    print(f"no answer yet from {hosts}: a worker looks every {LOOK_EVERY:g} s", file=sys.stderr)


def _print_new(output: LiveOutput, printer: Printer) -> None:
    for name in printer.names:
        for data in output.new(name):
            printer.write(name, data)
        if lost := output.lost.pop(name, 0):
            print(f"{printer.run}: {lost:,} earlier bytes of {name} are not shown", file=sys.stderr)


def _end(
    store: Store,
    live: dict[str, LiveOutput],
    printers: Mapping[str, Printer],
    running: Mapping[str, Live],
) -> None:
    """Print the rest of the attempts that have ended, and go on with those that have followed them."""
    records = store.scan(live)
    for key, output in list(live.items()):
        published = key in records and records[key].attempt == output.attempt
        now = None if published else running.get(key)
        if now is not None and now.folder == output.live.folder:
            continue
        if now is None and not published and output.may_be_published():
            continue
        for name in printers[key].names:
            for data in output.rest(name, key if published else None):
                printers[key].write(name, data)
        printers[key].end()
        output.close()
        del live[key]
        if now is not None:
            live[key] = LiveOutput(store, key, now)
