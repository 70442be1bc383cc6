"""`job-logs`: show what the machines of a Saturn Cloud job have written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doit.exceptions import InvalidCommand

from pydoit_sc.commands.base import OPT_OWNER, Command
from pydoit_sc.commands.parsing import flag
from pydoit_sc.saturn.client import SaturnClient
from pydoit_sc.saturn.job import connect
from pydoit_sc.saturn.models import Pod, resource_id
from pydoit_sc.show.screen import data_output


class JobLogsCommand(Command):
    """Show a job's logs."""

    name = "job-logs"
    doc_usage = "NAME [MACHINE]"
    doc_description = (
        "Without a MACHINE, of the one that was started last. `logs` shows what a single run has written."
    )
    cmd_options = (
        OPT_OWNER,
        flag("all", "of all machines, those of the past too, the latest first"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print the logs, each below the name of its machine."""
        if len(words) not in (1, 2):
            self.each(words, "NAME [MACHINE]")
        name, wanted = words[0], words[1] if len(words) == 2 else None
        if wanted and options["all"]:
            raise InvalidCommand(f"job-logs: expected one MACHINE or --all, found `{wanted}` and --all")
        with connect() as client:
            identity = resource_id(client.get_recipe("job", name, options["owner"]))
            for pod in _chosen(client, identity, name, wanted, everything=options["all"]):
                print(f"{pod.name} ({pod.status}{_since(pod)})")
                with data_output() as stream:
                    stream.write(client.logs("job", identity, pod).rstrip("\n") + "\n")
        return 0


def _chosen(
    client: SaturnClient, identity: str, name: str, wanted: str | None, *, everything: bool
) -> Sequence[Pod]:
    live = [] if everything or wanted else client.live_pods("job", identity)
    pods = live or client.pods("job", identity)
    if not pods:
        raise InvalidCommand(f"job-logs: `{name}` has no machine, and had none; was it started?")
    if everything:
        return pods
    if wanted is None:
        return pods[:1]
    chosen = [pod for pod in pods if pod.name == wanted]
    if not chosen:
        known = ", ".join(f"`{pod.name}`" for pod in pods[:5])
        raise InvalidCommand(f"job-logs: `{name}` has no machine `{wanted}`; it has {known}")
    return chosen


def _since(pod: Pod) -> str:
    return f", started {pod.start_time}" if pod.start_time else ""
