"""A headless Chromium under chromedriver, over the W3C WebDriver protocol.

It keeps to the network of this machine and uses an empty profile that is removed afterwards.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element, W3C WebDriver 12
_CONTROL = "\ue009"  # the keys of W3C WebDriver 17.4.2
BACKSPACE = "\ue003"
ESCAPE = "\ue00c"
ARROW_LEFT = "\ue012"
ARROW_RIGHT = "\ue014"


class Browser:
    """One window of Chromium."""

    def __init__(self, address: str, session: str) -> None:
        self._address = f"{address}/session/{session}"

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._post("/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what the body of a JavaScript function returns."""
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str) -> Any:
        """Return what the body of a JavaScript function hands to its last argument."""
        return self._post("/execute/async", {"script": script, "args": []})

    def click(self, selector: str) -> None:
        """Click an element as a user does; it must be visible."""
        self._post(f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Focus an element and press the keys of a text."""
        self.run("document.querySelector(arguments[0]).focus()", selector)
        self.press(*text)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, whatever has the focus."""
        self._act("key", [action for key in keys for action in _stroke(key)])

    def press_control(self, key: str) -> None:
        """Press a key together with Control, whatever has the focus."""
        down, up = _stroke(_CONTROL)
        self._act("key", [down, *_stroke(key), up])

    def hover(self, selector: str) -> None:
        """Move the mouse over the middle of an element."""
        origin = {_ELEMENT: self._find(selector)}
        move = {"type": "pointerMove", "duration": 0, "origin": origin, "x": 0, "y": 0}
        self._act("pointer", [move])

    def drag(self, selector: str, start: float, end: float) -> None:
        """Press the mouse over an element and let it go elsewhere; shares of its width."""
        box = "const {left, width, top, height} = document.querySelector(arguments[0])"
        script = f"{box}.getBoundingClientRect(); return [left, width, top + height / 2]"
        left, width, y = self.run(script, selector)
        xs = [round(left + share * width) for share in (start, (start + end) / 2, end)]
        moves = [{"type": "pointerMove", "duration": 0, "x": x, "y": round(y)} for x in xs]
        button = {"button": 0}
        down, up = {"type": "pointerDown", **button}, {"type": "pointerUp", **button}
        self._act("pointer", [moves[0], down, *moves[1:], up])

    def double_click(self, selector: str) -> None:
        """Click the middle of an element twice."""
        self.hover(selector)
        strokes = ("pointerDown", "pointerUp") * 2
        self._act("pointer", [{"type": stroke, "button": 0} for stroke in strokes])

    def resize(self, width: int, height: int) -> None:
        """Set the size of the page itself."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Set light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.command("Emulation.setEmulatedMedia", {"features": [feature]})

    def screenshot(self, path: Path) -> None:
        """Save what is visible as PNG."""
        path.write_bytes(base64.b64decode(self._get("/screenshot")))

    def errors(self) -> list[str]:
        """Return what the console complained about since the last call."""
        entries = self._post("/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]

    def requests(self) -> list[str]:
        """Return the addresses that pages asked for since the last call."""
        entries = self._post("/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def command(self, method: str, parameters: Mapping[str, object]) -> Any:
        """Send a command of the Chrome DevTools protocol."""
        return self._post("/goog/cdp/execute", {"cmd": method, "params": parameters})

    def _act(self, device: str, actions: list[dict[str, object]]) -> None:
        self._post("/actions", {"actions": [{"type": device, "id": device, "actions": actions}]})

    def _find(self, selector: str) -> str:
        found = self._post("/element", {"using": "css selector", "value": selector})
        return found[_ELEMENT]

    def _post(self, path: str, body: dict[str, object]) -> Any:
        return call(f"{self._address}{path}", body)

    def _get(self, path: str) -> Any:
        return call(f"{self._address}{path}", None)


def _stroke(key: str) -> list[dict[str, object]]:
    return [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]


def call(address: str, body: dict[str, object] | None, method: str | None = None) -> Any:
    """Return the value that chromedriver answers with; AssertionError holds what it objects to."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(json.load(error)["value"]["message"]) from None


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start a browser with its profile in `folder`, and end it."""
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = f"http://127.0.0.1:{_port(server)}"
            session = call(f"{address}/session", {"capabilities": _capabilities(folder)})
            yield Browser(address, session["sessionId"])
            call(f"{address}/session/{session['sessionId']}", None, "DELETE")
        finally:
            server.terminate()


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"started successfully on port (\d+)", line):
            return int(found[1])
    raise AssertionError("chromedriver did not start")


def _capabilities(folder: Path) -> dict[str, object]:
    options = {
        "binary": "/usr/bin/chromium",
        "args": [*_FLAGS, f"--user-data-dir={folder}"],
        "perfLoggingPrefs": {"enableNetwork": True, "enablePage": False},
    }
    return {
        "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
    }
