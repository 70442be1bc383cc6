"""Call Saturn Cloud's API: recipes, sizes, start and stop, pods and logs."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from pydoit_sc.batchfile.errors import did_you_mean, nearest
from pydoit_sc.saturn import models
from pydoit_sc.saturn.account import Account
from pydoit_sc.saturn.clone import Clone, cloned
from pydoit_sc.saturn.errors import (
    AnswerError,
    NotFoundError,
    RecipeError,
    SaturnError,
    UnknownInstanceTypeError,
)
from pydoit_sc.saturn.models import Pod, Recipe, Size, checked_recipe, read, resource_type

if TYPE_CHECKING:
    from pydoit_sc.saturn.policy import Policy

L = TypeVar("L", bound=models.Page)
P = TypeVar("P", bound=Pod)

_LOOKED_AT = 1000  # most recipes searched for a name near a wrong one
_PODS_BY_API = (2026, 2, 1)  # from this version on pods have an API of their own
_LOG_PAGE = "1000"  # lines


class SaturnClient:
    """One user's view of one Saturn Cloud, a context manager; the first call asks for its version first.

    with SaturnClient(Account.from_env()) as client:
        print([size.name for size in client.sizes("g4*")])
    """

    def __init__(self, account: Account, policy: Policy | None = None) -> None:
        # here, since its library takes longer to import than all the rest
        from pydoit_sc.saturn.transport import Transport  # noqa: PLC0415

        self._transport = Transport(account, policy)

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
        return read(models.Version, self._transport.request("GET", "api/status"), "api/status").version

    def user(self) -> str:
        """Return the name of the token's user."""
        return read(models.User, self._call("GET", "api/user"), "api/user").username

    def orgs(self) -> list[models.Org]:
        """Return the user's organisations."""
        return [org for page in self._pages(models.Orgs, "api/orgs", {}) for org in page.items]

    def default_sync_url(self, name: str) -> str:
        """Return where the files of the resource `name` are staged by default."""
        user = self.user()
        primary = [org.name for org in self.orgs() if org.is_primary]
        if not primary:
            raise SaturnError("none of your organisations is the primary one; say where files are staged")
        return f"sfs://{primary[-1]}/{user}/{name}/"

    def sizes(self, glob: str | None = None) -> list[Size]:
        """Return the instance types whose names match `glob`, by GPUs and cores."""
        what = "api/info/servers"
        found = read(models.Choices, self._call("GET", what), what).sizes.values()
        chosen = [size for size in found if glob is None or fnmatchcase(size.name, glob)]
        return sorted(chosen, key=lambda size: (size.gpu, size.cores))

    def size(self, name: str) -> Size:
        """Return one instance type; raise UnknownInstanceTypeError with the nearest name."""
        sizes = {size.name: size for size in self.sizes()}
        if name not in sizes:
            raise UnknownInstanceTypeError(f"unknown instance type `{name}`{did_you_mean(name, sizes)}")
        return sizes[name]

    def options(self, option: str, glob: str | None = None) -> list[str]:
        """Return the choices for `disk_space` or `auto_shutoff`."""
        known = ("disk_space", "auto_shutoff")
        if option not in known:
            raise SaturnError(f"unknown option `{option}`{did_you_mean(option, ('sizes', *known))}")
        choices = read(models.Choices, self._call("GET", "api/info/servers"), "api/info/servers")
        found = map(str, getattr(choices, option))
        return [one for one in found if glob is None or fnmatchcase(one, glob)]

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
        return checked_recipe(answer, path)

    def list_recipes(
        self,
        kind: str | None = None,
        owner: str | None = None,
        name: str | None = None,
        *,
        as_template: bool = False,
    ) -> Iterator[Recipe]:
        """Yield recipes, page by page; `name` is the start of their names."""
        type_ = None if kind is None else resource_type(kind)
        query = _query(type=type_, owner_name=owner, name=name, as_template=as_template)
        for page in self._pages(models.Recipes, "api/recipes", query):
            yield from (checked_recipe(item, "api/recipes") for item in page.items)

    def apply(self, recipe: Recipe) -> Recipe:
        """Create or update a resource, and return its recipe with its `state`."""
        sent = _sendable(recipe)
        if isinstance(sent["spec"].get("command"), list):
            sent["spec"]["command"] = json.dumps(sent["spec"]["command"])
        return checked_recipe(self._call("PUT", "api/recipes", body=sent), "PUT api/recipes")

    def create(self, recipe: Recipe) -> Recipe:
        """Create a resource from a recipe that may hold more than Saturn Cloud knows; return its recipe."""
        query = {"enforce_unknown": "false"}
        answer = self._call("POST", "api/recipes", query, _sendable(recipe))
        return checked_recipe(answer, "POST api/recipes")

    def clone(self, kind: str, name: str, new: Clone) -> Recipe:
        """Create a resource like another one of the same owner, and return its recipe."""
        new = replace(new, type=resource_type(new.type))
        return self.create(cloned(self.get_recipe(kind, name, new.owner, as_template=True), new))

    def start(self, kind: str, resource_id: str, *, debug: bool = False) -> None:
        """Start a resource; in debug mode its machines stay after their command has failed."""
        self._call("POST", _path(kind, resource_id, "start"), body={"debug_mode": True} if debug else None)

    def stop(self, kind: str, resource_id: str) -> None:
        """Stop a resource; one that is stopped stays so."""
        self._call("POST", _path(kind, resource_id, "stop"), idempotent=True)

    def pods(self, kind: str, resource_id: str) -> Sequence[Pod]:
        """Return the machines of a resource: those alive, then those of the past, the latest first."""
        live = self.live_pods(kind, resource_id)
        past = read(models.History, self._call("GET", _path(kind, resource_id, "history")), "a history").pods
        names = {pod.name for pod in live}
        return [*live, *_latest_first(pod for pod in past if pod.name not in names)]

    def live_pods(self, kind: str, resource_id: str) -> Sequence[Pod]:
        """Return the machines that a resource holds now, the latest first."""
        if self._has_pod_api():
            query = {"workload_type": resource_type(kind), "workload_id": resource_id}
            pages = self._pages(models.LivePods, "api/active/pods", query)
            return _latest_first(pod for page in pages for pod in page.items)
        path = _path(kind, resource_id, "runtimesummary")
        return _latest_first(
            read(models.RuntimeSummary, self._call("GET", path, {"details": "true"}), path).pods()
        )

    def logs(self, kind: str, resource_id: str, pod: Pod) -> str:
        """Return the output of a machine's main container."""
        if pod.is_live:
            found = self._live_logs(resource_id, pod.name)
            if found is not None:
                return found
        answer = self._call("GET", _path(kind, resource_id, "logs"), {"pod_name": pod.name})
        return read(models.Log, answer, "a log").logs

    def _live_logs(self, resource_id: str, name: str) -> str | None:
        """Return None if the machine is gone."""
        pod = quote(name, safe="")
        path = f"api/active/pods/{pod}"
        if not self._has_pod_api():
            path = f"api/pod/namespace/main-namespace/name/{pod}/runtimesummary"
        try:
            details = read(models.PodDetails, self._call("GET", path), path)
        except NotFoundError:
            return None
        if details.labels.get("saturncloud.io/resource-id") != resource_id:
            raise SaturnError(f"the pod `{name}` belongs to another resource")
        containers = details.main_containers()
        if details.status not in ("stopping", "stopped") and any(one.logs for one in containers):
            return "\n\n".join(one.logs for one in containers)
        return self._kept_logs(f"api/active/pods/{pod}/logs", containers)

    def _kept_logs(self, path: str, containers: list[models.Container]) -> str | None:
        container = _query(container_name=containers[0].name if containers else None)
        try:
            return read(
                models.Log, self._call("GET", path, {"page_size": _LOG_PAGE, **container}), "a log"
            ).logs
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
        _ = self.version  # asked first, so that a wrong address or token is reported before anything is done
        return self._transport.request(method, path, query=query, body=body, idempotent=idempotent)

    def _pages(self, model: type[L], path: str, query: dict[str, str]) -> Iterator[L]:
        seen: set[str] = set()
        asked = query
        while True:
            page = read(model, self._call("GET", path, asked), path)
            yield page
            following = page.following()
            if following is None:
                return
            if str(following) in seen:
                raise AnswerError(f"{path}: its pages go round in a circle")
            seen.add(str(following))
            asked = {**query, **following}


def _latest_first(pods: Iterable[P]) -> list[P]:
    return sorted(pods, key=lambda pod: (pod.start_time, pod.name), reverse=True)


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
