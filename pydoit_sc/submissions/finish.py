"""Tell that a submission has ended, by the commands of its batch: `python -m pydoit_sc.submissions.finish ID [OPTION VALUE …]`."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pydoit_sc.batch import Batch, failure_budget
from pydoit_sc.errors import UserError
from pydoit_sc.hooks import tell_end
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.outcomes.failed import READ, failed_among, read_failures
from pydoit_sc.outcomes.failures import Failures
from pydoit_sc.project import Project
from pydoit_sc.store import NoteStore, Record
from pydoit_sc.submissions.ended import Ended, why_left
from pydoit_sc.submissions.folder import chunk_name
from pydoit_sc.submissions.notes import Note, note_of, outcomes

_MOST = "--max-failures"


def end_line(batch: Batch, submission: str) -> str:
    """Return the line of shell that tells of a submission's end on this machine; "" where nobody wants to know."""
    if not batch.has_hooks:
        return ""
    words = [sys.executable, "-X", "utf8", "-m", "pydoit_sc.submissions.finish", submission, *batch.words]
    most = failure_budget(batch.max_failures, batch.size)
    if most is not None:  # of `submit`, which may be another
        words += [_MOST, str(most)]
    return f"exec {shlex.join(words)}"


def main(arguments: Sequence[str]) -> None:
    """Count the outcomes of the submission and run the commands."""
    submission, *words = arguments
    given = dict(zip(words[::2], words[1::2], strict=True))
    project = Project.load(given["-f"], remote_output_path=given.get("--to"), names=given.get("--names"))
    note = note_of(project.store, submission)
    if note is None:
        return
    most = int(given[_MOST]) if _MOST in given else None
    ended = _ended(project, note, Failures(most))
    tell_end(project.batch, ended.counts, ended.code, submission)


def _ended(project: Project, note: Note, failures: Failures) -> Ended:
    """Return how a submission has ended, as `submit --wait` tells it. Raises StoreError."""
    records = project.store.scan(run.key for _, run in project.batch.runs())
    completed, failed = outcomes([note], records.values())[note.id]
    left = max(0, note.runs - completed - failed)
    counts = Counts(completed, failed, 0, left, round(time.time() - note.when, 3))
    if not left:
        return Ended(counts)
    _see(project, note, records, failures)
    if failures.too_many:
        return Ended(counts, cancelled=failures.why())
    own = {key: record for key, record in records.items() if record.submission == note.id}
    chosen = _outputs(project.store, note)
    root = project.batch.remote_output_path
    runs = [run for _, run in project.batch.runs() if run.key not in own and f"{root}/{run.key}" in chosen]
    why_not = why_left(project.store, note.id, runs, {key for key, record in own.items() if record.code})
    lost = left - len(why_not.cancelled) - len(why_not.waiting)
    return Ended(counts, "cancelled" * bool(why_not.cancelled), f"{lost} runs are left" * (lost > 0))


def _see(project: Project, note: Note, records: Mapping[str, Record], failures: Failures) -> None:
    """Count and compare the failures of a submission, which may have ended it."""
    if any(record.code == 0 for record in records.values()):
        failures.has_completed()
    failed = [one for one in failed_among(project.batch.runs(), records) if one.record.submission == note.id]
    tails = read_failures(project.store, failed, READ if failures.compares else 0)
    for one, failure in zip(failed, tails, strict=True):
        failures.add()
        failures.see(one.task, one.record, failure.tail or b"")


def _outputs(store: NoteStore, note: Note) -> set[str]:
    """Return the outputs of a submission's runs, as its chunks name them; raises StoreError."""
    outputs = set[str]()
    for number in range(note.chunks):
        with suppress(FileNotFoundError, ValueError, LookupError, TypeError):
            runs = json.loads(store.read_note(f"submissions/{note.id}/{chunk_name(number)}"))["runs"]
            outputs.update(run["remote_output_path"] for run in runs)
    return outputs


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"ERROR: {error}", file=sys.stderr)
