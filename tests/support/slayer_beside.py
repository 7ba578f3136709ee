"""A SLAYER module's own forward beside the program that was read from it, by other means than the reader's judge."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from slayer_draws import Drawn

from i2e_deploy.chips.loihi2.program import Sigma
from i2e_deploy.chips.loihi2.runnable import LoihiProgram

STEPS = 16


def frames_of(case: Drawn, rng: np.random.Generator) -> Any:
    """[B, T, ...]: events, in one of ten cases counts; Sigma-Delta: on the grid of 2/64."""
    size = (2, STEPS, *case.shape)
    if case.sigma_delta:
        return (2 * rng.integers(-24, 24, size) / 64 * (rng.random(size) < 0.4)).astype(np.float32)
    return (rng.random(size) < 0.4).astype(np.float32) * (rng.integers(1, 4, size) if rng.random() < 0.1 else 1)


def fresh(module: Any) -> None:
    """Evaluation mode and a fresh state."""
    for part in parts_of(module):
        part.eval()
        for name, value in part._buffers.items():
            if name.endswith("_state") and value is not None:
                part._buffers[name] = torch.zeros_like(value)
        if hasattr(part, "delay_buffer"):
            part.delay_buffer = None


def parts_of(module: Any) -> list[Any]:
    return [part for block in (module if isinstance(module, list) else [module]) for part in block.modules()]


def own_output(module: Any, frames: Any) -> Any:
    """What the module's forward returns, or the first value of it: [B, T, N]; None: something of another form."""
    fresh(module)
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(frames, 1, -1))).float()
    with torch.no_grad():
        if isinstance(module, list):
            for block in module:
                x = block(x)
        else:
            x = module(x)
    x = x[0] if isinstance(x, tuple) else x
    return np.moveaxis(x.double().numpy(), -1, 1).reshape(*frames.shape[:2], -1) if x.ndim > 2 else None


def program_output(network: Any, case: Drawn, frames: Any) -> Any:
    """The program's, at the steps of SLAYER's, in SLAYER's numbers; of an Affine block the voltage after all steps."""
    blocks = [part for part in parts_of(case.module) if type(part).__module__.startswith("lava.lib.dl.slayer.block")]
    first = next((b for b in blocks if type(b).__name__ == "Input" and getattr(b, "neuron", None) is not None), None)
    scaled = np.rint(frames * (first.neuron.w_scale if first is not None else 1)).astype(np.int64)
    late, steps = lateness(network), frames.shape[1]
    trace = LoihiProgram(network).run(np.concatenate([scaled, np.zeros_like(scaled[:, :1].repeat(max(late, 0), 1))], 1))
    affine = next((block for block in blocks if type(block).__name__ == "Affine"), None)
    if affine is not None and getattr(network.blocks[-1].neuron, "threshold", 0) >= 2**17:  # the one that never fires
        return trace.states[network.blocks[-1].name]["v"].reshape(len(frames), -1) / affine.neuron.s_scale
    summed = isinstance(network.blocks[-1].neuron, Sigma)
    unit = 4096 * (64 if summed else 1) if case.sigma_delta else 1
    return np.pad(trace.output, ((0, 0), (max(-late, 0), 0), (0, 0)))[:, max(late, 0) :][:, :steps] / unit


def lateness(network: Any) -> int:
    """As the network's notes say it."""
    for note in network.notes:
        if found := re.match(r"outputs come (\d+) steps? (later|earlier)", note.text):
            return int(found[1]) * (1 if found[2] == "later" else -1)
    return 0


def agrees(network: Any, case: Drawn, frames: Any) -> bool:
    """Whether the program gives what the module gives."""
    wanted, ours = own_output(case.module, frames), program_output(network, case, frames)
    if wanted is not None and ours.ndim == 2:
        affine = next(part for part in parts_of(case.module) if type(part).__name__ == "Affine")
        wanted = wanted[:, -1] if affine.dynamics else wanted.sum(1)
    return wanted is not None and ours.shape == wanted.shape and bool((ours == wanted).all())
