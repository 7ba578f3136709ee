"""A headless Chromium driven over its DevTools protocol: enough to load a page, ask it things and take a picture."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest


class Page:
    """One tab. `requests` holds the URL of everything it asked for."""

    def __init__(self, url: str, profile: Path, size: tuple[int, int] = (1280, 800)) -> None:
        client = pytest.importorskip("websockets.sync.client")
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if browser is None:
            pytest.skip("needs chromium")
        self._process = subprocess.Popen(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stderr is not None
        port = ""
        while not port:
            line = self._process.stderr.readline()
            assert line, "chromium did not start"
            match = re.search(r"ws://127\.0\.0\.1:(\d+)/", line)
            port = match[1] if match else ""
        self._stack = ExitStack()
        self._browser = self._stack.enter_context(client.connect(re.search(r"ws://\S+", line)[0], max_size=2**26))  # type: ignore[index]
        target = self._send(self._browser, "Target.createTarget", url="about:blank")["targetId"]
        tab = f"ws://127.0.0.1:{port}/devtools/page/{target}"
        self._tab = self._stack.enter_context(client.connect(tab, max_size=2**26))
        self.requests: list[str] = []
        self.errors: list[str] = []
        for domain in ("Network", "Runtime", "Page", "Log"):
            self._send(self._tab, f"{domain}.enable")
        self.resize(*size)
        self._send(self._tab, "Page.navigate", url=url)

    def _send(self, socket: Any, method: str, **params: Any) -> Any:
        number = time.monotonic_ns() % 2**31
        socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(socket.recv(timeout=90))
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            elif answer.get("method") == "Network.webSocketCreated":
                self.requests.append(answer["params"]["url"])
            elif answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(json.dumps(answer["params"])[:500])
            elif answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def resize(self, width: int, height: int) -> None:
        """Size of the window's inside in pixels."""
        self._send(self._tab, "Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)  # fmt: skip

    def ask(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        return self._send(self._tab, "Runtime.evaluate", expression=expression, returnByValue=True)["result"].get(
            "value"
        )

    def wait(self, expression: str, seconds: float = 90) -> None:
        """Wait until it is true."""
        deadline = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < deadline, f"never true: {expression}; errors {self.errors}"
            time.sleep(0.05)

    def screenshot(self, path: Path) -> None:
        """PNG of the window."""
        path.write_bytes(base64.b64decode(self._send(self._tab, "Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End the browser."""
        self._stack.close()
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stderr is not None
        self._process.stderr.close()
