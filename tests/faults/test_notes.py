"""Notes of submissions that somebody else has put into the store: nothing that they name is talked to, or ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pydoit_sc.batchfile import load
from pydoit_sc.engines.registry import engine_for
from pydoit_sc.errors import UserError
from pydoit_sc.installed import engine_names
from pydoit_sc.proc import started_at
from pydoit_sc.store import open_store
from pydoit_sc.submissions.notes import new_note, read_notes

TABLES = {
    "none": "",
    "slurm": "[slurm]",
    "dask": '[dask]\naddress = "tcp://127.0.0.1:9"',
    "dask of ours": '[dask]\ncluster = "local"',
    "kubernetes": '[kubernetes]\nimage = "i"',
    "kubernetes with a namespace": '[kubernetes]\nimage = "i"\nnamespace = "mine"',
    "saturn": '[saturn]\nrecipe = "job.yaml"',
}

RECIPE = "type: job\nspec: {name: mine, owner: me, instance_type: large, command: a}\n"

#: Programs that know every job they are asked for, as somebody else's, and write down what they are told to end.
SQUEUE = """\
#!/bin/sh
for word; do last=$word; done
for job in $(printf %s "$last" | tr , ' '); do
    case "$*" in *%o*) echo "$job|/home/me/other/.pydoit_sc/submissions/x/job.sh 0" ;; *) echo "$job|RUNNING|None" ;; esac
done
"""
SCANCEL = '#!/bin/sh\necho "scancel $*" >> "$PLACE/ended"\n'
JOBS = """\
{"items": [{"metadata": {"name": "victims", "labels": {"pydoit-sc/submission": "planted"},
 "annotations": {"pydoit-sc/remote-output-path": "file:///home/me/other"}}, "status": {"ready": 1}}]}
"""
KUBECTL = (
    f'#!/bin/sh\nif [ $1 = get ]; then cat <<\'X\'\n{JOBS}X\nelse echo "kubectl $*" >> "$PLACE/ended"; fi\n'
)


@dataclass
class Scene:
    """A batch of the victim, the victim's other things, and a neighbour who listens."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    listener: socket.socket
    env: dict[str, str] = field(default_factory=dict)

    def plant(self, **changes: object) -> None:
        """Put a note into the store, under its own name."""
        note = new_note(
            id="planted", engine="local", batch="b", chunks=1, runs=1, nprocs=1, scale=None, jobs=("1",)
        )
        data = {**json.loads(note.to_json()), **changes}
        folder = self.folder / "out" / ".pydoit_sc" / "submitted"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{os.path.basename(str(data['id']))}.json").write_text(json.dumps(data))

    def jobs(self, id_: str) -> list[str]:
        """Return what a neighbour may call the jobs of a submission."""
        key, pid = f"pydoit-sc-{id_}-0", self.process.pid
        return [
            "root", "1", "12345", "1,--user=root", "1 --user=root", "1\n2", "--user=root", "-1", "",
            "batch/victims", "mine/victims", "batch/--all", "--all", "/", "a/b/c", "../../../x",
            f"tcp://127.0.0.1:{self.port}#{key}", f"own+tcp://127.0.0.1:{self.port}#{key}", f"own#{key}",
            f"tcp://127.0.0.1:9#{key}", "#", f"#{key}", "inproc://x#y",
            f"{socket.gethostname()}/{pid}/{started_at(pid)}", f"{socket.gethostname()}/0/", "///", "x/y/z",
            json.dumps({"name": "victims", "owner": "me", "before": None, "last": "", "at": 0.0}), "{}", "[]", "null",
        ]  # fmt: skip

    def unharmed(self) -> None:
        """Check that nothing was ended, and nobody was called."""
        assert not (self.folder / "ended").exists(), (self.folder / "ended").read_text()
        assert self.process.poll() is None
        with pytest.raises(BlockingIOError):
            self.listener.accept()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A folder with a batch, programs of engines, a process of the victim and a port of the neighbour."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, text in {"squeue": SQUEUE, "scancel": SCANCEL, "kubectl": KUBECTL}.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    (tmp_path / "job.yaml").write_text(RECIPE)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("PLACE", str(tmp_path))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(["sleep", "300"]) as process,
    ):
        listener.setblocking(False)
        port = listener.getsockname()[1]
        monkeypatch.setenv("SATURN_BASE_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("SATURN_TOKEN", "token")
        try:
            yield Scene(tmp_path, port, process, listener)
        finally:
            process.kill()


def pydoit_sc(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pydoit_sc", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("table", TABLES)
def test_what_a_planted_note_names_is_left_alone(scene: Scene, table: str) -> None:
    text = f'[batch]\nremote_output_path = "out"\nnprocs = 1\n[[runs]]\ncmd = "true"\n{TABLES[table]}\n'
    (scene.folder / "batchfile.toml").write_text(text)
    for engine in (*engine_names(), "no-such", "../x", ""):
        for number, job in enumerate(scene.jobs("planted")):
            scene.plant(id="planted", engine=engine, jobs=[job])
            (scene.folder / "out/.pydoit_sc/submitted/planted.json").rename(
                scene.folder / f"out/.pydoit_sc/submitted/{engine.replace('/', '-')}-{number}.json"
            )
            id_ = f"{engine.strip('./')}-{number}"
            scene.plant(id=id_, engine=engine, jobs=[scene.jobs(id_)[number]])
    batch = load(scene.folder / "batchfile.toml")
    notes = read_notes(open_store(batch.remote_output_path, {}))
    assert len(notes) > 100
    for note in notes:
        handed = note.handed(batch)
        with suppress(UserError):
            engine_for(batch, note.engine).poll([handed])
        if note.engine == "dask" and note.jobs[0].startswith("tcp://127.0.0.1:9#"):
            continue  # the batchfile's own scheduler, where nobody listens
        with suppress(UserError):
            engine_for(batch, note.engine).cancel(handed)
    scene.unharmed()
    listed = pydoit_sc(scene.folder, "submissions")
    assert (listed.returncode, listed.stderr) == (0, ""), listed
    scene.unharmed()


@pytest.mark.parametrize("id_", ["../../../x", "..", "/x", "a/b", "-x", "", "a\nb", "é", "x" * 65, 1, None])
def test_no_note_leads_out_of_its_folder(scene: Scene, id_: object) -> None:
    (scene.folder / "batchfile.toml").write_text(
        '[batch]\nremote_output_path = "out"\n[[runs]]\ncmd = "true"\n'
    )
    scene.plant(id="good", jobs=["x"])
    good = scene.folder / "out/.pydoit_sc/submitted/good.json"
    data = json.loads(good.read_text())
    (good.parent / "planted.json").write_text(json.dumps({**data, "id": id_}))
    (good.parent / "link.json").symlink_to("good.json")  # a note is that of the file it lies in
    before = sorted(path for path in scene.folder.rglob("*"))
    listed = pydoit_sc(scene.folder, "submissions")
    assert (listed.returncode, listed.stderr) == (0, ""), listed
    assert listed.stdout.count("\n") == 3 and "good" in listed.stdout
    assert json.loads(good.read_text())["ended"] is True
    assert sorted(path for path in scene.folder.rglob("*")) == before
    scene.unharmed()
