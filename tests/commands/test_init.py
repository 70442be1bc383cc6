"""`init`: a new project from a template."""

from __future__ import annotations

from tests.conftest import Box


def test_init_is_a_project_that_runs(box: Box) -> None:
    out = box.ok("init", "my project")
    folder = box.folder / "my project"
    assert sorted(path.name for path in folder.iterdir()) == [
        "batchfile.schema.json",
        "batchfile.toml",
        "doit.cfg",
        "work.py",
    ]
    assert "next: cd 'my project' && pydoit-sc plan" in out
    box.ok(cwd=folder)
    assert "up to date" in box.ok(cwd=folder, program="doit")
    assert "has batchfile.toml" in box("init", "my project").refused()
    assert "has batchfile.toml" in box("init", cwd=folder).refused()
    box.write("file", "")
    assert "file" in box("init", "file").refused()
    assert "file" in box("init", "file/below").refused()


def test_init_on_a_full_disk_leaves_nothing(box: Box) -> None:
    """`ulimit` lets a file have 1 KB, which the schema exceeds."""
    done = box.shell("ulimit -f 1; pydoit-sc init project")
    assert done.refused() == "ERROR: init: project/batchfile.schema.json: File too large\n"
    assert list((box.folder / "project").iterdir()) == []
    box.ok("init", "project")
