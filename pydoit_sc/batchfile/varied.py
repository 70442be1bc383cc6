"""The settings of a stage's runs: its `env`, `file_dep` and `timeout`, written out for every combination of the matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydoit_sc.batch import Settings
from pydoit_sc.batchfile.errors import Where
from pydoit_sc.batchfile.fields import are_texts, check_text, read_environment, read_timeout, read_variable
from pydoit_sc.batchfile.template import Escape, Writer
from pydoit_sc.globbing import escape


def vary(shared: Settings, env: Mapping[str, str], writer: Writer, where: Where) -> Sequence[Settings] | None:
    """Return the settings of each combination; None after noting what is wrong.

    `shared` are the stage's settings as written, and `env` are those of its variables that the stage itself gives: those
    of [batch] are literal. Runs whose settings are written out alike share one value.
    """
    count = writer.combinations.count
    timeout: Any = shared.timeout  # a template is a str
    templates = (*env.values(), *shared.file_dep, timeout if isinstance(timeout, str) else "")
    if not any("{" in template or "}" in template for template in templates):
        return [shared] * count

    def column(template: str, key: Where, read: Callable[[Any], Any], escaping: Escape = str) -> Any:
        place = (*where, *key)
        if "{" not in template and "}" not in template:
            return [template] * count
        texts = writer.texts(template, place, escaping)
        return texts if read is check_text and are_texts(texts or ()) else writer.read(texts, place, read)

    variables = [column(value, ("env", name), read_variable) for name, value in env.items()]
    files = [
        column(pattern, ("file_dep", i), check_text, escape) for i, pattern in enumerate(shared.file_dep)
    ]
    timeouts = column(timeout, ("timeout",), read_timeout) if isinstance(timeout, str) else [timeout] * count
    if None in (*variables, *files) or timeouts is None:
        return None

    def environment(values: tuple[str, ...]) -> Mapping[str, str]:
        return read_environment({**shared.env, **dict(zip(env, values, strict=True))})

    envs = (
        [shared.env] * count
        if not variables
        else writer.read(_rows(variables, count), (*where, "env"), environment)
    )
    return None if envs is None else _settings(shared, envs, _rows(files, count), timeouts)


def _rows(columns: Sequence[Sequence[str]], count: int) -> Sequence[tuple[str, ...]]:
    return list(zip(*columns, strict=True)) if columns else [()] * count


def _settings(
    shared: Settings,
    envs: Sequence[Mapping[str, str]],
    files: Sequence[tuple[str, ...]],
    timeouts: Sequence[float | None],
) -> list[Settings]:
    others = shared[3:]  # without these three, which are a Settings' first
    made: dict[tuple[int, tuple[str, ...], float | None], Settings] = {}
    varied = []
    for env, file_dep, timeout in zip(envs, files, timeouts, strict=True):
        key = (id(env), file_dep, timeout)
        settings = made.get(key)
        if settings is None:
            settings = made[key] = Settings(env, file_dep, timeout, *others)
        varied.append(settings)
    return varied
