"""A batchfile that a command works on: its batch and, read when first needed, what its store has."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from pydoit_sc.batch import ENGINE_TASKS, PLAIN, Batch, Run, Stage, is_pattern
from pydoit_sc.batchfile import load, nearest
from pydoit_sc.batchfile.document import STDIN
from pydoit_sc.batchfile.fields import max_failures, natural, read_nprocs, read_timeout
from pydoit_sc.batchfile.read import has_format, own_root, stage_names
from pydoit_sc.batchfile.remote import absolute_url, expanded, local_below
from pydoit_sc.catalogue import BATCHFILES
from pydoit_sc.errors import UserError, shortened
from pydoit_sc.files import check_here
from pydoit_sc.ignored import read_ignored
from pydoit_sc.ledger import Ledger
from pydoit_sc.made import names_of
from pydoit_sc.numbers import DIGITS
from pydoit_sc.parts import with_earlier, without_earlier
from pydoit_sc.store import Store, open_store
from pydoit_sc.store.accepted import read_accepted
from pydoit_sc.store.layout import STATUS_CODE
from pydoit_sc.store.places import FILES
from pydoit_sc.survey import open_ledger

#: What a command line says in place of a batchfile: the key, and how its value is read.
_INSTEAD: Mapping[str, Callable[[object], Any]] = {
    "max_failures": max_failures,
    "nprocs": read_nprocs,
    "timeout": read_timeout,
    "retries": natural,
}
_OF_RUNS = ("timeout", "retries")  # which it says of all of them

_SIGN = re.compile(r"[=!<>]")  # of a condition


def find_batchfile(name: str | None) -> str:
    """Return the batchfile to read: the one that is named, or the one in a folder, or in this one; raises UserError without one."""
    if name and os.path.isdir(name):
        if found := _file_in(name):
            return found
        raise UserError(f"{name}: there is no {BATCHFILES[0]} in this folder")
    if found := name or _file_in():
        return found
    raise UserError(
        f"there is no {BATCHFILES[0]} in this folder; -f FILE takes one from elsewhere, `-f -` a list of "
        "commands from standard input, `pydoit-sc init` begins one"
    )


def _file_in(folder: str = "") -> str | None:
    files = (os.path.join(folder, file) for file in BATCHFILES)
    return next((file for file in files if os.path.lexists(file)), None)


def choose_batch(file: str, to: str, words: list[str], commands: Collection[str]) -> str:
    """Return the batch that a command line means, `file` or the first word, which is then taken from the words.

    `to` is where it says that outputs go, if it does.
    Raises UserError for words that no batch is there for; the first may have been meant to be one of `commands`.
    """
    if not words:
        return file
    if is_batch(words[0], file, to):
        return words.pop(0)
    if file or _file_in():
        return file
    near = nearest(words[0], commands)
    hint = f"did you mean `{near}`?" if near else "-f FILE takes a batchfile from elsewhere"
    raise UserError(f"`{words[0]}` is no file, and there is no {BATCHFILES[0]} in this folder; {hint}")


def is_batch(word: str, file: str, to: str = "") -> bool:
    """Return whether the first word of a command line is a batch: `-`, or a file.

    It is none where it is a name in the batch `file`, or in that of this folder where no `file` is given, or what each run
    has, such as `status_code`, among the outputs of that batch, which go to `to` where that is given.
    """
    if word == STDIN:
        return True
    if not os.path.exists(word) and (":" in word or is_pattern(word) or not has_format(word)):
        return False  # what is called like a run list and is not there is a run list that is missing
    name = word.partition(":")[0]
    if os.path.isdir(word) or name in ENGINE_TASKS or name in _stages_here(file):
        return False
    if os.path.basename(word) not in FILES:
        return True
    root = _root_here(file, to)
    return not (root and local_below(word, root, os.getcwd()))


def _stages_here(file: str) -> Collection[str]:
    """Return the names of the stages of the batchfile that is meant where no other is given; none if it cannot be read."""
    try:
        return stage_names(find_batchfile(file)) if file != STDIN else ()
    except UserError:
        return ()


def _root_here(file: str, to: str) -> str | None:
    """Return where the outputs of that batch go, as a URL; None where that cannot be told."""
    try:
        if to:
            return absolute_url(expanded(to), os.getcwd())
        return own_root(find_batchfile(file)) if file != STDIN else None
    except (UserError, ValueError):
        return None


class Project:
    """A batch, its store and its ledger."""

    def __init__(self, batch: Batch, options: Sequence[str] = ()) -> None:
        self.batch = batch
        self._options = options  # those that have named the batch on the command line
        self._here = os.getcwd()  # where relative paths of outputs count from
        #: Tells a user something that is no answer; for Python nothing.
        self.say: Callable[[str], object] = _say
        #: Whether records of current outcomes are seldom asked for, and need not be kept where runs are many.
        self.needs_verdicts_only = False
        self._store: Store | None = None
        self._ledger: Ledger | None = None

    @classmethod
    def load(
        cls, path: str | None = None, *, remote_output_path: str | None = None, names: str | None = None
    ) -> Project:
        """Read a batchfile, as `batchfile.load` does; raises UserError with all that is wrong with it."""
        check_here()
        given = {"-f": path, "--to": remote_output_path, "--names": names}
        options = [word for option, value in given.items() if value for word in (option, value)]
        return cls(load(find_batchfile(path), remote_output_path=remote_output_path, names=names), options)

    def command(self, name: str, *words: str) -> str:
        """Return the command line of a command on this batch, with these words, which are quoted already."""
        piped = ("…", "|") if STDIN in self._options else ()
        return " ".join((*piped, "pydoit-sc", name, *map(shlex.quote, self._options), *filter(None, words)))

    def execute_as(self, options: Mapping[str, Any]) -> None:
        """Let the options of a command line take the place of what the batchfile says; raises UserError."""
        said = read_instead(options)
        self.batch = self.batch._replace(
            instead={name: said[name] for name in _OF_RUNS if name in said},
            max_failures=said.get("max_failures", self.batch.max_failures),
        )
        if "nprocs" in said:
            self.batch = self.batch.with_nprocs(said["nprocs"])
        if self._ledger is not None:
            self._ledger.batch = self.batch

    @property
    def store(self) -> Store:
        """The batch's store."""
        if self._store is None:
            batch = self.batch
            self._store = open_store(
                batch.remote_output_path,
                batch.storage_options,
                durable=batch.durable,
                patience=batch.patience,
            )
        return self._store

    def again(self) -> Project:
        """Return the same batch, of whose store nothing is known yet."""
        new = Project(self.batch, self._options)
        new._store, new.say, new._here = self._store, self.say, self._here
        return new

    @property
    def ledger(self) -> Ledger:
        """What the store has of the batch; read once."""
        if self._ledger is None:
            self._ledger = self._read(self.batch.stages)
        return self._ledger

    def _read(self, stages: Sequence[Stage]) -> Ledger:
        sparing = self.needs_verdicts_only
        return open_ledger(self.batch, stages, self.store, self.ignored, self._accepted, sparing=sparing)

    def glance(self, chosen: Sequence[tuple[Stage, Run]] | None) -> None:
        """Read again what the store has of these runs and all that they come after, of all runs if None."""
        stages = self.batch.stages if chosen is None else with_earlier(self.batch, chosen)
        records = self.store.glance(run.key for stage in stages for run in stage.runs)
        self._ledger = Ledger(self.batch, records, {}, self.ignored, self._accepted)

    def orphans(self) -> list[str]:
        """Return the keys of outputs that no run of the batch has any more, sorted; raises StoreError."""
        return sorted(self.store.orphans({run.key for _, run in self.batch.runs()}))

    @cached_property
    def ignored(self) -> frozenset[str]:
        """The stages and tasks that `ignore` excludes, by name. Raises UserError."""
        return read_ignored(self.batch)

    def _accepted(self) -> Mapping[str, str]:
        """Return the fingerprints for which outcomes stand that a user has accepted, by their attempts."""
        return read_accepted(self.store, lambda text: self.say(f"warning: {text}"))

    def narrow(self, chosen: Sequence[tuple[Stage, Run]]) -> Sequence[Stage]:
        """Return runs and all that they come after, as stages that have only these runs; only they are read from the store.

        Where the store has been read already, these runs are among those that it was read for.
        """
        parts = with_earlier(self.batch, chosen)
        if self._ledger is None:
            self._ledger = self._read(parts)
        return parts

    def stages_of(self, chosen: Sequence[tuple[Stage, Run]] | None) -> Sequence[Stage]:
        """Return chosen runs, all if None, as stages that have only these, of which the store is read."""
        if chosen is None:
            return self.batch.stages
        self.narrow(chosen)
        return without_earlier(self.batch, chosen)

    def output(self, run: Run) -> str:
        """Return the URL of a run's output."""
        return f"{self.batch.remote_output_path}/{run.key}"

    def target(self, run: Run) -> str:
        """Return the URL of a run's `status_code`, which is its task's target."""
        return f"{self.output(run)}/{STATUS_CODE}"

    def select(self, words: Iterable[str], commands: Collection[str] = ()) -> list[tuple[Stage, Run]]:
        """Return the selected runs: by task names, patterns, outputs, targets, or stages for all their runs.

        Outputs and targets are URLs, or local paths.

        Raises UserError for a word that means none; where it may have been a command, one of `commands`.
        """
        words = list(words)
        chosen: dict[str, tuple[Stage, Run]] = {}
        named = self._named(words)
        for word in words:
            found = [named[word]] if word in named else list(self.matching(word))
            if not found:
                raise UserError(self.unknown(word, commands))
            chosen.update((run.key, (stage, run)) for stage, run in found)
        return list(chosen.values())

    def matching(self, word: str) -> Iterator[tuple[Stage, Run]]:
        """Yield the runs that a word selects, in the order of the batch."""
        yield from self._named([word]).values()
        for stage in self.batch.stages:
            if word == stage.name:
                yield from ((stage, run) for run in stage.runs)
            elif is_pattern(word):
                yield from ((stage, run) for run in stage.runs if fnmatchcase(stage.task_name(run), word))

    def _named(self, words: Iterable[str]) -> Mapping[str, tuple[Stage, Run]]:
        """Return those of the words that are a run's name, output or target, in one look at the names of a stage."""
        found = {}
        for stage in self.batch.stages:
            names = {word: name for word in words if (name := self._name_in(stage, word))}
            wanted = set(names.values())
            at = {name: i for i, name in enumerate(names_of(stage.runs) if wanted else ()) if name in wanted}
            found.update({word: (stage, stage.runs[at[name]]) for word, name in names.items() if name in at})
        return found

    def _name_in(self, stage: Stage, word: str) -> str:
        """Return the name that a run of a stage must have to be meant by a word; "" where none of it can be."""
        root = self.batch.remote_output_path
        key = _behind(f"{root}/", word)
        if not key and not stage.single and (name := _behind(f"{stage.name}:", word)):
            return "" if is_pattern(word) else name
        if not key and "/" in word:
            key = local_below(word, root, self._here)
        key = key.removesuffix(f"/{STATUS_CODE}")
        return key if stage.single or stage.name == PLAIN else _behind(f"{stage.name}/", key)

    def has_task(self, word: str) -> bool:
        """Return whether a word means a task of a submission, tasks/submission.py, rather than a run."""
        return word.partition(":")[0] in ENGINE_TASKS

    def unknown(self, word: str, commands: Collection[str] = ()) -> str:
        """Return the message for a word that names no run, with the nearest run or command of `commands`."""
        if word in commands:
            return f"`{word}` is a command of `pydoit-sc`, as its first word: pydoit-sc {word}"
        names = [stage.name for stage in self.batch.stages]
        stage_name = word.partition(":")[0]
        if stage_name in names:
            names = [stage.task_name(run) for stage, run in self.batch.runs() if stage.name == stage_name]
        near = (
            self._as_condition(word)
            or self._without_stage(word)
            or nearest(word, [*names[:10_000], *commands])
        )
        hint = f"did you mean `{near}`?" if near else f"the batch has {_some(names)}"
        what = "run, stage or command" if commands else "run or stage"
        return f"{self.batch.path}: no {what} is named `{word}`; {hint}"

    def _as_condition(self, word: str) -> str | None:
        """Return the option that a word is the value of, if it says something of an axis: `model=a`."""
        axis = _SIGN.split(word, maxsplit=1)[0].strip()
        firsts = ((stage, next(iter(stage.runs), None)) for stage in self.batch.stages)
        known = {name for stage, run in firsts if run is not None for name in stage.axes_of(run)}
        if axis == word or not known & {axis, f"{axis}.start"}:
            return None
        return f"--where {shlex.quote(word)}"

    def _without_stage(self, word: str) -> str | None:
        """Return the name of the first run whose name in its stage, or whose command, is this word."""
        runs = ((stage, run) for stage, run in self.batch.runs() if word in (run.name, run.cmd))
        return next((stage.task_name(run) for stage, run in runs), None)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _behind(prefix: str, text: str) -> str:
    return text[len(prefix) :] if text.startswith(prefix) else ""


def read_instead(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what options say in place of a batchfile, by their names; raises UserError."""
    given = {}
    for name, read in _INSTEAD.items():
        if (text := options.get(name)) is None:
            continue
        try:
            given[name] = read(int(text) if text.isdecimal() and len(text) <= DIGITS else text)
        except ValueError as error:
            raise UserError(f"--{name.replace('_', '-')}: {error}, found `{shortened(text)}`") from error
    return given


def _some(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5:,} more"
