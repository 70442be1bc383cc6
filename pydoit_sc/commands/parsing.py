"""Parse options: before or behind the names, with errors that name the option that was probably meant."""

from __future__ import annotations

import getopt
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, time
from typing import Any

from doit.cmdparse import CmdOption, CmdParse, CmdParseError
from doit.exceptions import InvalidCommand

from pydoit_sc.batch import MOST_AT_ONCE
from pydoit_sc.batchfile import nearest
from pydoit_sc.batchfile.errors import show
from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.numbers import whole_number
from pydoit_sc.tasks.errors import user_errors


def option(name: str, help: str, *, long: str = "", **more: Any) -> dict[str, Any]:  # noqa: A002 - doit's word
    """Return an option as doit describes it: a text, unless `type` says otherwise. `long` is its name on the command line."""
    return {
        "name": name, "long": long or name.replace("_", "-"), "type": str, "default": None, "help": help, **more,
    }  # fmt: skip


def flag(name: str, help: str, **more: Any) -> dict[str, Any]:  # noqa: A002 - doit's word
    """Return an option without a value."""
    return option(name, help, **{"type": bool, "default": False, **more})


#: Second names of options, as the seed has them, where a command has no option of that name.
_OTHER_NAMES = {"remote-output-path": "to"}


class Parser(CmdParse):  # type: ignore[misc]
    """doit's parser, which also takes options behind the first name."""

    def __init__(self, options: Any, help_command: str) -> None:
        super().__init__(options)
        self._help_command = help_command
        self.given = set[str]()  # the names of the options that the command line has, which are no defaults

    def parse_only(self, in_args: list[str], params: Any = None) -> tuple[Any, list[str]]:
        """Return the options by name, and the other words; raises CmdParseError."""
        try:
            long = self.get_long()
            others = {
                other: name
                for other, name in _OTHER_NAMES.items()
                if f"{name}=" in long and f"{other}=" not in long
            }
            long += [f"{other}=" for other in others]
            options, words = getopt.gnu_getopt(in_args, self.get_short(), long)
        except getopt.GetoptError as error:
            near = nearest(error.opt, [name.rstrip("=") for name in self.get_long()])
            unknown = near and "not recognized" in error.msg and len(error.opt) > 1
            hint = f"did you mean `--{near}`?" if unknown else f"see `{self._help_command}`"
            raise CmdParseError(f"{error.msg}; {hint}") from error
        first: list[str] = []
        self.given = names = set[str]()
        for given, value in options:
            spelled = f"--{others[given[2:]]}" if given[2:] in others else given
            option = self.get_option(spelled)[0]
            if option.type not in (bool, list) and option.name in names:
                raise CmdParseError(f"{spelled}: given twice; see `{self._help_command}`")
            names.add(option.name)
            first.extend([spelled] if option.type is bool else [spelled, value])
        found: tuple[Any, list[str]] = super().parse_only([*first, "--", *words], params)
        return found


class OptionsAnywhere:
    """A doit command that reads its options so; the catalogue has its purpose."""

    doc_purpose = ""
    _misconfigured: CmdParseError | None = None
    first_is_batch = True  # in place of `-f FILE`, where the command has that option

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if (name := getattr(cls, "name", None)) in COMMANDS:
            cls.doc_purpose = COMMANDS[name].purpose

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._cmdparser: CmdParse | None = None
        super().__init__(*args, **kwargs)

    def parse_execute(self, in_args: list[str]) -> Any:
        """Parse the words and run the command; called by doit."""
        command: Any = self
        parser = self.cmdparser
        if self._misconfigured:
            raise self._misconfigured
        options, words = parser.parse(in_args)
        command.pdb = options.get("pdb", False)
        options.update(command.opt_vals)
        if self.first_is_batch and "batchfile" in options:
            from pydoit_sc.project import choose_batch  # noqa: PLC0415 - help and the worker read no batch

            before = [*words]
            with user_errors():
                file, to = options["batchfile"], options["remote_output_path"]
                options["batchfile"] = choose_batch(file, to, words, COMMANDS)
            if len(words) < len(before):
                self.refuse_another_batch(before[0])
        return command.execute(options, words)

    def refuse_another_batch(self, word: str) -> None:
        """Raise InvalidCommand if the command line names a batch by -f beside this word."""
        if "batchfile" in self.given:
            raise InvalidCommand(f"expected one batch, found `{word}` and -f")

    def refuse_beside(self, what: str, names: Iterable[str]) -> None:
        """Raise InvalidCommand if the command line has one of these options, which mean nothing beside something."""
        for name in names:
            if name in self.given:
                raise InvalidCommand(f"--{self.cmdparser[name].long}: it means nothing beside {what}")

    @property
    def given(self) -> Collection[str]:
        """The names of the options that the command line has, which are no defaults."""
        return self.cmdparser.given if isinstance(self.cmdparser, Parser) else ()

    @property
    def cmdparser(self) -> CmdParse:
        """The parser of this command's options, with the defaults that the project's configuration sets."""
        if self._cmdparser is None:
            self._cmdparser = self.make_parser()
            configured: Mapping[str, Any] = self.config_vals  # type: ignore[attr-defined]
            try:
                self._cmdparser.overwrite_defaults(as_words(self._cmdparser.options, configured))
            except CmdParseError as error:
                self._misconfigured = error  # doit expects it when it calls `parse_execute`
        return self._cmdparser

    def shown_options(self) -> list[CmdOption]:
        """Return the options that mean something: where tasks come from a batchfile, doit's database has no choice."""
        from pydoit_sc.commands.usage import DATABASE  # noqa: PLC0415 - for help and completion alone
        from pydoit_sc.tasks.loader import BatchfileLoader  # noqa: PLC0415

        hidden = DATABASE if isinstance(getattr(self, "loader", None), BatchfileLoader) else ()
        return [option for option in self.cmdparser.options if option.section not in hidden]

    def help(self) -> str:
        """Return the text of `help COMMAND`."""
        from pydoit_sc.commands.usage import usage  # noqa: PLC0415 - for help alone

        command: Any = self
        options = self.shown_options()
        return usage(command.bin_name, command.name, command.doc_usage, command.doc_description, options)

    def make_parser(self) -> CmdParse:
        """Return a parser of this command's options."""
        command: Any = self
        return Parser(command.get_options(), f"{command.bin_name} help {command.name}")


def as_words(options: Iterable[CmdOption], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a configuration says of options as a command line would: a number as its text; raises CmdParseError.

    >>> as_words([CmdOption(option("retries", "")), CmdOption(flag("quiet", ""))], {"retries": 1, "quiet": True})
    {'retries': '1', 'quiet': True}
    """
    found = dict(values)
    for one in options:
        if one.name not in found:
            continue
        value = found[one.name]
        if one.type is str:
            found[one.name] = _word(one.name, value)
        elif one.type is list and not isinstance(value, str):
            if not isinstance(value, (list, tuple)):
                raise CmdParseError(_unexpected(one.name, "a list", value))
            found[one.name] = [_word(one.name, item) for item in value]
        elif value is not None and one.type not in (list, bool):
            found[one.name] = one.str2type(str(value))
    return found


def _word(name: str, value: Any) -> Any:
    """Return a value as a word; what a dodo.py may give in place of one, such as a class, as it is."""
    if isinstance(value, (bool, list, tuple, dict, date, time)):
        raise CmdParseError(_unexpected(name, "a text or a number", value))
    return str(value) if isinstance(value, (int, float)) else value


def _unexpected(name: str, what: str, value: object) -> str:
    return f"the configuration of doit: `{name}`: expected {what}, found {show(value)}"


def parse_nprocs(value: str | int | None) -> int | None:
    """Return how many runs at once an option asks for, None if it is not given; raises InvalidCommand."""
    with user_errors():
        return None if value is None else whole_number("-n", str(value), most=MOST_AT_ONCE)


def parse_table(value: str, option: str) -> dict[str, Any]:
    """Return the table that an option gives as JSON, an empty one if it is not given; raises InvalidCommand.

    What was found is not shown: there may be secrets in it.
    """
    try:
        table = json.loads(value or "{}")
    except ValueError:
        table = None
    if not isinstance(table, dict):
        found = "no JSON" if table is None else "another value"
        raise InvalidCommand(f'{option}: expected a table as JSON, such as {{"anon": true}}, found {found}')
    return table


def parse_count(value: str | None, option: str) -> int | None:
    """Return the number that an option gives, None if it is not given; raises UserError."""
    return None if value is None else whole_number(option, value)


def json_option(shape: str) -> dict[str, Any]:
    """Return the option `--json` of a command that prints a table, with the shape of what it prints then."""
    return flag("as_json", f"for programs, as JSON: {shape}", long="json")


def format_options(formats: Sequence[str], shape: str) -> tuple[dict[str, Any], ...]:
    """Return the options `--format`, of these formats, the first by default, and `--json`, which is one of them."""
    form = option("format", "[default: %(default)s]", metavar="|".join(formats), default=formats[0])
    return form, json_option(shape)


def parse_format(
    options: Mapping[str, Any], formats: Sequence[str], given: Collection[str], name: str = "format"
) -> str:
    """Return the format that the option of this name and --json ask for; raises InvalidCommand for an unknown one, and for two.

    `given` are the options that the command line has: of two, a default is none.
    """
    form = parse_choice(options[name], formats, f"--{name}")
    if options["as_json"] and name in given and form != "json":
        raise InvalidCommand(f"expected one format, found --json and --{name} {form}")
    return "json" if options["as_json"] else form


def parse_choice(value: str, choices: Sequence[str], option: str) -> str:
    """Return one of the choices, or raise the error that lists them."""
    if value not in choices:
        raise InvalidCommand(f"{option}: expected one of {', '.join(choices)}, found `{value}`")
    return value


def one_of(name: str, *numbers: int) -> Callable[[str], int]:
    """Return what reads an option that takes these numbers, as the `type` of an option; it raises CmdParseError."""
    words = [str(number) for number in numbers]

    def parse(word: str) -> int:
        if word not in words:
            raise CmdParseError(f"--{name}: expected one of {', '.join(words)}, found `{word}`")
        return int(word)

    return parse


def split_columns(text: str) -> list[str]:
    """Return the names in a list that is joined by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
