"""Tell that a submission has ended, by the commands of its batch: `python -m pydoit_sc.submissions.finish ID [OPTION VALUE …]`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence

from pydoit_sc.batch import Batch
from pydoit_sc.errors import UserError
from pydoit_sc.hooks import tell_end
from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.project import Project
from pydoit_sc.submissions.notes import note_of, outcomes
from pydoit_sc.worker.control import read_cancelled


def end_line(batch: Batch, submission: str) -> str:
    """Return the line of shell that tells of a submission's end on this machine; "" where nobody wants to know."""
    if not batch.has_hooks:
        return ""
    words = [sys.executable, "-X", "utf8", "-m", "pydoit_sc.submissions.finish", submission, *batch.words]
    return f"exec {shlex.join(words)}"


def main(arguments: Sequence[str]) -> None:
    """Count the outcomes of the submission and run the commands."""
    submission, *words = arguments
    given = dict(zip(words[::2], words[1::2], strict=True))
    project = Project.load(given["-f"], remote_output_path=given.get("--to"), names=given.get("--names"))
    note = note_of(project.store, submission)
    if note is None:
        return
    records = project.store.scan(run.key for _, run in project.batch.runs())
    completed, failed = outcomes([note], records.values())[note.id]
    left = max(0, note.runs - completed - failed)
    cancelled = left and read_cancelled(project.store, submission)
    counts = Counts(completed, failed, 0, left, round(time.time() - note.when, 3))
    tell_end(project.batch, counts, 1 if failed or cancelled else 2 if left else 0, submission)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        print(f"ERROR: {error}", file=sys.stderr)
