"""Live decisions from a recording that pretends to be a camera: no hardware needed.

    python examples/live_from_file.py [RECORDING] [--network NETWORK_OR_BUNDLE]

Without arguments it makes a recording of a circling disc and a small untrained network.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import i2e_deploy as i2e
from i2e_deploy.chips import Program
from i2e_deploy.events import Events, FrameSpec, StreamSpec
from i2e_deploy.events.sources import open_source
from i2e_deploy.runtime import Live, LiveSpec


def make_recording(path: Path) -> None:
    """Half a second of the fake camera as an event file."""
    camera = open_source("fake://128x128?rate=2e5&seconds=0.5&realtime=0")

    def packets() -> Iterator[Events]:
        while (packet := camera.read(1.0)) is not None:
            yield packet

    i2e.events.write(path, packets(), camera.sensor_size)


def make_program() -> Program:
    """The demo's network on 32x32 pixels, untrained, as Speck integers."""
    import torch

    model = i2e.training.build_digit_network(8, torch.Generator().manual_seed(0))
    return i2e.chips.get("speck2f").lower(i2e.network.from_sinabs(model, (2, 32, 32)))


def main(recording: Path, program: Program) -> int:
    """Play `recording` in real time through `program`; returns the number of decisions."""
    source = open_source(f"{recording.resolve().as_uri()}?realtime=1")
    spec = LiveSpec(
        StreamSpec(steps=8, step=2500),  # windows of 20 ms in 8 time steps
        FrameSpec(source.sensor_size, (2, 32, 32)),  # the whole sensor, scaled down to the network's input
        policy="block",  # a file waits when the network is slow; for a camera leave the default, "drop"
    )
    with Live(source, program, spec) as live:
        for decision in live:
            print(
                f"{decision.start / 1e3:8.1f} ms  {decision.events:6d} events  class {decision.choice}  "
                f"scores {decision.scores}  {1e3 * decision.latency:.2f} ms"
            )
    print(live.stats())
    return live.counts.decisions


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path, nargs="?")
    parser.add_argument("--network", type=Path)
    arguments = parser.parse_args()
    if arguments.network is None:
        chosen = make_program()
    elif arguments.network.is_dir():
        chosen = i2e.bundle.read(arguments.network).program
    else:
        chosen = i2e.chips.get("speck2f").lower(i2e.chips.read_model(arguments.network))
    if arguments.recording is not None:
        main(arguments.recording, chosen)
    else:
        with tempfile.TemporaryDirectory() as folder:
            make_recording(Path(folder) / "disc.npz")
            main(Path(folder) / "disc.npz", chosen)
