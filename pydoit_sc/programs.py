"""Call other programs, and turn their failures into errors that name the program."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from pydoit_sc.errors import UserError


class ProgramError(UserError):
    """A program is not installed, does not answer, or fails; the message says which one, and what it wrote."""


def call(
    *words: str,
    timeout: float | None = None,
    missing: str = "",
    env: Mapping[str, str] | None = None,
    apart: bool = False,
) -> str:
    """Return what a program writes to its standard output; raises ProgramError.

    Bytes that are no text are kept, as in Python's paths. `timeout` is in seconds. `missing` is the end of the message for
    a program that is not installed. `env` is the whole environment, if it is another than this program's. One that is
    `apart` does not hear the terminal's Ctrl-C.
    """
    program = words[0]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            env=env,
            start_new_session=apart,
            check=False,
        )
    except FileNotFoundError as error:
        raise ProgramError(
            f"the program `{program}` is not on PATH" + (f": {missing}" if missing else "")
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(f"{program}: {error}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise ProgramError(f"{program}: {said.removeprefix(f'{program}: ').removeprefix('error: ')}")
    return done.stdout
