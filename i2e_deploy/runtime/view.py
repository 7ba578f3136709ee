"""One local page that shows a live session: FastAPI, a websocket, no request to anywhere else.

Loopback only, unless the caller asks for another address; then the page wants a token. The server looks at the Host
and Origin of every request, so that a page from elsewhere in the same browser can neither read nor drive it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.values import Values
from i2e_deploy.errors import InputError, MissingDependency
from i2e_deploy.events.array import Events
from i2e_deploy.events.frames import FrameSpec, to_frames
from i2e_deploy.events.sources.udp import is_loopback
from i2e_deploy.requirements import install_command
from i2e_deploy.runtime.decider import Decision

#: The picture is scaled down to at most this many pixels a side; the page scales it up.
MOST_PIXELS = 240
#: Pictures a second.
FRAME_RATE = 25
#: How long pages may take to hear that the session is over, s.
CLOSING_S = 2.0
#: Code of a websocket that closes because the session ended with an error; the page knows it too.
FAILED = 4000
_PAGE = Path(__file__).with_name("view.html")


class ViewState:
    """What the page shows; fed from the session's threads, read by the server's."""

    def __init__(
        self, sensor_size: tuple[int, int], title: str, classes: tuple[str, ...] = (), values: Values | None = None
    ) -> None:
        scale = max(1, -(-max(sensor_size) // MOST_PIXELS))
        width, height = (-(-side // scale) for side in sensor_size)
        self._spec = FrameSpec(sensor_size, (2, height, width))
        self._pages: dict[int, tuple[NDArray[np.int32], int]] = {}
        self._empty = np.zeros((2, height, width), np.int32)
        self._lock = threading.Lock()
        self._decision: Decision | None = None
        self._decided, self._joined = 0, 0
        self.title, self.classes, self.values = title, classes, values

    def watch(self, packet: Events) -> None:
        """Add a packet to the picture of each page."""
        picture = to_frames(packet, np.array([[0, len(packet)]], np.int64), self._spec)[0]
        with self._lock:
            self._pages = {page: (seen + picture, count + len(packet)) for page, (seen, count) in self._pages.items()}

    def join(self) -> int:
        """A new page; its number is for `take` and `leave`."""
        with self._lock:
            self._joined += 1
            self._pages[self._joined] = (self._empty, 0)
            return self._joined

    def leave(self, page: int) -> None:
        """The page was closed."""
        with self._lock:
            self._pages.pop(page, None)

    def watched(self) -> int:
        """How many pages are open."""
        with self._lock:
            return len(self._pages)

    def decided(self, decision: Decision) -> None:
        """Show this decision."""
        self._decision = decision
        self._decided += 1

    def take(self, page: int) -> tuple[dict[str, Any], bytes]:
        """What happened since the page's last call: numbers, and the picture as two planes of uint8 [2, H, W]."""
        with self._lock:
            picture, events = self._pages[page]
            self._pages[page] = (self._empty, 0)
        decision = self._decision
        numbers = {
            "title": self.title,
            "classes": self.classes,
            "size": picture.shape[1:],
            "events": events,
            "decisions": self._decided,
            "values": None if decision is None else self._values(decision),
            "decision": None if decision is None else {**decision.exact(), "latency": decision.latency},
        }
        return numbers, np.minimum(picture, 255).astype(np.uint8).tobytes()

    def _values(self, decision: Decision) -> list[dict[str, Any]] | None:
        """Of a regression each output's name and value; None: the outputs are classes."""
        if self.values is None:
            return None
        found, unit = self.values.of(np.array(decision.scores)), self.values.unit
        return [{"name": self.values.name(i), "value": float(value), "unit": unit} for i, value in enumerate(found)]


class ViewServer:
    """Serves the page in its own thread; a context manager.

    Args:
        state: what to show.
        stats: called for the counters of the session.
        host: address to listen on.
        port: 0 = a free one; then in `url`.
        allow_remote: must be set for an address other than loopback; then a token is made and asked for.

    Raises:
        InputError: not loopback without `allow_remote`, or the port is taken.
        MissingDependency: FastAPI, uvicorn or websockets is not installed.
    """

    def __init__(
        self,
        state: ViewState,
        stats: Callable[[], dict[str, Any]],
        host: str = "127.0.0.1",
        port: int = 0,
        allow_remote: bool = False,
    ) -> None:
        if not is_loopback(host) and not allow_remote:
            raise InputError(f"the view would be open to the network at {host}: add --allow-remote if that is meant")
        try:
            import fastapi  # noqa: F401
            import uvicorn
            import websockets  # noqa: F401
        except ImportError as error:
            raise MissingDependency(
                error.name or "fastapi", "the live view", install_command("fastapi", "uvicorn", "websockets")
            ) from error
        self.token = "" if is_loopback(host) else secrets.token_urlsafe(24)
        try:
            self._socket = socket.create_server((host, port))
        except OSError as error:
            raise InputError(f"cannot serve the view on {host}:{port}: {error.strerror}") from error
        port = self._socket.getsockname()[1]
        self.url = f"http://{host}:{port}/" + (f"?token={self.token}" if self.token else "")
        hosts = {f"{host}:{port}"} | ({f"localhost:{port}", f"127.0.0.1:{port}"} if is_loopback(host) else set())
        self._state = state
        self._page = _Application(state, stats, self.token, hosts if is_loopback(host) else None)
        config = uvicorn.Config(
            self._page.build(), log_level="critical", access_log=False, ws="websockets-sansio", lifespan="off",
            timeout_graceful_shutdown=1, ws_max_size=1024,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="i2e-deploy view", daemon=True
        )

    def __enter__(self) -> ViewServer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """Tell every page how the session ended; Ctrl-C is a good end."""
        self._page.end(str(error) or repr(error) if isinstance(error, Exception) else "")
        deadline = time.monotonic() + CLOSING_S
        while self._state.watched() and time.monotonic() < deadline:  # a server that exits first says "restart"
            time.sleep(0.01)
        self._server.should_exit = True
        self._thread.join(5)
        self._socket.close()


class _Application:
    """The routes."""

    def __init__(
        self, state: ViewState, stats: Callable[[], dict[str, Any]], token: str, hosts: set[str] | None
    ) -> None:
        self._state, self._stats, self._token, self._hosts = state, stats, token, hosts
        self._ended: str | None = None

    def end(self, error: str) -> None:
        """Close every page: the session is over, "" without an error."""
        self._ended = error

    def build(self) -> Any:
        from fastapi import FastAPI
        from starlette.requests import HTTPConnection, Request
        from starlette.responses import HTMLResponse, Response
        from starlette.routing import Route, WebSocketRoute
        from starlette.websockets import WebSocket, WebSocketDisconnect

        def allowed(request: HTTPConnection) -> bool:
            host, origin = request.headers.get("host", ""), request.headers.get("origin")
            if self._hosts is not None and host not in self._hosts:
                return False  # another name that points here: DNS rebinding
            if origin is not None and urlsplit(origin).netloc != host:
                return False
            return not self._token or secrets.compare_digest(request.query_params.get("token", ""), self._token)

        async def page(request: Request) -> Response:
            if not allowed(request):
                return Response("forbidden", 403)
            nonce = secrets.token_urlsafe(16)
            policy = "default-src 'none'; connect-src 'self'; img-src data:; "
            policy += f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
            headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
            return HTMLResponse(_PAGE.read_text("utf-8").replace("NONCE", nonce), headers=headers)

        async def stream(websocket: WebSocket) -> None:
            if not allowed(websocket):
                await websocket.close(1008)
                return
            await websocket.accept()
            number = self._state.join()
            try:
                while self._ended is None:
                    await websocket.send_bytes(self._message(number))
                    await asyncio.sleep(1 / FRAME_RATE)
                await websocket.send_bytes(self._message(number))  # the last counts, and the error
                await websocket.close(FAILED if self._ended else 1000)
            except (WebSocketDisconnect, RuntimeError):  # the page was closed
                return
            finally:
                self._state.leave(number)

        routes = [Route("/", page), WebSocketRoute("/stream", stream)]
        return FastAPI(routes=routes, openapi_url=None, docs_url=None, redoc_url=None)

    def _message(self, page: int) -> bytes:
        """`length: uint32, JSON, ON and OFF picture`."""
        numbers, picture = self._state.take(page)
        told = {**numbers, "stats": self._stats(), "time": time.time(), "error": self._ended or ""}
        text = json.dumps(told).encode()
        return struct.pack("<I", len(text)) + text + picture
