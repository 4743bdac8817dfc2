"""A headless Chromium, driven over its DevTools protocol: just what the tests of the page need."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
)
PATIENCE = 60.0


def chromium() -> str | None:
    """Path of an installed Chromium or Chrome."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. What the page logs as an error, or throws, is in `complaints`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._calls = 0
        self._fingers: dict[str, int] = {}
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("id") == self._calls:
                assert "error" not in message, message
                return message["result"]
            self._listen(message)

    def _listen(self, event: dict[str, Any]) -> None:
        if event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["params"]["exceptionDetails"])[:500])
        if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(event["params"]["entry"]["text"])

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (expression, result)
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = PATIENCE) -> Any:
        """The value of an expression once it is true."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(expression)):
            assert time.monotonic() < deadline, f"not in {seconds} s: {expression}; {self.complaints}"
            time.sleep(0.05)
        return value

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def size(self, width: int, height: int, mobile: bool = False, scale: float = 1.0) -> None:
        """Be a screen of that size."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def prefer(self, **features: str) -> None:
        """Media features, e.g. prefers_color_scheme="dark"."""
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=listed)

    def key(self, kind: str, code: str, key: str, text: str = "") -> None:
        """A key goes "down" or "up"."""
        number = {"Enter": 13, "Space": 32, "Tab": 9}.get(code, 0)
        typed = {"text": text} if text and kind == "down" else {}
        kind = "keyDown" if typed else {"down": "rawKeyDown", "up": "keyUp"}[kind]
        self.call("Input.dispatchKeyEvent", type=kind, code=code, key=key, windowsVirtualKeyCode=number, **typed)

    def press(self, code: str, key: str, text: str = "") -> None:
        """A key goes down and up."""
        self.key("down", code, key, text)
        self.key("up", code, key)

    def touch(self, kind: str, *selectors: str) -> None:
        """Fingers "start" on the middles of elements, those that are down already among them, or "end" there."""
        points = [
            self.run(
                f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                " return {x: r.x + r.width / 2, y: r.y + r.height / 2} })()"
            )
            | {"id": self._fingers.setdefault(selector, len(self._fingers))}
            for selector in selectors
        ]
        self.call("Input.dispatchTouchEvent", type=f"touch{kind.capitalize()}", touchPoints=points)

    def screenshot(self, path: Path) -> None:
        """Write what is to be seen as PNG."""
        shot = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


class Browser:
    """A running Chromium with a profile of its own."""

    def __init__(self, port: int) -> None:
        self._port = port

    @contextlib.contextmanager
    def page(self) -> Iterator[Page]:
        """A new tab, for the time of the block."""
        target = self._ask("new?about:blank", method="PUT")
        with connect(target["webSocketDebuggerUrl"], max_size=None, compression=None) as socket:
            yield Page(socket)
        self._ask(f"close/{target['id']}")

    def _ask(self, what: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/{what}", method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith("{") else text


@contextlib.contextmanager
def running(path: str, folder: Path) -> Iterator[Browser]:
    """Chromium, for the time of the block; `folder` holds its profile."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [path, *FLAGS, *sandbox, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = folder / "DevToolsActivePort"
        deadline = time.monotonic() + PATIENCE
        while not (told.exists() and told.read_text().count("\n")):
            assert process.poll() is None, f"{path} ended with status {process.returncode}"
            assert time.monotonic() < deadline, f"{path} did not start"
            time.sleep(0.05)
        yield Browser(int(told.read_text().splitlines()[0]))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
