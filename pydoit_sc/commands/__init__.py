"""One command a file: options in, a call to what lies below, text out. This is the list of them."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A command of the program; its class is imported when it is used."""

    location: str  # module:class
    purpose: str
    examples: tuple[str, ...]


COMMANDS = {
    "run": Entry(
        "pydoit_sc.commands.run:Run",
        "execute here what is not up to date (the default)",
        ("run", "run -n 4 month", "run month:2012-01", "run -a 'month:2012-*'"),
    ),
    "plan": Entry(
        "pydoit_sc.commands.plan:Plan",
        "show what would execute, and why",
        ("plan", "plan --all 'month:2012-*'"),
    ),
    "list": Entry(
        "doit.cmd_list:List",
        "list stages; --all runs too, --status whether they are up to date",
        ("list", "list --all --status month"),
    ),
    "info": Entry("doit.cmd_info:Info", "show why a run would execute", ("info month:2012-01",)),
    "summarize-batch": Entry(
        "pydoit_sc.commands.summarize:SummarizeBatch",
        "show how every run stands",
        ("summarize-batch jobs.yaml", "summarize-batch --status error,incomplete --format json"),
    ),
    "logs": Entry(
        "pydoit_sc.commands.logs:Logs",
        "show or follow what a run writes",
        ("logs month:2012-01", "logs --stderr --follow month:2012-01"),
    ),
    "clean": Entry("doit.cmd_clean:Clean", "remove outputs", ("clean month:2012-01", "clean --dry-run")),
    "forget": Entry(
        "doit.cmd_forget:Forget",
        "make runs incomplete again; their outputs go to the history",
        ("forget month:2012-01",),
    ),
    "ignore": Entry(
        "doit.cmd_ignore:Ignore",
        "leave a run alone from now on; `forget` ends that",
        ("ignore month:2012-01",),
    ),
    "batch": Entry(
        "pydoit_sc.commands.batch:Batch", "execute a chunk: the worker", ("batch /tmp/commands/0.json",)
    ),
    "init": Entry(
        "pydoit_sc.commands.init:Init",
        "begin a project: batchfile.toml, work.py, doit.cfg",
        ("init backfill && cd backfill && pydoit-sc",),
    ),
    "tabcompletion": Entry(
        "doit.cmd_completion:TabCompletion",
        "write a script for a shell's completion",
        ("tabcompletion --hardcode-tasks > completion.sh",),
    ),
    "help": Entry("pydoit_sc.commands.help:Help", "show this, or how a command is used", ("help run",)),
}

#: Those that keep executing what they have begun when the reader of their output goes away.
EXECUTING = frozenset({"run", "batch"})
