"""What a run finds when it starts, what it leaves, and what is left of it when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pydoit_sc.batch import Settings
from tests.worker.workplace import QUICK, Workplace, alive, await_, finish, marked, state


def test_no_two_live_runs_share_a_rank(place: Workplace) -> None:
    cmd = (
        'echo "start $SATURN_RUN_LOCAL_RANK {n}" >> "$HERE/log"; sleep 0.0{n}; '
        'until [ "$(grep -c start "$HERE/log")" -ge 5 ]; do sleep 0.01; done; '
        'echo "end $SATURN_RUN_LOCAL_RANK {n}" >> "$HERE/log"'
    )
    place.work(place.chunk({str(n): cmd.format(n=n) for n in range(40)}, nprocs=5))
    live: set[str] = set()
    most = 0
    for line in place.lines("log"):
        what, rank, _ = line.split()
        if what == "start":
            assert rank not in live
            live.add(rank)
            most = max(most, len(live))
        else:
            live.remove(rank)
    assert most == 5
    assert {line.split()[1] for line in place.lines("log")} == set("01234")
    assert place.codes() == {str(n): 0 for n in range(40)}


def test_the_lowest_free_rank_is_given_first(place: Workplace) -> None:
    for gate in "abcdef":
        os.mkfifo(place.folder / gate)
    cmd = 'echo "$SATURN_RUN_LOCAL_RANK $$" > "$EVENTS"; read x < {}'
    worker = place.start(place.chunk({gate: cmd.format(gate) for gate in "abcdef"}, nprocs=3))
    live = dict(line.split() for line in place.hear(3))
    assert sorted(live) == ["0", "1", "2"]
    (place.folder / "a").write_text("go\n")
    live |= dict(line.split() for line in place.hear())
    # Two end while the worker looks away; the one of rank 2 is the older, which the kernel names first.
    worker.send_signal(signal.SIGSTOP)
    for gate, rank in (("c", "2"), ("d", "0")):
        (place.folder / gate).write_text("go\n")
        await_(lambda: state(live[rank]) == "Z")  # noqa: B023
    worker.send_signal(signal.SIGCONT)
    place.hear(2)
    for gate in "bef":
        (place.folder / gate).write_text("go\n")
    finish(worker)
    ranks = {name: place.run_json(name)["rank"] for name in "abcdef"}
    assert ranks == {"a": 0, "b": 1, "c": 2, "d": 0, "e": 0, "f": 2}


def test_a_run_starts_in_a_clean_place(place: Workplace) -> None:
    script = """
import json, os
fds = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in ("0", "1", "2")}
others = [fd for fd in os.listdir("/proc/self/fd") if fd not in fds and os.path.exists(f"/proc/self/fd/{fd}")]
results = os.environ["SATURN_RUN_LOCAL_RESULTS_DIR"]
before = os.listdir(results)
with open(f"{results}/written", "w") as file:
    file.write("x")
print(json.dumps({"fds": fds, "others": others, "before": before, "env": dict(os.environ),
    "session": os.getsid(0), "group": os.getpgid(0), "shell": os.getppid(), "cwd": os.getcwd()}))
"""
    (place.folder / "look.py").write_text(script)
    place.env["OUTER"] = "kept"
    cmd = f'{sys.executable} -I -S look.py && grep ^Sig /proc/self/status >&2; test -z "$(cat)"'
    settings = Settings(env={"OMP_NUM_THREADS": "1", "SPACED": "a b'\"$x\né"})
    chunk = place.chunk({"run": cmd, "other name": cmd}, settings)
    leaked = os.open(place.folder / "look.py", os.O_RDONLY)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD})
    worker = place.start(chunk, pass_fds=[leaked])
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    os.close(leaked)
    finish(worker)
    assert place.codes() == {"run": 0, "other name": 0}
    seen = [json.loads(place.read(name)) for name in ("run", "other name")]
    for name, one in zip(("run", "other name"), seen, strict=True):
        env = one["env"]
        assert one["fds"]["0"] == "/dev/null"
        assert one["others"] == []
        masks = dict(line.split() for line in place.read(name, "stderr").decode().splitlines())
        assert int(masks["SigBlk:"], 16) == 0
        ignored = int(masks["SigIgn:"], 16)
        defaults = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
        assert not any(ignored >> (number - 1) & 1 for number in defaults)
        assert one["session"] == one["group"] == one["shell"] != os.getsid(0)
        assert one["cwd"] == str(place.folder)
        assert one["before"] == []
        assert place.read(name, "results/written") == b"x"
        assert env["OUTER"] == "kept"
        assert (env["OMP_NUM_THREADS"], env["SPACED"]) == ("1", "a b'\"$x\né")
        assert env["SATURN_RUN_REMOTE_OUTPUT_PATH"] == f"file://{place.out}/{name}"
    assert {one["env"]["SATURN_RUN_LOCAL_RANK"] for one in seen} == {"0", "1"}
    assert len({one["session"] for one in seen}) == 2
    assert len({one["env"]["SATURN_RUN_LOCAL_RESULTS_DIR"] for one in seen}) == 2


@pytest.mark.parametrize("scratch", [None, pytest.param("scratch", marks=pytest.mark.slow)])
def test_output_is_bytes_of_any_size_in_constant_memory(place: Workplace, scratch: str | None) -> None:
    peak = """
import sys
from pydoit_sc.cli import main
code = main(sys.argv[1:])
print("peak", [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
sys.exit(code)
"""
    place.scratch = scratch and str(place.folder / scratch)
    big = 50 << 20
    runs = {
        "odd": r"printf '\377\000\r\n\033[31m'; printf 'e\000\376' >&2; printf '\000' > $SATURN_RUN_LOCAL_RESULTS_DIR/r",
        "none": "true",
    }
    peaks = []
    for name, more in (
        ("small", {}),
        ("big", {"big": f"head -c {big} /dev/zero | tr '\\0' '\\377'; exit 3"}),
    ):
        chunk = place.chunk({**runs, **more}, submission=name, always=True)
        done = subprocess.run(
            [sys.executable, "-c", peak, "batch", str(chunk)],
            env=place.env, cwd=place.folder, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout.split()[-1]))
    assert place.read("odd") == b"\xff\0\r\n\x1b[31m"
    assert place.read("odd", "stderr") == b"e\0\xfe"
    assert place.read("odd", "results/r") == b"\0"
    assert place.read("none") == place.read("none", "stderr") == b""
    assert (place.out / "big/stdout").stat().st_size == big
    assert place.read("big") == b"\xff" * big
    assert peaks[1] - peaks[0] < 10_000  # KiB


def test_a_flood_of_output_costs_the_worker_no_memory(place: Workplace) -> None:
    # A night's test has 5 GB of it.
    size = 5_000_000_000 if os.environ.get("PYDOIT_SC_NIGHTLY") == "1" else 300_000_000
    peak = "import sys; from pydoit_sc.cli import main; code = main(sys.argv[1:]); "
    peak += 'print(open("/proc/self/status").read()); sys.exit(code)'
    runs = {"flood": f"head -c {size} /dev/zero", "noise": f"head -c {size // 10} /dev/zero >&2; exit 1"}
    done = subprocess.run(
        [sys.executable, "-c", peak, "batch", str(place.chunk(runs))],
        env=place.env, cwd=place.folder, stdout=subprocess.PIPE, text=True, timeout=1800, check=True,
    )  # fmt: skip
    assert (place.out / "flood/stdout").stat().st_size == size
    assert (place.out / "noise/stderr").stat().st_size == size // 10
    assert place.codes() == {"flood": 0, "noise": 1}
    (kibibytes,) = (int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("VmHWM"))
    assert kibibytes < 150_000


def test_a_daemon_that_holds_stdout_delays_nothing(place: Workplace) -> None:
    daemon = "setsid sh -c 'echo up; : > up; sleep 300; echo late' & until [ -e up ]; do sleep 0.01; done"
    start = time.monotonic()
    place.work(place.chunk({"run": daemon}))
    assert time.monotonic() - start < QUICK
    assert place.read("run") == b"up\n"


def test_every_exit_code_is_published_as_it_is(place: Workplace) -> None:
    runs = {f"exit {code}": f"exit {code}" for code in range(256)}
    deaths = (1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 31)
    runs |= {f"signal {n}": f"ulimit -c 0; kill -{n} $$; sleep 60" for n in deaths}
    runs |= {"not found": "/no/such/program", "syntax": "if then", "-c option": "--help"}
    said = place.work(place.chunk(runs, nprocs=4))
    assert place.codes() == {
        **{f"exit {code}": code for code in range(256)},
        **{f"signal {n}": 128 + n for n in deaths},
        "not found": 127,
        "syntax": 2,
        "-c option": 127,
    }
    assert place.read("exit 42", "status_code") == b"42"
    assert "failed runs:exit 42: status code 42" in said
    assert "failed runs:exit 137: status code 137 (128 + SIGKILL)" in said
    assert "failed runs:signal 9: killed by SIGKILL" in said
    assert place.run_json("signal 11")["reason"] == "killed by SIGSEGV"
    assert "reason" not in place.run_json("exit 139")
    assert "No such file" in said or "not found" in said


def test_what_a_run_leaves_behind_is_dead_before_the_next_starts(place: Workplace) -> None:
    leave = {
        "background": 'sleep 300 & echo $! >> "$HERE/pids"',
        "daemon": "setsid sh -c '(sleep 300 & echo $! >> pids; sleep 300) & echo $! >> pids'; "
        "while [ $(wc -l < pids) -lt 3 ]; do sleep 0.01; done",
        "without environment": "env -i setsid sleep 300 & sleep 0.1; pgrep -s 0 > /dev/null; echo $! >> pids",
        "writes on": '(while :; do echo noise; echo noise > "$SATURN_RUN_LOCAL_RESULTS_DIR/$(date +%N)"; done) & '
        'echo $! >> "$HERE/pids"; sleep 0.05',
        "forks on": 'f() { sleep 0.01; f & }; f & echo $! >> "$HERE/pids"; sleep 0.05',
        "ignores": "trap '' TERM INT HUP; (trap '' TERM; sleep 300) & echo $! >> pids",
    }
    check = 'for pid in $(cat "$HERE/pids"); do kill -0 $pid 2> /dev/null && echo "$pid lives"; done; true'
    runs: dict[str, str] = {}
    for name, cmd in leave.items():
        runs |= {name: cmd, f"after {name}": check}
    place.env["MARK"] = mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    place.work(place.chunk(runs, nprocs=1))
    assert place.codes() == dict.fromkeys(runs, 0)
    for name in leave:
        assert place.read(f"after {name}") == b""
    pids = place.lines("pids")
    assert len(pids) == 7
    assert not any(map(alive, pids))
    assert marked(mark) == []
    noise = place.read("writes on")
    assert noise == b"noise\n" * (len(noise) // 6)
    assert noise


def test_what_belongs_to_a_live_run_is_left_alone(place: Workplace) -> None:
    # Its daemons' parents end: they become the worker's children, some of them still loading their program, while
    # other runs end at every moment.
    daemon = "setsid sh -c 'sleep 300 & echo $!' >> daemons"
    long = (
        f"sleep 300 & for i in $(seq 100); do {daemon}; done; read x < gate; "
        "for pid in $! $(cat daemons); do kill -0 $pid || exit 1; done"
    )
    os.mkfifo(place.folder / "gate")
    runs = {"long": long, **{f"short {n}": "sleep 300 &" for n in range(300)}, "last": "echo go > gate"}
    place.work(place.chunk(runs, nprocs=2))
    assert place.code("long") == 0
    daemons = place.lines("daemons")
    assert len(daemons) == 100
    assert not any(map(alive, daemons))


def test_a_daemon_that_nothing_identifies_lives_as_long_as_a_run_that_may_have_started_it(
    place: Workplace,
) -> None:
    runs = {
        "server": "(env -i setsid sleep 300 & echo $! > pid); read x < gate; kill -0 $(cat pid)",
        # Until then its session, and then its environment, tell whose it is.
        "other": 'while [ "$(cat /proc/$(cat pid)/comm)" != sleep ]; do sleep 0.01; done',
        "last": "echo go > gate",
    }
    os.mkfifo(place.folder / "gate")
    said = place.work(place.chunk(runs, nprocs=2))
    assert place.codes() == dict.fromkeys(runs, 0)
    assert "still ran" not in said
    assert not any(map(alive, place.lines("pid")))


def test_timeouts(place: Workplace) -> None:
    rest = "sleep 300 & wait"
    # One that needs some of its grace, whatever becomes of the shell that started it.
    program = "sh -c 'trap \"sleep 0.2; echo saved; exit 0\" TERM; sleep 300 & wait'"
    runs = {
        "plain": "sleep 300",
        "handled": f"trap 'echo bye; exit 7' TERM; {rest}",
        "claims success": f"trap 'echo saved; exit 0' TERM; {rest}",
        "ignored": "trap '' TERM; sleep 300",
        "stopped": "kill -STOP $$; exit 3",
        "other session": "setsid -w sleep 300",
        "in time": "sleep 0.05; exit 4",
        "below a shell": f"trap 'exit 5' TERM; ({program}); echo not reached",
        "beside a shell": f"{program} & echo $!; kill -STOP $$; echo not reached",
        "in another session": f"setsid {program} & wait",
        "many": "for i in 1 2 3 4 5; do (trap '' TERM; sleep 300) & done; wait",
    }
    settings = Settings(timeout=0.7, grace=0.5)
    place.env["MARK"] = mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    start = time.monotonic()
    place.work(place.chunk(runs, settings, nprocs=11))
    assert time.monotonic() - start < QUICK
    assert place.codes() == {
        "plain": 143, "handled": 7, "claims success": 124, "ignored": 137, "stopped": 143, "other session": 143,
        "in time": 4, "many": 143, "below a shell": 5, "beside a shell": 143, "in another session": 143,
    }  # fmt: skip
    assert place.read("handled") == b"bye\n"
    assert place.read("claims success") == b"saved\n"
    assert place.read("below a shell") == place.read("in another session") == b"saved\n"
    assert place.read("beside a shell").endswith(b"saved\n")
    reasons = {name: place.run_json(name).get("reason") for name in runs}
    assert reasons == dict.fromkeys(runs, "timed out after 0.7 s") | {"in time": None}
    timed_out = {name for name in runs if place.run_json(name)["timed_out"]}
    assert timed_out == runs.keys() - {"in time"}
    assert 0.7 <= place.run_json("plain")["seconds"] < 0.7 + QUICK
    assert place.run_json("ignored")["seconds"] >= 1.2
    assert marked(mark) == []


def test_a_worker_wakes_when_nothing_but_a_far_timeout_is_to_come(place: Workplace) -> None:
    # After a second it has told what is executing, and has nothing else to wait for.
    chunk = place.chunk({"run": "sleep 1.2"}, Settings(timeout=40 * 86400.0))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    worker = place.start(chunk)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    finish(worker)
    assert place.codes() == {"run": 0}


def test_retries(place: Workplace) -> None:
    counted = (
        'echo x >> "$HERE/{0}"; echo attempt $(wc -l < "$HERE/{0}"); touch $SATURN_RUN_LOCAL_RESULTS_DIR/$$; '
    )
    until_third = counted + '[ $(wc -l < "$HERE/{0}") = 3 ] || exit {1}'
    runs = {
        "third": until_third.format("third", 75),
        "any": until_third.format("any", 1),
        "never": (counted + "exit 75").format("never"),
        "other": (counted + "exit 3").format("other"),
        "killed": (counted + "kill -9 $$").format("killed"),
        "late": (counted + "sleep 300").format("late"),
        "done": (counted + "exit 0").format("done"),
    }
    only = Settings(retries=2, retry_on=frozenset((75, 137)))
    settings = dict.fromkeys(runs, only) | {
        "any": Settings(retries=5),
        "late": Settings(retries=1, timeout=1.0),
    }
    place.work(place.chunk(runs, settings))
    assert place.codes() == {
        "third": 0, "any": 0, "never": 75, "other": 3, "killed": 137, "late": 143, "done": 0,
    }  # fmt: skip
    codes = {name: place.run_json(name)["retry_codes"] for name in runs}
    assert codes == {
        "third": [75, 75], "any": [1, 1], "never": [75, 75], "other": [], "killed": [137, 137], "late": [143],
        "done": [],
    }  # fmt: skip
    for name, earlier in codes.items():
        provenance = place.run_json(name)
        assert provenance["retries"] == len(earlier)
        assert place.lines(name) == ["x"] * (len(earlier) + 1)
        assert place.read(name) == b"attempt %d\n" % (len(earlier) + 1)  # of the last one alone
        assert len(os.listdir(place.out / name / "results")) == 1
        home = place.out / ".pydoit_sc" / "history" / name
        kept = (
            sorted(home.iterdir(), key=lambda attempt: int(attempt.name.rpartition("-")[2]))
            if earlier
            else []
        )
        assert [json.loads((attempt / "run.json").read_bytes())["retry_codes"] for attempt in kept] == [
            earlier[:n] for n in range(len(earlier))
        ]
        assert [(attempt / "stdout").read_text() for attempt in kept] == [
            f"attempt {n + 1}\n" for n in range(len(earlier))
        ]
        assert [int((attempt / "status_code").read_text()) for attempt in kept] == earlier
        assert provenance["status_code"] == place.code(name)


def test_run_json_tells_where_it_comes_from(place: Workplace) -> None:
    before = time.time()
    burn = f"{sys.executable} -I -S -c 'x = bytearray(60 << 20); i = 0\nwhile i < 3000000: i += 1'"
    place.work(place.chunk({"run": burn}, submission="sub-1"))
    told = place.run_json("run")
    assert told["cmd"] == burn
    assert told["fingerprint"] == "fingerprint of run"
    assert told["submission"] == "sub-1"
    assert told["host"] == os.uname().nodename
    assert told["rank"] == 0
    assert before - 1 < told["started"] < told["finished"] < time.time() + 1
    assert 0.02 < told["cpu_seconds"] < told["seconds"] + 0.1
    assert 60 << 20 < told["peak_memory"] < 75 << 20


def test_peak_memory_is_that_of_the_run_or_absent(place: Workplace) -> None:
    """A new process counts what its parent had; a run that needs less than the worker cannot be told from it."""
    hold = f"{sys.executable} -I -S -c 'x = bytearray({{}} << 20)'"
    runs = {"true": "true", "nothing": "exit 3", **{str(mib): hold.format(mib) for mib in (90, 150)}}
    place.work(place.chunk(runs))
    for name in ("true", "nothing"):
        assert "peak_memory" not in place.run_json(name)
    empty = 12 << 20  # what Python itself needs, at most
    for mib in (90, 150):
        assert mib << 20 <= place.run_json(str(mib))["peak_memory"] <= (mib << 20) + empty


def test_what_a_run_has_left_behind_is_told_once(place: Workplace) -> None:
    runs = {
        "two": "sleep 300 & setsid sleep 300 & sleep 0.1",
        "one": "sleep 300 &",
        "none": "sleep 0.01 & wait; (sleep 0.01 &); sleep 0.2",
        "ended before": "true & sleep 0.1",
        "stopped": "sleep 300 & sleep 300",
    }
    said = place.work(place.chunk(runs, {"stopped": Settings(timeout=0.2)}, nprocs=1))
    assert {name: place.run_json(name).get("left_behind", 0) for name in runs} == {
        "two": 2, "one": 1, "none": 0, "ended before": 0, "stopped": 0,
    }  # fmt: skip
    assert said.count("when its shell ended") == 1
    assert "runs:two: 2 of its processes were still running when its shell ended and were killed" in said


def test_a_run_may_do_away_with_its_own_folders(place: Workplace) -> None:
    chunk = place.chunk({"a": "rm -rf $SATURN_RUN_LOCAL_RESULTS_DIR", "b": "exit 0"})
    place.work(chunk)
    assert place.codes() == {"a": 0, "b": 0}
    data = json.loads(chunk.read_text())
    del data["pydoit_sc"]  # as `sc` writes it
    data["remote_output_path"] = f"file://{place.out}2"
    for run in data["runs"]:
        run["remote_output_path"] = run["remote_output_path"].replace("/out/", "/out2/")
    chunk.write_text(json.dumps(data))
    place.work(chunk)
    assert Path(f"{place.out}2/a/status_code").read_text() == "0"
    place.work(place.chunk({"all": 'rm -rf "$(dirname $SATURN_RUN_LOCAL_RESULTS_DIR)"; exit 1'}))
    assert place.code("all") == 1


@pytest.mark.parametrize(
    ("visible", "ranks"),
    [
        ("0,1,2", {"0": "0", "1": "1", "2": "2"}),
        ("GPU-8932f937-d72c, GPU-a1 ,5", {"0": "GPU-8932f937-d72c", "1": "GPU-a1", "2": "5"}),
        ("MIG-1/2/3", {"0": "MIG-1/2/3"}),
        ("3,1,-1,0", {"0": "3", "1": "1"}),
    ],
)
def test_each_rank_has_its_own_gpu(place: Workplace, visible: str, ranks: dict[str, str]) -> None:
    place.env["CUDA_VISIBLE_DEVICES"] = visible
    cmd = 'echo "$SATURN_RUN_LOCAL_RANK $CUDA_VISIBLE_DEVICES"; sleep 0.1'
    runs = {"runs": [{"cmd": cmd}] * 6, "remote_output_path": str(place.out), "nprocs": "gpus"}
    chunk = place.folder / "runs.json"
    chunk.write_text(json.dumps(runs))
    place.work(chunk)
    seen = {place.read(str(n)).decode().strip() for n in range(6)}
    assert seen == {" ".join(item) for item in ranks.items()}


@pytest.mark.parametrize("visible", ["", "-1", " ", "-1,0"])
def test_no_gpu_is_an_error_before_anything_starts(place: Workplace, visible: str) -> None:
    place.env["CUDA_VISIBLE_DEVICES"] = visible
    chunk = place.folder / "runs.json"
    runs = {"runs": [{"cmd": "true"}], "remote_output_path": str(place.out), "nprocs": "gpus"}
    chunk.write_text(json.dumps(runs))
    assert "CUDA_VISIBLE_DEVICES" in place.work(chunk, code=3)
    assert not place.out.exists() or place.codes() == {}


def test_a_worker_that_lacks_a_shell_starts_nothing(place: Workplace) -> None:
    chunk = place.chunk({"a": "echo a", "b": "echo b"}, {"b": Settings(shell=("no-bash", "-c"))})
    said = place.work(chunk, code=3)
    assert "runs:b: its shell `no-bash` is not there" in said
    assert place.codes() == {}


def test_a_worker_with_too_few_slots_starts_nothing(place: Workplace) -> None:
    chunk = place.chunk({"a": "echo a", "b": "echo b"}, {"b": Settings(slots=3)}, nprocs=2)
    said = place.work(chunk, code=3)
    assert "runs:b: expected `slots` of at most 2, the runs at once on a machine (`nprocs`), found 3" in said
    assert place.codes() == {}
    place.work(chunk, "-n", "3")
    assert place.codes() == {"a": 0, "b": 0}


def test_a_run_with_a_shell_of_its_own(place: Workplace) -> None:
    place.work(place.chunk({"a": "shopt -q extglob || echo $((2 ** 3))"}, Settings(shell=("bash", "-c"))))
    assert place.read("a") == b"8\n"
