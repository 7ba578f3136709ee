"""Runs this job on a Speck board: `python run.py [BOARD]`. It needs samna, and nothing else.

It reads job.json, config.json and events.bin beside it, and writes results.zip there. BOARD is a name as samna gives
it, such as Speck2fDevKit; without it the first free board is taken. Written for samna 0.46; unverified on silicon.
"""

from __future__ import annotations

import array
import json
import sys
import time
import zipfile
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECTIONS = ("dvs_layer", "dvs_filter", "readout", "factory_config")
#: Events handed over at once; seconds of pause after the configuration, as Sinabs makes it; of silence that end a
#: sample; and the longest wait for that.
CHUNK, SETTLE_S, QUIET_S, TIMEOUT_S = 2048, 1.0, 0.02, 5.0


def main(board_name: str) -> None:
    """Configure a board, run every sample, write the results."""
    job = json.loads((HERE / "job.json").read_text(encoding="utf-8"))
    config = json.loads((HERE / "config.json").read_text(encoding="utf-8"))
    samna = load_samna()
    module, device, name = open_board(samna, job["chip"], board_name)
    print(f"running {job['samples']} samples on {name}")
    try:
        configuration = module.configuration.SpeckConfiguration()
        apply(configuration, config)
        valid, message = module.validate_configuration(configuration)
        if not valid:
            sys.exit(f"samna refuses the configuration: {message}")
        device.get_model().apply_configuration(configuration)
        time.sleep(SETTLE_S)
        spikes, late = run_samples(samna, module, device, job)
    finally:
        samna.device.close_device(device)
    write_results(job, spikes, late, f"{name}, samna {getattr(samna, '__version__', '?')}")
    report(job, spikes, late)


def load_samna() -> Any:
    """The real samna. The one on the public index is an installer of one Python file, which is not to be imported."""
    spec = PathFinder.find_spec("samna")
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    there = [file for folder in folders for file in folder.rglob("*") if file.suffix in (".so", ".pyd", ".dylib")]
    if not there and not any(any(folder.parent.glob("samna*.so")) for folder in folders):
        sys.exit("samna is not installed, or is the installer of that name: see SynSense's documentation")
    import samna

    return samna


def open_board(samna: Any, chip: str, wanted: str) -> tuple[Any, Any, str]:
    """Samna's module of the chip, the board and its name."""
    free = [info for info in samna.device.get_unopened_devices() if wanted in ("", str(info.device_type_name))]
    fitting = [info for info in free if str(info.device_type_name).lower().startswith(chip)]
    if not fitting:
        seen = ", ".join(str(info.device_type_name) for info in samna.device.get_all_devices()) or "none"
        sys.exit(f"no free board {wanted or 'with a ' + chip}; samna sees: {seen}")
    return getattr(samna, chip), samna.device.open_device(fitting[0]), str(fitting[0].device_type_name)


def apply(configuration: Any, data: dict[str, Any]) -> None:
    """Set every field of config.json on samna's object."""
    for section in SECTIONS:
        if section in data:
            set_fields(configuration, {section: data[section]})
    for number, fields in data["cnn_layers"].items():
        core, out = configuration.cnn_layers[int(number)], fields["dimensions"]["output_shape"]
        core.dimensions = fields["dimensions"]  # samna takes a dict here
        if fields["neurons_initial_value"] == 0:
            row = [0] * out["size"]["y"]
            fields["neurons_initial_value"] = [
                [row[:] for _ in range(out["size"]["x"])] for _ in range(out["feature_count"])
            ]
        set_fields(core, {name: value for name, value in fields.items() if name != "dimensions"})


def set_fields(target: Any, values: dict[str, Any]) -> None:
    """Set fields, going down into mappings."""
    for name, value in values.items():
        if name == "destinations":
            for i, fields in enumerate(value):
                set_fields(target.destinations[i], fields)
        elif isinstance(value, dict):
            set_fields(getattr(target, name), value)
        else:
            setattr(target, name, value)


def run_samples(samna: Any, module: Any, device: Any, job: dict[str, Any]) -> tuple[list[list[int]], int]:
    """Rows of sample, t, core, feature, y, x of every spike, t on the stop watch; and how many events went in late."""
    sink = samna.graph.sink_from(device.get_model().get_source_node())
    source = samna.graph.source_to(device.get_model().get_sink_node())
    io, ticks = device.get_io_module(), job["slow_clock_hz"] is not None
    if ticks:
        io.set_slow_clk_rate(job["slow_clock_hz"])
        io.set_slow_clk(False)
    initial = {(core, address): value for core, address, value in job["start"]}
    neurons = [
        neuron(module, int(core), address, initial.get((int(core), address), 0))
        for core, count in job["addresses"].items()
        for address in range(count)
    ]
    given, spikes, late = read_rows(), list[list[int]](), 0

    def poll() -> list[list[int]]:
        events = [event for event in sink.get_events() if isinstance(event, module.event.Spike)]
        return [[e.timestamp, e.layer, e.feature, e.y, e.x] for e in events]

    for sample, end_us in enumerate(job["end_us"]):
        write(source, neurons)
        time.sleep(QUIET_S)
        poll()  # what the reset stirred up
        events = [spike(module, *row) for row in given.get(sample, [])]
        found, missed = run_sample(source, device.get_stop_watch(), io if ticks else None, events, end_us, job, poll)
        spikes += [[sample, *row] for row in found]
        late += missed
        print(f"sample {sample}: {len(found)} spikes")
    return spikes, late


def run_sample(
    source: Any, watch: Any, slow_clock: Any, events: list[Any], end_us: int, job: dict[str, Any], poll: Any
) -> tuple[list[list[int]], int]:
    """Spikes of one sample, and events that went in late. The slow clock ticks from the first step to the last."""
    watch.reset()
    watch.start()
    began = time.monotonic()
    found, late = list[list[int]](), 0
    for start in range(0, max(len(events), 1), CHUNK):
        part = events[start : start + CHUNK]
        if part:
            wait_until(began, part[0].timestamp - job["ahead_us"])
            source.write(part)
            done = elapsed(began)
            late += sum(event.timestamp < done for event in part)
        if slow_clock is not None and start == 0:
            wait_until(began, job["lead_us"])
            slow_clock.set_slow_clk(True)
        found += poll()
    while elapsed(began) < end_us:
        found += poll()
        time.sleep(0.001)
    if slow_clock is not None:
        slow_clock.set_slow_clk(False)
    quiet = first = time.monotonic()
    while (now := time.monotonic()) - quiet < QUIET_S and now - first < TIMEOUT_S:
        more = poll()
        found += more
        quiet = now if more else quiet
        time.sleep(0.001)
    watch.stop()
    return found, late


def read_rows() -> dict[int, list[tuple[int, ...]]]:
    """Events by sample, each t, core, feature, y, x."""
    values = array.array("q")
    values.frombytes((HERE / "events.bin").read_bytes())
    if sys.byteorder == "big":
        values.byteswap()
    rows: dict[int, list[tuple[int, ...]]] = {}
    for i in range(0, len(values), 6):
        rows.setdefault(values[i], []).append(tuple(values[i + 1 : i + 6]))
    return rows


def elapsed(began: float) -> int:
    """Microseconds."""
    return int((time.monotonic() - began) * 1e6)


def wait_until(began: float, us: int) -> None:
    """Sleep until then."""
    while (left := us - elapsed(began)) > 0:
        time.sleep(max(0.001, left * 1e-6 / 2))


def write(source: Any, events: list[Any]) -> None:
    """Hand events over, a part at a time."""
    for start in range(0, len(events), CHUNK):
        source.write(events[start : start + CHUNK])


def spike(module: Any, t: int, core: int, feature: int, y: int, x: int) -> Any:
    """An event to a core."""
    event = module.event.Spike()
    event.timestamp, event.layer, event.feature, event.y, event.x = t, core, feature, y, x
    return event


def neuron(module: Any, core: int, address: int, value: int) -> Any:
    """A state to be written."""
    event = module.event.WriteNeuronValue()
    event.layer, event.address, event.neuron_state = core, address, value
    return event


def write_results(job: dict[str, Any], spikes: list[list[int]], late: int, machine: str) -> None:
    """results.zip: what ran, and the spikes as int64, little-endian."""
    values = array.array("q", [value for row in spikes for value in row])
    if sys.byteorder == "big":
        values.byteswap()
    about = {
        "format": "i2e-deploy-results", "format_version": 1, "job": job["id"], "machine": machine,
        "incidents": {"events that may have been injected late": late} if late else {},
        "arrays": {"spikes": [len(spikes), 6]},
    }  # fmt: skip
    with zipfile.ZipFile(HERE / "results.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.json", json.dumps(about, indent=1))
        archive.writestr("spikes.bin", values.tobytes())


def report(job: dict[str, Any], spikes: list[list[int]], late: int) -> None:
    """What came, beside what our simulator expects."""
    for name, core in job["monitored"].items():
        for sample, expected in enumerate(job["expected"][name]):
            found = sum(row[0] == sample and row[2] == core for row in spikes)
            print(f"layer {name}, sample {sample}: {found} spikes, expected {expected}")
    if late:
        print(f"{late} events may have been injected late")
    print(f"wrote {HERE / 'results.zip'}: send it back, and `i2e-deploy evaluate BUNDLE --target results.zip` compares")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
