"""SLAYER beside our program for each case of docs/loihi2.md. Prints one line of JSON; run in a process of its own."""

from __future__ import annotations

import json
import warnings
from importlib import import_module
from typing import Any

import numpy as np
import torch
from lava_child import run_and_exit

from i2e_deploy.chips.loihi2 import from_slayer
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.lava_shim import import_lava

STEPS, NEURON = 30, {"threshold": 1.0, "current_decay": 0.25, "voltage_decay": 0.1}


def spikes_of(network: Any, frames: Any) -> list[Any]:
    """What each block with neurons gives, [T, ...]: frames [C, H, W, T] or [N, T]."""
    x, found = torch.from_numpy(frames)[None].float(), []

    def keep(_block: Any, _inputs: Any, output: Any) -> None:
        found.append(np.moveaxis(output[0].detach().numpy(), -1, 0))

    network.eval()
    hooks = [block.register_forward_hook(keep) for block in network.modules() if hasattr(block, "neuron")]
    with torch.no_grad():
        if isinstance(network, torch.nn.ModuleList):
            for block in network:
                x = block(x)
        else:
            network(x)
    for hook in hooks:
        hook.remove()
    return found


def mismatches(blocks: Any, frames: Any, shift: int = 0, reset: str = "", **options: Any) -> dict[str, Any]:
    """Differing messages by layer, and how many SLAYER sends; layer j is compared `j * shift` steps later."""
    slayer = spikes_of(blocks, frames)
    shape = frames.shape[:-1]
    network = from_slayer(blocks, input_shape=shape if len(shape) == 3 else None, **options)
    if reset:
        network = network.with_reset(10 * STEPS, 1, staggered=reset == "staggered")
    inputs = np.moveaxis(frames, -1, 0)[None].astype(np.int64)
    trace = LoihiProgram(network).run(inputs)
    wrong = []
    for j, (ours, theirs) in enumerate(zip(trace.spikes.values(), slayer, strict=True)):
        late = j * shift
        a, b = ours[0][late:].reshape(STEPS - late, -1), theirs[: STEPS - late].reshape(STEPS - late, -1)
        wrong.append(int((a != np.round(b * options.get("scale", 1))).sum()))
    return {"wrong": wrong, "sent": [int((s != 0).sum()) for s in slayer], "network": network}


def cuba(rng: np.random.Generator, norm: Any = None, **neuron: Any) -> tuple[Any, Any]:
    """Convolution and two dense layers, and frames."""
    block = import_module("lava.lib.dl.slayer").block.cuba
    parameters = {**NEURON, **neuron, **({"norm": norm} if norm else {})}
    blocks = torch.nn.ModuleList([
        block.Conv(parameters, 2, 4, 3, stride=2, padding=1, weight_scale=3, weight_norm=not norm),
        block.Flatten(),
        block.Dense(parameters, 48, 16, weight_scale=3, weight_norm=not norm),
        block.Dense(parameters, 16, 5, weight_scale=4),
    ])  # fmt: skip
    frames = (rng.random((2, 8, 6, STEPS)) < 0.3).astype(np.float32)
    x = torch.from_numpy(frames)[None]
    for _ in range(3 if norm else 1):  # batch norm learns its means in training mode
        y = x
        for part in blocks:
            y = part(y)
    return blocks, frames


def dense(kind: str, rng: np.random.Generator, own_decays: bool = False, **options: Any) -> tuple[Any, Any]:
    """Two dense layers of one kind, and frames."""
    block = import_module("lava.lib.dl.slayer").block.cuba
    make = getattr(block, kind)
    neuron = {**NEURON, "shared_param": not own_decays}
    blocks: Any = torch.nn.ModuleList(
        [make(neuron, 12, 16, weight_scale=3, **options), block.Dense(NEURON, 16, 6, weight_scale=3)]
    )
    frames = (rng.random((12, STEPS)) < 0.3).astype(np.float32)
    x = torch.from_numpy(frames)[None]
    if own_decays:
        blocks[0](x)
        blocks[0].neuron.current_decay.data = torch.from_numpy(rng.integers(0, 4096, 16)).float()
        blocks[0].neuron.voltage_decay.data = torch.from_numpy(rng.integers(0, 4096, 16)).float()
    for part in blocks:
        if getattr(part, "delay", None) is not None:
            part(torch.zeros(1, 12, STEPS))
            part.delay.delay.data = torch.from_numpy(rng.integers(0, 9, part.delay.delay.shape)).float()
        x = part(x)
    for part in blocks:
        for name in ("current_state", "voltage_state"):
            if hasattr(part.neuron, name):
                getattr(part.neuron, name).zero_()
        if hasattr(part, "spike_state"):
            part.spike_state.zero_()
    return blocks, frames


class Residual(torch.nn.Module):
    """Two convolutions, one of them skipped by a sum; two branches that a dense layer takes the sum of; pooling."""

    def __init__(self) -> None:
        super().__init__()
        block = import_module("lava.lib.dl.slayer").block.cuba
        self.first = block.Conv(NEURON, 2, 4, 3, padding=1, weight_scale=3)
        self.second = block.Conv(NEURON, 4, 4, 3, padding=1, weight_scale=3)
        self.pool = block.Pool({**NEURON, "threshold": 0.5}, 2, weight_scale=30)
        self.flat = block.Flatten()
        self.left = block.Dense(NEURON, 48, 12, weight_scale=3)
        self.right = block.Dense(NEURON, 48, 12, weight_scale=3)
        self.last = block.Dense(NEURON, 12, 5, weight_scale=4)

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        x = self.flat(self.pool(x + self.second(x)))
        return self.last(self.left(x) + self.right(x))


def residual(rng: np.random.Generator) -> tuple[Any, Any]:
    network, frames = Residual(), (rng.random((2, 8, 6, STEPS)) < 0.3).astype(np.float32)
    network(torch.from_numpy(frames)[None])
    return network, frames


def sigma_delta(rng: np.random.Generator) -> tuple[Any, Any]:
    """Input, two layers and an output of Sigma-Delta neurons; inputs on the grid of 2/64."""
    block = import_module("lava.lib.dl.slayer").block.sigma_delta
    parameters = {"threshold": 0.1, "tau_grad": 0.1, "scale_grad": 1, "requires_grad": False, "shared_param": True,
                  "activation": torch.nn.functional.relu}  # fmt: skip
    blocks = torch.nn.ModuleList([
        block.Input({**parameters, "threshold": 0.0}),
        block.Dense(parameters, 10, 14, weight_scale=2, weight_norm=True),
        block.Dense(parameters, 14, 6, weight_scale=2, weight_norm=True),
        block.Output(parameters, 6, 3, weight_scale=2),
    ])  # fmt: skip
    frames = (2 * rng.integers(-20, 20, (10, STEPS)) / 64).astype(np.float32)
    x = torch.from_numpy(frames)[None]
    for part in blocks:
        x = part(x)
    return blocks, frames


def main() -> None:
    warnings.simplefilter("ignore")
    import_lava()
    torch.manual_seed(3)
    rng = np.random.default_rng(3)
    norm = import_module("lava.lib.dl.slayer").neuron.norm.MeanOnlyBatchNorm
    found: dict[str, Any] = {
        "cuba": mismatches(*cuba(rng)),
        "channel decays": mismatches(*dense("Dense", rng, own_decays=True)),
        "delays": mismatches(*dense("Dense", rng, delay=True)),
        "recurrent": mismatches(*dense("Recurrent", rng)),
    }
    biased = cuba(rng, norm, threshold=2.0)
    for reset in ("", "staggered", "together"):
        found[f"bias, reset {reset or 'none'}"] = mismatches(*biased, reset=reset)
    found["bias above threshold"] = mismatches(*cuba(rng, norm, threshold=0.5), reset="together")
    found["sigma-delta"] = sdnn(*sigma_delta(rng))
    found["residual sums, branches, pooling"] = mismatches(*residual(rng))
    for case in found.values():
        blocks = case.pop("network").blocks
        case["eager"] = [int((b.bias > b.neuron.threshold).sum()) if b.bias is not None else 0 for b in blocks]
    print(json.dumps(found), flush=True)


def sdnn(blocks: Any, frames: Any) -> dict[str, Any]:
    """Messages in units of 2^-12 (weights) on our side; SLAYER's are floats."""
    slayer = spikes_of(blocks, frames)
    network = from_slayer(blocks)
    trace = LoihiProgram(network).run(np.round(np.moveaxis(frames, -1, 0)[None] * 64).astype(np.int64))
    wrong = []
    for j, (ours, theirs) in enumerate(zip(trace.spikes.values(), slayer, strict=True)):
        late = j
        scale = 64 * 64 if j < len(slayer) - 1 else 64 * 64 * 64
        wrong.append(int((ours[0][late:] != np.round(theirs[: STEPS - late] * scale)).sum()))
    return {"wrong": wrong, "sent": [int((s != 0).sum()) for s in slayer], "network": network}


if __name__ == "__main__":
    run_and_exit(main)
