"""Check tables against their models, and put the faults that pydantic finds into our words and places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, time
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from pydoit_sc.batchfile.errors import SHOWN, InvalidError, Where, kind_of, show
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.models import build

M = TypeVar("M", bound=BaseModel)

_UNQUOTED = (bool, int, float, date, time)
_KEY = "[key]"  # ends pydantic's place of a key of a table
_MAY_BE_SECRET = "storage_options"  # the key of which, and below which, no value is shown


def check(model: type[M], data: object, notes: Notes, where: Where = ()) -> M | None:
    """Return the table if it is sound, or None after noting every fault of it."""
    build(model)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        shown = max(SHOWN - notes.report.count, 0)
        notes.report.add_more(max(error.error_count() - shown, 0))
        for fault in _faults(error, model, shown, where):
            place = (*where, *fault.where)
            if fault.known is not None:
                notes.unknown_key(place, "unknown key", fault.known)
            elif fault.is_no_axis and (home := notes.home(place)):
                notes.add(place, home)
            elif fault.unquoted is not None:
                notes.unquoted(place, fault.message, fault.unquoted)
            else:
                notes.add(place, f"{fault.message}{fault.found}")
        return None


def check_slots(table: object, nprocs: object, notes: Notes, where: Where) -> None:
    """Note a table whose runs hold more slots than a worker has, where `nprocs` is a number."""
    slots = table.get("slots") if isinstance(table, Mapping) else None
    if isinstance(slots, int) and isinstance(nprocs, int) and slots > nprocs:
        notes.add((*where, "slots"), f"expected at most {nprocs:,}, the `nprocs`, found {show(slots)}")


def require(model: type[M], data: object) -> M:
    """Return the table if it is sound; raises InvalidError with every fault of it."""
    build(model)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidError(
            *((fault.where, fault.message + fault.found) for fault in _faults(error, model))
        ) from None


class _Fault(NamedTuple):
    """A fault of a table; where it is an unknown key, `known` are the keys that there are."""

    where: Where
    message: str
    known: Any = None
    is_no_axis: bool = False
    found: str = ""  # ends the message
    unquoted: object = None  # a value that is no text, where a text is expected


def _faults(
    error: ValidationError, model: type[BaseModel], most: int | None = None, above: Where = ()
) -> Iterator[_Fault]:
    """Yield the faults of a table at `above`, at most so many: a file may be wrong in every line."""
    for found in islice(error.errors(include_url=False), most):
        loc, kind, value = found["loc"], found["type"], found["input"]
        table = _table_at(model, loc)
        where = tuple(part for part in loc if part != _KEY and part not in _variants(model))
        secret = _MAY_BE_SECRET in (*above, *where)
        shown = kind_of(value) if secret else show(value)
        if kind == "missing":
            yield _Fault(where[:-1], _missing(table, str(where[-1])))
        elif kind == "invalid_key":
            yield _Fault(where, f"expected a key (a string), found {show(where[-1])}")
        elif kind == "extra_forbidden":
            yield _unknown(table, where)
        elif kind in ("model_type", "model_attributes_type", "dict_type"):
            what = getattr(table, "what", "a table")
            yield _Fault(where, f"expected {what}, found {shown}")
        elif kind in ("fault", "union_tag_invalid", "union_tag_not_found"):
            yield _Fault(where, found["msg"])
        elif kind == "no_axis":
            yield _Fault(where, found["msg"], found=f", found {shown}", is_no_axis=True)
        elif kind == "less_than_equal":
            yield _Fault(where, f"expected an integer of at most {found['ctx']['le']:,}, found {shown}")
        else:
            message = f"{found['msg'][:1].lower()}{found['msg'][1:]}"
            is_unquoted = "string" in message and isinstance(value, _UNQUOTED)
            advice = "; write it in quotes" if is_unquoted and secret else ""
            unquoted = value if is_unquoted and not secret else None
            yield _Fault(where, message, found=f", found {shown}{advice}", unquoted=unquoted)


def _missing(table: type[BaseModel], key: str) -> str:
    """Return the message for a key that is not there, with what it is."""
    described = next((f.description for name, f in _fields(table).items() if name == key), None)
    return f"no `{key}`" + (f": {described}" if described else "")


def _unknown(table: type[BaseModel], where: Where) -> _Fault:
    word = str(where[-1])
    misplaced = table.misplaced if issubclass(table, Table) else {}
    if word in misplaced:
        return _Fault(where, misplaced[word])
    return _Fault(where, "unknown key", tuple(_fields(table)))


def _fields(table: type[BaseModel]) -> Mapping[str, Any]:
    """Return the fields of a table by the names that users write."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _variants(model: type[BaseModel]) -> Mapping[str, type[BaseModel]]:
    """Return the models behind the tags that pydantic puts into a place that takes one of several tables."""
    found: Mapping[str, type[BaseModel]] = getattr(model, "variants", {})
    return found


def _table_at(model: type[BaseModel], loc: Where) -> type[BaseModel]:
    """Return the model of the table that a place lies in: the innermost one on the way to it."""
    table = model
    for part in loc:
        if part in _variants(model):
            table = _variants(model)[str(part)]
            continue
        field = _fields(table).get(str(part))
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        table = next((kind for kind in kinds if _is_model(kind)), table)
    return table


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
