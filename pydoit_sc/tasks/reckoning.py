"""What the runs of an execution come to, whoever shows it: in figures, and why some have got no outcome."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from doit.exceptions import BaseFail

from pydoit_sc.outcomes.counts import Counts
from pydoit_sc.outcomes.kinds import Failure, Tally
from pydoit_sc.show.kinds import without_outcome
from pydoit_sc.show.progress import Progress, verdict_lines
from pydoit_sc.tasks.errors import NoOutcomeError
from pydoit_sc.verdicts import Verdict


class Reckoning:
    """What the runs of an execution have come to so far."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.errors: list[str] = []  # why the execution has ended early
        self._without_outcome = defaultdict[str, Tally](Tally)  # by what they were not
        self._held: list[Verdict] = []

    def planned(self, counts: Mapping[Verdict, int]) -> None:
        """So many runs are going to be executed, and others not."""
        skipped = sum(number for verdict, number in counts.items() if not verdict.execute)
        self.progress.begin(sum(counts.values()) - skipped, skipped)

    def completed(self) -> None:
        """A run has been completed."""
        self.progress.done += 1

    def failed(self, task: str, fail: BaseFail) -> None:
        """A run has failed, or has got no outcome."""
        if isinstance(fail, NoOutcomeError):
            self._without_outcome[fail.what].add(Failure(task, None, fail.reason, None))
        else:
            self.progress.failed += 1

    def held_back(self, verdict: Verdict) -> None:
        """A run is not executed, since it waits for one that has failed."""
        self._held.append(verdict)

    def why(self) -> Iterator[str]:
        """Yield what is told of the end beside figures: which runs have got no outcome, and why it ended early."""
        for what, tally in self._without_outcome.items():
            yield from without_outcome(tally, what)
        yield from verdict_lines(self._held)
        yield from self.errors

    def counts(self) -> Counts:
        """Return the last figures."""
        return self.progress.counts(self.why())
