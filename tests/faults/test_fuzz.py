"""Spoiled batchfiles, run lists, chunks and recipes: an error that names the file, or a sound batch; never anything else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults import fuzz
from tests.faults.explore import NIGHTLY, SEED
from tests.faults.fuzz_seeds import BESIDE
from tests.faults.tally import Tally

COUNT = 10_000 if NIGHTLY else 600
PROGRAMS = 200 if NIGHTLY else 8  # of them through the whole program

BATCH = '[batch]\nremote_output_path = "/tmp/out"\n'
MATRIX = f'{BATCH}[runs.a]\ncmd = "%s"\n[runs.a.matrix]\n%s\n'
LIST = '{"remote_output_path": "/tmp/out", "runs": [%s]}'
NINES = "[1,1,1,1,1,1,1,1,1]"
BOMB = "\n".join(
    [f"a0: &a0 {NINES}", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
)

#: What once took minutes, gigabytes or the process with it, and is too large to be kept as a file.
LARGE = {
    "brackets.toml": f"{BATCH}x = {'[' * 100_000}",
    "brackets.json": "[" * 100_000,
    "brackets.yaml": "[" * 100_000,
    "maps.yaml": "? " * 100_000,
    "dotted.toml": f"{'a.' * 50_000}a = 1",
    "unknown.toml": BATCH + "".join(f"nprcs{n} = 1\n" for n in range(30_000)),
    "tables.toml": BATCH + "".join(f"[t{n}]\n" for n in range(2000)),
    "unknown.json": LIST % ",".join(f'{{"cmd": "a", "nam{n}": 1}}' for n in range(30_000)),
    "unknown.csv": f"{','.join(f'nam{n}' for n in range(3000))}\n",
    "env.json": LIST % f'{{"cmd": "a", "env": {"[" * 960}{"]" * 960}}}',
    "after.toml": BATCH + "".join(f'[runs.s{n}]\ncmd = "a"\nafter = ["x{n}"]\n' for n in range(2000)),
    "minutes.toml": MATRIX
    % ("{w.start}", 'w = {from = 0001-01-01T00:00:00, to = 9999-01-01T00:00:00, every = "1 minute"}'),
    "steps.toml": MATRIX % ("{x}", "x = {range = [0, 1e15, 5e-324]}"),
    "range.toml": MATRIX % ("{x}", "x = {range = [0, 1000000000000000]}"),
    "wide.toml": MATRIX % ("{x:9999}" * 10_000, "x = {range = [0, 15000]}"),
    "long.toml": MATRIX % ("{x}" + "y" * 100_000, "x = {range = [0, 15000]}"),
    "many.toml": MATRIX % ("a", "\n".join(f"x{n} = [1, 2]" for n in range(5000))),
    "bomb.yaml": f"runs: [{{cmd: a}}]\n{BOMB}",
    "merges.yaml": "a0: &a0 {k: 1}\n"
    + "\n".join(f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)),
    "anchors.yaml": "".join(f"a{n}: &a{n} {n}\n" for n in range(20_000)),
}
RECIPES = {
    "brackets": "spec: " + "[" * 100_000,
    "bomb": f"spec: {{}}\n{BOMB}",
    "itself": "spec: &a\n  b: *a\n",
    "digits": f"spec: {{x: 0x{'f' * 5000}}}",
    "deep": '{"spec": {"a": ' + "[" * 900 + "]" * 900 + "}}",
}


def try_apart(code: str, folder: Path) -> None:
    """Try something in a process of its own, under the limits of a campaign."""
    ended = subprocess.run(
        [sys.executable, "-c", f"from tests.faults import fuzz\nfuzz.limit()\n{code}"],
        env={**os.environ, "PYTHONPATH": str(fuzz.TESTS)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]


def test_every_spoiled_file_is_refused_in_words_or_sound(tmp_path: Path, tally: Tally) -> None:
    began = time.monotonic()
    accepted, harms = fuzz.campaign(SEED, range(COUNT), tmp_path)
    tally.add("inputs", "spoiled files read and used", COUNT, COUNT, len(harms), time.monotonic() - began)
    for harm in harms[:20]:
        fuzz.keep(fuzz.make(SEED, harm.number), f"seed{SEED}-{harm.number}")
    found = "\n\n".join(f"input {harm.number} of seed {SEED}: {harm.what}" for harm in harms[:5])
    assert not harms, f"{len(harms)} of {COUNT} (kept in {fuzz.CORPUS}):\n{found}"
    assert COUNT / 20 < accepted < COUNT / 2  # otherwise they are spoiled too little, or too much


def test_what_once_did_harm(tmp_path: Path) -> None:
    assert fuzz.kept()
    try_apart(
        "from pathlib import Path\nfor path in fuzz.kept():\n"
        "    print(path, flush=True)\n    fuzz.try_one(fuzz.read_kept(path), Path.cwd())",
        tmp_path,
    )


@pytest.mark.parametrize("name", [*LARGE, *RECIPES])
def test_large_ones(tmp_path: Path, name: str) -> None:
    kind = "recipe" if name in RECIPES else "batchfile"
    (tmp_path / "data").write_text(RECIPES[name] if name in RECIPES else LARGE[name])
    end = Path(name).suffix or ".yaml"
    outcome = "" if name == "anchors.yaml" else "assert not "
    try_apart(
        f"from pathlib import Path\ndata = Path('data').read_bytes()\n"
        f"{outcome}fuzz.try_one(fuzz.Input({kind!r}, {end!r}, data), Path.cwd())",
        tmp_path,
    )


def test_through_the_program(tmp_path: Path, tally: Tally) -> None:
    began = time.monotonic()
    for number in range(PROGRAMS):
        spoiled = fuzz.make(SEED, number)
        path = spoiled.write(tmp_path)
        ended = subprocess.run(
            [sys.executable, "-m", "pydoit_sc", "plan", "-f", path.name],
            cwd=tmp_path,
            capture_output=True,
            timeout=120,
            check=False,
        )
        said = ended.stderr.decode() + ended.stdout.decode()
        where = f"input {number} of seed {SEED}: {ended.returncode}, {said[:2000]}"
        assert ended.returncode in (0, 3), where
        assert "Traceback" not in said, where
        assert ended.returncode == 0 or path.name in said or any(name in said for name in BESIDE), where
    tally.add("inputs", "through the program", PROGRAMS, PROGRAMS, 0, time.monotonic() - began)
