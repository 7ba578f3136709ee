"""A child process that plays a recording through dv-processing's NetworkWriter: iniVation's AEDAT4 stream over TCP.

dv-processing 2.0.4: the writer's destructor hangs while a client is connected, and a reader loses what it had not
taken when the writer goes. So the child waits for the reader to leave, and ends without destructors.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def dv_sender(recording: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Serve an AEDAT4 file: (URI, function that starts the playing). At the end the reader must be closed."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", __file__, str(recording), str(port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    stdin = child.stdin
    try:
        assert child.stdout.readline() == "ready\n"

        def play() -> None:
            stdin.write("connected\n")
            stdin.flush()

        yield f"tcp://127.0.0.1:{port}", play
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.communicate()


def main(path: str, port: int) -> None:
    import dv_processing as dv

    recording = dv.io.MonoCameraRecording(path)
    stream = dv.io.Stream.EventStream(0, "events", "CAM", recording.getEventResolution())
    writer = dv.io.NetworkWriter("127.0.0.1", port, stream)
    print("ready", flush=True)
    deadline = time.monotonic() + 60
    sys.stdin.readline()  # the receiver is there
    while (batch := recording.getNextEventBatch()) is not None:
        writer.writeEvents(batch)
    while writer.getClientCount() and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
