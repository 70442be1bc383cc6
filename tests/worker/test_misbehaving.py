"""Runs that misbehave: each ends in an outcome of its own, and the others and the worker go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydoit_sc.batch import Settings
from tests.worker.workplace import PATIENCE, QUICK, Workplace, finish, marked

R = 'cd "$SATURN_RUN_LOCAL_RESULTS_DIR"; '
ALL = 'd="$(dirname "$SATURN_RUN_LOCAL_RESULTS_DIR")"; echo x; '
WORKER = f"{R}cd ../..; [ -e worker.json ] || cd ..; "
DEEP = f'{sys.executable} -I -S -c "import os\nfor _ in range({{}}): os.mkdir(chr(100)); os.chdir(chr(100))\nopen(chr(102), chr(119))"'

#: What a run does, and its status code.
ATTACKS: dict[str, tuple[str, int]] = {
    # our own files
    "its status_code": (f"{R}echo 0 > ../status_code", 125),
    "status_code, fails": (f"{R}echo 0 > ../status_code; exit 3", 3),
    "status_code, folder": (f"{R}mkdir ../status_code", 125),
    "status_code, full folder": (f"{R}mkdir -p ../status_code/x/y", 125),
    "status_code, fifo": (f"{R}mkfifo ../status_code", 125),
    "status_code, link": (f'{R}ln -s "$HERE/target" ../status_code', 125),
    "its run.json": (f"{R}echo '{{}}' > ../run.json", 125),
    "run.json, folder": (f"{R}mkdir ../run.json", 125),
    "run.json, fifo": (f"{R}mkfifo ../run.json; exit 1", 1),
    "run.json, link": (f'{R}ln -s "$HERE/target" ../run.json', 125),
    "run.json, dangling link": (f"{R}ln -s /no/such ../run.json", 125),
    "run.json, device": (f"{R}ln -s /dev/zero ../run.json", 125),
    # its standard streams
    "stderr removed": (f"{R}rm ../stderr", 125),
    "stdout removed": (f"{R}echo x; rm ../stdout", 125),
    "stderr, folder": (f"{R}rm ../stderr; mkdir ../stderr; exit 1", 1),
    "stderr, fifo": (f"{R}rm ../stderr; mkfifo ../stderr; exit 1", 1),
    "stdout, fifo": (f"{R}rm ../stdout; mkfifo ../stdout", 125),
    "stderr, link": (f"{R}ln -sf /dev/zero ../stderr; exit 1", 1),
    "stdout, link": (f'{R}ln -sf "$HERE/target" ../stdout', 125),
    "stderr, loop": (f"{R}ln -sf stderr ../stderr; exit 1", 1),
    "stderr closed": (f"{R}chmod 0 ../stderr; exit 1", 1),
    "stdout closed": (f"{R}echo x; chmod 0 ../stdout; exit 1", 1),
    "stdout cut": (f"{R}seq 100000; : > ../stdout", 0),
    # its folders
    "all removed": (f'{ALL}rm -rf "$d"', 125),
    "all removed, fails": (f'{ALL}rm -rf "$d"; exit 7', 7),
    "all renamed": (f'{ALL}mv "$d" "$d.moved"', 125),
    "all closed": (f"{R}chmod 0 ..", 125),
    "all read-only": (f"{R}chmod 555 ..", 125),
    "all, file": (f'{ALL}rm -rf "$d"; echo > "$d"', 125),
    "all, link": (f'{ALL}rm -rf "$d"; ln -s "$HERE" "$d"', 125),
    "all, link to own files": (f'{ALL}rm -rf "$d"; ln -s "$HERE/mine" "$d"', 125),
    "all, fifo": (f'{ALL}rm -rf "$d"; mkfifo "$d"', 125),
    "results removed": (f"{R}rmdir ../results", 0),
    "results, file": (f"{R}cd ..; rmdir results; echo > results", 125),
    "results, link": (f'{R}cd ..; rmdir results; ln -s "$HERE" results', 125),
    "results, link to own files": (f'{R}cd ..; rmdir results; ln -s "$HERE/mine" results', 125),
    "results closed": (f"{R}echo x > x; chmod 0 .", 125),
    "results without x": (f"{R}echo x > x; chmod 600 .", 125),
    "results read-only": (f"{R}echo x > x; chmod 555 .", 0),
    "folder closed": (f"{R}mkdir a; echo x > a/x; chmod 0 a", 125),
    "file closed": (f"{R}echo x > x; chmod 0 x", 0),
    "deep": (f"{R}{DEEP.format(150)}", 125),
    "too deep for Python": (f"{R}{DEEP.format(1500)}", 125),
    "beyond PATH_MAX": (f"{R}{DEEP.format(3000)}", 125),
    "long path": (f'{R}n=$(printf "%0250d" 0); for i in 1 2 3 4 5 6 7 8 9; do mkdir $n; cd $n; done; touch x', 125),
    # what lies in its results
    "fifo": (f"{R}mkfifo fifo; exit 1", 1),
    "socket": (f"{R}{sys.executable} -I -S -c \"import socket; socket.socket(socket.AF_UNIX).bind('s')\"", 0),
    "links": (f"{R}ln -s x x; ln -s /no/such y; ln -s .. up; ln -s /dev/zero zero; ln -s /etc etc", 0),
    "odd names": (f"{R}touch -- '-rf' '*' '\"' \"'\" ' ' '\\' '$x' '`x`' \"$(printf 'a\\nb')\" \"$(printf '\\377')\" \"$(printf '\\033[2J')\"", 0),
    "names of ours": (f"{R}touch status_code run.json stdout stderr; mkdir results .pydoit_sc", 0),
    "hard link": (f"{R}ln ../stdout x; ln ../stderr y", 0),
    "sparse": (f"{R}truncate -s 1T big; truncate -s 0 big", 0),
    "many files": (f"{R}seq 2000 | xargs touch", 0),
    # the worker and its other attempts
    "names to come": (f'{R}cd ..; n="${{PWD##*-}}"; for i in 1 2 3 4 5; do echo > "${{PWD%-*}}-$((n + i))"; done', 0),
    "kept name": (f'{R}cd ..; mkdir "$PWD.kept"; echo > "$PWD.kept/stdout"; rm stdout', 125),
    "lock": (f"{WORKER}rm lock; mkfifo lock", 0),
    "running.json": (f"{WORKER}rm -f running.json; mkdir running.json; sleep 1.2", 0),
    "inputs closed": ("exec 0<&- 1>&- 2>&-; exit 5", 5),
    "limits": ("ulimit -n 3; ulimit -v 100000; exit 6", 6),
    "stops itself by kill": ("kill -9 $$", 137),
    "guardian": ('for p in $(ps -o pid= --ppid $PPID); do [ $p = $$ ] || kill -9 $p; done; exit 0', 0),
    "umask": (f"umask 777; {R}echo x > x; mkdir y", 125),
}  # fmt: skip


#: A user's own files, which are no run's, and their modes.
MINE = {"stdout": 0o200, "results/r": 0o200, "results": 0o500}

#: Root, but with neither its rights over files of others' making, nor over processes of others.
PLAIN = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-kill", "--inh-caps=-all")
GOOD = 'echo good; echo r > "$SATURN_RUN_LOCAL_RESULTS_DIR/r"'


def start(place: Workplace, chunk: Path) -> subprocess.Popen[str]:
    """Start a worker for which the modes of files count."""
    if os.getuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("needs setpriv, or not to be root")
    worker = [sys.executable, "-m", "pydoit_sc", "batch", str(chunk)]
    return subprocess.Popen(
        [*PLAIN, *worker] if os.getuid() == 0 else worker,
        env=place.env, cwd=place.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module", params=[None, "scratch"])
def attacked(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Workplace]:
    """One worker that has met all attacks, one after the other, with a run that is plain after each."""
    folder = tmp_path_factory.mktemp("attacked")
    place = Workplace(folder, scratch=request.param and str(folder / request.param))
    (folder / "target").write_text("untouched")
    (folder / "mine/results").mkdir(parents=True)
    for name, mode in MINE.items():
        (folder / "mine" / name).touch()
        (folder / "mine" / name).chmod(mode)
    runs: dict[str, str] = {}
    for name, (cmd, _) in ATTACKS.items():
        runs |= {name: cmd, f"after {name}": GOOD}
    finish(start(place, place.chunk(runs, nprocs=1)), seconds=5 * PATIENCE)
    yield place
    place.close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_misbehaving_run_has_an_outcome_of_its_own(attacked: Workplace, attack: str) -> None:
    code = ATTACKS[attack][1]
    if attack == "file closed" and attacked.scratch:
        code = 125  # it cannot be copied
    assert attacked.code(attack) == code
    for name in ("stdout", "stderr", "status_code", "run.json"):
        path = attacked.out / attack / name
        assert path.is_file()
        assert not path.is_symlink()
    said = attacked.run_json(attack)
    assert {"stdout", "stderr"} <= said["files"].keys()
    assert ("cannot be kept" in said.get("reason", "")) >= (code == 125)
    after = f"after {attack}"
    assert (attacked.code(after), attacked.read(after), attacked.read(after, "results/r")) == (
        0,
        b"good\n",
        b"r\n",
    )


def test_nothing_is_left_of_attacks(attacked: Workplace) -> None:
    assert (attacked.folder / "target").read_text() == "untouched"
    assert {name: (attacked.folder / "mine" / name).stat().st_mode & 0o777 for name in MINE} == MINE
    assert os.listdir(attacked.out / ".pydoit_sc/attempts") == []
    assert not attacked.scratch or os.listdir(attacked.scratch) == []


def test_what_can_be_kept_of_a_spoilt_output_is_kept(place: Workplace) -> None:
    cmd = f"echo out; echo err >&2; {R}echo x > x; mkdir a; echo y > a/y; chmod 0 a ../stdout; : > ../run.json; chmod 0 ."
    finish(start(place, place.chunk({"bad": cmd})))
    assert (place.code("bad"), place.read("bad"), place.read("bad", "stderr")) == (125, b"out\n", b"err\n")
    assert (place.read("bad", "results/x"), place.read("bad", "results/a/y")) == (b"x\n", b"y\n")
    assert place.run_json("bad")["files"].keys() == {"stdout", "stderr", "results/x", "results/a/y"}


def test_a_command_that_the_kernel_does_not_take_is_an_outcome(place: Workplace) -> None:
    place.env |= {f"OUTER{n}": "x" * 120_000 for n in range(14)}
    huge = Settings(env={f"V{n}": "x" * 120_000 for n in range(4)}, retries=1)  # more than 2 MiB together
    place.work(place.chunk({"bad": "true", "good": GOOD}, {"bad": huge}, nprocs=1))
    assert place.codes() == {"bad": 126, "good": 0}
    assert place.run_json("bad")["reason"] == "it cannot be started: Argument list too long"
    assert place.run_json("bad")["retry_codes"] == []  # a retry would not help


def test_a_run_that_removes_what_others_have_written_ends_no_worker(place: Workplace) -> None:
    runs = {
        "victim": "echo > $EVENTS; echo x; read x < gate",
        "bad": f'read x < start; {ALL}rm -rf "$(dirname "$d")"/*-*; echo > gate',
        **{f"good {n}": f"{GOOD}; sleep 0.1" for n in range(5)},
    }
    for gate in ("gate", "start"):
        os.mkfifo(place.folder / gate)
    worker = place.start(place.chunk(runs, nprocs=2))
    place.hear()
    (place.folder / "start").write_text("\n")
    finish(worker)
    assert place.codes() == dict.fromkeys(runs, 0) | {"victim": 125, "bad": 125}
    assert place.run_json("victim")["reason"].startswith("its output cannot be kept: ")


def test_spoilt_outputs_count_as_failures(place: Workplace) -> None:
    place.max_failures = 1
    runs = {"bad": ATTACKS["its run.json"][0], "started already": "sleep 0.2", "not started": GOOD}
    said = place.work(place.chunk(runs, nprocs=1), code=1)
    assert "stopped after 1 failure" in said
    assert place.codes() == {"bad": 125, "started already": 0}


@pytest.mark.slow
def test_a_run_that_kills_its_worker_is_given_up(place: Workplace) -> None:
    """By the fourth worker, which goes on with the others."""
    chunk = place.chunk({"killer": "echo x >> $HERE/log; kill -9 $PPID; sleep 60", "good": GOOD}, nprocs=1)
    for _ in range(3):
        finish(start(place, chunk), -signal.SIGKILL)
    finish(start(place, chunk))
    assert place.codes() == {"killer": 125, "good": 0}
    assert place.run_json("killer")["reason"] == "3 workers died while they executed it"
    assert (place.folder / "log").read_text() == "x\n" * 3


@pytest.fixture
def other_user(place: Workplace) -> Iterator[str]:
    """Give the start of a command that becomes a process of another user, which the worker may not kill."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("needs root, and setpriv")
    place.env["MARK"] = mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    yield "setpriv --reuid=65534 --clear-groups sleep 300"
    for pid in marked(mark):
        os.kill(pid, signal.SIGKILL)


def test_a_process_of_another_user_is_left_alone(place: Workplace, other_user: str) -> None:
    runs = {
        "leaves it": f"{other_user} & sleep 0.2",
        "leaves it elsewhere": f"setsid {other_user} & sleep 0.2",
        "becomes it": f"exec {other_user}",
        **{f"good {n}": GOOD for n in range(20)},
    }
    started = time.monotonic()
    finish(start(place, place.chunk(runs, {"becomes it": Settings(timeout=0.2, grace=0.2)})))
    assert time.monotonic() - started < QUICK
    assert place.codes() == dict.fromkeys(runs, 0) | {"becomes it": 137}


def test_a_worker_can_be_stopped_whatever_its_runs_have_become(place: Workplace, other_user: str) -> None:
    worker = start(place, place.chunk({"run": f"echo > $EVENTS; exec {other_user}"}, Settings(grace=0.2)))
    place.hear()
    worker.send_signal(signal.SIGTERM)
    finish(worker, 128 + signal.SIGTERM)
    assert place.codes() == {}
