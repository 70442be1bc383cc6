"""A stand-in for Saturn Cloud: its API on a loopback port, which checks what it gets and executes what is started."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from .jobs import Job
from .recipes import problems_of, without_unknown

SIZES: dict[str, dict[str, Any]] = {
    name: {"name": name, "cores": cores, "gpu": gpu, "memory": memory, "display_name": name}
    for name, cores, gpu, memory in [
        ("g4dnxlarge", 4, 1, "16GiB"),
        ("r6axlarge", 4, 0, "32GiB"),
        ("p38xlarge", 32, 4, "244GiB"),
        ("medium", 2, 0, "4GiB"),
    ]
}


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    authorization: str | None
    headers: Mapping[str, str]
    status: int  # of the answer

    @property
    def essence(self) -> tuple[str, str, tuple[tuple[str, str], ...], str, str | None]:
        """What two clients that do the same must agree in."""
        body = json.dumps(self.body, sort_keys=True)
        return self.method, self.path, tuple(sorted(self.query.items())), body, self.authorization


@dataclass
class Trick:
    """An answer other than the right one, to the next `times` requests whose path matches."""

    pattern: str
    status: int = 500
    body: bytes = b'{"message": "out of order"}'
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1_000_000
    delay: float = 0
    hang_up: bool = False


class RefusedError(Exception):
    """An answer that says no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Standin:
    """A Saturn Cloud with one user; a context manager. Its fields may be set before and while it runs."""

    def __init__(self, username: str = "hugo", org: str = "test") -> None:
        self.username, self.org = username, org
        self.version = "2024.08.01"
        self.page_size = 2
        self.paging = ("last_key", "next_last_key")
        self.token, self.refresh_token = secrets.token_hex(16), secrets.token_hex(16)
        self.expired: set[str] = set()
        self.used_refresh_tokens: set[str] = set()
        self.forbidden = False
        self.requests: list[Request] = []
        self.recipes: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.jobs: dict[str, Job] = {}
        self.tricks: list[Trick] = []
        self.environment: dict[str, str] = {}  # of the machines, beside their recipe's
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def owner(self) -> str:
        return f"{self.org}/{self.username}"

    def __enter__(self) -> Standin:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for job in self.jobs.values():
            job.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def env(self) -> dict[str, str]:
        """Return the variables by which a client finds this Saturn Cloud."""
        return {
            "SATURN_BASE_URL": self.url,
            "SATURN_TOKEN": self.token,
            "SATURN_REFRESH_TOKEN": self.refresh_token,
        }

    def expire(self) -> None:
        """Let the token expire."""
        self.expired.add(self.token)

    def add(self, recipe: dict[str, Any]) -> dict[str, Any]:
        """Keep a resource."""
        stored: dict[str, Any] = json.loads(json.dumps(recipe))
        stored["spec"].setdefault("owner", self.owner)
        stored["state"] = {"id": secrets.token_hex(16), "status": "stopped"}
        self.recipes[stored["type"], stored["spec"]["owner"], stored["spec"]["name"]] = stored
        return stored

    def wait(self, name: str, seconds: float = 30) -> Job:
        """Return the job of a resource when it has ended."""
        found = next(one for key, one in self.recipes.items() if key[2] == name)
        job = self.jobs[found["state"]["id"]]
        job.join(seconds)
        return job

    # what follows answers requests

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any, token: str | None) -> Any:
        if (method, path) == ("POST", "/api/auth/token"):
            return self._new_token(body)
        self._authorize(token)
        for verb, pattern, respond in self._routes():
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                return respond(*map(unquote, match.groups()), query=query, body=body)
        raise RefusedError(404, f"no route {method} {path}")

    def _routes(self) -> list[tuple[str, str, Callable[..., Any]]]:
        job = r"/api/jobs/([^/]+)"
        return [
            ("GET", "/api/status", lambda **_: {"version": self.version}),
            ("GET", "/api/user", lambda **_: {"username": self.username, "id": "u1"}),
            ("GET", "/api/orgs", self._orgs),
            ("GET", "/api/info/servers", self._servers),
            ("GET", r"/api/recipes/([^/]+)/([^/]+)", self._get),
            ("GET", "/api/recipes", self._list),
            ("PUT", "/api/recipes", self._put),
            ("POST", "/api/recipes", self._post),
            ("POST", f"{job}/start", self._start),
            ("POST", f"{job}/stop", self._stop),
            ("GET", f"{job}/runtimesummary", self._summary),
            ("GET", f"{job}/history", self._history),
            ("GET", f"{job}/logs", self._logs),
            ("GET", r"/api/pod/namespace/main-namespace/name/([^/]+)/runtimesummary", self._pod),
            ("GET", "/api/active/pods", self._active),
            ("GET", r"/api/active/pods/([^/]+)", self._pod),
            ("GET", r"/api/active/pods/([^/]+)/logs", self._pod_logs),
        ]

    def _authorize(self, token: str | None) -> None:
        if token in {f"token {one}" for one in self.expired}:
            raise RefusedError(401, "Token has expired")
        if token != f"token {self.token}":
            raise RefusedError(401, "Invalid token")
        if self.forbidden:
            raise RefusedError(403, "Insufficient permission")

    def _new_token(self, body: Any) -> dict[str, str]:
        if not isinstance(body, dict) or body.get("grant_type") != "refresh_token":
            raise RefusedError(400, "grant_type must be refresh_token")
        if body.get("refresh_token") in self.used_refresh_tokens:
            self.token = self.refresh_token = secrets.token_hex(16)  # someone has stolen it
        if body.get("refresh_token") != self.refresh_token:
            raise RefusedError(401, "Invalid refresh token")
        self.used_refresh_tokens.add(self.refresh_token)
        self.token, self.refresh_token = secrets.token_hex(16), secrets.token_hex(16)
        return {"access_token": self.token, "refresh_token": self.refresh_token}

    def _orgs(self, **_: Any) -> Any:
        return {"orgs": [{"name": "other", "is_primary": False}, {"name": self.org, "is_primary": True}]}

    def _servers(self, **_: Any) -> Any:
        return {"sizes": SIZES, "disk_space": ["10Gi", "100Gi"], "auto_shutoff": ["1 hour", "Never"]}

    def _get(self, kind: str, name: str, *, query: Mapping[str, str], **_: Any) -> Any:
        owner = query.get("owner_name", self.owner)
        found = self.recipes.get((kind, owner, name))
        if found is None:
            raise RefusedError(404, f"{kind} {owner}/{name} not found")
        return self._shown(found, query)

    def _shown(self, recipe: dict[str, Any], query: Mapping[str, str]) -> Any:
        shown = json.loads(json.dumps(recipe))
        if query.get("as_template") == "True":
            del shown["state"], shown["spec"]["owner"]
        return shown

    def _list(self, *, query: Mapping[str, str], **_: Any) -> Any:
        parameter, following = self.paging
        unknown = set(query) - {"type", "owner_name", "name", "as_template", parameter}
        if unknown:
            raise RefusedError(400, f"unknown parameters {sorted(unknown)}")
        found = [
            (key, recipe)
            for key, recipe in sorted(self.recipes.items())
            if query.get("type") in (None, key[0])
            and key[1] == query.get("owner_name", self.owner)
            and key[2].startswith(query.get("name", ""))
            and "|".join(key) > query.get(parameter, "")
        ]
        page = found[: self.page_size]
        more = "|".join(page[-1][0]) if len(found) > len(page) else None
        return {"recipes": [self._shown(recipe, query) for _, recipe in page], following: more}

    def _put(self, *, body: Any, **_: Any) -> Any:
        stored = self._checked(body, unknown=False)
        key = (stored["type"], stored["spec"]["owner"], stored["spec"]["name"])
        if key in self.recipes:
            stored["state"] = self.recipes[key]["state"]
            self.recipes[key] = stored
            return stored
        return self.add(stored)

    def _post(self, *, body: Any, query: Mapping[str, str], **_: Any) -> Any:
        stored = without_unknown(self._checked(body, unknown=query.get("enforce_unknown") == "false"))
        if (stored["type"], stored["spec"]["owner"], stored["spec"]["name"]) in self.recipes:
            raise RefusedError(409, "a resource of this name exists")
        return self.add(stored)

    def _checked(self, body: Any, *, unknown: bool) -> dict[str, Any]:
        problems = problems_of(body, SIZES, unknown_allowed=unknown)
        if problems:
            raise RefusedError(400, "; ".join(problems))
        stored: dict[str, Any] = json.loads(json.dumps(body))
        stored["spec"].setdefault("owner", self.owner)
        return stored

    def _resource(self, identity: str) -> dict[str, Any]:
        for recipe in self.recipes.values():
            if recipe["state"]["id"] == identity:
                return recipe
        raise RefusedError(404, f"no job {identity}")

    def _start(self, identity: str, *, body: Any, **_: Any) -> Any:
        recipe = self._resource(identity)
        if body not in (None, {"debug_mode": True}):
            raise RefusedError(400, "only debug_mode may be given")
        if recipe["state"]["status"] in ("pending", "running"):
            raise RefusedError(409, "it is running")
        environment = {**self.environment, "SATURN_BASE_URL": self.url, "SATURN_TOKEN": self.token}
        self.jobs[identity] = Job(recipe, environment)
        self.jobs[identity].start()
        return {"status": recipe["state"]["status"]}

    def _stop(self, identity: str, **_: Any) -> Any:
        recipe = self._resource(identity)
        if identity in self.jobs:
            self.jobs[identity].stop()
        recipe["state"]["status"] = "stopped"
        return {}

    def _summary(self, identity: str, **_: Any) -> Any:
        self._resource(identity)
        return {"job_summaries": [{"pod_summaries": self._live(identity)}]}

    def _live(self, identity: str) -> list[dict[str, Any]]:
        job = self.jobs.get(identity)
        return [pod.summary() for pod in job.pods if not pod.ended] if job else []

    def _active(self, *, query: Mapping[str, str], **_: Any) -> Any:
        if query.get("workload_type") != "job":
            raise RefusedError(400, "workload_type is needed")
        return {"pod_summaries": self._live(query["workload_id"]), "next_key": None}

    def _history(self, identity: str, **_: Any) -> Any:
        self._resource(identity)
        job = self.jobs.get(identity)
        return {"pods": [pod.record() for pod in job.pods] if job else []}

    def _logs(self, identity: str, *, query: Mapping[str, str], **_: Any) -> Any:
        pods = self.jobs[identity].pods if identity in self.jobs else []
        found = [pod for pod in pods if pod.name == query.get("pod_name")]
        if not found:
            raise RefusedError(404, "no such pod")
        return {"logs": [{"content": line} for line in found[0].log().splitlines()]}

    def _pod(self, name: str, **_: Any) -> Any:
        for job in self.jobs.values():
            for pod in job.pods:
                if pod.name == name and not pod.ended:
                    return pod.summary()
        raise RefusedError(404, "no such pod")

    def _pod_logs(self, name: str, **_: Any) -> Any:
        return {"logs": self._pod(name)["container_summaries"][0]["logs"]}

    def trick(self, path: str) -> Trick | None:
        with self._lock:
            for trick in self.tricks:
                if trick.times > 0 and re.search(trick.pattern, path):
                    trick.times -= 1
                    return trick
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _handle_any(self) -> None:
                parts = urlsplit(self.path)
                query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
                length = int(self.headers.get("Content-Length") or 0)
                data = self.rfile.read(length)
                body = json.loads(data) if data else None
                trick = standin.trick(parts.path)
                headers: Mapping[str, str] = {}
                if trick is None:
                    status, answer = self._right(parts.path, query, body)
                else:
                    time.sleep(trick.delay)
                    status, answer, headers = trick.status, trick.body, trick.headers
                token = self.headers.get("Authorization")
                request = Request(
                    self.command, parts.path, query, body, token, dict(self.headers.items()), status
                )
                standin.requests.append(request)
                if trick is not None and trick.hang_up:
                    self.close_connection = True
                    return
                self._say(status, answer, headers)

            def _right(self, path: str, query: Mapping[str, str], body: Any) -> tuple[int, bytes]:
                try:
                    with standin._lock:
                        answer = standin.answer(
                            self.command, path, query, body, self.headers.get("Authorization")
                        )
                    return 200, json.dumps(answer).encode()
                except RefusedError as refused:
                    return refused.status, json.dumps({"message": str(refused)}).encode()

            def _say(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
                try:
                    self.send_response(status)
                    for name, value in {"Content-Type": "application/json", **headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

        for verb in ("GET", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{verb}", Handler._handle_any)
        return Handler
