"""The page of a live session: shown in a real browser, closed to everybody else."""

from __future__ import annotations

import json
import os
import struct
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from chromium import Page
from event_strategies import random_events
from tiny_programs import tiny_program

from i2e_deploy.chips.values import Values
from i2e_deploy.errors import InputError
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.stream import StreamSpec
from i2e_deploy.runtime.decider import LiveSpec
from i2e_deploy.runtime.live import Live
from i2e_deploy.runtime.view import ViewServer, ViewState

for needed in ("fastapi", "uvicorn", "websockets"):
    pytest.importorskip(needed)

SPEC = LiveSpec(StreamSpec(4, 5000), FrameSpec((128, 96), (2, 8, 8)))


@pytest.fixture
def served() -> Iterator[tuple[ViewServer, Live]]:
    """A session on the fake camera with its page."""
    uri = "fake://128x96?rate=3e5"
    page = ViewState((128, 96), uri)
    live = Live(open_source(uri), tiny_program(classes=10), SPEC, watch=page.watch)
    with ViewServer(page, live.stats) as server, live:
        thread = threading.Thread(target=lambda: deque(map(page.decided, live), maxlen=0))
        thread.start()
        yield server, live
        live.stop()
        thread.join()


def test_shown_in_a_browser_without_requests_to_elsewhere(served: Any, tmp_path: Path) -> None:
    server, _ = served
    page = Page(server.url, tmp_path / "profile")
    try:
        page.wait("document.getElementById('status').textContent === 'live'")
        page.wait("document.querySelectorAll('#scores .bar').length === 10")
        page.wait("parseInt(document.querySelector('#window').textContent.match(/window (\\d+)/)[1]) > 20")
        before = page.ask("document.querySelector('#window').textContent")
        page.wait(f"document.querySelector('#window').textContent !== {json.dumps(before)}")
        lit = page.ask(
            "(() => { const c = document.getElementById('scene'), d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; let n = 0;"
            " for (let i = 0; i < d.length; i += 4) n += d[i] > 60 || d[i + 2] > 60; return n })()"
        )
        assert 50 < lit < 128 * 96
        assert page.ask("document.getElementById('tiles').children.length") == 10
        assert page.ask("document.documentElement.scrollWidth <= innerWidth")
        assert page.ask("document.documentElement.scrollHeight <= innerHeight")  # all of it on a laptop's screen
        page.screenshot(Path(os.environ.get("I2E_DEPLOY_SCREENSHOTS", tmp_path)) / "live.png")
        page.resize(1366, 657)  # a 1366 x 768 screen less the browser's own bars
        page.wait("innerHeight === 657 && document.documentElement.scrollHeight <= innerHeight", 10)
        assert page.requests
        assert all(url.split("://")[1].startswith("127.0.0.1:") for url in page.requests if "://" in url), page.requests
        assert not page.errors
    finally:
        page.close()


def test_values_have_names_and_a_unit_in_the_browser(tmp_path: Path) -> None:
    uri = "fake://128x96?rate=3e5"
    page = ViewState((128, 96), uri, values=Values((-0.01,), (0.25,), ("steering", "speed"), "rad"))
    live = Live(open_source(uri), tiny_program(classes=2), SPEC, watch=page.watch)
    with ViewServer(page, live.stats) as server, live:
        thread = threading.Thread(target=lambda: deque(map(page.decided, live), maxlen=0))
        thread.start()
        browser = Page(server.url, tmp_path / "profile")
        try:
            browser.wait("document.getElementById('choice').textContent.endsWith(' rad')")
            names = browser.ask("[...document.querySelectorAll('#scores .name')].map(e => e.textContent).join()")
            assert names == "steering,speed"
            browser.screenshot(Path(os.environ.get("I2E_DEPLOY_SCREENSHOTS", tmp_path)) / "live_values.png")
            assert not browser.errors
        finally:
            browser.close()
            live.stop()
            thread.join()


class Quit(BaseException):
    """As KeyboardInterrupt, which would end the tests."""


@pytest.mark.parametrize(
    ("error", "text", "red"),
    [
        (None, "session ended", False),
        (Quit(), "session ended", False),
        (
            InputError("cut.aedat4: packet 7 ends after 12 of 90 bytes; " + "how to mend it, " * 12),
            "session failed",
            True,
        ),
    ],
)
def test_a_page_says_how_the_session_ended(error: BaseException | None, text: str, red: bool, tmp_path: Path) -> None:
    """For good: also when the page finds no server any more, and tries to connect again."""
    page = ViewState((8, 8), "x")
    live = Live(open_source("fake://128x96"), tiny_program(), SPEC)
    server = ViewServer(page, live.stats)
    browser = Page("about:blank", tmp_path / "profile")
    try:
        with pytest.raises(type(error)) if error else nullcontext(), server:
            browser.ask(f"location.href = {server.url!r}")
            browser.wait("(document.getElementById('status') || {}).textContent === 'live'")
            if error:
                raise error
        browser.wait(f"document.getElementById('status').textContent === {text!r}", 10)
        assert browser.ask("document.getElementById('status').className") == ("" if red else "ended")
        assert browser.ask("document.getElementById('why').textContent") == (str(error) if red else "")
        time.sleep(2.5)  # the page has tried to connect again
        assert browser.ask("document.getElementById('status').textContent") == text
        browser.screenshot(Path(os.environ.get("I2E_DEPLOY_SCREENSHOTS", tmp_path)) / f"live_{text[8:]}.png")
    finally:
        browser.close()


def fetch(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_other_names_and_origins_are_refused(served: Any) -> None:
    client = pytest.importorskip("websockets.sync.client")
    server, _ = served
    assert fetch(server.url) == 200
    assert fetch(server.url, Host="evil.example") == 403
    assert fetch(server.url, Origin="http://evil.example") == 403
    assert fetch(server.url + "docs") == 404
    stream = server.url.replace("http", "ws") + "stream"
    with pytest.raises(Exception, match="403"):
        client.connect(stream, origin="http://evil.example")
    with client.connect(stream) as socket:
        message = socket.recv(timeout=5)
        (length,) = struct.unpack("<I", message[:4])
        assert len(message) == 4 + length + 2 * 128 * 96
        assert json.loads(message[4 : 4 + length])["stats"]["decisions"] >= 0


def test_beyond_loopback_only_with_a_flag_and_a_token() -> None:
    page = ViewState((8, 8), "x")
    with pytest.raises(InputError, match="allow-remote"):
        ViewServer(page, dict, host="0.0.0.0")
    with ViewServer(page, dict, host="0.0.0.0", allow_remote=True) as server:
        address, _, token = server.url.replace("0.0.0.0", "127.0.0.1").partition("?token=")
        assert len(token) >= 32
        assert fetch(address) == 403
        assert fetch(f"{address}?token=wrong") == 403
        assert fetch(f"{address}?token={token}") == 200
        assert fetch(address + "stream") in (403, 404)
        with pytest.raises(InputError, match="cannot serve the view"):
            ViewServer(page, dict, host="0.0.0.0", port=int(address.rstrip("/").rpartition(":")[2]), allow_remote=True)


def test_each_page_has_all_events() -> None:
    """Two pages shared one picture: each took what the other then lacked."""
    page = ViewState((128, 96), "two")
    first = page.join()
    packets = [random_events(50, 128, 96, seed=seed) for seed in range(6)]
    seen: dict[int, int] = {}
    for number, packet in enumerate(packets):
        page.watch(packet)
        if number == 2:
            second = page.join()
        for reader in [first, second] if number > 2 else [first]:
            numbers, picture = page.take(reader)
            assert numbers["events"] == 50
            assert sum(picture) == 50
            seen[reader] = seen.get(reader, 0) + numbers["events"]
    assert seen == {first: 300, second: 150}
    page.leave(second)
    page.watch(packets[0])
    with pytest.raises(KeyError):
        page.take(second)
