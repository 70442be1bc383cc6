"""Spoiled inputs: each is read, and used as a plan, a split or a worker uses it; only the errors we document may come out.

The inputs are read in a process of its own, whose memory is limited, and which a watchdog ends when it hangs. Input
number n of a seed is always the same.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import math
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from pydoit_sc.batch import Batch, Run, Settings, failure_budget
from pydoit_sc.batchfile import BatchfileError, load, matrix, template, values
from pydoit_sc.batchfile.fields import command_fault
from pydoit_sc.batchfile.names import check_name
from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.chunks.read import read_chunk
from pydoit_sc.errors import UserError
from pydoit_sc.fingerprint import MissingFileDepError
from pydoit_sc.ledger import Ledger
from pydoit_sc.plan import plan
from pydoit_sc.positions import moved
from pydoit_sc.saturn import job, recipe
from pydoit_sc.saturn.table import SaturnTable
from pydoit_sc.submissions.choose import Wanted, choose
from pydoit_sc.submissions.cut import Shape, cut, texts
from pydoit_sc.verdicts import count
from tests.faults.fuzz_mutators import mutate
from tests.faults.fuzz_seeds import BESIDE, SEEDS

TESTS = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
SECONDS = 2.0  # of the processor, for one input
HANGING = 30.0  # seconds until the watchdog ends it
MEMORY = 1 << 30  # bytes of address space

#: Time and memory of a matrix grow with its combinations, which have a limit: with a lower one, both can be asked for.
COMBINATIONS = 20_000
CHARACTERS = 20_000_000

KINDS = tuple(SEEDS)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class ViolationError(Exception):
    """An input came through that should not have, or its error says too little."""


@dataclass(frozen=True, slots=True)
class Input:
    """One spoiled file."""

    kind: str
    end: str  # of its name
    data: bytes

    def write(self, folder: Path) -> Path:
        """Write it beside what sound files of its kind name."""
        for name, text in BESIDE.items():
            (folder / name).write_text(text)
        path = folder / f"{self.kind}{self.end}"
        path.write_bytes(self.data)
        return path


def make(seed: int, number: int) -> Input:
    """Return input number `number` of a seed."""
    random = Random(f"{seed}:{number}")
    kind = KINDS[number % len(KINDS)]
    end, text = random.choice(SEEDS[kind])
    data = mutate(random, text.encode(), end)
    if kind != "recipe" and random.random() < 0.05:
        end = random.choice(
            ("", ".txt", ".json", ".yaml", ".toml", ".csv", ".jsonl")
        )  # its format is another one
    return Input(kind, end, data)


def kept() -> list[Path]:
    """Return the inputs that once did harm."""
    return sorted(path for path in CORPUS.iterdir() if path.suffix != ".md")


def keep(spoiled: Input, name: str) -> Path:
    """Add an input to those that are always replayed."""
    path = CORPUS / f"{spoiled.kind}-{name}{spoiled.end}"
    path.write_bytes(spoiled.data)
    return path


def read_kept(path: Path) -> Input:
    """Return an input of the corpus: `KIND-NAME.END`."""
    return Input(path.name.partition("-")[0], path.suffix, path.read_bytes())


def try_one(spoiled: Input, folder: Path) -> bool:
    """Read and use an input; return whether it was accepted. Raises whatever is wrong."""
    path = spoiled.write(folder)
    began = time.process_time()
    try:
        _USES[spoiled.kind](path)
        return True
    except (BatchfileError, UserError, MissingFileDepError) as error:
        _check_message(str(error), path)
        return False
    finally:
        took = time.process_time() - began
        if took > SECONDS:
            raise ViolationError(f"took {took:.1f} s")


def _check_message(text: str, path: Path) -> None:
    if str(path.parent) not in text:
        raise ViolationError(f"the message does not name the file: {text[:300]!r}")
    if found := _CONTROL.search(text):
        raise ViolationError(f"the message holds {found.group()!a}: {text[:300]!a}")
    if len(text) > 20_000:
        raise ViolationError(f"a message of {len(text):,} characters: {text[:300]!r}")


def _use_batchfile(path: Path) -> None:
    _use_batch(load(path), path.with_name("written.json"))


def _use_commands(path: Path) -> None:
    _use_batch(load(path, remote_output_path="/tmp/out"), path.with_name("written.json"))


def _use_batch(batch: Batch, chunk: Path) -> None:
    """Do what `plan`, `list`, `run` and `split` do with a batch."""
    ledger = Ledger(batch, {})
    planned = list(plan(ledger, batch.stages))
    (
        count(item.verdict for item in planned),
        moved(ledger, batch.stages),
        failure_budget(batch.max_failures, batch.size),
    )
    if "://" not in batch.remote_output_path or batch.remote_output_path.endswith("/"):
        raise ViolationError(f"remote_output_path is {batch.remote_output_path!r}")
    keys = [item.run.key for item in planned]
    if len(set(keys)) != len(keys):
        raise ViolationError("two runs share their output")
    for item in planned:
        if (reason := check_name(item.run.key)) is not None:
            raise ViolationError(f"the key {item.run.key!a}: {reason}")
        _check_run(item.run)
    if "saturn" in batch.tables:
        job.read_recipe(batch)
    choice = choose(ledger, Wanted(completed=True, failures=True, at_most=300), batch.stages)
    shape = Shape(nprocs=2, size=100, always=False)
    cmds = []
    pieces = cut(choice, shape).groups[0] if choice.works else []
    for text in texts(ledger, pieces, shape, "20240101-000000-abcdef", waiting=False):
        chunk.write_text(text)
        cmds += [one.run.cmd for one in _use_chunk(chunk).works]
    if cmds != [work.run.cmd for work in choice.works]:
        raise ViolationError("the chunks do not read back as they were written")


def _use_chunk(path: Path) -> Chunk:
    """Read a chunk and look whether a worker could execute it."""
    chunk = read_chunk(path)
    _check_worker(chunk)
    for one in chunk.works:
        _check_run(one.run)
        for text in (one.task, one.output, one.fingerprint):
            if not isinstance(text, str) or _CONTROL.search(text):
                raise ViolationError(f"a chunk's run has {text!a}")
    return chunk


def _check_worker(chunk: Chunk) -> None:
    if not isinstance(chunk.submission, str) or _CONTROL.search(chunk.submission):
        raise ViolationError(f"the submission is {chunk.submission!a}")
    scratch, options = chunk.batch.scratch, chunk.batch.storage_options
    if scratch is not None and not (isinstance(scratch, str) and os.path.isabs(scratch)):
        raise ViolationError(f"scratch is {scratch!a}")
    if not isinstance(options, Mapping) or not all(isinstance(k, str) for k in options):
        raise ViolationError(f"storage_options are {options!a}")


def _check_run(run: Run) -> None:
    if (fault := command_fault(run.cmd)) is not None:
        raise ViolationError(f"the command {run.cmd[:100]!a}: {fault}")
    if run.local_results_dir is not None and "\0" in run.local_results_dir:
        raise ViolationError("local_results_dir holds NUL")
    _check_settings(run.settings)


def _check_settings(settings: Settings) -> None:
    for name, value in settings.env.items():
        if not name or set("=\0") & set(name) or "\0" in value or _CONTROL.search(name):
            raise ViolationError(f"the environment has {name!a}={value!a}")
        value.encode()
    timeout, grace = settings.timeout, settings.grace
    if not (timeout is None or 0 < timeout < math.inf) or not 0 <= grace < math.inf:
        raise ViolationError(f"timeout {timeout}, grace {grace}")
    codes = settings.retry_on
    if settings.retries < 0 or not (codes is None or all(0 < code < 256 for code in codes)):
        raise ViolationError(f"retries {settings.retries}, retry_on {codes}")


def _use_recipe(path: Path) -> None:
    """Do what `split` and `apply` do with a recipe."""
    table = SaturnTable(recipe=str(path), instance_type="large", name="job")
    batch = _some_batch(path)._replace(tables={"saturn": table})
    finished = job.with_submission(job.read_recipe(batch), table, ["/tmp/commands/0.json"], [])
    if recipe.loads(recipe.dumps(finished)) != finished and "nan" not in repr(finished):
        raise ViolationError("the recipe does not read back as it was written")
    json.dumps(finished)


def _some_batch(path: Path) -> Batch:
    jobs = path.with_name("runs.json")
    jobs.write_text('{"remote_output_path": "/tmp/out", "runs": [{"cmd": "true"}]}')
    return load(jobs)


_USES: dict[str, Callable[[Path], object]] = {
    "batchfile": _use_batchfile,
    "list": _use_batchfile,
    "commands": _use_commands,
    "chunk": _use_chunk,
    "recipe": _use_recipe,
}


@dataclass(frozen=True, slots=True)
class Harm:
    """An input that did what none may."""

    number: int
    what: str


def campaign(seed: int, numbers: range, folder: Path) -> tuple[int, list[Harm]]:
    """Try these inputs of a seed; return how many were accepted, and what did harm."""
    accepted, harms, first = 0, list[Harm](), numbers.start
    while first < numbers.stop:
        ended = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.faults.fuzz",
                str(seed),
                str(first),
                str(numbers.stop),
                str(folder),
            ],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            check=False,
        )
        last = first
        for line in ended.stdout.splitlines():
            number, word = line.split(" ", 1)
            last = int(number)
            accepted += word == "accepted"
            if word.startswith("harm "):
                harms.append(Harm(last, word.removeprefix("harm ").encode().decode("unicode_escape")))
        if ended.returncode:
            harms.append(Harm(last, f"the process ended with {ended.returncode}: {ended.stderr[-2000:]}"))
        first = last + 1
    return accepted, harms


def limit() -> None:
    """Bound what this process may take; what comes later is read by the same rules with smaller numbers."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for module, name, value in (
        (values, "MOST", COMBINATIONS),
        (matrix, "MOST", COMBINATIONS),
        (template, "MOST_TEXT", CHARACTERS),
    ):
        assert hasattr(module, name)
        setattr(module, name, value)


def _outcomes(seed: int, first: int, stop: int, folder: Path) -> Iterator[str]:
    """Yield a line before and after each input; the one before tells which it was if the process dies."""
    for number in range(first, stop):
        yield f"{number} begins"
        faulthandler.dump_traceback_later(HANGING, exit=True)
        try:
            word = "accepted" if try_one(make(seed, number), folder) else "refused"
        except Exception as error:  # whatever it is, it is what we are looking for
            import traceback

            trace = "".join(traceback.format_exception(error)[-6:])
            word = f"harm {trace[:4000].encode('unicode_escape').decode()}"
        faulthandler.cancel_dump_traceback_later()
        gc.collect(1)
        yield f"{number} {word}"


def main(seed: str, first: str, stop: str, folder: str) -> None:
    """Try inputs and write what became of each."""
    limit()
    for line in _outcomes(int(seed), int(first), int(stop), Path(folder)):
        print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
