"""Make the recipe of a clone from the template of its source."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydoit_sc.saturn.models import Recipe

_VISIBLE = ("owner", "org")  # visibilities that a route of a workspace keeps


@dataclass(frozen=True, slots=True)
class Clone:
    """The wanted properties of the new resource; None leaves one to Saturn Cloud."""

    type: str
    name: str
    command: str | None = None
    ide: str | None = None
    disk_space: str | None = None
    owner: str | None = None


def cloned(template: Recipe, new: Clone) -> Recipe:
    """Return the recipe of the new resource, as the reference client makes it; `template` is left as it is."""
    recipe = copy.deepcopy(template)
    spec, source = recipe["spec"], recipe["type"]
    _drop_default_route(spec, source)
    spec["name"] = new.name
    recipe["type"] = new.type
    if new.type in ("deployment", "job"):
        spec["command"] = new.command
    if new.type == "job":
        spec["start_dind"] = False
    if new.type == "workspace" and source != "workspace":
        for repository in spec.get("git_repositories") or []:
            repository["on_restart"] = "preserve changes"
    if source == "workspace":
        spec["ide"] = new.ide
        spec["disk_space"] = new.disk_space
    if new.owner:
        spec["owner"] = new.owner
    return recipe


def _drop_default_route(spec: dict[str, Any], source: str) -> None:
    """Drop the route that every resource of a type gets anyway, and who may see it."""
    port = 8000 if source == "deployment" else 8888
    if spec.get("routes"):
        spec["routes"] = [route for route in spec["routes"] if route.get("container_port") != port]
        if source == "workspace":
            for route in spec["routes"]:
                if route.get("visibility") not in _VISIBLE:
                    route["visibility"] = "org"
    if spec.get("viewers"):
        spec["viewers"] = [viewer for viewer in spec["viewers"] if _port(viewer) != port]


def _port(viewer: Mapping[str, Any]) -> Any:
    return (viewer.get("route") or {}).get("container_port")
