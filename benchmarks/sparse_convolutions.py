"""Would a training step be faster if convolutions went from spike to spike? An experiment: the package has none of it.

    python benchmarks/sparse_convolutions.py [--turns 7] > benchmarks/results/sparse_convolutions.txt

Forward: each spike adds its columns of the weights to the output. Gradient of the weights: each spike adds the
gradient around it. The gradient of the inputs has no zeros to leave out, as it comes back through all steps. Beside
torch's own (oneDNN, channels last) on drawn spikes of several densities, with the demo's shapes and two of the recipe
`medium`, and in a whole step of the demo's network, whose weights are scaled until it is as busy as a trained one.
Also: gradients of inputs of strided convolutions by four small kernels, and numbers too small for float32's exponent
taken as 0. One thread, CPU time. Outputs and gradients are compared with torch's before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import training
from numpy.typing import NDArray
from rows import machine
from sparse_kernels import columns_of, scatter, spikes_of, weight_gradient
from torch import Tensor, nn
from torch.nn import functional as F
from training import Trainee, batch, ours, seconds

IMAGES = 400
#: Inputs, outputs, kernel, stride, padding, side.
SHAPES = {
    "demo 1": (2, 8, 5, 2, 2, 32), "demo 2": (8, 32, 3, 2, 1, 16), "demo 3": (32, 32, 3, 1, 1, 8),
    "demo 4": (32, 64, 3, 2, 1, 8), "medium 2": (16, 32, 3, 2, 1, 24), "medium 3": (32, 64, 3, 2, 1, 12),
}  # fmt: skip
DENSITIES = (0.03, 0.07, 0.2)
#: Makes the demo's untrained network as busy as a trained one: 4 to 12 % of its neurons send in a step.
BUSY = 1.3
Floats = NDArray[np.float32]


class Shape:
    """Where the spikes of one layer go: tables for `scatter` and `weight_gradient`."""

    def __init__(self, layer: nn.Conv2d, height: int, width: int) -> None:
        self.stride, self.kernel, padding = layer.stride[0], layer.kernel_size[0], int(layer.padding[0])
        self.size = tuple((side + 2 * padding - self.kernel) // self.stride + 1 for side in (height, width))
        self.outputs = layer.out_channels
        taps = -(-self.kernel // self.stride)
        rows, self.line = (
            max((side - 1 + padding) // self.stride, out - 1) + taps
            for side, out in zip((height, width), self.size, strict=True)
        )
        self.margin, self.whole = taps - 1, rows * self.line * self.outputs
        numbers = (layer.in_channels, self.outputs, self.stride, padding, self.kernel, taps, self.line)
        self.columns: Any = columns_of(height * width * layer.in_channels, width, *numbers)

    def flat(self, weight: Tensor) -> Floats:
        """Weights [O, I, K, K] by the phase of the stride, then input, row, column (backwards) and output."""
        s = self.stride
        phases = [weight[:, :, y::s, x::s].flip(3).permute(1, 2, 3, 0).reshape(-1) for y in range(s) for x in range(s)]
        return torch.cat(phases).numpy()

    def unflat(self, flat: Floats, like: Tensor) -> Tensor:
        """The opposite of `flat`."""
        found, at, s = torch.empty_like(like), 0, self.stride
        for y in range(s):
            for x in range(s):
                phase = found[:, :, y::s, x::s].permute(1, 2, 3, 0)
                values = torch.from_numpy(flat[at : at + phase.numel()]).view(phase.shape)
                found[:, :, y::s, x::s] = values.permute(3, 0, 1, 2).flip(3)
                at += phase.numel()
        return found

    def forward(self, given: Tensor, weight: Tensor) -> tuple[Tensor, Any]:
        """Output, and the list of spikes."""
        spikes: Any = spikes_of(_rows(given))
        out = torch.empty(len(given), *self.size, self.outputs)
        index, value, first = spikes
        scatter(index, value, first, self.flat(weight), self.columns, out.numpy(), self.margin, self.line, self.whole)
        return out.permute(0, 3, 1, 2), spikes

    def weights(self, spikes: Any, gradient: Tensor, weight: Tensor) -> Tensor:
        """Gradient of the weights."""
        flat, grad = np.zeros(weight.numel(), np.float32), gradient.permute(0, 2, 3, 1).contiguous().numpy()
        index, value, first = spikes
        weight_gradient(index, value, first, flat, self.columns, grad, self.margin, self.line, self.whole)
        return self.unflat(flat, weight)


def _rows(given: Tensor) -> Floats:
    return given.detach().permute(0, 2, 3, 1).contiguous().view(len(given), -1).numpy()


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: Tensor, weight: Tensor, layer: Sparse) -> Tensor:
        out, spikes = layer.shape_for(given).forward(given, weight.detach())
        ctx.save_for_backward(given, weight)
        ctx.layer, ctx.spikes = layer, spikes
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None]:
        given, weight = ctx.saved_tensors
        found = ctx.layer.shape_for(given).weights(ctx.spikes, gradients[0], weight)
        back = dense(ctx.layer, gradients[0], given, (True, False))[0] if ctx.needs_input_grad[0] else None
        return back, found, None


class Sparse(nn.Conv2d):
    """A convolution that goes from spike to spike."""

    shape: Shape | None = None

    def shape_for(self, given: Tensor) -> Shape:
        self.shape = self.shape or Shape(self, *given.shape[2:])
        return self.shape

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        found: Tensor = _Convolution.apply(input, self.weight, self)  # type: ignore[no-untyped-call]
        return found


def dense(layer: nn.Conv2d, gradient: Tensor, given: Tensor, wanted: tuple[bool, bool]) -> Any:
    """Torch's gradients of inputs and weights."""
    return torch.ops.aten.convolution_backward(
        gradient, given, layer.weight, None, layer.stride, layer.padding, (1, 1), False, (0, 0), 1, (*wanted, False)
    )


def by_phases(weight: Tensor, gradient: Tensor) -> Tensor:
    """Gradient of the inputs of a convolution of 3x3, stride 2, padding 1, even sides: a kernel for each phase."""
    outputs, inputs = weight.shape[:2]
    kernels = torch.zeros(2, 2, inputs, outputs, 2, 2)
    taps = {0: {0: 1}, 1: {1: 0, 0: 2}}  # phase of the pixel -> output beside it -> row or column of the kernel
    for y in (0, 1):
        for x in (0, 1):
            for v, row in taps[y].items():
                for u, column in taps[x].items():
                    kernels[y, x, :, :, v, u] = weight[:, :, row, column].T
    joined = kernels.flatten(0, 2).contiguous(memory_format=torch.channels_last)
    grown = F.pad(gradient, (0, 1, 0, 1)).contiguous(memory_format=torch.channels_last)
    phases = F.conv2d(grown, joined)
    found = phases.view(len(phases), 2, 2, inputs, *phases.shape[2:])  # [N, y, x, I, H, W]
    return found.permute(0, 3, 4, 1, 5, 2).flatten(2, 3).flatten(3, 4)


def best(turn: Callable[[], object], turns: int) -> float:
    """Least milliseconds of CPU time."""
    turn()
    times = []
    for _ in range(turns):
        began = time.process_time()
        turn()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


@torch.no_grad()
def layer_row(name: str, density: float, turns: int) -> str:
    """Torch's times of forward, inputs and weights, and ours of forward and weights."""
    inputs, outputs, kernel, stride, padding, side = SHAPES[name]
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    given = (torch.rand(IMAGES, inputs, side, side) < density).float().contiguous(memory_format=torch.channels_last)
    shape, wanted = Shape(layer, side, side), layer(given)
    gradient = torch.randn_like(wanted)
    out, spikes = shape.forward(given, layer.weight)
    found, other = shape.weights(spikes, gradient, layer.weight), dense(layer, gradient, given, (False, True))[1]
    # Float32 sums of up to 288 and 25,600 numbers near 1, in another order.
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, other, atol=1e-2, rtol=1e-4)
    times = [
        best(lambda: layer(given), turns),
        best(lambda: dense(layer, gradient, given, (True, False)), turns),
        best(lambda: dense(layer, gradient, given, (False, True)), turns),
        best(lambda: shape.forward(given, layer.weight), turns),
        best(lambda: shape.weights(spikes, gradient, layer.weight), turns),
    ]
    last = f"{'':10}"
    if (kernel, stride) == (3, 2):
        back = dense(layer, gradient, given, (True, False))[0]
        torch.testing.assert_close(by_phases(layer.weight, gradient), back, atol=1e-4, rtol=1e-4)
        last = f"{best(lambda: by_phases(layer.weight, gradient), turns):10.2f}"
    return f"{name:10}{100 * density:5.0f} %" + "".join(f"{value:10.2f}" for value in times) + last


def sparse_step(layers: tuple[int, ...]) -> nn.Sequential:
    """The demo's network, some of its convolutions sparse."""
    network = ours()
    for number, layer in enumerate([layer for layer in network if isinstance(layer, nn.Conv2d)]):
        if number in layers:
            layer.__class__ = Sparse
    return network


def steps(turns: int) -> None:
    """Print medians of whole steps."""
    training.LOUDER = BUSY
    frames, labels = batch()
    trainees: dict[str, Any] = {
        "torch's convolutions": Trainee(ours), "all four sparse": Trainee(lambda: sparse_step((0, 1, 2, 3))),
        "third and fourth sparse": Trainee(lambda: sparse_step((2, 3))), "tiny numbers as 0": Flushed(Trainee(ours)),
    }  # fmt: skip
    times = seconds(trainees, frames, labels, turns, time.process_time)
    first = float(np.median(times["torch's convolutions"]))
    for name, found in times.items():
        print(f"{name:26}{1e3 * float(np.median(found)):8.1f} ms{first / float(np.median(found)):8.2f} x")


class Flushed:
    """A trainee whose processor takes denormal numbers as 0."""

    def __init__(self, trainee: Trainee) -> None:
        self.trainee = trainee

    def step(self, frames: Tensor, labels: Tensor) -> None:
        """See `Trainee`."""
        torch.set_flush_denormal(True)
        self.trainee.step(frames, labels)
        torch.set_flush_denormal(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    print(f"load of the machine before it: {os.getloadavg()[0]:.1f} (0 would be quiet); one thread, CPU time")
    print(f"\n{IMAGES} images, ms, best of {given.turns}")
    print(f"{'':17}{'torch':>10}{'':20}{'sparse':>10}")
    heads = ("forward", "inputs", "weights", "forward", "weights", "phases")
    print(f"{'layer':10}{'spikes':>7}" + "".join(f"{head:>10}" for head in heads))
    for name in SHAPES:
        for density in DENSITIES:
            print(layer_row(name, density, given.turns), flush=True)
    print(f"\na step of the demo's network, weights times {BUSY}, median of {given.turns}")
    steps(given.turns)


if __name__ == "__main__":
    main()
