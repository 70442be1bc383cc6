"""The axis of windows of time: its table, its time zone, and the words `today`, `yesterday` and `now`."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from pydoit_sc.batchfile.document import Source
from pydoit_sc.batchfile.errors import InvalidError, did_you_mean, show
from pydoit_sc.batchfile.fields import Parsed, expected, fault
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.batchfile.values import Value, too_many
from pydoit_sc.batchfile.windows import Length, count, parse_length, windows

#: What `to` may be beside a date, each with how many days ago it is; `now` is a moment.
WORDS = {"today": 0, "yesterday": 1, "now": 0}


def _instant(value: object) -> date:
    if not isinstance(value, date):
        raise expected("a date or a date-time without quotes")
    return value


def _until(value: object) -> date | str:
    if isinstance(value, str) and value in WORDS:
        return value
    if not isinstance(value, date):
        raise expected('a date or a date-time without quotes, "today", "yesterday" or "now"')
    return value


def _length(value: object) -> Length:
    try:
        return parse_length(value)
    except (ValueError, OverflowError) as error:
        raise expected(str(error)) from None


def _zone(value: object) -> tzinfo:
    import zoneinfo  # noqa: PLC0415 - few batches have a time zone

    if not isinstance(value, str):
        raise expected('the name of a time zone, such as "Europe/Zurich"')
    try:
        return zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = did_you_mean(value, zoneinfo.available_timezones()) if value else ""
        hint = near if near.startswith("; did") else '; zones have names such as "Europe/Zurich"'
        raise fault(f"no time zone {show(value)}{hint}") from None


_DATE = {"type": "string", "description": "a TOML date or date-time, without quotes"}
_UNTIL = {"type": "string", "description": f"{_DATE['description']}, or one of {', '.join(WORDS)}"}
_LENGTH = {"type": "string", "examples": ["1 day", "3 months"]}
_ZONE = {"type": "string", "examples": ["Europe/Zurich", "UTC"]}

Instant = Annotated[date, Parsed(_instant, _DATE)]
Until = Annotated[date | str, Parsed(_until, _UNTIL)]
LengthOfTime = Annotated[Length, Parsed(_length, _LENGTH)]
Zone = Annotated[Any, Parsed(_zone, _ZONE)]


class WindowsAxis(Table):
    """Windows of time: half-open spans that start at `from` and every `every` after it."""

    from_: Instant = Field(alias="from", description="start of the first window, a TOML date or date-time")
    to: Until = Field(
        description='no window starts after this date or date-time; `"today"`, `"yesterday"`, `"now"`: as the clock has it when '
        "the file is read"
    )
    every: LengthOfTime = Field(description='distance between two starts, such as `"1 month"`')
    span: LengthOfTime | None = Field(default=None, description="length of a window; left out: `every`")
    tz: Zone | None = Field(
        default=None,
        description='time zone of the date-times and of `"today"`, such as `"Europe/Zurich"`; left out: that of their offsets',
    )

    @field_validator("to")
    @classmethod
    def _check_to(cls, to: date | str, info: ValidationInfo) -> date | str:
        start = info.data.get("from_")
        if start is None or isinstance(to, str):
            return to
        if _kind(start) != _kind(to):
            raise fault(f"expected {_kind(start)} as in `from`, found {_kind(to)}")
        if to < start:
            raise fault(f"{show(to)} is before `from`, {show(start)}")
        return to

    @field_validator("every", "span")
    @classmethod
    def _check_length(cls, length: Length | None, info: ValidationInfo) -> Length | None:
        start = info.data.get("from_")
        if length and length.time and start is not None and not isinstance(start, datetime):
            raise expected("days, weeks, months or years; windows of hours and minutes need date-times")
        return length

    def values(self, source: Source) -> list[Value]:
        """Return the windows; raises InvalidError."""
        start, to = self.from_, self.to
        zone = self.tz if isinstance(start, datetime) else None
        if isinstance(to, str):
            to = self._moment(to, source.now)
            if to < start:
                raise InvalidError((("to",), f"{self.to} is {show(to)}, before `from`, {show(start)}"))
        if said := too_many(count(start, to, self.every)):
            raise InvalidError(((), said))
        try:
            found = windows(start, to, self.every, self.span or self.every, zone)
        except (OverflowError, ValueError):
            raise InvalidError(((), "the windows go past the year 9999")) from None
        if not found:
            raise InvalidError(((), "the clocks of `tz` leave out every window"))
        return list(found)

    def refusal(self, wanted: object) -> str:
        """Return why a value can be no start of a window, "" where it may be one, on this day or on another.

        Starts that have an offset may be named without it.
        """
        start = self.from_
        of_start = _kind(start)
        if not isinstance(wanted, date):
            hint = "; a date has no quotes" if isinstance(wanted, str) else ""
            return f"expected {of_start}, the start of a window, found {show(wanted)}{hint}"
        found = _kind(wanted)
        has_offset = isinstance(start, datetime) and (self.tz or start.tzinfo) is not None
        if found == of_start or (has_offset and isinstance(wanted, datetime)):
            return ""
        return f"expected {of_start} as in `from`, found {found}"

    def _moment(self, word: str, now: datetime) -> date:
        """Return what a word for `to` means, of the kind of `from`; a day begins at midnight.

        It is that of `tz`, else of the offset of `from`, else of this machine.
        """
        start = self.from_
        zone = self.tz or (start.tzinfo if isinstance(start, datetime) else None)
        there = now.astimezone(zone)
        day = there.date() - timedelta(days=WORDS[word])
        if not isinstance(start, datetime):
            return day
        if word != "now":
            there = datetime.combine(day, time(), there.tzinfo)
        return there if start.tzinfo else there.replace(tzinfo=None)


def _kind(value: date) -> str:
    if not isinstance(value, datetime):
        return "a date"
    return "a date-time" if value.tzinfo is None else "a date-time with an offset"
