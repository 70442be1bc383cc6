"""What may stand under each key of a batchfile, and the words for what does not."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any, cast

from pydoit_sc.batch import Share
from pydoit_sc.batchfile.durations import parse_duration
from pydoit_sc.batchfile.places import Where
from pydoit_sc.batchfile.report import Notes

Checker = Callable[[Any], Any]  # returns the value as the model wants it, or raises InvalidError

MAX_COMMAND = 131_072 - 1  # bytes: Linux's MAX_ARG_STRLEN, less the NUL at the end
_LARGEST = 1_000_000_000
_SHARE = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%\s*")
_SLURM_TIME = re.compile(r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}", re.ASCII)
_GPUS = re.compile(r"([A-Za-z][\w.-]*:)?[1-9]\d*", re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_DNS_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LABEL = re.compile(r"(?=.{1,63}$)[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_CORES = re.compile(r"[0-9]+(\.[0-9]+)?|[0-9]+m")
_BYTES = re.compile(r"[0-9]+(\.[0-9]+)?(k|[MGTP]|[KMGTP]i)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class InvalidError(Exception):
    """A value is not what its key takes; each fault has its place below the key, and a message."""

    def __init__(self, *faults: tuple[Where, str]) -> None:
        super().__init__(*faults)
        self.faults = faults


def show(value: object) -> str:
    """Write a value that was found, shortly, as the file writes it."""
    if isinstance(value, str):
        start = value[:60]
        return json.dumps(start, ensure_ascii=not start.isprintable()) + ("…" if len(value) > 60 else "")
    if isinstance(value, (bool, type(None))):
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, int) and abs(value) > 10**15:
        return "a huge number"
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        kind = "table" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    return repr(value)[:60]


def invalid(expected: str, value: object) -> InvalidError:
    """Return the error of a value that is not what was expected."""
    return InvalidError(((), f"expected {expected}, found {show(value)}"))


def command(value: object) -> str:
    """Check a shell command."""
    if not isinstance(value, str):
        raise invalid("a command (a string)", value)
    if (fault := command_fault(value)) is not None:
        raise InvalidError(((), fault))
    return value


def command_fault(cmd: str) -> str | None:
    """Return what is wrong with a command, or None."""
    if not cmd or cmd.isspace():
        return "the command is empty"
    if "\0" in cmd:
        return "a command has no NUL character"
    if cmd.isascii():
        size = len(cmd)
    else:
        try:
            size = len(cmd.encode())
        except UnicodeEncodeError:
            return "the command has a lone surrogate, which is no character"
    if size > MAX_COMMAND:
        return f"a command has at most {MAX_COMMAND:,} bytes (Linux takes no more), this one {size:,}"
    return None


def string(value: object) -> str:
    """Check a string that is not blank and fits on one line."""
    if not isinstance(value, str):
        raise invalid("a string", value)
    if not value.strip():
        raise invalid("a string that is not empty", value)
    if _CONTROL.search(value):
        raise invalid("a string without control characters", value)
    return value


def strings(value: object) -> tuple[str, ...]:
    """Check a list of strings."""
    if not isinstance(value, list):
        raise invalid("a list of strings", value)
    return tuple(_each(dict(enumerate(value)), string).values())


def environment(value: object) -> dict[str, str]:
    """Check environment variables."""
    if not isinstance(value, dict):
        raise invalid("a table of environment variables", value)
    for name in value:
        if not isinstance(name, str) or not name or "=" in name or _CONTROL.search(name):
            key = name if isinstance(name, str) else show(name)
            raise InvalidError(((key,), "not the name of an environment variable"))
    return cast("dict[str, str]", _each(value, _variable))


def _variable(value: object) -> str:
    if not isinstance(value, str):
        hint = f'; write "{show(value)}"' if isinstance(value, (int, float)) else ""
        raise InvalidError(((), f"expected a string, found {show(value)}{hint}"))
    if "\0" in value or re.search(r"[\ud800-\udfff]", value):
        raise invalid("a string without NUL characters and surrogates", value)
    return value


def _each(values: Mapping[Any, Any], check: Checker) -> dict[Any, Any]:
    checked, faults = {}, []
    for key, value in values.items():
        try:
            checked[key] = check(value)
        except InvalidError as error:
            faults += [((key, *where), message) for where, message in error.faults]
    if faults:
        raise InvalidError(*faults)
    return checked


def integer(least: int) -> Checker:
    """Return the check for an integer of at least `least`."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise invalid(f"an integer of at least {least}", value)
        if value > _LARGEST:
            raise invalid(f"an integer of at most {_LARGEST:,}", value)
        return value

    return check


def processes(value: object) -> int | str:
    """Check how many runs execute at once."""
    if value in ("cores", "gpus"):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LARGEST:
        return value
    raise invalid('an integer of at least 1, "cores" or "gpus"', value)


def failures(value: object) -> int | Share:
    """Check how many failures a batch bears: a number, or a share of its runs."""
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match is not None and 0 < float(match[1]) <= 100:
        return Share(float(match[1]) / 100)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LARGEST:
        return value
    raise invalid('an integer of at least 1 or a share such as "5 %"', value)


def duration(value: object) -> float:
    """Check a length of time that may be 0."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise invalid(str(error), value) from None


def timeout(value: object) -> float:
    """Check a length of time that is not 0."""
    seconds = duration(value)
    if not seconds:
        raise invalid("a duration longer than 0 (leave it out for no limit)", value)
    return seconds


def exit_codes(value: object) -> frozenset[int]:
    """Check the status codes after which a run is tried again."""
    if not isinstance(value, list):
        raise invalid("a list of status codes", value)
    return frozenset(_each(dict(enumerate(value)), _exit_code).values())


def _exit_code(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 255:
        raise invalid("a status code from 1 to 255", value)
    return value


def boolean(value: object) -> bool:
    """Check true or false."""
    if not isinstance(value, bool):
        raise invalid("true or false", value)
    return value


def mapping(value: object) -> dict[str, Any]:
    """Check a table whose content someone else checks."""
    if not isinstance(value, dict):
        raise invalid("a table", value)
    return value


def absolute_path(value: object) -> str:
    """Check the path of a folder on the workers."""
    path = string(value)
    if not os.path.isabs(path):
        raise invalid("an absolute path", path)
    return path


def script(value: object) -> str:
    """Check lines of shell."""
    if not isinstance(value, str) or "\0" in value or re.search(r"[\ud800-\udfff]", value):
        raise invalid("lines of shell (a string)", value)
    return value


def slurm_time(value: object) -> str:
    """Check a walltime: minutes, or as `sbatch --time` takes it."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, str) and _SLURM_TIME.fullmatch(value):
        return value
    raise invalid('minutes, or "hours:minutes:seconds" or "days-hours:minutes:seconds"', value)


def gpus(value: object) -> str:
    """Check how many GPUs a machine is to have: a number, or a kind and a number, `a100:2`."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, str) and _GPUS.fullmatch(value):
        return value
    raise invalid('an integer of at least 1, or "kind:number"', value)


def numbers(value: object) -> dict[str, float]:
    """Check a table of numbers above 0."""
    return cast("dict[str, float]", _each(mapping(value), _positive))


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise invalid("a number above 0", value)
    return value


def dns_label(value: object) -> str:
    """Check a name as Kubernetes takes it."""
    if isinstance(value, str) and len(value) <= 63 and _DNS_LABEL.fullmatch(value):
        return value
    raise invalid("at most 63 small letters, digits and `-`, with a letter or digit at each end", value)


def dns_name(value: object) -> str:
    """Check the name of an object in Kubernetes."""
    if isinstance(value, str) and _DNS_NAME.fullmatch(value):
        return value
    raise invalid("a name in Kubernetes: small letters, digits, `-` and `.`", value)


def dns_names(value: object) -> tuple[str, ...]:
    """Check a list of names of objects in Kubernetes."""
    return tuple(_each(dict(enumerate(strings(value))), dns_name).values())


def pod_cores(value: object) -> str:
    """Check how many cores a pod has, as Kubernetes writes it."""
    return _quantity(value, _CORES, 'a number of cores, or thousandths of one such as "500m"')


def pod_memory(value: object) -> str:
    """Check how much memory a pod has, as Kubernetes writes it."""
    return _quantity(value, _BYTES, 'an amount of memory such as "4Gi"')


def _quantity(value: object, pattern: re.Pattern[str], expected: str) -> str:
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if isinstance(text, str) and pattern.fullmatch(text) and re.search("[1-9]", text):
        return text
    raise invalid(expected, value)


def labels(value: object) -> dict[str, str]:
    """Check labels of Kubernetes."""
    table = mapping(value)
    for name in table:
        prefix, _, label = name.rpartition("/")
        if not _LABEL.fullmatch(label) or (prefix and not _DNS_NAME.fullmatch(prefix)):
            raise InvalidError(((name,), "not the name of a label in Kubernetes"))
    return cast("dict[str, str]", _each(table, _label))


def _label(value: object) -> str:
    if value == "" or (isinstance(value, str) and _LABEL.fullmatch(value)):
        return value
    raise invalid(
        "a string of at most 63 letters, digits, `-`, `_` and `.`, as labels in Kubernetes are", value
    )


def volumes(value: object) -> dict[str, str]:
    """Check which claims of persistent volumes are seen at which paths."""
    table = mapping(value)
    for path in table:
        if not os.path.isabs(path) or ":" in path or _CONTROL.search(path):
            raise InvalidError(((path,), "not an absolute path without `:`"))
    return cast("dict[str, str]", _each(table, dns_name))


def worker(value: object) -> str:
    """Check which program executes chunks."""
    if value not in ("pydoit-sc", "sc"):
        raise invalid('"pydoit-sc" or "sc"', value)
    return str(value)


def anything(value: object) -> object:
    """Accept a value that is not read."""
    return value


#: How an attempt is executed: in [batch], in a stage, in a run.
SETTINGS: dict[str, Checker] = {
    "env": environment,
    "timeout": timeout,
    "grace": duration,
    "retries": integer(0),
    "retry_on": exit_codes,
}
BATCH: dict[str, Checker] = {
    "name": string,
    "remote_output_path": string,
    "nprocs": processes,
    "scale": integer(1),
    "batch_size": integer(1),
    **SETTINGS,
    "max_failures": failures,
    "scratch": absolute_path,
    "durable": boolean,
    "storage_options": mapping,
    "runs_from": string,
}
STAGE: dict[str, Checker] = {
    "cmd": command,
    "name": string,
    "file_dep": strings,
    "after": strings,
    **SETTINGS,
    "matrix": mapping,
}
SATURN: dict[str, Checker] = {
    "recipe": string,
    "name": string,
    "owner": string,
    "instance_type": string,
    "sync": strings,
    "exclude": strings,
    "file_syncs_base_dir_url": string,
    "commands_directory": string,
    "worker": worker,
    "worker_install": script,
    "start": boolean,
}
SLURM: dict[str, Checker] = {
    "partition": string,
    "account": string,
    "time": slurm_time,
    "mem": string,
    "cpus_per_task": integer(1),
    "gpus_per_node": gpus,
    "constraint": string,
    "qos": string,
    "job_name": string,
    "options": strings,
    "setup": script,
    "worker": string,
}
DASK: dict[str, Checker] = {
    "address": string,
    "cluster": string,
    "options": mapping,
    "resources": numbers,
}
KUBERNETES: dict[str, Checker] = {
    "image": string,
    "namespace": dns_label,
    "cpu": pod_cores,
    "memory": pod_memory,
    "gpus": integer(1),
    "service_account": dns_name,
    "secrets": dns_names,
    "env": environment,
    "labels": labels,
    "node_selector": labels,
    "volumes": volumes,
}
LOCAL: dict[str, Checker] = {}
SYNC: dict[str, Checker] = {"dirs": strings, "exclude": strings, "to": string}

#: The tables of engines; None: the engine checks its own.
ENGINES: dict[str, dict[str, Checker] | None] = {
    "local": LOCAL,
    "saturn": SATURN,
    "slurm": SLURM,
    "dask": DASK,
    "kubernetes": KUBERNETES,
    "sync": SYNC,
}


def check_table(
    table: Mapping[Any, Any], fields: Mapping[str, Checker], notes: Notes, where: Where
) -> dict[str, Any]:
    """Return the table's values as the model wants them, without those that are wrong, which are noted."""
    checked = {}
    for key, value in table.items():
        check = fields.get(key) if isinstance(key, str) else None
        if check is None:
            name = key if isinstance(key, str) else show(key)
            notes.unknown((*where, name), "unknown key", name, fields)
            continue
        try:
            checked[key] = check(value)
        except InvalidError as error:
            for below, message in error.faults:
                notes.add((*where, key, *below), message)
    return checked
