"""The commands of the program: names, purposes, examples, and the batchfiles they look for. Data alone, so that help is quick."""

from __future__ import annotations

from typing import NamedTuple


class CommandEntry(NamedTuple):
    """A command of the program; its class is imported when the command is used."""

    location: str  # module:class
    purpose: str
    examples: tuple[str, ...]


COMMANDS = {
    "run": CommandEntry(
        "pydoit_sc.commands.run:RunCommand",
        "execute here what is not up to date (the default)",
        (
            "run",
            "run cmds.txt --to s3://bucket/out -n 8",
            "run -n 4 month",
            "run month:2012-01",
            "run -a 'month:2012-*'",
            "run --limit 10",
            "run --status error",
        ),
    ),
    "plan": CommandEntry(
        "pydoit_sc.commands.plan:PlanCommand",
        "show what would execute, and why",
        ("plan", "plan --all 'month:2012-*'"),
    ),
    "status": CommandEntry(
        "pydoit_sc.commands.status:StatusCommand",
        "show how each stage stands, and where runs execute now",
        ("status", "status --watch", "status 'month:2012-*'", "status --json"),
    ),
    "list": CommandEntry(
        "pydoit_sc.commands.stock:ListCommand",
        "list stages; --all runs too, -s whether they are up to date",
        ("list", "list --all -s month", "list --status error,stale"),
    ),
    "info": CommandEntry(
        "pydoit_sc.commands.stock:InfoCommand", "show why a run would execute", ("info month:2012-01",)
    ),
    "summarize-batch": CommandEntry(
        "pydoit_sc.commands.summarize:SummarizeBatchCommand",
        "show the status of every run",
        (
            "summarize-batch jobs.yaml",
            "summarize-batch --status error,incomplete --json",
            "summarize-batch --columns name,seconds,memory,host --sort -seconds",
        ),
    ),
    "results": CommandEntry(
        "pydoit_sc.commands.results:ResultsCommand",
        "show one table of all results, or write it to a file",
        (
            "results --sort loss --limit 5",
            "results month --columns name,seconds,loss --sort -loss",
            "results --where model=a --to metrics.csv",
        ),
    ),
    "failures": CommandEntry(
        "pydoit_sc.commands.failures:FailuresCommand",
        "show what has failed, by kind, the most frequent first",
        ("failures", "failures month", "failures --since 2h --json"),
    ),
    "report": CommandEntry(
        "pydoit_sc.commands.report:ReportCommand",
        "write one HTML file: timeline, durations, memory, failures, a table of all runs",
        ("report", "report month --to month.html", "report cmds.txt --remote-output-path s3://bucket/out"),
    ),
    "logs": CommandEntry(
        "pydoit_sc.commands.logs:LogsCommand",
        "show or follow what runs write, on any machine",
        ("logs month:2012-01", "logs --stderr --follow 'month:2012-*'", "logs --attempt 1 month:2012-01"),
    ),
    "fetch": CommandEntry(
        "pydoit_sc.commands.fetch:FetchCommand",
        "bring outputs from the store to a folder",
        ("fetch month:2012-01 --to results", "fetch --status completed --to results"),
    ),
    "debug": CommandEntry(
        "pydoit_sc.commands.debug:DebugCommand",
        "execute a run on the terminal, publish nothing",
        ("debug month:2012-01", "debug --shell month:2012-01", "debug --status error --limit 1"),
    ),
    "history": CommandEntry(
        "pydoit_sc.commands.history:HistoryCommand",
        "show the attempts at a run: when, where, how they ended",
        ("history month:2012-01", "history 'month:2012-*' --json"),
    ),
    "reproduce": CommandEntry(
        "pydoit_sc.commands.reproduce:ReproduceCommand",
        "execute a published attempt again, in a fresh folder, and compare",
        ("reproduce month:2012-01", "reproduce --attempt 1 month:2012-01"),
    ),
    "verify": CommandEntry(
        "pydoit_sc.commands.verify:VerifyCommand",
        "report the finished runs that are not whole",
        ("verify", "verify --repair 'month:2012-*'"),
    ),
    "clean": CommandEntry(
        "pydoit_sc.commands.stock:CleanCommand", "remove outputs", ("clean month:2012-01", "clean --dry-run")
    ),
    "forget": CommandEntry(
        "pydoit_sc.commands.stock:ForgetCommand",
        "make runs incomplete again; their outputs go to the history",
        ("forget month:2012-01", "forget --status error"),
    ),
    "accept": CommandEntry(
        "pydoit_sc.commands.accept:AcceptCommand",
        "take stale outcomes as current: what has changed makes no difference",
        ("accept month:2012-01", "accept --yes month", "accept --status stale"),
    ),
    "ignore": CommandEntry(
        "pydoit_sc.commands.stock:IgnoreCommand",
        "skip a run from now on; --undo takes it back",
        ("ignore month:2012-01", "ignore --undo month:2012-01"),
    ),
    "batch": CommandEntry(
        "pydoit_sc.commands.batch:BatchCommand",
        "execute a chunk: the worker",
        ("batch /tmp/commands/0.json",),
    ),
    "split": CommandEntry(
        "pydoit_sc.commands.split:SplitCommand",
        "write chunks, and the Saturn Cloud recipe or Kubernetes manifest of a job that executes them",
        (
            "split recipe.yaml jobs.yaml --nprocs 8 --scale 2 --sync /home/jovyan/workspace/sctest/",
            "split recipe.yaml jobs.yaml --skip-completed",
            "split",
            "split --engine kubernetes",
        ),
    ),
    "apply": CommandEntry(
        "pydoit_sc.commands.apply:ApplyCommand",
        "create or update a Saturn Cloud resource from its recipe",
        ("apply /tmp/commands/recipe.yaml --start",),
    ),
    "submit": CommandEntry(
        "pydoit_sc.commands.submit:SubmitCommand",
        "split, send the code, hand over to an engine, all in one",
        (
            "submit --wait",
            "submit --engine local --wait",
            "submit cmds.txt --to s3://bucket/out --engine slurm -n 8",
        ),
    ),
    "submissions": CommandEntry(
        "pydoit_sc.commands.submissions:SubmissionsCommand",
        "list submissions and the state of their jobs",
        ("submissions", "submissions --all"),
    ),
    "cancel": CommandEntry(
        "pydoit_sc.commands.cancel:CancelCommand",
        "end a submission, or take runs out of it",
        ("cancel", "cancel 20260131-235959-1a2b3c", "cancel 'month:2012-*'"),
    ),
    "scale": CommandEntry(
        "pydoit_sc.commands.steer:ScaleCommand",
        "change how many runs workers execute at once, while they do",
        ("scale 4", "scale 16 20260131-235959-1a2b3c"),
    ),
    "pause": CommandEntry(
        "pydoit_sc.commands.steer:PauseCommand",
        "let workers start no further runs until `resume`",
        ("pause", "pause 20260131-235959-1a2b3c"),
    ),
    "resume": CommandEntry(
        "pydoit_sc.commands.steer:ResumeCommand", "let paused workers start runs again", ("resume",)
    ),
    "clone": CommandEntry(
        "pydoit_sc.commands.clone:CloneCommand",
        "make a Saturn Cloud job from a workspace",
        ('clone workspace my-workspace job my-job --command "..." --owner ORG/USER',),
    ),
    "get": CommandEntry(
        "pydoit_sc.commands.get:GetCommand",
        "print the recipe of a Saturn Cloud resource",
        ("get job my-job --owner ORG/USER > recipe.yaml", "get job my-job -o table"),
    ),
    "options": CommandEntry(
        "pydoit_sc.commands.options:ServerOptionsCommand",
        "list Saturn Cloud's instance types",
        ("options", "options --glob 'g4*'"),
    ),
    "start": CommandEntry(
        "pydoit_sc.commands.start:StartCommand", "start a Saturn Cloud resource", ("start job my-job",)
    ),
    "stop": CommandEntry(
        "pydoit_sc.commands.stop:StopCommand", "stop a Saturn Cloud resource", ("stop job my-job",)
    ),
    "job-logs": CommandEntry(
        "pydoit_sc.commands.job_logs:JobLogsCommand",
        "show the logs of the machines of a Saturn Cloud job",
        ("job-logs my-job", "job-logs my-job --all"),
    ),
    "init": CommandEntry(
        "pydoit_sc.commands.init:InitCommand",
        "start a project: batchfile.toml and its schema, work.py, doit.cfg",
        ("init backfill && cd backfill && pydoit-sc",),
    ),
    "schema": CommandEntry(
        "pydoit_sc.commands.schema:SchemaCommand",
        "print the JSON schema of batchfile.toml",
        ("schema > batchfile.schema.json",),
    ),
    "tabcompletion": CommandEntry(
        "pydoit_sc.commands.tabcompletion:TabCompletionCommand",
        "print what makes a shell complete commands, options and names of runs",
        ("tabcompletion bash >> ~/.bashrc",),
    ),
    "help": CommandEntry(
        "pydoit_sc.commands.help:HelpCommand", "show this, or the usage of a command", ("help run",)
    ),
}

#: What help has above a command: of that one and of those that follow.
HEADINGS = {
    "run": "Execute",
    "status": "See and try",
    "clean": "Change what is stored",
    "batch": "On many machines",
    "clone": "On Saturn Cloud",
    "init": "Projects and this program",
}

#: The batchfiles that are looked for when none is named, in this order.
BATCHFILES = ("batchfile.toml", "batchfile.json", "batchfile.yaml", "batchfile.yml")

#: The commands that only show something: they end when their reader is gone, and fail where nobody gets what they show.
SHOWING = frozenset(
    {
        "plan",
        "status",
        "list",
        "info",
        "summarize-batch",
        "results",
        "failures",
        "logs",
        "history",
        "submissions",
        "get",
        "options",
        "job-logs",
        "schema",
        "tabcompletion",
        "help",
    }
)
