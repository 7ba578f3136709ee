"""The picture of docs/dynapcnn.md: one neuron in time steps and as the asynchronous chip."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from i2e_deploy.chips.dynapcnn import CoreLayer, DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.reference.event import run_event_reference
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.injection import inject
from i2e_deploy.chips.dynapcnn.reference.spikes import Stimuli

OUT = Path(__file__).parents[1] / "docs" / "images" / "event_and_timestep.png"
#: Weights of the inputs: three push the neuron up, three hold it down.
WEIGHTS = (60, 60, 60, -50, -50, -50)


def neuron() -> DynapcnnProgram:
    """Threshold 100, lower bound -100."""
    weight = np.array(WEIGHTS, np.int8).reshape(1, 6, 1, 1)
    core = CoreLayer(
        "neuron", (Source("input"),), weight, None, (1, 1), (0, 0), 100, -100, None, "subtract", (6, 1, 1), (1, 1, 1)
    )
    return DynapcnnProgram((6, 1, 1), (core,), (Source("neuron"),))


def after_every_event(program: DynapcnnProgram, stimuli: Stimuli) -> tuple[list[int], list[int]]:
    """State after each event, and the events that made the neuron fire."""
    states, values, fired = None, [], []
    for i in range(len(stimuli)):
        run = run_event_reference(program, stimuli[i : i + 1], EventOptions(), states)
        states = run.states
        values.append(int(states["neuron"].v_mem.item()))
        if len(run.spikes["neuron"]):
            fired.append(i)
    return values, fired


def main() -> None:
    """Two steps in which all six inputs send one event each."""
    program, frames = neuron(), np.ones((2, 6, 1, 1), np.int64)
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.2), sharey=True)
    steps = [program.run(frames[None, : t + 1]).states["neuron"]["v_mem"].item() for t in range(2)]
    spikes = int(program.run(frames[None]).output.sum())
    axes[0].step([0, 6, 12], [0, *steps], where="post", color="tab:blue", marker="o")
    axes[0].set_title(f"timestep (Sinabs): {spikes} spikes")
    raster = inject(frames, EventOptions(order="raster"), ticks=False)
    mixed = raster[[0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]]
    for axis, stimuli, title in ((axes[1], raster, "raster order"), (axes[2], mixed, "mixed order")):
        values, fired = after_every_event(program, stimuli)
        axis.step(range(13), [0, *values], where="post", color="tab:orange", marker="o", ms=3)
        for i in fired:  # what it had before the reset took the threshold off
            axis.plot(i + 1, values[i] + 100, "v", color="tab:red")
            axis.annotate("fires", (i + 1, values[i] + 107), ha="center", fontsize=8, color="tab:red")
        axis.set_title(f"event, {title}: {len(fired)} spike{'s' * (len(fired) != 1)}")
    for axis in axes:
        axis.axhline(100, color="grey", ls=":", lw=1)
        axis.axhline(-100, color="grey", ls=":", lw=1)
        axis.axvline(6, color="lightgrey", lw=1)
        axis.set_xlabel("events seen (step 1 | step 2)")
    axes[0].set_ylabel("membrane state")
    axes[0].set_ylim(-115, 145)
    axes[0].annotate("threshold", (0, 104), fontsize=8, color="grey")
    axes[0].annotate("lower bound", (0, -96), fontsize=8, color="grey")
    figure.tight_layout()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
