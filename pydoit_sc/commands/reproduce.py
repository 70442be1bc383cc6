"""`reproduce`: a published attempt once more, in a fresh folder, and how its outputs compare with those that are stored."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.changes import details, provenance_at, word_diff
from pydoit_sc.commands.base import OPT_ATTEMPT, Command
from pydoit_sc.commands.parsing import flag, json_option, parse_count
from pydoit_sc.errors import UserError, printable
from pydoit_sc.ledger import Work
from pydoit_sc.outcomes.history import attempt_at
from pydoit_sc.reproduction import EQUAL, Compared, Origin, Output, code_of, compare, execute
from pydoit_sc.store import StoreError
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project

SHOWN = 50  # files


class ReproduceCommand(Command):
    """Execute a published attempt again, and compare."""

    name = "reproduce"
    doc_usage = "[BATCH] RUN"
    doc_description = (
        "The outcome that is published, or an earlier attempt. The code is what was sent with the run's submission, or "
        "else the git commit that its `run.json` names, in a fresh folder; files of `file_dep` that the commit does not "
        "have are linked to this folder's. Where neither can be had, the "
        "command starts in the batchfile's folder as it is now. Environment, shell and limits are the batchfile's; what differs "
        "from those of then is told, as far as `run.json` knows. Nothing is published. The new output is kept, and where it differs its code, too.\n"
        "\n"
        "Exit code: 0 if all files are equal, 1 if one differs, 3 where nothing was started, 128+n stopped by signal n."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        OPT_ATTEMPT,
        json_option("a list of files, with name and how: equal, or how it differs"),
        flag(
            "recorded",
            "the command and the code that the store names, also where the batchfile has another command by now, and where "
            "the code was sent from elsewhere: they are executed",
        ),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Execute, compare, and return the exit code."""
        project = open_project(options)
        stage, run = self.one_run(project, words)
        task, store = stage.task_name(run), project.store
        key = attempt_at(store, run.key, parse_count(options["attempt"], "--attempt"))
        known = provenance_at(store, key)
        if known is None:
            raise InvalidCommand(f"reproduce: {task} has no `run.json` that tells how it was executed")
        if known.cmd != run.cmd and not options["recorded"]:
            diff = printable(word_diff(known.cmd, run.cmd))
            raise UserError(
                f"{task}: its command has changed since: {diff}; --recorded executes the one that the store has"
            )
        project.narrow([(stage, run)])
        into = tempfile.mkdtemp(prefix="pydoit-sc-reproduce-")
        with ExitStack() as unless_it_ends:
            unless_it_ends.callback(shutil.rmtree, into, ignore_errors=True)
            code = code_of(project, run, known, into, believe=options["recorded"])
            _say(f"{task}, attempt {known.attempt}", f"code: {code.said}")
            for line in details(project.ledger, store, run, known):
                if not line.startswith("cmd: ") and not (code.made and line.startswith("file_dep: ")):
                    _say(f"not as it was: {line}")
            own = run._replace(cmd=known.cmd)
            again = execute(project, Work(task, own, "", known.fingerprint), code.start, into)
            if again.record is None:
                _say(f"stopped by {signal.Signals(again.stopped_by).name}")
                return 128 + again.stopped_by
            unless_it_ends.pop_all()
        now = provenance_at(again.store, run.key)
        new = Output(again.store, run.key, (now and now.files) or {})
        place = f"the new output is {again.store.root}/{run.key}"
        try:
            found = list(compare(Output(store, key, known.files or {}), new))
        except StoreError as error:
            raise UserError(f"{error}; {place}") from error
        return _show(found, place, code, as_json=options["as_json"])


def _show(found: Sequence[Compared], place: str, code: Origin, *, as_json: bool) -> int:
    """Print how files compare, those that differ first, and return the exit code; keep the code where one differs."""
    other = [one for one in found if one.how != EQUAL]
    if as_json:
        print(json.dumps([one._asdict() for one in found], indent=1))
    else:
        _print(found, other)
    if other:
        kept = f", its code {code.start}" if code.made else ""
        _say(f"{len(other):,} of {len(found):,} files differ; {place}{kept}")
        return 1
    if code.made:
        shutil.rmtree(code.made, ignore_errors=True)
    _say(f"all {len(found):,} files are equal; {place}")
    return 0


def _print(found: Sequence[Compared], other: Sequence[Compared]) -> None:
    shown = [*other, *(one for one in found if one.how == EQUAL)][:SHOWN]
    width = max(len(one.how) for one in shown)
    for one in shown:
        print(f"{one.how:{width}}  {printable(one.name)}")
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN:,} more files")


def _say(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)
