"""A job for a Speck board that is elsewhere: samna's configuration and events as plain files, and the script.

config.json    `formats.config`, with the spikes of the output layers sent out
events.bin     int64, little-endian, rows of sample, t, core, feature, y, x: what the host sends, in order of time

Sensor, event filter and readout are done here, as `run` does them. We had no board: unverified on silicon.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.checks.placement import place
from i2e_deploy.chips.dynapcnn.engine.event.run import core_inputs
from i2e_deploy.chips.dynapcnn.engine.run import run_as_events
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.targets.board.arrivals import CORE_EVENT, CoreEvents
from i2e_deploy.chips.dynapcnn.targets.board.link import CHIPS
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.chips.dynapcnn.targets.board.results import trace_of
from i2e_deploy.chips.dynapcnn.targets.board.run import bare_of, input_layers, to_send
from i2e_deploy.chips.dynapcnn.targets.board.sample_stream import addresses, starts
from i2e_deploy.chips.dynapcnn.targets.board.setup import monitored, slow_clock_hz
from i2e_deploy.chips.jobs import Job, Returned
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import CheckFailed, FileFormatError, UnsupportedError
from i2e_deploy.events import Events

SCRIPT = Path(__file__).with_name("job_script.py")
#: Columns of a row of events and of spikes.
ROW = ("sample", *(CORE_EVENT.names or ()))
#: Longest recording of a job: the script does not follow the stop watch across its wrap, 71 minutes.
LONGEST_US = 2**31


def make_job(
    program: CoreNetwork, chip: str, given: Integers | Events, options: BoardOptions, cores: Mapping[str, int] | None
) -> Job:
    """See `MakesJobs.job`.

    Raises:
        UnsupportedError: no board of that chip is known, a sample of more than 35 minutes, or see `run_board`.
        CheckFailed: the program does not fit.
    """
    if chip not in CHIPS:
        raise UnsupportedError(f"{chip}: jobs are for boards of {' and '.join(CHIPS)}; export for one of these")
    cores = _cores(program, chip) if cores is None else dict(cores)
    watched = monitored(program, options)
    config = build_config(bare_of(program), cores, chip, watched)
    config["dvs_layer"] |= {"pass_sensor_events": False, "raw_monitor_enable": False}
    sent, ends = [], []
    for stimuli, steps in core_inputs(program, given, options.events, ticks=False):
        sent.append(to_send(program, stimuli, cores, options))
        ends.append(options.lead_us + steps * options.events.step_us)
    if max(ends) > LONGEST_US:
        raise UnsupportedError(f"a sample lasts {max(ends) / 6e7:.0f} minutes: a job takes up to 35; cut the recording")
    about = {
        "samples": len(sent),
        "lead_us": options.lead_us,
        "end_us": ends,
        "ahead_us": options.ahead_us,
        "cores": cores,
        "monitored": {name: cores[name] for name in watched},
        "input_cores": sorted(cores[name] for name in input_layers(program)),
        "addresses": {str(cores[layer.name]): len(addresses(layer)) for layer in program.layers},
        "start": [[cores[layer.name], a, v] for layer in program.layers for a, v in starts(layer).items()],
        "slow_clock_hz": slow_clock_hz(options.events.step_us, "the biases") if program.has_bias else None,
        "expected": _expected(program, given, options, watched),
    }
    files = {"config.json": json.dumps(config, separators=(",", ":")).encode(), "events.bin": _rows(sent)}
    title = f"samna 0.46 and a {chip.capitalize()} board"
    return Job(SCRIPT.read_text(encoding="utf-8"), files, about, title)


def job_trace(program: CoreNetwork, returned: Returned, job: Job, options: BoardOptions) -> Trace:
    """See `MakesJobs.trace_of_job`.

    Raises:
        FileFormatError: no rows of spikes, or of samples that the job does not have.
    """
    samples, lead_us = int(job.about["samples"]), int(job.about["lead_us"])
    rows = returned.arrays.get("spikes")
    if rows is None or rows.ndim != 2 or rows.shape[1] != len(ROW):
        raise FileFormatError(f"the results hold no spikes: rows of {', '.join(ROW)}")
    inside = (rows[:, 0] >= 0) & (rows[:, 0] < samples) & (np.abs(rows[:, 1:]) < 2**31).all(axis=1)
    if not inside.all():
        raise FileFormatError(f"the results hold spikes of samples that the job does not have, or beyond 32 bits: "
                              f"row {int(np.argmin(inside))}")  # fmt: skip
    received = [_events(rows[rows[:, 0] == sample]) for sample in range(samples)]
    steps = (int(job.about["end_us"][0]) - lead_us) // options.events.step_us
    return trace_of(
        program, received, [], steps, dict(job.about["monitored"]), Counter(returned.incidents), options, lead_us
    )


def _cores(program: CoreNetwork, chip: str) -> dict[str, int]:
    slots, without = place(program.layers, load_profile(chip))
    if without:
        raise CheckFailed(f"the program does not fit {chip}: no cores for {', '.join(without)}")
    return {slot.layer: slot.core for slot in slots}


def _expected(
    program: CoreNetwork, given: Integers | Events, options: BoardOptions, watched: tuple[str, ...]
) -> dict[str, list[int]]:
    """Spikes of every monitored layer, sample by sample, from our simulator in event semantics."""
    trace = run_as_events(program, given, options=options.events)
    assert trace.events is not None
    samples = len(trace.output)
    return {name: np.bincount(trace.events[name]["sample"], minlength=samples).tolist() for name in watched}


def _rows(sent: list[CoreEvents]) -> bytes:
    parts = []
    for sample, events in enumerate(sent):
        part = np.empty((len(events), len(ROW)), "<i8")
        part[:, 0] = sample
        for column, name in enumerate(ROW[1:], start=1):
            part[:, column] = events[name]
        parts.append(part)
    return bytes(np.concatenate(parts).tobytes())


def _events(rows: Integers) -> Any:
    events = np.empty(len(rows), CORE_EVENT)
    for column, name in enumerate(ROW[1:], start=1):
        events[name] = rows[:, column]
    return events
