"""Read drawn SLAYER modules and compare them with SLAYER: `... FIRST COUNT`. Prints one line of JSON.

For each module one of: `equal` to the module's own forward on frames that the reader has not seen, `refused` with its
reason, `doubtful` (differs, and a doubtful note says why), `wrong` (differs in silence). Run in a process of its own.
"""

from __future__ import annotations

import json
import re
import sys
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np
import torch
from lava_child import run_and_exit
from slayer_beside import STEPS, agrees, frames_of
from slayer_draws import drawn

from i2e_deploy.chips.loihi2 import from_slayer
from i2e_deploy.errors import I2EDeployError
from i2e_deploy.lava_shim import import_lava


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
    equal = agrees(network, case, frames_of(case, rng) if case.sigma_delta else (first > 0) * 1.0)
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
    run_and_exit(lambda: main(int(sys.argv[1]), int(sys.argv[2])))
