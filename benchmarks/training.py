"""Pictures a second of a training step beside plain Sinabs, snnTorch and SpikingJelly on the demo's network.

    PYTHONPATH=FRAMEWORKS python benchmarks/training.py [--turns 7] [--threads 1 2] > benchmarks/results/training.txt

FRAMEWORKS is a folder with snntorch 1.0.0 and spikingjelly 2.0.0 (`make oracles`); one that is not there is left out.
All train the same four convolutions and linear layer with the same weights, on the same 50 event frames of digits
(8 steps, 32x32): forward, cross entropy, backward, AdamW. They take turns in one process. Sinabs' outputs are compared
with ours, and snnTorch's with SpikingJelly's, whose neurons send one spike a step at most. Three rows are no peers:

* ours in bfloat16 (`precision`);
* ours with all steps as one (`FitConfig.merged`), which neurons that only add allow: the same pictures and weights, and
  another forward pass, in which recipes of such neurons spend most of their epochs;
* torch's convolutions and linear layer alone, forward and backward on the inputs that they have in that step, each with
  the gradient that they need: what a faster pass of neurons could reach at best.

What bfloat16 costs on a CPU without instructions for it is measured by forbidding them to oneDNN, in a process each.

With one thread the times are CPU time of the process, which other programs on the machine disturb less than wall time.
On a GPU nothing is measured by this script yet.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rows import machine
from sinabs.activation import Heaviside
from sinabs.layers import IAFSqueeze
from torch import Tensor, nn

from i2e_deploy.training import Devices, GreyPictures, build_digit_network, digit_sets, running_of

BATCH, STEPS = 50, 8
PEERS = ("snntorch", "spikingjelly")
#: Of `fit`: the sum of the output spikes is multiplied by it.
SCALE = 0.25
LOUDER = 3.0
#: oneDNN's names of what it may use.
INSTRUCTIONS = {"AVX2": "AVX2", "AVX-512": "AVX512_CORE", "AVX-512 with bfloat16": "AVX512_CORE_BF16"}
Outputs = Callable[[nn.Module, Tensor], Tensor]


def ours() -> nn.Sequential:
    """The demo's network, with weights large enough that an untrained one fires in its last layer."""
    network = build_digit_network(STEPS, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.mul_(LOUDER)
    return network


def layers_with(neurons: Callable[[], nn.Module]) -> list[nn.Module]:
    """The same with other neurons."""
    return [neurons() if hasattr(layer, "spike_threshold") else layer for layer in ours()]


def plain(network: nn.Module) -> nn.Module:
    """Weights in torch's own memory order, as the others have them."""
    return network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


def sinabs() -> nn.Module:
    def neurons() -> Any:
        return IAFSqueeze(num_timesteps=STEPS, min_v_mem=-1.0, surrogate_grad_fn=Heaviside(window=1.0))

    return plain(nn.Sequential(*layers_with(neurons)))


def snntorch() -> nn.Module:
    """States inside, called a step at a time, as in snnTorch's tutorials."""
    import snntorch
    from snntorch import surrogate

    make = partial(snntorch.Leaky, beta=1.0, init_hidden=True, spike_grad=surrogate.atan())
    return plain(nn.Sequential(*layers_with(make)))


def spikingjelly() -> nn.Module:
    from spikingjelly.activation_based import functional, neuron, surrogate

    make = partial(neuron.IFNode, v_threshold=1.0, v_reset=None, surrogate_function=surrogate.ATan(), step_mode="m")

    class Net(nn.Module):
        """Stateless layers on all steps at once, neurons in multi-step mode (backend torch), as its users write it."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(plain(layer) for layer in layers_with(make))

        def forward(self, frames: Tensor) -> Tensor:
            x = frames
            for layer in self.layers:
                whole = hasattr(layer, "step_mode")
                x = layer(x) if whole else functional.seq_to_ann_forward(x, layer)
            return x

    return Net()


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "i2e_deploy": ours, "Sinabs": sinabs, "snnTorch": snntorch, "SpikingJelly": spikingjelly,
}  # fmt: skip


def found() -> dict[str, Callable[[], nn.Module]]:
    return {n: b for n, b in BUILDERS.items() if n in ("i2e_deploy", "Sinabs") or find_spec(n.lower())}


class Trainee:
    """A network with its optimiser, and how it runs."""

    def __init__(self, build: Callable[[], nn.Module], precision: str = "float32", merged: bool = False) -> None:
        self.network, self.precision, self.merged = build().train(), precision, merged
        self.outputs = running_of(self.network).outputs
        weights = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(weights, 1e-4)

    def step(self, frames: Tensor, labels: Tensor) -> None:
        """What a training step is, from frames to moved weights; `merged`: with all steps as one."""
        if self.merged:
            frames = frames.sum(1, keepdim=True)
        with Devices().precise(self.precision):
            outputs = self.outputs(self.network, frames).float()
        loss = F.cross_entropy(SCALE * outputs.sum(1), labels)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()


class Bare:
    """The layers with weights of a step, alone: no neurons, no loss, no optimiser."""

    def __init__(self, frames: Tensor) -> None:
        network, self.parts = ours(), list[tuple[nn.Module, Tensor, Tensor]]()
        weighted = [layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear)]
        hooks = [layer.register_forward_hook(self._keep) for layer in weighted]
        running_of(network).outputs(network, frames)
        for hook in hooks:
            hook.remove()

    def _keep(self, layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        generator = torch.Generator().manual_seed(len(self.parts))
        gradient = torch.empty_like(output).normal_(generator=generator)
        first = not self.parts  # frames need no gradient
        self.parts.append((layer, given[0].detach().clone().requires_grad_(not first), gradient))

    def step(self, frames: Tensor, labels: Tensor) -> None:
        """Forward and backward."""
        for layer, given, gradient in self.parts:
            layer(given).backward(gradient)
            for tensor in (given, *layer.parameters()):
                tensor.grad = None


def batch() -> tuple[Tensor, Tensor]:
    (images, labels), _ = digit_sets(0, BATCH, 1)
    made = GreyPictures(images, labels).batch(np.arange(BATCH), 0)
    return torch.from_numpy(made.frames).float(), torch.from_numpy(labels)


@torch.no_grad()
def compare(trainees: dict[str, Trainee], frames: Tensor) -> str:
    """Raise AssertionError unless networks with the same neurons send the same."""
    sent = {name: trainee.outputs(trainee.network, frames) for name, trainee in trainees.items()}
    assert sent["i2e_deploy"].sum() > 0
    differ = float((sent["i2e_deploy"] != sent["Sinabs"]).float().mean())
    assert differ < 0.01, differ  # convolutions in another memory order round otherwise
    said = f"outputs that differ: Sinabs {100 * differ:.2f} %"
    if {"snnTorch", "SpikingJelly"} <= set(sent):
        other = float((sent["snnTorch"] != sent["SpikingJelly"]).float().mean())
        assert other < 0.01, other
        said += f", snnTorch from SpikingJelly {100 * other:.2f} %"
    return said


def seconds(
    trainees: dict[str, Trainee | Bare], frames: Tensor, labels: Tensor, turns: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Of a step, turn by turn."""
    times: dict[str, list[float]] = {name: [] for name in trainees}
    for trainee in trainees.values():
        trainee.step(frames, labels)  # compiled, and memory touched, before anything is timed
    for _ in range(turns):
        for name, trainee in trainees.items():
            began = clock()
            trainee.step(frames, labels)
            times[name].append(clock() - began)
    return times


def in_bfloat16(turns: int) -> str:
    """Milliseconds of a step in float32 and in bfloat16, medians of CPU time on one thread."""
    torch.set_num_threads(1)
    frames, labels = batch()
    rows: dict[str, Trainee | Bare] = {name: Trainee(ours, name) for name in ("float32", "bfloat16")}
    times = seconds(rows, frames, labels, turns, time.process_time)
    plain, half = (1e3 * float(np.median(times[name])) for name in rows)
    return f"{plain:14.1f}{half:14.1f}{half / plain:14.2f} x"


def by_instructions(turns: int) -> None:
    """Print `in_bfloat16` for each set of instructions, each in a process of its own."""
    print(f"\nours, {'':25}ms in float32   in bfloat16   takes as long")
    for name, known in INSTRUCTIONS.items():
        told = [sys.executable, __file__, "--only-bfloat16", "--turns", str(turns)]
        limited = {**os.environ, "ONEDNN_MAX_CPU_ISA": known}
        done = subprocess.run(told, env=limited, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # itself
        print(f"oneDNN with {name:22}{done.stdout.rstrip()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--only-bfloat16", action="store_true", help="one line: float32 and bfloat16, ms")
    given = parser.parse_args()
    if given.only_bfloat16:
        print(in_bfloat16(given.turns))
        return
    print(", ".join([machine(), *(f"{name} {version(name)}" for name in ("sinabs", *PEERS) if find_spec(name))]))
    frames, labels = batch()
    trainees = {name: Trainee(build) for name, build in found().items()}
    print(f"load of the machine before it: {os.getloadavg()[0]:.1f} (0 would be quiet)")
    print(f"a training step on {BATCH} pictures of {STEPS} steps, 32x32; {given.turns} turns, best and median")
    print(compare(trainees, frames))
    rows: dict[str, Trainee | Bare] = {**trainees, "ours in bfloat16": Trainee(ours, "bfloat16")}
    rows["ours, steps merged"] = Trainee(ours, merged=True)
    rows["convolutions alone"] = Bare(frames)
    for threads in given.threads:
        torch.set_num_threads(threads)
        clock = time.process_time if threads == 1 else time.perf_counter
        times = seconds(rows, frames, labels, given.turns, clock)
        print(f"\n{'CPU time' if threads == 1 else 'wall time'}")
        print(f"{threads} thread(s){'':12}ms best   ms median   pictures/s (median)   ours is faster (median)")
        for name, found_times in times.items():
            middle = float(np.median(found_times))
            ratio = middle / float(np.median(times["i2e_deploy"]))
            print(f"{name:22}{1e3 * min(found_times):9.1f}{1e3 * middle:12.1f}{BATCH / middle:19.0f}{ratio:22.2f} x")
    by_instructions(given.turns)
    print("\nGPU (fused neurons against Sinabs and SpikingJelly's CuPy and Triton back ends): unmeasured")


if __name__ == "__main__":
    main()
