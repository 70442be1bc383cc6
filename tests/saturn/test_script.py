"""The generated block: its text, and what `sh` makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from pydoit_sc.saturn.errors import RecipeError
from pydoit_sc.saturn.script import BEGIN, END, download_command, generated_block, set_block, with_block
from pydoit_sc.sync.extract import archive_name
from pydoit_sc.sync.upload import Archive, FileSync, stage

from .recipes import SEED, job

DIGESTS = [str(number) * 64 for number in range(3)]
NAMES = [archive_name(digest) for digest in DIGESTS]

GOLDEN = textwrap.dedent(f"""\
    ### BEGIN SATURN_CLIENT GENERATED CODE
    (
    pydoit_sc_tmp=$(mktemp -d) || exit 1
    trap 'rm -rf -- "$pydoit_sc_tmp"' EXIT
    cp -- /shared/base/home/jovyan/workspace/sctest/{NAMES[0]} "$pydoit_sc_tmp/data.tar.gz" || exit 1
    [ "$(sha256sum < "$pydoit_sc_tmp/data.tar.gz")" = "{DIGESTS[0]}  -" ] || {{ printf '%s\\n' 'file:///shared/base/home/jovyan/workspace/sctest/{NAMES[0]}: its content is not what its name says' >&2; exit 1; }}
    mkdir -p -- /home/jovyan/workspace/sctest/ || exit 1
    (cd -- /home/jovyan/workspace/sctest/ && tar -xzmf -) < "$pydoit_sc_tmp/data.tar.gz" || exit 1
    saturnfs cp 'sfs://o/u/a b/{NAMES[1]}' "$pydoit_sc_tmp/data.tar.gz" || exit 1
    [ "$(sha256sum < "$pydoit_sc_tmp/data.tar.gz")" = "{DIGESTS[1]}  -" ] || {{ printf '%s\\n' 'sfs://o/u/a b/{NAMES[1]}: its content is not what its name says' >&2; exit 1; }}
    mkdir -p -- '/tmp/a b/' || exit 1
    (cd -- '/tmp/a b/' && tar -xzmf -) < "$pydoit_sc_tmp/data.tar.gz" || exit 1
    sh -ec 'pip install '"'"'pydoit-sc[s3]'"'"'
    pip check' || exit 1
    python3 -m pydoit_sc.sync download abfs://x/{NAMES[2]} "$pydoit_sc_tmp/data.tar.gz" || exit 1
    [ "$(sha256sum < "$pydoit_sc_tmp/data.tar.gz")" = "{DIGESTS[2]}  -" ] || {{ printf '%s\\n' 'abfs://x/{NAMES[2]}: its content is not what its name says' >&2; exit 1; }}
    mkdir -p -- /abfs/ || exit 1
    (cd -- /abfs/ && tar -xzmf -) < "$pydoit_sc_tmp/data.tar.gz" || exit 1
    ) || exit 1
    ### END SATURN_CLIENT GENERATED CODE
    """)


def test_golden() -> None:
    archives = [
        Archive(
            f"file:///shared/base/home/jovyan/workspace/sctest/{NAMES[0]}", "/home/jovyan/workspace/sctest"
        ),
        Archive(f"abfs://x/{NAMES[2]}", "/abfs"),
        Archive(f"sfs://o/u/a b/{NAMES[1]}", "/tmp/a b"),
    ]
    assert generated_block(archives, "pip install 'pydoit-sc[s3]'\npip check") == GOLDEN
    assert generated_block([]) == f"{BEGIN}\n{END}\n"


@pytest.mark.parametrize(
    ("url", "begins"),
    [
        ("file:///a?b#c.tar.gz", "cp -- '/a?b#c.tar.gz' "),
        ("s3://b/x.tar.gz", "aws s3 cp s3://b/x.tar.gz "),
        ("gs://b/x.tar.gz", "gcloud storage cp gs://b/x.tar.gz "),
        ("gs://b/[x].tar.gz", "python3 -m pydoit_sc.sync download 'gs://b/[x].tar.gz' "),
        ("sfs://b/x.tar.gz", "saturnfs cp sfs://b/x.tar.gz "),
        ("memory://b/x.tar.gz", "python3 -m pydoit_sc.sync download memory://b/x.tar.gz "),
    ],
)
def test_downloads(url: str, begins: str) -> None:
    assert download_command(url) == f'{begins}"$pydoit_sc_tmp/data.tar.gz"'


@pytest.mark.parametrize(
    "own",
    ["", "a\n", "no newline", "\n\n  x\t \r\n", f"echo '{BEGIN}'\nx\necho {END} \n", f"{END}\n{BEGIN}\n"],
)
def test_the_users_lines_stay_as_they_are(own: str) -> None:
    first, second = (generated_block([Archive(f"file:///{name}", "/a")]) for name in NAMES[:2])
    assert with_block(own, first) == first + own
    assert with_block(with_block(own, first), second) == second + own
    assert with_block(with_block(own, first), first) == first + own


def test_older_blocks_are_replaced_wherever_they_stand() -> None:
    old = f"{BEGIN}\ncp /x /tmp/data.tar.gz\n{END}\n"
    assert with_block(f"a\n{old}b\n{old}", "NEW\n") == "NEW\na\nb\n"
    assert with_block(f"a\r\n{BEGIN}\r\nx\r\n{END}\r\nb\r\n", "NEW\n") == "NEW\na\r\nb\r\n"
    assert with_block(f"{BEGIN}\nx\n{END}", "NEW\n") == "NEW\n"
    assert with_block(None, "NEW\n") == "NEW\n"
    assert with_block("#!/bin/bash\nx\n", "NEW\n") == "#!/bin/bash\nNEW\nx\n"


def test_in_the_seeds_recipe() -> None:
    from pydoit_sc.saturn import recipe as recipes

    recipe = recipes.loads(SEED)
    set_block(recipe, [])
    assert recipe["spec"]["start_script"] == (
        f"{BEGIN}\n{END}\npip install git+https://github.com/saturncloud/saturn-client.git@hugo/nfs-work\n\n"
    )
    bare = job()
    del bare["spec"]["start_script"]
    set_block(bare, [])
    assert bare["spec"]["start_script"] == f"{BEGIN}\n{END}\n"


def test_markers_do_not_come_from_paths() -> None:
    with pytest.raises(RecipeError, match="marker"):
        generated_block([Archive(f"file:///{END}/{NAMES[0]}", "/a")])
    with pytest.raises(RecipeError, match="marker"):
        generated_block([], f"echo\n{BEGIN}")


# executed

SHELLS = [shell for shell in ("sh", "bash", "dash") if shutil.which(shell)]

HOSTILE = ["plain", "a b", "it's", '"', "$(touch pwned)", "`touch pwned`", "-rf", "--", "ü漢", "*", "[x]", "a\\b", "~", "!x", "a;b", "#x", "%s"]  # fmt: skip


def run(script: str, tmp_path: Path, shell: Sequence[str] = ("sh",)) -> subprocess.CompletedProcess[str]:
    temporary = tmp_path / "machine's tmp"
    temporary.mkdir(exist_ok=True)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    env = {**os.environ, "TMPDIR": str(temporary), "PATH": path}
    done = subprocess.run(
        [*shell, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert os.listdir(temporary) == [], "something was left behind"
    assert not (tmp_path / "pwned").exists()
    return done


def staged_folder(tmp_path: Path, name: str = "code") -> Archive:
    source = tmp_path / "source" / name
    source.mkdir(parents=True, exist_ok=True)
    (source / "hello.txt").write_text(name)
    sync = FileSync(str(source), str(tmp_path / "machine" / name))
    return stage(sync, f"file://{tmp_path}/base {name}")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_paths_are_synced(tmp_path: Path, name: str, shell: str) -> None:
    done = run(generated_block([staged_folder(tmp_path, name)]), tmp_path, [shell])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "machine" / name / "hello.txt").read_text() == name


@pytest.mark.parametrize("shell", SHELLS)
def test_a_restart_brings_the_files_back_and_leaves_others(tmp_path: Path, shell: str) -> None:
    block = generated_block([staged_folder(tmp_path)])
    run(block, tmp_path, [shell])
    target = tmp_path / "machine" / "code"
    (target / "hello.txt").write_text("edited")
    (target / "other.txt").write_text("mine")
    assert run(block, tmp_path, [shell]).returncode == 0
    assert (target / "hello.txt").read_text() == "code"
    assert (target / "other.txt").read_text() == "mine"


@pytest.mark.parametrize("options", [[], ["-e"], ["-u"], ["-eu"], ["-f"]])
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("broken", ["download", "folder", "archive", "install"])
def test_a_sync_that_fails_fails_the_start(
    tmp_path: Path, broken: str, shell: str, options: list[str]
) -> None:
    archive = staged_folder(tmp_path)
    install = "false\ntrue" if broken == "install" else ""
    if broken == "download":
        os.unlink(archive.url.removeprefix("file://"))
    if broken == "folder":
        (tmp_path / "machine").write_text("in the way")
    if broken == "archive":
        with open(archive.url.removeprefix("file://"), "ab") as file:
            file.write(b"x")  # which gzip and tar would take no notice of
    script = with_block(
        "echo the user's line\n".replace("'", ""), generated_block([archive, archive], install)
    )
    done = run(script, tmp_path, [shell, *options])
    assert done.returncode == 1
    assert done.stdout == ""
    if broken == "archive":
        assert done.stderr == f"{archive.url}: its content is not what its name says\n"
        assert not os.path.exists(archive.dest)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_users_shell_is_left_as_it_was(tmp_path: Path, shell: str) -> None:
    own = 'false\necho "$- $PWD ${pydoit_sc_tmp-unset}"; trap; echo "$undefined"\n'
    block = generated_block([staged_folder(tmp_path)], "exit 0")
    with_it, without = run(block + own, tmp_path, [shell]), run(own, tmp_path, [shell])
    assert (with_it.returncode, with_it.stdout) == (0, without.stdout)
    assert "unset" in with_it.stdout


def test_the_worker_may_come_with_the_files_and_fetch_the_rest(tmp_path: Path) -> None:
    plain, other = staged_folder(tmp_path, "plain"), staged_folder(tmp_path, "other")
    local = Archive(other.url.replace("file://", "local://"), other.dest)
    install = f"test -f {tmp_path}/machine/plain/hello.txt; test ! -e {tmp_path}/machine/other"
    done = run(generated_block([local, plain], install), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "machine" / "other" / "hello.txt").read_text() == "other"
    missing = Archive(f"local:///none/{NAMES[0]}", "/nowhere")
    done = run(generated_block([missing]), tmp_path)
    assert (done.returncode, done.stderr) == (1, f"local:///none/{NAMES[0]}: no such file\n")


def test_extracted_files_are_new(tmp_path: Path) -> None:
    """Python takes compiled code for current by the time and size of its source."""
    source = tmp_path / "source" / "code"
    source.mkdir(parents=True)
    for number in (1, 2):
        (source / "module.py").write_text(f"print({number})")
        sync = FileSync(str(source), str(tmp_path / "machine"))
        block = generated_block([stage(sync, f"file://{tmp_path}/base")])
        time_passes = f"touch -d 2020-01-0{number} module.py" if number == 1 else ":"
        done = run(f"{block}cd {tmp_path}/machine && {time_passes} && python3 -c 'import module'", tmp_path)
        assert done.stdout == f"{number}\n"
