"""Saturn Cloud's API as typed calls: recipes, sizes, start and stop, pods and logs."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice
from typing import Any
from urllib.parse import quote

from pydoit_sc.batchfile.errors import did_you_mean, nearest
from pydoit_sc.saturn import answers
from pydoit_sc.saturn.clone import Wishes, cloned
from pydoit_sc.saturn.errors import (
    AnswerError,
    NotFoundError,
    RecipeError,
    SaturnError,
    UnknownInstanceTypeError,
)
from pydoit_sc.saturn.models import Org, Pod, Recipe, Size, resource_type
from pydoit_sc.saturn.settings import Settings
from pydoit_sc.saturn.transport import Policy, Transport

_LOOKED_AT = 1000  # recipes that are looked at for a name near a wrong one
_PODS_BY_API = (2026, 2, 1)  # from this version on pods have an API of their own
_LOG_PAGE = "1000"  # lines

#: A parameter of the next page, and where a page gives its value; the newer first.
_PAGES = (("next_key", "next_key"), ("last_key", "next_last_key"))


class SaturnClient:
    """One user's view of one Saturn Cloud; the first call asks for its version first. A context manager."""

    def __init__(self, settings: Settings, policy: Policy | None = None) -> None:
        self._transport = Transport(settings, policy or Policy())

    def __repr__(self) -> str:
        return f"SaturnClient({self._transport.base_url!r})"

    def __enter__(self) -> SaturnClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @cached_property
    def version(self) -> str:
        """The version of Saturn Cloud, such as 2026.02.01."""
        return answers.field(self._transport.request("GET", "api/status"), "version", str, "api/status")

    def user(self) -> str:
        """Return the name of the token's user."""
        return answers.field(self._call("GET", "api/user"), "username", str, "api/user")

    def orgs(self) -> list[Org]:
        """Return the user's organisations."""
        return answers.orgs(self._pages("orgs", "api/orgs", {}))

    def default_sync_url(self, name: str) -> str:
        """Return where the files of the resource `name` are staged if nothing else is said."""
        user = self.user()
        primary = [org.name for org in self.orgs() if org.is_primary]
        if not primary:
            raise SaturnError("none of your organisations is the primary one; say where files are staged")
        return f"sfs://{primary[-1]}/{user}/{name}/"

    def sizes(self, glob: str | None = None) -> list[Size]:
        """Return the instance types whose names match `glob`, by GPUs and cores."""
        found = answers.sizes(self._call("GET", "api/info/servers"))
        return [size for size in found if glob is None or fnmatchcase(size.name, glob)]

    def size(self, name: str) -> Size:
        """Return one instance type; raise UnknownInstanceTypeError with the nearest name."""
        sizes = {size.name: size for size in self.sizes()}
        if name not in sizes:
            raise UnknownInstanceTypeError(f"unknown instance type `{name}`{did_you_mean(name, sizes)}")
        return sizes[name]

    def options(self, option: str, glob: str | None = None) -> list[str]:
        """Return what may be chosen as `disk_space` or `auto_shutoff`."""
        known = ("disk_space", "auto_shutoff")
        if option not in known:
            raise SaturnError(f"unknown option `{option}`{did_you_mean(option, ('sizes', *known))}")
        found = answers.field(self._call("GET", "api/info/servers"), option, list, "api/info/servers")
        return [str(one) for one in found if glob is None or fnmatchcase(str(one), glob)]

    def get_recipe(
        self, kind: str, name: str, owner: str | None = None, *, as_template: bool = False
    ) -> Recipe:
        """Return a resource's recipe; raise NotFoundError with the nearest name."""
        type_ = resource_type(kind)
        query = _query(owner_name=owner, as_template=as_template)
        path = f"api/recipes/{type_}/{quote(name, safe='')}"
        try:
            answer = self._call("GET", path, query)
        except NotFoundError as error:
            raise NotFoundError(self._missing(type_, name, owner), error.status) from None
        return answers.recipe(answer, path)

    def list_recipes(
        self,
        kind: str | None = None,
        owner: str | None = None,
        name: str | None = None,
        *,
        as_template: bool = False,
    ) -> Iterator[Recipe]:
        """Yield recipes, page by page; `name` is the beginning of their names."""
        type_ = None if kind is None else resource_type(kind)
        query = _query(type=type_, owner_name=owner, name=name, as_template=as_template)
        for item in self._pages("recipes", "api/recipes", query):
            yield answers.recipe(item, "api/recipes")

    def apply(self, recipe: Recipe) -> Recipe:
        """Create or update a resource, and return its recipe with its `state`."""
        sent = _sendable(recipe)
        if isinstance(sent["spec"].get("command"), list):
            sent["spec"]["command"] = json.dumps(sent["spec"]["command"])
        return answers.recipe(self._call("PUT", "api/recipes", body=sent), "PUT api/recipes")

    def create(self, recipe: Recipe) -> Recipe:
        """Create a resource from a recipe that may hold more than Saturn Cloud knows; return its recipe."""
        query = {"enforce_unknown": "false"}
        answer = self._call("POST", "api/recipes", query, _sendable(recipe))
        return answers.recipe(answer, "POST api/recipes")

    def clone(self, kind: str, name: str, wishes: Wishes) -> Recipe:
        """Create a resource like another one of the same owner, and return its recipe."""
        new = resource_type(wishes.type)
        template = self.get_recipe(kind, name, wishes.owner, as_template=True)
        return self.create(
            cloned(
                template,
                Wishes(new, wishes.name, wishes.command, wishes.ide, wishes.disk_space, wishes.owner),
            )
        )

    def start(self, kind: str, resource_id: str, *, debug: bool = False) -> None:
        """Start a resource; in debug mode its machines stay after their command has failed."""
        self._call("POST", _path(kind, resource_id, "start"), body={"debug_mode": True} if debug else None)

    def stop(self, kind: str, resource_id: str) -> None:
        """Stop a resource; one that is stopped stays so."""
        self._call("POST", _path(kind, resource_id, "stop"), idempotent=True)

    def pods(self, kind: str, resource_id: str) -> list[Pod]:
        """Return the machines of a resource: those alive, then those of the past, the latest first."""
        live = self.live_pods(kind, resource_id)
        past = answers.historical_pods(self._call("GET", _path(kind, resource_id, "history")))
        names = {pod.name for pod in live}
        return live + [pod for pod in past if pod.name not in names]

    def live_pods(self, kind: str, resource_id: str) -> list[Pod]:
        """Return the machines that a resource holds now, the latest first."""
        if self._has_pod_api():
            query = {"workload_type": resource_type(kind), "workload_id": resource_id}
            return answers.live_pods(self._pages("pod_summaries", "api/active/pods", query))
        summary = self._call("GET", _path(kind, resource_id, "runtimesummary"), {"details": "true"})
        jobs = summary.get("job_summaries") if isinstance(summary, dict) else None
        parts = jobs if isinstance(jobs, list) else [summary]
        return answers.live_pods(pod for part in parts for pod in part.get("pod_summaries") or [])

    def logs(self, kind: str, resource_id: str, pod: Pod) -> str:
        """Return what a machine's main container has written."""
        if pod.source == "live":
            found = self._live_logs(resource_id, pod.name)
            if found is not None:
                return found
        query = {"pod_name": pod.name}
        answer = self._call("GET", _path(kind, resource_id, "logs"), query)
        logs = answer.get("logs") if isinstance(answer, dict) else None
        if isinstance(logs, list):
            return "\n".join(answers.field(part, "content", str, "a log") for part in logs)
        return answers.field(answer, "logs", str, "a log")

    def _live_logs(self, resource_id: str, name: str) -> str | None:
        """Return None if the machine is gone."""
        pod = quote(name, safe="")
        path = f"api/active/pods/{pod}"
        if not self._has_pod_api():
            path = f"api/pod/namespace/main-namespace/name/{pod}/runtimesummary"
        try:
            summary = self._call("GET", path)
        except NotFoundError:
            return None
        labels = answers.field(summary, "labels", dict, path)
        if labels.get("saturncloud.io/resource-id") != resource_id:
            raise SaturnError(f"the pod `{name}` belongs to another resource")
        containers = answers.main_containers(summary)
        if summary.get("status") not in ("stopping", "stopped") and any(
            one.get("logs") for one in containers
        ):
            return "\n\n".join(str(one.get("logs") or "") for one in containers)
        query = {
            "page_size": _LOG_PAGE,
            **({"container_name": str(containers[0]["name"])} if containers else {}),
        }
        try:
            return answers.field(
                self._call("GET", f"api/active/pods/{pod}/logs", query), "logs", str, "a log"
            )
        except NotFoundError:
            return None

    def _has_pod_api(self) -> bool:
        parts = self.version.split(".")
        return all(part.isdigit() for part in parts) and tuple(map(int, parts)) >= _PODS_BY_API

    def _missing(self, type_: str, name: str, owner: str | None) -> str:
        whose = f" of {owner}" if owner else ""
        try:
            found = islice(self.list_recipes(type_, owner), _LOOKED_AT)
            names = [str(recipe["spec"].get("name")) for recipe in found]
        except SaturnError:
            names = []
        near = nearest(name, names)
        return f"there is no {type_} `{name}`{whose}" + (f"; did you mean `{near}`?" if near else "")

    def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        *,
        idempotent: bool | None = None,
    ) -> Any:
        _ = self.version  # asked first, so that a wrong address or token is told before anything is done
        return self._transport.request(method, path, query=query, body=body, idempotent=idempotent)

    def _pages(self, field: str, path: str, query: dict[str, str]) -> Iterator[Any]:
        seen: set[str] = set()
        page = query
        while True:
            answer = self._call("GET", path, page)
            yield from answers.field(answer, field, list, path)
            following = _next_page(answer)
            if following is None:
                return
            if str(following) in seen:
                raise AnswerError(f"{path}: its pages go round in a circle")
            seen.add(str(following))
            page = {**query, **following}


def _next_page(answer: dict[str, Any]) -> dict[str, str] | None:
    for parameter, key in _PAGES:
        if answer.get(key):
            return {parameter: str(answer[key])}
    for older in ("links", "pagination"):
        if isinstance(answer.get(older), dict) and answer[older].get("next"):
            raise AnswerError("this Saturn Cloud is too old: its listings page by links")
    return None


def _query(**parameters: str | bool | None) -> dict[str, str]:
    """Return the parameters that are given, as the API writes them."""
    return {name: str(value) for name, value in parameters.items() if value not in (None, False, "")}


def _path(type_: str, resource_id: str, action: str) -> str:
    return f"api/{resource_type(type_)}s/{quote(resource_id, safe='')}/{action}"


def _sendable(recipe: Recipe) -> Recipe:
    for key, kind in (("type", str), ("spec", dict)):
        if not isinstance(recipe.get(key), kind):
            raise RecipeError(f"the recipe has no `{key}`; `pydoit-sc get` prints a whole one")
    return copy.deepcopy(recipe)
