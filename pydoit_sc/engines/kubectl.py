"""Jobs of Kubernetes as `kubectl` says of them; it speaks to the cluster that it is set to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydoit_sc.engines.base import EngineError, JobState, State, call_program


def kubectl(*words: str) -> str:
    """Return what kubectl writes; raises EngineError."""
    return call_program(
        "kubectl",
        *words,
        missing="the engine kubernetes hands its job over by it; "
        "`pydoit-sc split --engine kubernetes` writes the manifest for another machine",
    )


def parse_json(text: str) -> Any:
    """Return what kubectl has written as JSON; raises EngineError."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise EngineError(f"kubectl answers what is no JSON: {text[:200]!r}") from error


def list_jobs(namespace: str, label: str) -> dict[str, Any]:
    """Return the jobs with a label in a namespace, by name; raises EngineError."""
    words = ["get", "jobs", "--namespace", namespace, "--selector", label, "--output", "json"]
    return {item["metadata"]["name"]: item for item in parse_json(kubectl(*words))["items"]}


def state_of(job: Mapping[str, Any]) -> JobState:
    """Return the state of a job, from what Kubernetes reports."""
    spec, status = job.get("spec", {}), job.get("status", {})
    conditions = {item["type"] for item in status.get("conditions", ()) if item.get("status") == "True"}
    total, done = spec.get("completions", 0), status.get("succeeded", 0)
    failed = status.get("failedIndexes", "")
    detail = f"{done:,} of {total:,} chunks" + (f", given up: {failed}" if failed else "")
    if conditions & {"Complete", "Failed"}:
        return JobState(State.ENDED, detail)
    if spec.get("suspend"):
        return JobState(State.HELD, f"suspended, {detail}")
    return JobState(State.RUNNING if status.get("ready") or done else State.QUEUED, detail)
