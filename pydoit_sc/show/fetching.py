"""How far the fetching of outputs is, in words."""

from __future__ import annotations

from collections.abc import Callable

from pydoit_sc.show.progress import Progress
from pydoit_sc.sizes import show_size
from pydoit_sc.times import clock


class FetchProgress(Progress):
    """How many runs have been fetched, as a bar shows it; `brought` tells how many bytes have come."""

    def __init__(self, brought: Callable[[], int]) -> None:
        super().__init__()
        self._brought = brought

    def figures(self, running: int) -> str:  # noqa: ARG002 - of a batch that executes
        """Return how many runs are there, as one line."""
        failed = f", {self.failed:,} not whole" if self.failed else ""
        return f"{self.finished:,}/{self.to_execute:,} runs{failed}, {show_size(self._brought())}"

    def outcome(self) -> str:
        """Return the last figures as one line."""
        figures = {
            f"fetched, {show_size(self._brought())}": self.done - self.skipped,
            "there already": self.skipped,
            "not whole": self.failed,
        }
        shown = ", ".join(f"{count:,} {word}" for word, count in figures.items() if count > 0)
        return f"{shown}, in {clock(self.elapsed)}"
