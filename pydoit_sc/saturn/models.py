"""Models of what we read of the answers of Saturn Cloud's API, and one clear error where an answer differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pydoit_sc.batchfile.errors import did_you_mean
from pydoit_sc.models import Deferred, build
from pydoit_sc.saturn.errors import AnswerError, SaturnError

M = TypeVar("M", bound="Answer")

#: A recipe is passed on whole, unknown keys included, so it stays a dict; models check what we read of it.
Recipe = dict[str, Any]

RESOURCE_TYPES = ("deployment", "job", "workspace")

#: pydantic's error types in the words of the messages.
_KINDS = {
    "string_type": "a text",
    "int_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}


def resource_type(word: str) -> str:
    """Return the type that `word` names, in any case, singular or plural; raise SaturnError.

    >>> resource_type("Jobs")
    'job'
    """
    lowered = word.lower()
    for known in RESOURCE_TYPES:
        if lowered in (known, f"{known}s"):
            return known
    raise SaturnError(f"unknown resource type `{word}`{did_you_mean(word, RESOURCE_TYPES)}")


class Answer(Deferred):
    """An answer or a part of one; keys that are not fields are ignored, and null means that a key is missing."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _missing_is_null(cls, answer: Any) -> Any:
        """Set null where a required key is missing, so that there is one error for both; drop null elsewhere."""
        if not isinstance(answer, dict):
            return answer
        fields = {field.alias or name: field.is_required() for name, field in cls.model_fields.items()}
        given = {key: value for key, value in answer.items() if value is not None or key not in fields}
        return {key: None for key, required in fields.items() if required} | given


def read(model: type[M], answer: Any, what: str) -> M:
    """Return the answer as a model; raise AnswerError, in which `what` names the call."""
    build(model)
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
    # raised here, not above, since pydantic's error holds the answer
    kind, found = _KINDS.get(fault["type"], fault["msg"]), type(fault["input"]).__name__
    found = "nothing" if found == "NoneType" else found
    if fault["loc"]:
        place = ".".join(map(str, fault["loc"]))
        raise AnswerError(f"{what}: expected {kind} under `{place}`, found {found}")
    key = next((field.alias or name for name, field in model.model_fields.items()), "")
    raise AnswerError(f"{what}: expected an object with `{key}`, found {found}")


class Version(Answer):
    """The version of Saturn Cloud."""

    version: str


class User(Answer):
    """The token's user."""

    username: str


class Tokens(Answer):
    """What a refresh token was exchanged for."""

    access_token: str
    refresh_token: str = ""


class Org(Answer):
    """An organisation that the user belongs to."""

    name: str
    is_primary: bool = False


class Size(Answer):
    """An instance type; all that Saturn Cloud says of it is kept."""

    model_config = ConfigDict(extra="allow")

    name: str
    cores: int
    gpu: int = 0  # how many


class Choices(Answer):
    """What may be chosen for a resource."""

    sizes: dict[str, Size]
    disk_space: list[Any]
    auto_shutoff: list[Any]


class Page(Answer):
    """A part of a listing, with where the next one begins: newer ones name `next_key`, older ones `next_last_key`."""

    next_key: Any = None
    next_last_key: Any = None
    links: Any = None
    pagination: Any = None

    def following(self) -> dict[str, str] | None:
        """Return the parameter that asks for the next page, None if this is the last; raise AnswerError."""
        if self.next_key:
            return {"next_key": str(self.next_key)}
        if self.next_last_key:
            return {"last_key": str(self.next_last_key)}
        for older in (self.links, self.pagination):
            if isinstance(older, dict) and older.get("next"):
                raise AnswerError("this Saturn Cloud is too old: its listings page by links")
        return None


class Orgs(Page):
    """A page of organisations."""

    items: list[Org] = Field(alias="orgs")


class Recipes(Page):
    """A page of recipes."""

    items: list[Recipe] = Field(alias="recipes")


class Pod(Answer):
    """A machine that executes, or has executed, a resource; times are as the API writes them, or empty."""

    is_live: ClassVar[bool] = False

    name: str
    status: str = ""
    start_time: str = ""


class LivePod(Pod):
    """A machine that a resource holds now."""

    is_live: ClassVar[bool] = True

    status: str
    start_time: str = Field("", alias="started_at")


class PastPod(Pod):
    """A machine of the past."""

    name: str = Field(alias="pod_name")


class LivePods(Page):
    """A page of machines."""

    items: list[LivePod] = Field(alias="pod_summaries")


class RuntimeSummary(Answer):
    """The machines of a resource, or of each start of a job."""

    job_summaries: list[RuntimeSummary] = Field(default_factory=list)
    pod_summaries: list[LivePod] = Field(default_factory=list)

    def pods(self) -> list[LivePod]:
        """Return the machines of all starts."""
        return [*self.pod_summaries, *(pod for job in self.job_summaries for pod in job.pods())]


class History(Answer):
    """The machines that a resource has had."""

    pods: list[PastPod]


def _joined(logs: Any) -> Any:
    return "\n".join(str(part["content"]) for part in logs) if _in_parts(logs) else logs


def _in_parts(logs: Any) -> bool:
    return isinstance(logs, list) and all(isinstance(part, dict) and "content" in part for part in logs)


class Container(Answer):
    """A container of a machine."""

    name: str = ""
    status: str = ""
    logs: str = ""


class PodDetails(Answer):
    """One machine that is alive, with its containers."""

    labels: dict[str, Any]
    status: str = ""
    container_summaries: list[Container] = Field(default_factory=list)
    init_container_summaries: list[Container] = Field(default_factory=list)

    def main_containers(self) -> list[Container]:
        """Return the containers whose logs are shown: the main one, or while that waits the ones that prepare it."""
        chosen = [one for one in self.container_summaries if one.name == "main"][:1]
        chosen = chosen or self.container_summaries
        if all(one.status == "waiting" for one in chosen):
            return self.init_container_summaries
        return chosen


class Log(Answer):
    """The output of a machine; that of a past one comes in parts."""

    logs: Annotated[str, BeforeValidator(_joined)]


class _RecipeParts(Answer):
    type: str
    spec: dict[str, Any]


class _State(Answer):
    id: str


def checked_recipe(answer: Any, what: str) -> Recipe:
    """Return the answer if it is a recipe: an object with `type` and `spec`."""
    read(_RecipeParts, answer, what)
    return dict(answer)


def resource_id(answer: Mapping[str, Any]) -> str:
    """Return the id by which a resource is started and stopped; raise AnswerError where it does not exist yet."""
    name = answer.get("spec", {}).get("name")
    return read(_State, answer.get("state") or {}, f"the recipe of `{name}`, state").id
