"""Read recipes from files, and turn them into YAML: all keys keep their order, and text in blocks stays in blocks.

Recipes are YAML 1.2, where `yes`, `010` and `2024-01-01` are not what PyYAML's YAML 1.1 makes of them; so they are
read by the rules of 1.2, and what either version would misread is written in quotes. Comments are not kept.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

import yaml
from pydantic import ConfigDict, model_validator

from pydoit_sc.batchfile.check import require
from pydoit_sc.batchfile.document import read_text
from pydoit_sc.batchfile.errors import BatchfileError, InvalidError, show
from pydoit_sc.batchfile.fields import Script, Text
from pydoit_sc.batchfile.jsonfile import parse_json
from pydoit_sc.batchfile.yamlfile import StrictLoader, parse_yaml
from pydoit_sc.models import Deferred
from pydoit_sc.saturn.errors import RecipeError
from pydoit_sc.saturn.models import Recipe

_TAG = "tag:yaml.org,2002:"
_DEEPEST = 100
_MOST_BITS = 10_000  # of a number: Python writes no more than 4,300 digits
_MOST = 1_000_000  # characters of a recipe: far more than any has, and read and written in a second

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_NULL = re.compile(r"|~|null|Null|NULL")
_INT = re.compile(r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|[0-9][0-9_]*(?=[eE])|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_BLOCK_TEXT = re.compile(
    "[\t\n -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*"
)

#: Tag, pattern, and the characters that such a value begins with; as YAML 1.2's core schema has them.
_RULES = (
    ("bool", _BOOL, list("tTfF")),
    ("null", _NULL, ["~", "n", "N", ""]),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+0123456789.")),
    ("merge", re.compile("<<"), ["<"]),
)


class _Table(Deferred):
    """The keys that we read of a table; Saturn Cloud checks the others, and ignores empty values."""

    model_config = ConfigDict(extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_values(cls, table: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in table.items() if value not in (None, "")}


class _Spec(_Table):
    start_script: Script | None = None
    working_directory: Text | None = None


class _Known(_Table):
    type: Text | None = None
    spec: _Spec


class _Loader(StrictLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's way: a table of the class


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def analyze_scalar(self, scalar: str) -> Any:
        """Allow tabs and spaces at line ends in blocks: YAML does, PyYAML does not."""
        analysis = super().analyze_scalar(scalar)
        if analysis.multiline and _BLOCK_TEXT.fullmatch(scalar):
            analysis.allow_block = True
        return analysis

    def determine_block_hints(self, text: str) -> str:
        """State the indentation of a block that begins with a tab, since some readers do not find it."""
        hints: str = super().determine_block_hints(text)
        return f"{self.best_indent}{hints}" if text.startswith("\t") else hints


class _PlainDumper(_Dumper):
    """A dumper without blocks and with escapes, for text that does not read back equal in a block."""


def _int(loader: Any, node: yaml.ScalarNode) -> int:
    digits = loader.construct_scalar(node).replace("_", "")
    return int(digits, 0 if re.match(r"[-+]?0[box]", digits) else 10)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not isinstance(dumper, _PlainDumper) else None
    return dumper.represent_scalar(f"{_TAG}str", text, style=style)


for _tag, _pattern, _first in _RULES:
    _anchored = re.compile(rf"^(?:{_pattern.pattern})$")
    _Loader.add_implicit_resolver(f"{_TAG}{_tag}", _anchored, _first)
    # in addition to those of 1.1, so that text which either version would misread is quoted
    _Dumper.add_implicit_resolver(f"{_TAG}{_tag}", _anchored, _first)
    _PlainDumper.add_implicit_resolver(f"{_TAG}{_tag}", _anchored, _first)
_Loader.add_constructor(f"{_TAG}int", _int)
for _dumper in (_Dumper, _PlainDumper):
    _dumper.add_representer(str, _text)
    _dumper.add_representer(type(None), lambda dumper, _none: dumper.represent_scalar(f"{_TAG}null", ""))


def loads(text: str, file: str = "the recipe") -> Recipe:
    """Return the recipe of a YAML or JSON text; `file` is named in the RecipeError."""
    if len(text) > _MOST:
        raise RecipeError(
            f"{file}: expected a recipe, which has at most {_MOST:,} characters, found {len(text):,}"
        )
    recipe = _parsed(text, file)
    if (wrong := _not_json(recipe)) is not None:
        raise RecipeError(f"{file}: {wrong}")
    if not isinstance(recipe, dict):
        raise RecipeError(
            f"{file}: expected a recipe, found {'nothing' if recipe is None else type(recipe).__name__}"
        )
    if not isinstance(recipe.get("spec"), dict):
        raise RecipeError(
            f"{file}: a recipe needs `spec`; `pydoit-sc get job NAME > {file}` writes a whole one"
        )
    try:
        require(_Known, recipe)
    except InvalidError as error:
        where, message = error.faults[0]
        raise RecipeError(f"{file}: {'.'.join(map(str, where))}: {message}") from None
    return recipe


def _parsed(text: str, file: str) -> Any:
    try:
        if text.lstrip()[:1] == "{":
            # YAML may begin with a brace, too, and says where an error is
            with suppress(BatchfileError):
                return parse_json(text, file)
        return parse_yaml(text, file, _Loader)
    except BatchfileError as error:
        raise RecipeError(str(error)) from None


def _not_json(recipe: Any) -> str | None:
    """Return what a recipe holds that JSON, as which it is sent, cannot express; None if there is no such thing."""
    rows = [(recipe, 0)]
    while rows:
        value, depth = rows.pop()
        if depth > _DEEPEST:
            return f"nested more than {_DEEPEST} levels deep"
        if isinstance(value, dict):
            odd = next((key for key in value if not isinstance(key, str)), "")
            if odd != "":
                return f"a key is text, found {show(odd)}; write it in quotes"
            rows += ((child, depth + 1) for child in (*value, *value.values()))
        elif isinstance(value, list):
            rows += ((child, depth + 1) for child in value)
        elif isinstance(value, str) and _SURROGATE.search(value):
            return f"a lone surrogate, which is no character, in {value[:60]!a}"
        elif not isinstance(value, (str, int, float, type(None))) or (
            isinstance(value, int) and value.bit_length() > _MOST_BITS
        ):
            return f"expected text, numbers, true, false, null, lists and tables, found {show(value)}"
    return None


def read(path: str | os.PathLike[str]) -> Recipe:
    """Return the recipe of a file; raise RecipeError."""
    file = os.fspath(path)
    try:
        return loads(read_text(file, file), file)
    except BatchfileError as error:
        raise RecipeError(str(error)) from None


def dumps(recipe: Recipe) -> str:
    """Return the recipe as YAML that reads back equal."""
    text = _dumped(recipe, _Dumper)
    return text if _reads_back(text, recipe) else _dumped(recipe, _PlainDumper)


def _dumped(recipe: Recipe, dumper: type[_Dumper]) -> str:
    text: str = yaml.dump(
        recipe,
        Dumper=dumper,
        sort_keys=False,
        allow_unicode=dumper is _Dumper,
        width=float("inf"),
        default_flow_style=False,
    )
    return text


def _reads_back(text: str, recipe: Recipe) -> bool:
    try:
        return bool(yaml.load(text, _Loader) == recipe)
    except yaml.YAMLError:
        return False
