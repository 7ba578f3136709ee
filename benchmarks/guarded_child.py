"""What a decoder in a child process costs: its start, a question, and events through its pipe.

python benchmarks/guarded_child.py
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzz_seeds import small_network, some_events

from i2e_deploy import guarded_child
from i2e_deploy.events.files import write_events
from i2e_deploy.events.formats import FORMATS
from i2e_deploy.events.formats.hdf5_file import open_here
from i2e_deploy.events.options import ReadOptions
from i2e_deploy.hdf5_child import open_guarded
from i2e_deploy.network import read_nir, write_nir


def best(run: Callable[[], object], times: int = 5) -> float:
    """Seconds of the quickest run."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def main() -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}; load {os.getloadavg()[0]:.1f} at the start")
    with tempfile.TemporaryDirectory() as name:
        network, recording = Path(name) / "n.nir", Path(name) / "e.h5"
        write_nir(small_network(), network)
        events = some_events(4_000_000, 1, (640, 480))
        write_events(recording, events, (640, 480))

        def fresh() -> None:
            guarded_child._end_idle()
            read_nir(network)

        read_nir(network)
        print(f"a NIR file of five nodes, first file of a process   {1e3 * best(fresh):8.1f} ms")
        print(f"the same, a child waits                             {1e3 * best(lambda: read_nir(network)):8.1f} ms")
        with open_guarded(network) as file:

            def ask() -> None:
                for _ in range(1000):
                    "node" in file  # noqa: B015

            print(f"a question and its answer                           {1e3 * best(ask) / 1000:8.3f} ms")

        def there() -> None:
            opened = FORMATS["dsec"].open(recording, ReadOptions())
            assert sum(map(len, opened.packets)) == len(events)
            opened.close()

        def here() -> None:
            opened = open_here(recording, ReadOptions())
            assert sum(map(len, opened.packets)) == len(events)
            opened.close()

        apart, beside = best(there, 3), best(here, 3)
        print(f"4 M events of HDF5 (deflate) in a child             {len(events) / apart / 1e6:8.1f} M events/s")
        print(f"the same in this process                            {len(events) / beside / 1e6:8.1f} M events/s")
        whole = np.concatenate(list(FORMATS["dsec"].open(recording, ReadOptions()).packets))
        assert np.array_equal(whole, events)


if __name__ == "__main__":
    main()
