"""Ours beside public records of real chips: spikes, energy, cores. The records are other people's and are not in here.

    I2E_DEPLOY_RECORDS=... I2E_DEPLOY_DATA=... I2E_DEPLOY_NETWORKS=... \\
        python benchmarks/silicon.py --picture silicon.png > benchmarks/results/silicon.txt

I2E_DEPLOY_RECORDS holds `speck2f_nmnist`, `speck2f_four_layers`, `speck2f_power` and `loihi2_lif`; I2E_DEPLOY_DATA
`nmnist_small/test`; I2E_DEPLOY_NETWORKS `nir/brandy_*.nir` and `netx/dvs_flow_512d.net`. What is absent is said and
left out. Nothing here is timed. Costs and cores are in `silicon_costs.py`,
what is left of the first record in `silicon_left.py`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
from silicon_costs import cores_table, power_tables
from silicon_left import what_is_left

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram, EventOptions
from i2e_deploy.chips.dynapcnn.program import Source
from i2e_deploy.chips.dynapcnn.reference.event_options import alternatives
from i2e_deploy.events.array import Events, empty_events
from i2e_deploy.events.files import read_events
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, Network, Pool2d, chain, read_nir
from i2e_deploy.reporting import save_chip_picture
from i2e_deploy.runtime import beside_chip

#: The first N-MNIST test recording of each class: the input of the record `speck2f_nmnist`.
RECORDINGS = (60004, 60003, 60002, 60019, 60005, 60009, 60012, 60001, 60062, 60008)
#: Spikes of four layers, `speck2f_four_layers`; another run of the chip gave 40 in the last.
FOUR_LAYERS = (31_831, 12_906, 633, 38)
#: Cells of layer, neuron and bin of 1/29 s with a spike, 100 recordings, both runs: inNuCE_BRANDY-2025, the notebook
#: and saved_models/all_results.json.
EIGHT_NETWORKS = {
    "100": (927_012, 926_923), "70": (850_981, 851_211), "50": (None, 647_328), "10": (191_154, 191_154),
    "5": (None, 241_921), "4": (195_933, 195_933), "3": (159_607, 159_607), "1": (184_970, 184_967),
}  # fmt: skip
BINS, PER_CLASS = 30, 10
#: Ways to fill the 15 recordings of the first ten of each class that are not here, by others of their class.
DRAWS = 5


def folder(variable: str) -> Path | None:
    return Path(os.environ[variable]) if variable in os.environ else None


def first_layer(records: Path, data: Path, picture: Path | None) -> None:
    """4,096 neurons of a first layer on ten recordings, states reset before each."""
    program = lowered(read_nir(records / "speck2f_nmnist" / "cnn_sinabs.nir"))
    chips = np.load(records / "speck2f_nmnist" / "speck_activity.npy", allow_pickle=False)[0]
    rows, drawn, recordings = [], [], []
    print("\nSpeck2f, record first-layer: 4,096 neurons, ours by events in their own order, and in steps of 1 ms")
    print("| digit | events | chip | event | neurons that differ | by, at most | timestep | neurons that differ |")
    print("|---|---|---|---|---|---|---|---|")
    for digit, name in enumerate(RECORDINGS):
        events = read_events(data / "nmnist_small" / "test" / str(digit) / f"{name}.bin").events
        first = program.layer_names[0]
        ours = program.run_events(events).spikes[first].sum(axis=(0, 1))
        steps = program.run(program.in_steps(events, 1000)).spikes[first].sum(axis=(0, 1))
        found, stepped = beside_chip(ours, chips[digit]), beside_chip(steps, chips[digit])
        rows.append((found, stepped))
        recordings.append(events)
        drawn.append((f"digit {digit}", ours, chips[digit]))
        print(
            f"| {digit} | {len(events):,} | {found.chip:,} | {found.ours:,} | {found.differing} | {found.largest} "
            f"| {stepped.ours:,} | {stepped.differing:,} |"
        )
    for kind, side in (("event", 0), ("timestep", 1)):
        sums = [
            sum(getattr(row[side], key) for row in rows)
            for key in ("chip", "ours", "differing", "neurons", "spikes_apart")
        ]
        chip, total, differing, neurons, apart = sums
        print(
            f"{kind}: chip {chip:,}, ours {total:,} ({100 * (total / chip - 1):+.2f} %), {differing:,} of {neurons:,} "
            f"counts differ ({100 * differing / neurons:.1f} %), {apart:,} spikes apart"
        )
    if picture is not None:
        save_chip_picture([drawn[0], drawn[1], drawn[3]], picture)
    layer = program.layers[0]
    alone = DynapcnnProgram(program.input_shape, (layer,), (Source(layer.name),))
    what_is_left(alone, recordings, [ours for _, ours, _ in drawn], chips)


def lowered(network: Network) -> DynapcnnProgram:
    program = get("speck2f").lower(network)
    assert isinstance(program, DynapcnnProgram)
    return program


def four_layer_program(records: Path, stored: bool) -> DynapcnnProgram:
    """The network of `speck2f_four_layers`, from the states that training left or from zero."""
    from safetensors.numpy import load_file

    held = load_file(records / "speck2f_four_layers" / "network.safetensors")

    def neurons(name: str) -> IntegrateAndFire:
        return IntegrateAndFire(1.0, -1.0, start=held[f"{name}.v_mem"][0] if stored else None)

    layers = {
        "0": Conv2d(held["0.weight"], padding=(1, 1)), "1": neurons("1"), "2": Pool2d((2, 2)),
        "3": Conv2d(held["3.weight"], padding=(1, 1)), "4": neurons("4"), "5": Pool2d((2, 2)),
        "6": Conv2d(held["6.weight"], padding=(1, 1), stride=(2, 2)), "7": neurons("7"),
        "8": Flatten(), "9": Linear(held["9.weight"]), "10": neurons("10"),
    }  # fmt: skip
    return lowered(chain((2, 34, 34), layers))


def four_layers(records: Path, data: Path) -> None:
    """Spikes of four layers, by where the run starts and under every value of every open point."""
    stored, fresh = (four_layer_program(records, stored) for stored in (True, False))
    events = read_events(data / "nmnist_small" / "test" / "0" / "60004.bin").events

    def totals(program: DynapcnnProgram, options: EventOptions) -> str:
        counts = program.run_events(events, options=options).counts.values()
        return " / ".join(f"{count.spikes:,}" for count in counts)

    print(
        "\nSpeck2f, record four-layers: spikes of four layers on one recording, and what the record says of open points"
    )
    print("| run | spikes |\n|---|---|")
    print(f"| chip | {' / '.join(f'{count:,}' for count in FOUR_LAYERS)} (another run: 40 in the last) |")
    base = EventOptions()
    print(f"| event, from the states that training left | {totals(stored, base)} |")
    print(f"| event, from zero | {totals(fresh, base)} |")
    for name, options in alternatives(base).items():
        print(f"| {name} | {totals(stored, options)} |")


def as_frames_are_sent(events: Events) -> Events:
    """A recording as tonic's 30 frames, each sent at its number / 29 s in the order of Sinabs' `raster_to_events`."""
    start, width = events["t"][0], (events["t"][-1] - events["t"][0]) // BINS
    bins = (events["t"] - start) // width
    kept = events[bins < BINS]
    frames = np.zeros((BINS, 2, 34, 34), np.int64)
    np.add.at(frames, (bins[bins < BINS], kept["p"].astype(np.int64), kept["y"], kept["x"]), 1)
    blocks = [np.tile(np.argwhere(frames == count), (count, 1)) for count in range(frames.max(), 0, -1)]
    rows = np.concatenate(blocks)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    sent = empty_events(len(rows))
    sent["t"] = (rows[:, 0] * 1_000_000) // (BINS - 1)
    for name, column in (("p", 1), ("y", 2), ("x", 3)):
        sent[name] = rows[:, column]
    return sent


def recordings_of(data: Path, seed: int) -> list[Events]:
    """Ten of each class in MNIST's order; the missing ones are drawn from those of their class that are here."""
    rng, chosen = np.random.default_rng(seed), []
    for digit in range(10):
        files = sorted((data / "nmnist_small" / "test" / str(digit)).glob("*.bin"))
        first = files[:PER_CLASS]
        chosen += [*first, *(files[i] for i in rng.integers(0, len(files), PER_CLASS - len(first)))]
    return [as_frames_are_sent(read_events(path).events) for path in chosen]


def totals_of(program: DynapcnnProgram, recordings: list[Events], chain: bool = True) -> tuple[int, float]:
    """Cells with a spike, and synaptic operations a recording; in a chain states live on to the next recording."""
    states, cells, synops = None, 0, 0
    for events in recordings:
        trace = program.run_events(events, states=states)
        states = trace.states if chain else None
        synops += sum(count.synops for count in trace.counts.values())
        for spikes in (trace.events or {}).values():
            bins = np.rint(spikes["t"] * (BINS - 1) / 1e6).astype(np.int64)
            cells += len(np.unique(np.stack([bins, spikes["c"], spikes["y"], spikes["x"]]), axis=1).T)
    return cells, synops / len(recordings)


def eight_networks(networks: Path, data: Path) -> dict[str, float]:
    """Cells with a spike beside the chip's; gives synaptic operations a recording by network."""
    draws = [recordings_of(data, seed) for seed in range(DRAWS)]
    print("\nSpeck2f, record eight-networks: cells of layer, neuron and bin with a spike, 100 recordings in one go")
    print(f"(15 of them are drawn from others of their class, {DRAWS} times: mean, least to most)")
    print("| network | chip, run 1 | run 2 | event, over run 2 | each recording from zero |\n|---|---|---|---|---|")
    work = {}
    for name, (first, second) in EIGHT_NETWORKS.items():
        path = networks / "nir" / f"brandy_{name}.nir"
        if not path.exists():
            print(f"| {name} | | {second:,} | {path.name} is not here | |")
            continue
        runs = [totals_of(lowered(read_nir(path)), recordings) for recordings in draws]
        alone = totals_of(lowered(read_nir(path)), draws[0], chain=False)[0] / second
        ratios = [cells / second for cells, _ in runs]
        work[name] = float(np.mean([synops for _, synops in runs]))
        shown = "" if first is None else f"{first:,}"
        told = f"{np.mean(ratios):.4f}, {min(ratios):.4f} to {max(ratios):.4f}"
        print(f"| {name} | {shown} | {second:,} | {told} | {alone:.4f} |")
    return work


def first_recording_work(records: Path, data: Path) -> int:
    """Synaptic operations of the first recording on the network of four layers: the input of the power series."""
    program = four_layer_program(records, stored=True)
    events = read_events(data / "nmnist_small" / "test" / "0" / "60004.bin").events
    return sum(count.synops for count in program.run_events(events).counts.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, help="PNG to write: chip, ours, difference, of three recordings")
    picture = parser.parse_args().picture
    records, data, networks = (folder(f"I2E_DEPLOY_{name}") for name in ("RECORDS", "DATA", "NETWORKS"))
    print(f"{' '.join(os.uname()[::2])}, load {os.getloadavg()[0]:.1f}; nothing here is timed")
    absent: list[str] = []

    def needs(what: str, *places: Path | None) -> bool:
        if None in places:
            absent.append(what)
        return None not in places

    work: dict[str, float] = {}
    if needs("records of spikes", records, data):
        assert records is not None
        assert data is not None
        first_layer(records, data, picture)
        four_layers(records, data)
    if needs("eight networks", networks, data):
        assert networks is not None
        assert data is not None
        work = eight_networks(networks, data)
    if needs("power", records, data):
        assert records is not None
        assert data is not None
        power_tables(records / "speck2f_power" / "power_series.npz", first_recording_work(records, data), work)
    cores_table(None if networks is None else networks / "netx" / "dvs_flow_512d.net")
    for what in absent:
        print(f"not run: {what}; the first lines of this script name the folders")


if __name__ == "__main__":
    main()
