"""Sequences of texts and runs say what lists of them would."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from pydoit_sc import project as project_module
from pydoit_sc.batch import Run, Settings
from pydoit_sc.batchfile import load
from pydoit_sc.made import MadeRuns, Texts, names_of
from pydoit_sc.project import Project

MATRIX = """
[batch]
remote_output_path = "out"
[runs.each]
cmd = "echo {a} {b}"
matrix = {a = ["x", "y"], b = {range = [0, 5, 1]}}
"""


@pytest.fixture
def runs(tmp_path: Path) -> MadeRuns:
    (tmp_path / "batchfile.toml").write_text(MATRIX)
    (stage,) = load(tmp_path / "batchfile.toml").stages
    assert isinstance(stage.runs, MadeRuns)
    return stage.runs


SLICES = [slice(None), slice(2, 7), slice(-3, None), slice(None, None, -1), slice(1, 100, 3), slice(5, 2)]


@pytest.mark.parametrize("part", SLICES)
def test_runs_of_a_matrix_are_as_a_list_of_them(runs: MadeRuns, part: slice) -> None:
    whole = [
        Run(f"{a}_{b}", f"echo {a} {b}", f"each/{a}_{b}", Settings(), position=5 * i + b)
        for i, a in enumerate("xy")
        for b in range(5)
    ]
    assert list(runs) == whole
    assert list(runs[part]) == [runs[part][i] for i in range(len(runs[part]))] == whole[part]
    assert list(names_of(runs[part])) == [run.name for run in whole[part]]
    assert (runs[-1], len(runs)) == (whole[-1], 10)
    with pytest.raises(IndexError):
        runs[10]


def test_texts_without_a_placeholder() -> None:
    assert list(Texts([], 3)) == ["", "", ""]
    assert list(Texts(["a"], 2)[1:]) == ["a"]
    assert list(Texts([(array("i", [1, 0]), ["p", "q"]), "-"], 2)) == ["q-", "p-"]


def test_many_names_are_found_in_one_look(
    runs: MadeRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, looks = Project.load(str(tmp_path / "batchfile.toml")), list[object]()

    def counted(of: Sequence[Run]) -> Iterable[str]:
        looks.append(of)
        return names_of(of)

    monkeypatch.setattr(project_module, "names_of", counted)
    words = [f"each:{name}" for name in runs.names][::-1]
    assert [run for _, run in project.select(words)] == list(runs)[::-1]
    assert project.select([project.target(runs[3]), "each:x_3"]) == [(project.batch.stages[0], runs[3])]
    assert len(looks) == 2
