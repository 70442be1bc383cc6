"""The engine `kubernetes`: an Indexed Job, one pod for each chunk, written here and handed over by `kubectl`.

Kubernetes has no order among the pods of a job, so a stage that comes after another one waits for a later submission.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile.fields import (
    Count,
    Environment,
    Parsed,
    Text,
    fault,
    list_of,
    matching,
    table_of,
)
from pydoit_sc.batchfile.tables import Table
from pydoit_sc.engines.base import EngineError, Handed, JobState, State, Submission, check_reached
from pydoit_sc.engines.kubectl import kubectl, list_jobs, parse_json, state_of
from pydoit_sc.urls import local_path

if TYPE_CHECKING:
    from yaml import SafeDumper, ScalarNode

FILE = "job.yaml"
NAME = "app.kubernetes.io/name"  # the label that our jobs have
SUBMISSION = "pydoit-sc/submission"  # a label of each of them
STORE = "pydoit-sc/remote-output-path"  # an annotation
TRIES = 3  # further pods for a chunk after one that has failed by itself
MOST = 100_000  # chunks: Kubernetes lets a job with a limit for each index have so many

#: Exit codes of a worker: it was told to stop; its chunk cannot be read.
_STOPPED, _BAD_INPUT = 143, 3
_MARGIN = 20  # seconds to publish, beyond the grace of the runs
_LABEL = re.compile(r"(?=.{1,63}$)[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9./_-]+")


def _label_name(name: object) -> str:
    prefix, _, label = str(name).rpartition("/")
    if not _LABEL.fullmatch(label) or (prefix and not _PREFIX.fullmatch(prefix)):
        raise fault("not the name of a label in Kubernetes")
    return str(name)


def _mount(path: object) -> str:
    if not isinstance(path, str) or not os.path.isabs(path) or ":" in path or not path.isprintable():
        raise fault("not an absolute path without `:`")
    return path


_TEXT = {"type": "string"}
_DNS_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
DnsLabel = Annotated[
    str,
    matching(
        rf"(?=.{{1,63}}$){_DNS_LABEL}",
        "at most 63 small letters, digits and `-`, with a letter or digit at each end",
    ),
]
DnsName = Annotated[
    str,
    matching(
        rf"(?=.{{1,253}}$){_DNS_LABEL}(\.{_DNS_LABEL})*",
        "a name in Kubernetes: small letters, digits, `-` and `.`",
    ),
]
Label = Annotated[
    str,
    matching(
        f"({_LABEL.pattern})?",
        "a string of at most 63 letters, digits, `-`, `_` and `.`, as labels in Kubernetes are",
    ),
]
Labels = Annotated[dict[Annotated[str, Parsed(_label_name, _TEXT)], Label], table_of("a table")]
Volumes = Annotated[dict[Annotated[str, Parsed(_mount, _TEXT)], DnsName], table_of("a table")]
Cores = Annotated[
    str,
    matching(
        r"(?=.*[1-9])([0-9]+(\.[0-9]+)?|[0-9]+m)",
        'a number of cores, or thousandths of one such as "500m"',
        numbers=True,
    ),
]
Memory = Annotated[
    str,
    matching(
        r"(?=.*[1-9])[0-9]+(\.[0-9]+)?(k|[MGTP]|[KMGTP]i)?",
        'an amount of memory such as "4Gi"',
        numbers=True,
    ),
]


_NO_IMAGE = "no `image`, one that has pydoit-sc and what the runs need"


class KubernetesTable(Table):
    """`[kubernetes]`: the pods of the job."""

    image: Text | None = Field(
        default=None, description="image that has pydoit-sc and what the runs need; required"
    )
    namespace: DnsLabel | None = Field(default=None, description="namespace of the job; left out: kubectl's")
    cpu: Cores | None = Field(default=None, description='cores of a pod, such as `4` or `"500m"`')
    memory: Memory | None = Field(default=None, description='memory of a pod, such as `"4Gi"`')
    gpus: Count | None = Field(default=None, description="GPUs of a pod, as `nvidia.com/gpu`")
    service_account: DnsName | None = Field(default=None, description="service account of the pods")
    secrets: Annotated[tuple[DnsName, ...], list_of("a list of strings")] = Field(
        default=(), description="secrets whose keys become environment variables"
    )
    env: Environment = Field(default_factory=dict, description="environment variables of the workers")
    labels: Labels = Field(default_factory=dict, description="further labels of the job and its pods")
    node_selector: Labels = Field(default_factory=dict, description="labels that a node must have")
    volumes: Volumes = Field(
        default_factory=dict, description="persistent volume claims, each by the path where a pod sees it"
    )

    @model_validator(mode="after")
    def _check(self) -> KubernetesTable:
        if self.model_fields_set and self.image is None:  # an empty table says nothing yet
            raise fault(_NO_IMAGE)
        return self


class Kubernetes:
    """Chunks as pods of an Indexed Job."""

    name = "kubernetes"
    table = KubernetesTable
    ordered = False

    def nprocs(self, batch: Batch) -> int | None:
        """Return what the batch says, or as many as a pod is given GPUs or whole cores."""
        if isinstance(batch.nprocs, int):
            return batch.nprocs
        table = batch.table("kubernetes", KubernetesTable)
        if batch.nprocs == "gpus":
            return table.gpus
        return _cores(table.cpu) if table.cpu else None

    def prepare(self, submission: Submission) -> Mapping[str, str]:
        """Return the manifest; raises EngineError where the batchfile does not say enough for one."""
        return {FILE: to_yaml(manifest(submission))}

    def submit(self, submission: Submission) -> Sequence[str]:
        """Create the job; its id is `NAMESPACE/NAME`."""
        path = os.path.join(submission.folder, FILE)
        created = parse_json(kubectl("create", "--filename", path, "--output", "json"))
        meta = created["metadata"]
        return [f"{meta['namespace']}/{meta['name']}"]

    def poll(self, handed: Sequence[Handed]) -> Mapping[str, JobState]:
        """Ask once for all jobs of a namespace."""
        states: dict[str, JobState] = {}
        for namespace in {namespace: None for one in handed for namespace in _of(one)}:
            listed = list_jobs(namespace, f"{NAME}=pydoit-sc")
            states |= {f"{namespace}/{name}": state_of(item) for name, item in listed.items()}
        gone = JobState(State.ENDED, "not there")
        states |= {job: state for one in handed for job, state in _elsewhere(one).items()}
        return {job: states.get(job, gone) for one in handed for job in one.jobs}

    def cancel(self, handed: Handed) -> None:
        """Delete the jobs that are of this submission, and with them their pods, which have their grace to end."""
        for namespace, names in _of(handed).items():
            listed = list_jobs(namespace, f"{NAME}=pydoit-sc")
            ours = [name for name in names if name in listed and _is_of(listed[name], handed)]
            if ours:
                kubectl(
                    "delete",
                    "jobs",
                    "--namespace",
                    namespace,
                    "--ignore-not-found",
                    "--wait=false",
                    "--",
                    *ours,
                )
        check_reached(_elsewhere(handed))

    def hints(self, handed: Handed) -> Mapping[str, str]:
        """Return how to look at pods and at what the workers write."""
        return {
            f"{what} in {namespace}": f"kubectl {how} --namespace {namespace} --selector {selector}"
            for namespace, names in _by_namespace(handed.jobs).items()
            for selector in [shlex.quote(f"job-name in ({','.join(names)})")]
            for what, how in (("pods", "get pods"), ("what the workers write", "logs --prefix --tail -1"))
        }


def manifest(submission: Submission) -> dict[str, Any]:
    """Return the Job that executes a submission's chunks; raises EngineError."""
    table = submission.batch.table("kubernetes", KubernetesTable)
    count = len(submission.texts)
    _check(submission.batch, table, count)
    labels = {**table.labels, NAME: "pydoit-sc", SUBMISSION: submission.id}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(submission, table, labels),
        "spec": {
            "completionMode": "Indexed",
            "completions": count,
            "parallelism": min(submission.scale or count, count),
            "backoffLimitPerIndex": TRIES,
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": {"metadata": {"labels": labels}, "spec": _pod(submission, table)},
        },
    }


def _check(batch: Batch, table: KubernetesTable, count: int) -> None:
    """Raise EngineError if the batchfile does not say enough for a job of `count` chunks."""
    where = f"{batch.path}: [kubernetes]"
    if table.image is None:
        raise EngineError(f"{where}: {_NO_IMAGE}")
    if batch.nprocs == "gpus" and table.gpus is None:
        raise EngineError(f'{where}: nprocs = "gpus", but there is no `gpus` here: how many a pod has')
    _check_store(batch, table, where)
    if count > MOST:
        raise EngineError(
            f"{batch.path}: {count:,} chunks, and a job of Kubernetes has at most {MOST:,}; "
            "a larger `batch_size` in [batch] makes fewer"
        )


def _metadata(submission: Submission, table: KubernetesTable, labels: Mapping[str, str]) -> dict[str, Any]:
    batch = submission.batch
    name = re.sub(r"[^a-z0-9]+", "-", batch.name.lower())[:24].strip("-") or "batch"
    return {
        "name": f"{name}-{submission.id}".lower(),
        "labels": dict(labels),
        **_given(namespace=table.namespace),
        "annotations": {
            "pydoit-sc/batch": batch.name,
            STORE: batch.remote_output_path,
        },
    }


def _check_store(batch: Batch, table: KubernetesTable, where: str) -> None:
    path = local_path(batch.remote_output_path)
    if path is not None and not _is_seen(path, table):
        raise EngineError(
            f"{where}: the outputs go to {path}, which no pod sees; expected a `remote_output_path` in an object store "
            f'(s3://…), or a persistent volume that has this path: volumes = {{ "{path}" = "CLAIM" }}'
        )


def _is_seen(path: str, table: KubernetesTable) -> bool:
    """Return whether a path lies in a volume."""
    return any(f"{path}/".startswith(f"{mount.rstrip('/')}/") for mount in table.volumes)


def _failure_rules() -> list[dict[str, Any]]:
    """Return the rules for failed pods.

    A pod that was evicted, preempted or told to stop does not count as failed. A chunk that cannot be read is not
    tried again.
    """
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "Ignore",
            "onExitCodes": {"containerName": "worker", "operator": "In", "values": [_STOPPED]},
        },
        {
            "action": "FailIndex",
            "onExitCodes": {"containerName": "worker", "operator": "In", "values": [_BAD_INPUT]},
        },
    ]


def _pod(submission: Submission, table: KubernetesTable) -> dict[str, Any]:
    """Return what a pod is: one container, which executes one chunk."""
    grace = max((run.settings.grace for _, run in submission.batch.runs()), default=0.0)
    account = {"serviceAccountName": table.service_account}
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": math.ceil(grace) + _MARGIN,
        **(account if table.service_account else {"automountServiceAccountToken": False}),
        **_given(nodeSelector=dict(table.node_selector), volumes=_volumes(table)),
        "containers": [{"name": "worker", "image": table.image, **_container(submission, table)}],
    }


def _volumes(table: KubernetesTable) -> list[dict[str, Any]]:
    return [
        {"name": f"volume-{n}", "persistentVolumeClaim": {"claimName": claim}}
        for n, claim in enumerate(table.volumes.values())
    ]


def _container(submission: Submission, table: KubernetesTable) -> dict[str, Any]:
    amounts = _given(cpu=table.cpu, memory=table.memory)
    if table.gpus:
        amounts["nvidia.com/gpu"] = str(table.gpus)
    mounts = [{"name": f"volume-{n}", "mountPath": path} for n, path in enumerate(table.volumes)]
    return {
        **_command(submission, table),
        **_given(
            env=[{"name": name, "value": literal(value)} for name, value in table.env.items()],
            envFrom=[{"secretRef": {"name": name}} for name in table.secrets],
            resources={"requests": amounts, "limits": dict(amounts)} if amounts else None,
            volumeMounts=mounts,
        ),
    }


def _given(**keys: Any) -> dict[str, Any]:
    """Return the keys that have a value."""
    return {key: value for key, value in keys.items() if value}


def _command(submission: Submission, table: KubernetesTable) -> dict[str, Any]:
    """Return the program of a pod, and its words: Kubernetes puts the pod's index into the last one."""
    words = ["batch", *submission.options]
    args = [*map(literal, words), f"{literal(submission.chunks)}/$(JOB_COMPLETION_INDEX).json"]
    if submission.setup or _is_seen(str(submission.batch.folder), table):
        script = submission.start.rstrip("\n") + '\nexec pydoit-sc "$@"\n'
        return {"command": ["sh", "-c", literal(script), "sh"], "args": args}
    return {"command": ["pydoit-sc"], "args": args}


def literal(text: str) -> str:
    """Return what Kubernetes makes this text of: it reads `$(NAME)` as a variable and `$$` as one sign."""
    return text.replace("$", "$$")


def _cores(cpu: str) -> int:
    """Return how many runs a number of cores is for: whole cores, at least 1."""
    cores = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    return max(1, math.floor(cores))


def to_yaml(document: Mapping[str, Any]) -> str:
    """Return YAML that every version of it reads alike: a text is quoted unless it is a plain word."""
    import yaml  # noqa: PLC0415 (slow to import)

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    def text(dumper: SafeDumper, value: str) -> ScalarNode:
        style = "|" if "\n" in value else None if _PLAIN.fullmatch(value) else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=math.inf)


def _of(handed: Handed) -> dict[str, list[str]]:
    """Return the names of a submission's jobs by namespace: by the batchfile's alone, if it has one."""
    own = handed.batch.table("kubernetes", KubernetesTable).namespace
    found = _by_namespace(handed.jobs)
    return {namespace: names for namespace, names in found.items() if own in (None, namespace)}


def _elsewhere(handed: Handed) -> dict[str, JobState]:
    """Return the states of a submission's jobs in other namespaces than the batchfile's, which is the only one asked."""
    reached = _of(handed)
    return {
        f"{namespace}/{name}": JobState(
            State.UNKNOWN, f"it is in the namespace {namespace}, which [kubernetes] does not name"
        )
        for namespace, names in _by_namespace(handed.jobs).items()
        if namespace not in reached
        for name in names
    }


def _by_namespace(jobs: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for job in jobs:
        namespace, _, name = job.partition("/")
        if _PREFIX.fullmatch(namespace) and _PREFIX.fullmatch(name):
            found.setdefault(namespace, []).append(name)
    return found


def _is_of(job: Mapping[str, Any], handed: Handed) -> bool:
    """Return whether a job is of this submission, as it says itself."""
    meta = job["metadata"]
    said = meta.get("labels", {}).get(SUBMISSION), meta.get("annotations", {}).get(STORE)
    return said == (handed.id, handed.batch.remote_output_path)
