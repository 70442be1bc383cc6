"""What the stand-in demands of a recipe, and the recipe that the seed's page shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydoit_sc.saturn.models import Recipe
from pydoit_sc.saturn.recipe import dumps

_NONE = type(None)
_TOP: dict[str, tuple[type, ...]] = {
    "schema_version": (str,),
    "type": (str,),
    "spec": (dict,),
    "state": (dict,),
}
_SPEC: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "owner": (str,),
    "description": (str, _NONE),
    "image": (str,),
    "instance_type": (str,),
    "environment_variables": (dict,),
    "working_directory": (str,),
    "start_script": (str, _NONE),
    "token_scope": (str,),
    "git_repositories": (list,),
    "secrets": (list,),
    "shared_folders": (list,),
    "start_dind": (bool,),
    "start_ssh": (bool,),
    "command": (str, _NONE),
    "scale": (int,),
    "use_spot_instance": (bool,),
    "schedule": (str, dict, _NONE),
    "routes": (list,),
    "viewers": (list,),
}
_WORKSPACE = {"ide": (str, _NONE), "disk_space": (str, _NONE), "auto_shutoff": (str,)}
_REQUIRED = ("name", "image", "instance_type")


def problems_of(recipe: Any, sizes: Mapping[str, Any], *, unknown_allowed: bool) -> list[str]:
    """Return what is wrong with a recipe that was sent."""
    if not isinstance(recipe, dict):
        return ["expected an object"]
    problems = _wrong(recipe, _TOP, "", unknown_allowed=unknown_allowed)
    problems += [f"{key} is required" for key in ("type", "spec") if key not in recipe]
    if recipe.get("type") not in ("job", "workspace", "deployment"):
        problems.append("type is unknown")
    spec = recipe.get("spec")
    if isinstance(spec, dict):
        fields = {**_SPEC, **_WORKSPACE} if recipe.get("type") == "workspace" else _SPEC
        problems += _wrong(spec, fields, "spec.", unknown_allowed=unknown_allowed)
        problems += [f"spec.{key} is required" for key in _REQUIRED if key not in spec]
        if spec.get("instance_type") not in sizes:
            problems.append("spec.instance_type is unknown")
    return problems


def without_unknown(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe without the keys that a resource of its type has not."""
    fields = {**_SPEC, **_WORKSPACE} if recipe["type"] == "workspace" else _SPEC
    return {**recipe, "spec": {key: value for key, value in recipe["spec"].items() if key in fields}}


def _wrong(
    value: dict[str, Any], fields: Mapping[str, tuple[type, ...]], prefix: str, *, unknown_allowed: bool
) -> list[str]:
    problems = []
    for key, item in value.items():
        if key not in fields:
            problems += [] if unknown_allowed else [f"{prefix}{key} is unknown"]
        elif not isinstance(item, fields[key]):
            problems.append(f"{prefix}{key} is a {type(item).__name__}")
    return problems


def commands_of(recipe: Mapping[str, Any]) -> list[str]:
    """Return the commands of a job: a JSON list in a text, or one command."""
    command = recipe["spec"].get("command") or ""
    try:
        listed = json.loads(command)
    except ValueError:
        return [command]
    return list(listed) if isinstance(listed, list) else [command]


#: The recipe of the seed's page, as a file.
SEED = """\
schema_version: 2024.04.01
type: job
spec:
  name: sctest-run
  owner: test/hugo
  description: ''
  image: internal/saturncloud/saturn-python-pytorch:2024.08.01
  instance_type: g4dnxlarge
  environment_variables: {}
  working_directory: /home/jovyan/workspace
  start_script: |+
    ### BEGIN SATURN_CLIENT GENERATED CODE
    cp /home/jovyan/shared/hugo/test/sctest-base-dir/home/jovyan/workspace/sctest/data.tar.gz /tmp/data.tar.gz
    mkdir -p /home/jovyan/workspace/sctest/
    tar -xvzf /tmp/data.tar.gz -C /home/jovyan/workspace/sctest/
    cp /home/jovyan/shared/hugo/test/sctest-base-dir/tmp/commands/data.tar.gz /tmp/data.tar.gz
    mkdir -p /tmp/commands/
    tar -xvzf /tmp/data.tar.gz -C /tmp/commands/
    ### END SATURN_CLIENT GENERATED CODE
    pip install git+https://github.com/saturncloud/saturn-client.git@hugo/nfs-work

  token_scope: job:{self}:dask:write
  git_repositories: []
  secrets: []
  shared_folders:
  - owner: test/hugo
    path: /home/jovyan/shared/hugo/test
    name: test
  start_dind: false
  command:
  - sc batch /tmp/commands/0.json
  - sc batch /tmp/commands/1.json
  - sc batch /tmp/commands/2.json
  - sc batch /tmp/commands/3.json
  scale: 2
  use_spot_instance: false
  schedule:
state:
  id: 77341afe99df47c6a0570a95dd716668
  status: stopped
"""


def job(name: str = "my-job", **spec: Any) -> dict[str, Any]:
    """Return the recipe of a job."""
    full = {
        "name": name,
        "image": "internal/image:2024.08.01",
        "instance_type": "r6axlarge",
        "environment_variables": {},
        "working_directory": "/tmp",
        "start_script": "",
        "command": "true",
        "scale": 1,
        **spec,
    }
    return {"schema_version": "2024.04.01", "type": "job", "spec": full}


def workspace(name: str = "my-workspace", **spec: Any) -> dict[str, Any]:
    """Return the recipe of a workspace, with routes, viewers and keys that a job has not."""
    recipe = job(name, **spec)
    recipe["type"] = "workspace"
    del recipe["spec"]["command"], recipe["spec"]["scale"]
    recipe["spec"] |= {
        "ide": "jupyterlab",
        "disk_space": "10Gi",
        "start_dind": True,
        "git_repositories": [{"url": "git@example.com:a/b.git", "on_restart": "preserve changes"}],
        "routes": [
            {"container_port": 8888, "visibility": "owner"},
            {"container_port": 9000, "visibility": "anyone"},
            {"container_port": 9001, "visibility": "org"},
        ],
        "viewers": [
            {"route": {"container_port": 8888}},
            {"route": {"container_port": 9000}},
            {"identity": "x"},
        ],
    }
    return recipe


def write(recipe: Recipe, path: Path) -> None:
    """Write a recipe as YAML."""
    path.write_text(dumps(recipe))
