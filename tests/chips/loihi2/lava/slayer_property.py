"""Read drawn SLAYER modules and compare them with SLAYER: `... FIRST COUNT`. Prints one line of JSON.

For each module one of: `equal` to the module's own forward on frames that the reader has not seen, `refused` with its
reason, `doubtful` (differs, and a doubtful note says why), `wrong` (differs in silence). Run in a process of its own.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
import warnings
from collections import Counter
from typing import Any

import numpy as np
import torch
from slayer_draws import Drawn, drawn

from i2e_deploy.chips.loihi2 import from_slayer
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.errors import I2EDeployError
from i2e_deploy.lava_shim import import_lava

STEPS = 16


def frames_of(case: Drawn, rng: np.random.Generator) -> Any:
    """[B, T, ...]: events, in one of ten cases counts; Sigma-Delta: on the grid of 2/64."""
    size = (2, STEPS, *case.shape)
    if case.sigma_delta:
        return (2 * rng.integers(-24, 24, size) / 64 * (rng.random(size) < 0.4)).astype(np.float32)
    return (rng.random(size) < 0.4).astype(np.float32) * (rng.integers(1, 4, size) if rng.random() < 0.1 else 1)


def fresh(module: Any) -> list[Any]:
    """All parts, in a fresh state; returns what was there."""
    parts = [part for block in (module if isinstance(module, list) else [module]) for part in block.modules()]
    for part in parts:
        part.eval()
        for name, value in part._buffers.items():
            if name.endswith("_state") and value is not None:
                part._buffers[name] = torch.zeros_like(value)
        if hasattr(part, "delay_buffer"):
            part.delay_buffer = None
    return parts


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
    return np.moveaxis(x.double().numpy(), -1, 1).reshape(len(frames), STEPS, -1) if x.ndim > 2 else None


def agrees(network: Any, module: Any, case: Drawn, frames: Any) -> bool:
    """Whether the program gives what the module gives, with the lateness that its notes say."""
    wanted = own_output(module, frames)
    if wanted is None:
        return False
    late = 0
    for note in network.notes:
        if found := re.match(r"outputs come (\d+) steps? (later|earlier)", note.text):
            late = int(found[1]) * (1 if found[2] == "later" else -1)
    blocks = module if isinstance(module, list) else list(module.modules())
    kinds = [type(block).__name__ for block in blocks if type(block).__module__.startswith("lava.lib.dl.slayer.block")]
    first = next((b for b in blocks if type(b).__name__ == "Input" and getattr(b, "neuron", None) is not None), None)
    scaled = np.rint(frames * (first.neuron.w_scale if first is not None else 1)).astype(np.int64)
    padded = np.concatenate([scaled, np.zeros((2, max(late, 0), *case.shape), np.int64)], axis=1)
    trace = LoihiProgram(network).run(padded)
    if "Affine" in kinds:
        affine = next(b for b in blocks if type(b).__name__ == "Affine")
        end = wanted[:, -1] if affine.dynamics else wanted.sum(1)
        ours = trace.states[network.blocks[-1].name]["v"].reshape(2, -1)
        return bool((ours == end * 4096).all())
    unit = 4096 * (64 if "Output" in kinds else 1) if case.sigma_delta else 1
    ours = trace.output[:, late:] if late >= 0 else np.pad(trace.output, ((0, 0), (-late, 0), (0, 0)))[:, :STEPS]
    return ours.shape == wanted.shape and bool((ours == wanted * unit).all())


def reason(error: Exception) -> str:
    """The message without what is drawn."""
    text = re.sub(r"block \d+ \(\w+\)[^:]*: ", "", str(error))
    return re.sub(r"[-\d.]+|'[^']*'|\[[^]]*\]|\([^)]*\)", "#", text.split(" | ")[0])[:70]


def verdict(seed: int, example: bool) -> tuple[str, str, Any]:
    """One of the four, its reason or the way of the module, and how long the judge took beside one forward."""
    case, rng = drawn(seed), np.random.default_rng(seed + 10**6)
    options: dict[str, Any] = {"reset_interval": 3 * STEPS} if rng.random() < 0.8 else {}
    first = frames_of(case, rng)
    options |= {"example": first} if example else {"input_shape": case.shape}
    before = time.perf_counter()
    try:
        network = from_slayer(case.module, **options)
    except I2EDeployError as error:
        return "refused", reason(error), None
    took = time.perf_counter() - before
    before = time.perf_counter()
    equal = agrees(network, case.module, case, frames_of(case, rng) if case.sigma_delta else (first > 0) * 1.0)
    ratio = took / (time.perf_counter() - before)
    if equal:
        return "equal", case.what, ratio
    doubts = [note.text[:60] for note in network.notes if note.doubtful]
    return ("doubtful", doubts[0], None) if doubts else ("wrong", f"{seed} {case.what}", None)


def main(first: int, count: int) -> None:
    warnings.simplefilter("ignore")
    import_lava()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for example in (True, False):
        verdicts = [verdict(seed, example) for seed in range(first, first + count)]
        kinds: dict[str, Any] = {}
        for kind in ("equal", "doubtful", "refused", "wrong"):
            kinds[kind] = dict(Counter(text for name, text, _ in verdicts if name == kind).most_common())
        kinds["ratio"] = float(np.median([ratio for _, _, ratio in verdicts if ratio is not None]))
        found["with example" if example else "without"] = kinds
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    code = 1
    try:
        main(int(sys.argv[1]), int(sys.argv[2]))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
