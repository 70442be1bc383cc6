"""What an answer of Saturn Cloud's API must hold: JSON in, values out, or one clear error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydoit_sc.saturn.errors import AnswerError
from pydoit_sc.saturn.models import Org, Pod, Recipe, Size

T = TypeVar("T")

_KINDS = {dict: "an object", list: "a list", str: "a text", int: "a number", bool: "true or false"}


def field(answer: Any, key: str, kind: type[T], what: str) -> T:
    """Return `answer[key]` if it is of that kind; `what` names the answer in the error."""
    if not isinstance(answer, dict):
        raise AnswerError(f"{what}: expected an object with `{key}`, found {type(answer).__name__}")
    value = answer.get(key)
    if not isinstance(value, kind):
        found = "nothing" if value is None else type(value).__name__
        raise AnswerError(f"{what}: expected {_KINDS[kind]} under `{key}`, found {found}")
    return value


def recipe(answer: Any, what: str) -> Recipe:
    """Return the answer if it is a recipe: an object with `type` and `spec`."""
    field(answer, "type", str, what)
    field(answer, "spec", dict, what)
    return dict(answer)


def resource_id(answer: Recipe) -> str:
    """Return the id by which a resource is started and stopped; raise AnswerError where it does not exist yet."""
    name = answer.get("spec", {}).get("name")
    return field(answer.get("state") or {}, "id", str, f"the recipe of `{name}`, state")


def orgs(items: Iterable[Any]) -> list[Org]:
    return [Org(field(item, "name", str, "api/orgs"), bool(item.get("is_primary"))) for item in items]


def sizes(answer: Any) -> list[Size]:
    """Return the instance types in the order that they are listed in: GPUs, then cores."""
    what = "api/info/servers"
    known = field(answer, "sizes", dict, what).values()
    found = [
        Size(field(size, "name", str, what), field(size, "cores", int, what), int(size.get("gpu") or 0), size)
        for size in known
    ]
    return sorted(found, key=lambda size: (size.gpu, size.cores))


def live_pods(summaries: Iterable[Any]) -> list[Pod]:
    """Return the pods of summaries, the latest first."""
    pods = [
        Pod(
            field(pod, "name", str, "a pod"),
            field(pod, "status", str, "a pod"),
            "live",
            pod.get("started_at") or "",
            pod.get("completed_at") or "",
        )
        for pod in summaries
    ]
    return sorted(pods, key=lambda pod: (pod.start_time, pod.name), reverse=True)


def historical_pods(answer: Any) -> list[Pod]:
    """Return the pods of a history, the latest first."""
    pods = [
        Pod(
            field(pod, "pod_name", str, "a pod"),
            pod.get("status") or "",
            "historical",
            pod.get("start_time") or "",
            pod.get("end_time") or "",
        )
        for pod in field(answer, "pods", list, "a history")
    ]
    return sorted(pods, key=lambda pod: (pod.start_time, pod.name), reverse=True)


def main_containers(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the containers whose logs are a pod's: its main one, or the ones that prepare it while that waits."""
    containers = list(summary.get("container_summaries") or [])
    chosen = [one for one in containers if one.get("name") == "main"][:1] or containers
    if all(one.get("status") == "waiting" for one in chosen):
        return list(summary.get("init_container_summaries") or [])
    return chosen
