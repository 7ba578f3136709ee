"""A network in Norse, trained on the demo's digits as its tutorials do: its own forward beside the float run.

Needs norse. Run: `python benchmarks/digits_norse.py [OUT.safetensors]`. With OUT it writes the network that was read.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import i2e_deploy as i2e
from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.training.digit_data import SIZE, digit_sets

snn: Any = import_module("norse.torch")
EPOCHS, BATCH, RATE = 6, 50, 3e-3


def model() -> Any:
    """Two convolutions, a readout that integrates; a step lasts 1 ms, as Norse has it."""
    p = snn.LIFParameters(
        tau_mem_inv=torch.tensor(300.0), tau_syn_inv=torch.tensor(500.0), v_th=torch.tensor(0.3), alpha=100.0
    )
    return snn.SequentialState(
        nn.Conv2d(2, 8, 5, stride=2, padding=2),
        snn.LIFCell(p),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        snn.LIFCell(p),
        nn.Flatten(),
        nn.Linear(16 * (SIZE // 4) ** 2, 10),
        snn.LICell(),
    )


def voltages(net: nn.Module, frames: Tensor) -> Tensor:
    """What the readout gives in each step, [B, T, 10], of frames [B, T, 2, H, W]."""
    state, found = None, []
    for step in frames.unbind(1):
        out, state = net(step, state)
        found.append(out)
    return torch.stack(found, dim=1)


def main() -> None:
    torch.manual_seed(0)
    (pictures, labels), (test, truth) = digit_sets()
    frames = i2e_torch(torch.from_numpy(pictures)[:, None], RATIO["mnist"]).float()
    targets, net = torch.from_numpy(labels), model()
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    for epoch in range(EPOCHS):
        total = 0.0
        for chosen in torch.split(torch.randperm(len(frames)), BATCH):
            loss = F.cross_entropy(voltages(net, frames[chosen]).sum(1) * 4, targets[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += float(loss.detach()) * len(chosen)
        print(f"epoch {epoch + 1}: loss {total / len(frames):.3f}", flush=True)

    with torch.no_grad():
        own = torch.cat([voltages(net.eval(), part) for part in torch.split(torch.from_numpy(test).float(), 100)]).sum(
            1
        )
    network = i2e.network.from_norse(net, (2, SIZE, SIZE), example=test[:20])
    outputs = np.concatenate([network.run(test[i : i + 100], keep=()).output for i in range(0, len(test), 100)])
    theirs, ours = own.argmax(1).numpy(), outputs.sum(axis=1).argmax(axis=1)
    print(network.summary())
    print(network.notes[-1].text)
    print(
        f"{len(truth)} test digits: {100 * (theirs == truth).mean():.1f} % in Norse's own forward, "
        f"{100 * (ours == truth).mean():.1f} % in the float run; decisions that differ: {int((theirs != ours).sum())}"
    )
    if len(sys.argv) > 1:
        i2e.network.write(network, sys.argv[1])


if __name__ == "__main__":
    main()
