"""The program: its help, and doit with our loader and our commands for everything else."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator
from typing import Any

from pydoit_sc import __version__, utf8
from pydoit_sc.catalogue import COMMANDS, HEADINGS, SHOWING
from pydoit_sc.later import later
from pydoit_sc.show.screen import end_with_the_reader, lost_output, open_screens

NOT_SHOWN = 2  # the exit code where what a command shows is lost, if it only shows something or that is JSON

USAGE = f"""\
pydoit-sc {__version__}
Run thousands of shell commands, keep every output, skip what is done.
{{commands}}

Examples
  pydoit-sc run cmds.txt --to out -n 8      a list of commands, eight at once
  pydoit-sc init backfill && cd backfill    a first project
  pydoit-sc                                 execute what is not up to date
  pydoit-sc -n 8 month                      one stage, eight runs at once
  pydoit-sc plan                            what would execute, and why
  pydoit-sc COMMAND --help                  how a command is used
"""


def main(args: list[str] | None = None) -> int:
    """Run the program with these arguments, its own if none are given, and return its exit code."""
    if args is None:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # among imports an exception is a traceback, or lost
        utf8.insist()
        gc.disable()  # until all is imported: that is no garbage, and to look through it takes long
    words = sys.argv[1:] if args is None else args
    open_screens()
    if words in (["--help"], ["-h"]):
        words = ["help"]
    elif {"--help", "-h"} & set(words):
        words = ["help", _command(words)]
    shows = words == ["--version"] or _command(words) in SHOWING
    if shows:
        end_with_the_reader()
    code = _run(words)
    return NOT_SHOWN if lost_output() and (shows or any(map(_is_json, words))) and not code else code


def _is_json(word: str) -> bool:
    """Return whether a word is `--json`, which may be cut short."""
    return len(word) > len("--") and "--json".startswith(word)


def _run(words: list[str]) -> int:
    if words == ["help"]:
        print(USAGE.format(commands="\n".join(_purposes())))
        return 0
    if words == ["--version"]:
        print(f"pydoit-sc {__version__}")
        return 0
    if words[:2] == ["tabcompletion", "--complete"] and len(words) == 4:
        from pydoit_sc.commands.completion import complete  # noqa: PLC0415

        print("\n".join(complete(*words[2:])))
        return 0
    with later("cloudpickle", "importlib.metadata", "multiprocessing", "pdb"):
        import doit  # noqa: F401, PLC0415 - help needs no doit
    from pydoit_sc.tasks.program import run_program  # noqa: PLC0415

    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    try:
        return run_program(words)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _purposes() -> Iterator[str]:
    """Yield the commands with their purposes, in 80 columns."""
    import textwrap  # noqa: PLC0415 - for help alone

    width = max(map(len, COMMANDS))
    for name, entry in COMMANDS.items():
        indent = " " * (width + 4)
        text = textwrap.fill(entry.purpose, 80, initial_indent=indent, subsequent_indent=indent)
        if name in HEADINGS:
            yield f"\n{HEADINGS[name]}"
        yield f"  {name:{width}}{text[width + 2 :]}"


def _command(words: list[str]) -> str:
    return words[0] if words and words[0] in COMMANDS else "run"


def __getattr__(name: str) -> Any:
    """Give doit the `Run` that doit.cfg names, without loading it for anything else."""
    if name == "Run":
        from pydoit_sc.commands.run import RunCommand  # noqa: PLC0415

        return RunCommand
    raise AttributeError(name)
