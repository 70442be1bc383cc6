"""The types of values in batchfiles: what a key takes, and the words for what it does not take.

pydantic checks; each type here adds the wording. An error of type `expected` is completed by what was found, an error
of type `fault` is a whole message. batchfile/check.py adds the place.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from pydoit_sc import made, passwords
from pydoit_sc.batch import MOST_AT_ONCE, Share
from pydoit_sc.batchfile.durations import parse_duration
from pydoit_sc.batchfile.errors import show
from pydoit_sc.batchfile.names import check_name
from pydoit_sc.batchfile.remote import expanded
from pydoit_sc.sizes import SMALLEST, parse_size
from pydoit_sc.utf8 import is_text, to_bytes

MAX_COMMAND = 131_072 - 1  # bytes: Linux's MAX_ARG_STRLEN, less the NUL at the end
MAX_VARIABLE = 130_000  # bytes: as much, with room for its name
MAX_ENVIRONMENT = 500_000  # characters: Linux takes 2 MiB of variables and words, and the user has some, too
LARGEST = 1_000_000_000

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHARE = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%\s*")


def expected(what: str) -> PydanticCustomError:
    """Return the error of a value that is not `what`; what was found is added to the message."""
    return PydanticCustomError("expected", "expected {what}", {"what": what})


def fault(message: str) -> PydanticCustomError:
    """Return the error with this message."""
    return PydanticCustomError("fault", "{message}", {"message": message})


def told(error: ValueError, value: object) -> str:
    """Return the whole message of an error that one of the readers here has raised about a value."""
    is_expected = isinstance(error, PydanticCustomError) and error.type == "expected"
    return f"{error}, found {show(value)}" if is_expected else str(error)


class Expected(NamedTuple):
    """Words for what a type takes, in place of pydantic's: `Annotated[bool, Expected("true or false")]`."""

    what: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            handler(source), custom_error_type="expected", custom_error_message=f"expected {self.what}"
        )


class Parsed:
    """A type that a function reads, with its JSON schema; the function raises `expected(…)` or `fault(…)`."""

    def __init__(self, parse: Callable[[Any], Any], schema: Mapping[str, Any]) -> None:
        self.parse, self.schema = parse, schema

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Any) -> dict[str, Any]:
        return dict(self.schema)


def matching(pattern: str, what: str, *, numbers: bool = False) -> Parsed:
    """Return the type of texts of this pattern; with `numbers`, a positive number may be written without quotes."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(value: object) -> str:
        plain = numbers and isinstance(value, (int, float)) and not isinstance(value, bool)
        text = str(value) if plain else value
        if isinstance(text, str) and compiled.fullmatch(text):
            return text
        raise expected(what)

    text = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return Parsed(parse, {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, text]} if numbers else text)


def list_of(what: str) -> BeforeValidator:
    """Return what makes a tuple's type take a list, and call it `what`."""

    def read(value: object) -> tuple[Any, ...]:
        if isinstance(value, (list, tuple)):
            return tuple(value)
        raise expected(what)

    return BeforeValidator(read)


def table_of(what: str) -> BeforeValidator:
    """Return what makes a dict's type call itself `what`."""

    def read(value: object) -> object:
        if isinstance(value, Mapping):
            return value
        raise expected(what)

    return BeforeValidator(read)


def _has_controls(text: str) -> bool:
    """Return whether a text has control characters, or what is no character at all."""
    return _CONTROLS.search(text) is not None or not is_text(text)


def check_text(value: str) -> str:
    """Return the value if it is a line of text; raises the error of a field."""
    if not value.strip():
        raise expected("a string that is not empty")
    if _has_controls(value):
        raise expected("a string without control characters")
    return value


def are_texts(values: Sequence[str]) -> bool:
    """Return whether `check_text` takes all of these; there may be a million."""
    return all(map(str.strip, values)) and not _has_controls("".join(values))


def command_fault(cmd: str) -> str | None:
    """Return what is wrong with a shell command, or None.

    >>> command_fault(" ")
    'the command is empty'
    """
    if not cmd or cmd.isspace():
        return "the command is empty"
    if "\0" in cmd:
        return "a command has no NUL character"
    if cmd.isascii():
        size = len(cmd)
    else:
        try:
            size = len(to_bytes(cmd))
        except UnicodeEncodeError:
            return "the command has a lone surrogate, which is no character"
    if size > MAX_COMMAND:
        return f"a command has at most {MAX_COMMAND:,} bytes (Linux takes no more), this one {size:,}"
    return None


def are_sound(cmds: made.Texts) -> bool:
    """Return whether no command has a fault, where that shows in what they are made of: there may be a million."""
    literal = "".join(part for part in cmds.parts if isinstance(part, str))
    clean = all(piece.isascii() and "\0" not in piece for piece in cmds.pieces())
    return clean and bool(literal.strip()) and cmds.longest() <= MAX_COMMAND


def _command(value: object) -> str:
    if not isinstance(value, str):
        raise expected("a command (a string)")
    if (wrong := command_fault(value)) is not None:
        raise fault(wrong)
    return value


def _run_name(value: object) -> str:
    if not isinstance(value, str):
        raise expected("a name (a string)")
    if (reason := check_name(value)) is not None:
        raise fault(f"{reason}, found {show(value)}")
    return value


def read_variable(value: object) -> str:
    if not isinstance(value, str):
        raise expected("a string")
    if "\0" in value or not is_text(value):
        raise expected("a string without NUL characters and surrogates")
    if (size := len(to_bytes(value))) > MAX_VARIABLE:
        raise fault(
            f"a variable has at most {MAX_VARIABLE:,} bytes (Linux takes no more), this one {size:,}; "
            f"put the text into a file"
        )
    return value


def read_environment(variables: dict[str, str]) -> dict[str, str]:
    size = sum(len(name) + len(value) for name, value in variables.items())
    if size > MAX_ENVIRONMENT:
        raise fault(
            f"the variables have {size:,} characters together, and {MAX_ENVIRONMENT:,} are taken at most; "
            f"put the texts into files"
        )
    return variables


def _variable_name(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 255 or "=" in name or _has_controls(name):
        raise fault("not the name of an environment variable")
    return name


def _is_count(value: object, most: int = LARGEST) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def read_nprocs(value: object) -> object:
    """Return how many runs are executed at once; raises PydanticCustomError."""
    if value in ("cores", "gpus") or _is_count(value, MOST_AT_ONCE):
        return value
    raise expected(f'an integer from 1 to {MOST_AT_ONCE:,}, "cores" or "gpus"')


def max_failures(value: object) -> int | Share:
    """Return a number or a share of failures; raises PydanticCustomError."""
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match is not None and 0 < float(match[1]) <= 100:
        return Share(float(match[1]) / 100)
    if isinstance(value, Share) or (isinstance(value, int) and _is_count(value)):
        return value
    raise expected('an integer of at least 1 or a share such as "5 %"')


def _duration(value: object) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise expected(str(error)) from None


def _size(value: object) -> int:
    try:
        return parse_size(value)
    except ValueError as error:
        raise expected(str(error)) from None


def read_timeout(value: object) -> float:
    """Return a duration in seconds that is longer than 0; raises PydanticCustomError."""
    seconds = _duration(value)
    if not seconds:
        raise expected("a duration longer than 0 (leave it out for no limit)")
    return seconds


def natural(value: object) -> int:
    """Return a number from 0; raises PydanticCustomError."""
    if isinstance(value, int) and (value == 0 or _is_count(value)):
        return value
    raise expected("an integer of at least 0")


def _place(text: str) -> str:
    """Return a place that somebody has written, as `remote.expanded` does."""
    try:
        place = expanded(text)
    except ValueError as error:
        raise fault(str(error)) from None
    return without_password(check_text(place))


def without_password(url: str) -> str:
    """Return a place; raises the fault of a URL that has a password."""
    if why := passwords.in_url(url):
        raise fault(why)
    return url


def _stage_timeout(value: object) -> float | str:
    """Return a timeout, or a template of timeouts, which has braces and is read when it is written out."""
    return value if isinstance(value, str) and set(value) & set("{}") else read_timeout(value)


def absolute(path: str) -> str:
    """Return an absolute path; raises the fault of another one."""
    if not os.path.isabs(path):
        raise expected("an absolute path")
    return path


def not_a_file(path: str) -> str:
    """Return the path of a folder, which may have to be made; raises the fault of a file's, or of one below a file."""
    try:
        found = os.stat(path)
    except NotADirectoryError as error:
        raise expected("a folder, not one below a file") from error
    except OSError:
        return path
    if not stat.S_ISDIR(found.st_mode):
        raise expected("a folder, not a file")
    return path


def _script(value: object) -> str:
    if not isinstance(value, str) or "\0" in value or not is_text(value):
        raise expected("lines of shell (a string)")
    return value


def _shell(value: object) -> tuple[str, ...]:
    """Return the words before a command; none for sh itself."""
    words = (value, "-c") if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise expected("a shell, or a list of its words")
    if any(map(_has_controls, words)):
        raise expected("a shell without control characters")
    if words and (not words[0].strip() or words[0].startswith("-")):
        raise fault(f"expected the name of a shell, found {show(words[0])}")
    if isinstance(value, str) and " " in value:
        listed = ", ".join(show(word) for word in value.split())
        raise fault(f"a shell with options is a list of its words: [{listed}]")
    return () if tuple(words) in {("sh", "-c"), ("/bin/sh", "-c")} else tuple(words)


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise expected("a number above 0")
    return value


_TEXT = {"type": "string"}
_DURATION = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "examples": ["90s", "10m", "1.5 h"]}]
}

Bool = Annotated[bool, Expected("true or false")]
Natural = Annotated[int, Field(ge=0), Expected("an integer of at least 0"), Field(le=LARGEST)]
Count = Annotated[int, Field(ge=1), Expected("an integer of at least 1"), Field(le=LARGEST)]
Text = Annotated[str, Expected("a string"), AfterValidator(check_text)]
Texts = Annotated[tuple[Text, ...], list_of("a list of strings")]
HomePath = Annotated[Text, AfterValidator(os.path.expanduser)]  # in which `~` is a user's home
HomePaths = Annotated[tuple[HomePath, ...], list_of("a list of strings")]
Place = Annotated[str, Expected("a string"), AfterValidator(_place)]  # a URL or a path
Path = Annotated[str, Expected("a string"), AfterValidator(check_text), AfterValidator(absolute)]
Address = Annotated[Text, AfterValidator(without_password)]
Anything = Annotated[dict[str, Any], table_of("a table")]
Command = Annotated[str, Parsed(_command, {**_TEXT, "minLength": 1})]
RunName = Annotated[str, Parsed(_run_name, {**_TEXT, "minLength": 1})]
Script = Annotated[str, Parsed(_script, _TEXT)]
Duration = Annotated[float, Parsed(_duration, _DURATION)]
Timeout = Annotated[float, Parsed(read_timeout, _DURATION)]
StageTimeout = Annotated[Any, Parsed(_stage_timeout, _DURATION)]  # float or str
ExitCode = Annotated[int, Field(ge=1, le=255), Expected("a status code from 1 to 255")]
ExitCodes = Annotated[tuple[ExitCode, ...], list_of("a list of status codes")]
VariableName = Annotated[str, Parsed(_variable_name, _TEXT)]
Variable = Annotated[str, Parsed(read_variable, _TEXT)]
Environment = Annotated[
    dict[VariableName, Variable],
    table_of("a table of environment variables"),
    AfterValidator(read_environment),
]
Shell = Annotated[
    tuple[str, ...],
    Parsed(_shell, {"anyOf": [{**_TEXT, "minLength": 1}, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]
AxisValues = Annotated[dict[str, Union[bool, int, float, str]], table_of("a table of values")]  # noqa: UP007
_COUNT = {"type": "integer", "minimum": 1}
Nprocs = Annotated[
    int | Literal["cores", "gpus"],
    Parsed(read_nprocs, {"anyOf": [{**_COUNT, "maximum": MOST_AT_ONCE}, {"enum": ["cores", "gpus"]}]}),
]
MaxFailures = Annotated[
    int | Share,
    Parsed(
        max_failures,
        {"anyOf": [_COUNT, {**_TEXT, "pattern": r"^\s*[0-9.]+\s*%\s*$"}]},
    ),
]
Size = Annotated[
    int,
    Parsed(
        _size,
        {
            "anyOf": [
                {"type": "integer", "minimum": SMALLEST},
                {
                    **_TEXT,
                    "pattern": r"^\s*[0-9.]+\s*[KkMmGgTt][Ii]?[Bb]\s*$",
                    "examples": ["4 GB", "512 MiB"],
                },
            ]
        },
    ),
]
Positive = Annotated[float, Parsed(_positive, {"type": "number", "exclusiveMinimum": 0})]
