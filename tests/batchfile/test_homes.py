"""Keys in wrong tables: each is told which table it belongs in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Problems = Callable[..., list[str]]
HEAD = '[batch]\nremote_output_path = "out"\n'
STAGE = '[runs.s]\ncmd = "true"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"nprocs = 4\n{HEAD}{STAGE}", ":1:1: nprocs: belongs in [batch]"),
        (f'cmd = "x"\n{HEAD}{STAGE}', ":1:1: cmd: belongs in [runs.NAME] or [[runs]]"),
        (f"[env]\n{HEAD}{STAGE}", ":1:1: env: belongs in [batch], [runs.NAME] or [[runs]]"),
        (f"{HEAD}matrix = {{ a = [1] }}\n{STAGE}", ":3:1: batch.matrix: belongs in [runs.NAME]"),
        (f'{HEAD}partition = "a"\n{STAGE}', ":3:1: batch.partition: belongs in [slurm]"),
        (f'{HEAD}dirs = ["."]\n{STAGE}', ":3:1: batch.dirs: belongs in [sync]"),
        (f"{HEAD}{STAGE}max_failures = 4\n", ":5:1: runs.s.max_failures: belongs in [batch]"),
        (f"{HEAD}{STAGE}include = [1]\n", ":5:1: runs.s.include: belongs in [runs.NAME.matrix]"),
        (f"{HEAD}{STAGE}[local]\nnprocs = 4\n", ":6:1: local.nprocs: belongs in [batch]"),
        (f"{HEAD}[[runs]]\ncmd = '-'\nscale = 4\n", ":5:1: runs[0].scale: belongs in [batch]"),
        (f"{HEAD}{STAGE}[runs]\nscratch = '/x'\n", ":6:1: runs.scratch: belongs in [batch]"),
        (
            f'{HEAD}{STAGE}[runs.s.matrix]\na = [1]\ntimeout = "10m"\n',
            ":7:1: runs.s.matrix.timeout: is a key of the stage: it stands above [runs.s.matrix]",
        ),
        (f"{HEAD}{STAGE}[runs.s.matrix]\na = [1]\nnprocs = 4\n", ":7:1: runs.s.matrix.nprocs: belongs in [batch]"),
    ],
)  # fmt: skip
def test_a_key_in_a_wrong_table(problems: Problems, text: str, expected: str) -> None:
    assert problems(text) == [f"batchfile.toml{expected}"]


def test_what_one_engine_takes_is_no_advice_about_another(problems: Problems) -> None:
    (line,) = problems(f'{HEAD}{STAGE}[slurm]\nimage = "x"\n')
    assert line.startswith("batchfile.toml:6:1: slurm.image: unknown key; ")


def test_tables_in_tables_have_keys_of_their_own(problems: Problems) -> None:
    text = HEAD.replace('"out"', '"s3://b/out"') + "storage_options.client_kwargs.nprocs = 3\n" + STAGE
    (line,) = problems(text)
    assert line.startswith("batchfile.toml:3:31: batch.storage_options.client_kwargs.nprocs: unknown key;")


def test_run_lists_have_no_other_tables(problems: Problems) -> None:
    (line,) = problems('{"runs": [{"cmd": "x", "nprocs": 4}]}', "runs.json", remote_output_path="/o")
    assert line.startswith("runs.json:1:24: runs[0].nprocs: unknown key; known are ")
