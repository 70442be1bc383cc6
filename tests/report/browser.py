"""A real Chromium without a window, spoken to over two pipes: its DevTools protocol, in messages that end in a zero byte."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import until

PROGRAM = "chromium"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip


class Page:
    """The one page of a browser."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._rest = b""
        self._last = 0
        self._session = ""
        self._taken = 0.0  # processor time, before the page was opened
        self.complaints: list[str] = []  # errors, and all that is said on the console
        self.requests: list[str] = []  # URLs
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self._ask("Performance.enable")

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its answer; events that come before it are noted."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while (answer := self._next()).get("id") != self._last:
            self._note(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        parts = [self._rest]
        while b"\0" not in parts[-1]:
            assert select.select([self._back], [], [], 300)[0], "the browser does not answer"
            parts.append(os.read(self._back, 1 << 20))
            assert parts[-1], "the browser has ended"
        data, _, self._rest = b"".join(parts).partition(b"\0")
        found: dict[str, Any] = json.loads(data)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(params))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, page: Path | str, *, width: int, height: int = 900, scheme: str = "light") -> None:
        """Open a file or a URL in a window of so many pixels, in a system that is light or dark, and wait until it is drawn."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._ask("Emulation.setEmulatedMedia", features=features)
        self._taken = 0.0
        self._taken = self.cpu_seconds()
        self._ask("Page.navigate", url=page.as_uri() if isinstance(page, Path) else page)
        while self._next_event() != "Page.loadEventFired":
            pass

    def _next_event(self) -> str:
        event = self._next()
        self._note(event)
        return str(event.get("method"))

    def __call__(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript; what it promises is awaited."""
        done = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        until(lambda: bool(self(f"Boolean({expression})")))

    def press(self, key: str) -> None:
        """Press the key Tab or Enter."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r")}[key]
        for kind in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, text=text, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Put a text where the cursor is, in place of what is selected."""
        self._ask("Input.insertText", text=text)

    def cpu_seconds(self) -> float:
        """Return the processor time that the page has taken since it was opened, with all threads of its process."""
        metrics = self._ask("Performance.getMetrics")["metrics"]
        found = {metric["name"]: metric["value"] for metric in metrics}
        return float(found["ProcessTime"] - self._taken)

    def screenshot(self, path: Path, selector: str = "") -> None:
        """Make a picture of the whole page, or of an element."""
        box = self(
            f"(() => {{ const box = document.querySelector({json.dumps(selector or 'html')}).getBoundingClientRect();"
            "return [box.x + scrollX, box.y + scrollY, box.width, box.height]; })()"
        )
        clip = {**dict(zip(("x", "y", "width", "height"), box, strict=True)), "scale": 1}
        data = self._ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """Start a browser that keeps what it keeps in this folder, and end it."""
    theirs, to = os.pipe()
    back, ours = os.pipe()
    words = [
        "bash",
        "-c",
        'exec "$@" 3<&"$0" 4>&"$FROM"',
        str(theirs),
        PROGRAM,
        *_FLAGS,
        f"--user-data-dir={folder}",
    ]
    process = subprocess.Popen(
        words, pass_fds=(theirs, ours), env={**os.environ, "FROM": str(ours)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        os.close(theirs)
        os.close(ours)
        yield Page(to, back)
    finally:
        os.close(to)  # it ends by itself then
        process.wait()
        os.close(back)
