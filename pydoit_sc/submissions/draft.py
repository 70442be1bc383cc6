"""A submission as it is made: chosen runs cut into chunks, then code that is staged, then the engine's files.

    draft = make_draft(engine, ledger, choice, shape_of(engine, batch, always=False))
    ready = draft.ready(draft.stage(print))

Nothing is sent before `stage`, and nothing is in the store before it is handed over (handover.py).
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from pydoit_sc.batch import OURS, Batch
from pydoit_sc.chunks.chunkfile import without_secrets
from pydoit_sc.engines.base import Engine, Group, Hosted, Submission
from pydoit_sc.engines.expect import expect, limit_of, ranks_of
from pydoit_sc.forecast import Estimate, Forecast, Outlook
from pydoit_sc.ledger import Ledger
from pydoit_sc.submissions.choose import Choice, earlier_runs
from pydoit_sc.submissions.cut import Shape, cut, texts
from pydoit_sc.submissions.folder import folder_of, write_chunks
from pydoit_sc.submissions.notes import Note, Shipped, new_note
from pydoit_sc.sync.code import Staging, fetch_lines, staging_of, start_folder
from pydoit_sc.sync.upload import Archive, FileSync
from pydoit_sc.worker.slots import check_slots

_RANKS = 4  # of a machine if it is unknown how many runs it executes at once


def new_submission() -> str:
    """Return the id of a new submission: when it was made, and something that no other has."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def shape_of(engine: Engine, batch: Batch, *, always: bool) -> Shape:
    """Return how an engine's chunks are cut; raises what `Engine.nprocs` does."""
    nprocs = ranks_of(engine, batch)
    ranks = nprocs or _RANKS
    # Our worker gives each rank a GPU of its own; a machine of Saturn Cloud may have another worker.
    gpus = batch.nprocs == "gpus" and not isinstance(engine, Hosted)
    return Shape(
        "gpus" if gpus else nprocs or "cores",
        batch.batch_size or 3 * ranks,
        always,
        in_slots=batch.batch_size is None,
        ranks=ranks,
        limit=limit_of(engine, batch) or inf,
        machines=batch.scale,
    )


@dataclass(frozen=True, slots=True)
class Ready:
    """A submission that can be handed over."""

    submission: Submission
    files: Mapping[str, str]  # the engine's, by name
    note: Note
    earlier: Mapping[str, Mapping[str, str]]  # the runs that later groups come after


@dataclass(frozen=True, slots=True)
class Draft:
    """A submission of which nothing has been sent."""

    id: str
    engine: Engine
    ledger: Ledger
    choice: Choice
    shape: Shape
    forecast: Forecast
    texts: Sequence[str]  # the chunks
    groups: Sequence[Group]
    after: Sequence[tuple[int, ...] | None]  # the chunks that each chunk waits for
    staging: Staging

    def keeping(self, id_: str, chunks: Sequence[str]) -> Draft:
        """Return the submission of one group that has this id and these chunks already."""
        return replace(self, id=id_, texts=chunks, groups=[Group(0, len(chunks))], after=[()] * len(chunks))

    def expected(self) -> Outlook | None:
        """Return what executing its runs will take; None where too little is known."""
        batch = self.ledger.batch
        estimate = Estimate(self.forecast, limit_of(self.engine, batch))
        for work in self.choice.works:
            estimate.add(self.forecast.stage(work), work.run)
        return expect(estimate, batch, self.engine) if estimate.is_known else None

    def stage(self, say: Callable[[str], object]) -> list[Archive]:
        """Send the code and, where the engine's machines do not read the store, the chunks; raises SyncError."""
        staged = self.staging.stage_all(say)
        return [*staged, self.stage_chunks()] if isinstance(self.engine, Hosted) else staged

    def stage_chunks(self) -> Archive:
        """Send the chunks as an archive; raises SyncError."""
        with tempfile.TemporaryDirectory(prefix="pydoit-sc-") as folder:
            write_chunks(folder, self.texts)
            return self.staging.stage(FileSync(folder, self._place()))

    def _place(self) -> str:
        """Return where the machines have the chunks."""
        batch = self.ledger.batch
        if isinstance(self.engine, Hosted):
            return self.engine.chunks_folder(batch, self.id)
        return f"{batch.remote_output_path}/{OURS}/submissions/{self.id}"

    def ready(self, archives: Sequence[Archive], end: str = "") -> Ready:
        """Return the submission with the engine's files; raises EngineError and what else a user can correct.

        `end` is a line of shell for its end.
        """
        batch = self.ledger.batch
        options = without_secrets(batch.storage_options)
        setup, start = "", ""
        if archives and not isinstance(self.engine, Hosted):
            start = start_folder(self.staging.syncs, str(batch.folder))
            setup = fetch_lines(archives, self.id, start, without_secrets(self.staging.options))
        submission = Submission(
            self.id,
            batch,
            self.texts,
            self._place(),
            self.groups,
            self.after,
            batch.scale,
            folder_of(batch, self.id),
            setup,
            ["--storage-options", json.dumps(options)] if options else [],
            archives,
            end,
        )
        note = new_note(
            id=self.id,
            engine=self.engine.name,
            batch=batch.name,
            chunks=len(self.texts),
            runs=len(self.choice.works),
            nprocs=self.shape.nprocs,
            scale=batch.scale,
            shipped=[Shipped(url=one.url, dest=one.dest) for one in archives] if setup else [],
            start=start,
        )
        files = self.engine.prepare(submission)
        return Ready(submission, files, note, earlier_runs(self.ledger, self.choice))


def make_draft(engine: Engine, ledger: Ledger, choice: Choice, shape: Shape) -> Draft:
    """Return the submission of these runs, with a new id; raises SyncError and what else a user can correct."""
    batch, id_ = ledger.batch, new_submission()
    if at_once := shape.nprocs if isinstance(shape.nprocs, int) else ranks_of(engine, batch):
        for count, task in {work.run.settings.slots: work.task for work in choice.works}.items():
            check_slots(task, count, at_once)
    forecast = Forecast(ledger)
    pieces = cut(choice, shape, forecast.of)
    written: list[str] = []
    groups = []
    for number, chunks in enumerate(pieces.groups):
        groups.append(Group(len(written), len(chunks)))
        written += texts(ledger, chunks, shape, id_, waiting=number > 0)
    staging = engine.staging(batch) if isinstance(engine, Hosted) else staging_of(batch)
    return Draft(id_, engine, ledger, choice, shape, forecast, written, groups, pieces.after, staging)


def commands_folder(engine: Engine, batch: Batch) -> str:
    """Return the local folder in which `split` writes."""
    own = engine.commands_folder(batch) if isinstance(engine, Hosted) else None
    return os.path.join(batch.folder, own or os.path.join(OURS, "commands"))
