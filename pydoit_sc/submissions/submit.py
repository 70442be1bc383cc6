"""Submit what is to be executed of a batch, and wait for its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydoit_sc.batch import Stage, Status, failure_budget
from pydoit_sc.engines.base import Engine
from pydoit_sc.errors import UserError
from pydoit_sc.outcomes.failures import OPTION, Failures
from pydoit_sc.plurals import counted
from pydoit_sc.positions import moved
from pydoit_sc.project import Project
from pydoit_sc.show.bars import Bar
from pydoit_sc.show.progress import moved_words, verdict_lines
from pydoit_sc.submissions.choose import Wanted, choose, left_words
from pydoit_sc.submissions.draft import make_draft, shape_of
from pydoit_sc.submissions.ended import Ended, why_left
from pydoit_sc.submissions.finish import end_line
from pydoit_sc.submissions.handover import hand_over
from pydoit_sc.submissions.notes import Note
from pydoit_sc.submissions.watch import Jobs, Runs, Watch

#: Seconds for which `wait` waits for jobs whose runs have all ended: an engine may take longer to tidy up.
LEAVING = 10.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission that its engine has."""

    project: Project
    engine: Engine
    note: Note
    runs: Runs
    waiting: tuple[str, ...]  # the stages that have runs left for a later submission
    some_completed: bool  # runs that were asked for were completed before


def submit(  # noqa: PLR0913 - what a submission is made of
    project: Project,
    engine: Engine,
    stages: Sequence[Stage],
    wanted: Wanted,
    say: Callable[[str], object],
    *,
    moved_too: bool,
    force: bool,
    hooks: bool,
) -> Submitted | None:
    """Submit what is to be executed of these stages; None if nothing is. `say` gets what a user should know meanwhile.

    With `moved_too` also unnamed runs in whose places other runs' outputs are, with `force` also beside another submission,
    with `hooks` the engine has the batch's commands run at its end, if it is there then.

    Raises what `hand_over` does, and what else a user can correct.
    """
    ledger = project.ledger
    if not moved_too and (strange := moved(ledger, stages)):
        raise UserError(f"{moved_words(strange)}, or submit them with --moved")
    choice = choose(ledger, wanted, stages, ordered=engine.ordered)
    if choice.ignored:
        say(f"{counted(choice.ignored, 'run')} left out, as `ignore` says")
    for name, left in choice.waiting.items():
        say(f"{left_words(name, left)}: left for a later submission")
    if not choice.works:
        say("nothing to execute, nothing submitted")
        return None
    draft = make_draft(engine, ledger, choice, shape_of(engine, project.batch, always=wanted.completed))
    expected = draft.expected()
    if expected and expected.warning:
        say(f"warning: {expected.warning}")
    end = end_line(project.batch, draft.id) if hooks else ""
    note = hand_over(project.store, engine, draft.ready(draft.stage(say), end), force=force)
    told = f"{counted(note.runs, 'run')} in {counted(note.chunks, 'chunk')}"
    told += f", {expected.words}" if expected and expected.words else ""
    say(f"submitted {note.id} to {engine.name}: {told}")
    later = {work.run.key for group in choice.later for part in group for work in part}
    runs = Runs(choice.works, wanted.completed, later)
    some_completed = bool(choice.found.get(Status.COMPLETED))
    return Submitted(project, engine, note, runs, tuple(choice.waiting), some_completed)


def wait(submitted: Submitted, bar: Bar) -> Ended:
    """Wait until all runs have ended, or the job has; cancel it where too many fail. Raises StoreError, EngineError."""
    project, note = submitted.project, submitted.note
    jobs = Jobs(submitted.engine, note.handed(project.batch))
    failures = Failures(failure_budget(project.batch.max_failures, project.batch.size))
    if submitted.some_completed:
        failures.has_completed()
    watch = Watch(project.store, submitted.runs, jobs, bar, failures)
    try:
        watch.until_ended()
        if not watch.left:  # another submission is refused as long as a job of this one has not ended
            watch.until_idle(math.inf if submitted.waiting else LEAVING)
        if watch.left and failures.too_many:
            submitted.engine.cancel(note.handed(project.batch))
            why = failures.why(remedy=OPTION)
            watch.line(f"cancelled {note.id}: {why}")
            return Ended(watch.progress.counts([why]), cancelled=why)
    finally:
        watch.close(project.command)
    left = why_left(project.store, note.id, [work.run for work in watch.left.values()], watch.failed)
    held = list(verdict_lines(watch.held(left)))
    for line in held:
        bar.line(line)
    lost = ""
    if watch.left:
        how = f" ({jobs.how_ended})" if jobs.how_ended else ""
        lost = f"the job has ended{how}, and {len(watch.left):,} of its runs have not"
    cancelled = f"{counted(len(left.cancelled), 'run')} cancelled" if left.cancelled else ""
    return Ended(watch.progress.counts([*held, *filter(None, [lost])]), cancelled, lost)
