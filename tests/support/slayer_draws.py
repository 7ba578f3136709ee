"""SLAYER modules drawn at random, with what users do to them: the ways in which a module can be read wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import nn

Rng = np.random.Generator


@dataclass(frozen=True)
class Drawn:
    """A module, the shape of its frames, and what `what` says was drawn into it."""

    module: Any
    shape: tuple[int, ...]
    sigma_delta: bool
    what: str


def slayer() -> Any:
    return import_module("lava.lib.dl.slayer")


def one(rng: Rng, *options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def often(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def neuron(rng: Rng, sigma_delta: bool, odd: float) -> dict[str, Any]:
    """Parameters; with a chance of `odd` each, such as the chip cannot hold."""
    norm = slayer().neuron.norm
    found: dict[str, Any] = {"threshold": float(one(rng, 0.5, 1.0, 1.5))}
    if often(rng, 0.3):
        found["norm"] = norm.WgtScaleBatchNorm if often(rng, 0.2) else norm.MeanOnlyBatchNorm
    found["persistent_state"] = often(rng, 0.2)
    if sigma_delta:
        found |= {"threshold": float(one(rng, 0.1, 0.25, 0.5)), "activation": nn.functional.relu}
        found |= {"activation": torch.sigmoid} if often(rng, odd) else {}
        found |= {"scale": 32} if often(rng, odd) else {}
        return found | ({"shared_param": False} if often(rng, odd) else {})
    found |= {"current_decay": float(one(rng, 0.25, 0.5, 1.0)), "voltage_decay": float(one(rng, 0.0, 0.1, 1.0))}
    found |= {"graded_spike": True} if often(rng, odd) else {}
    found |= {"scale": 32} if often(rng, 0.1) else {}
    return found | ({"shared_param": False} if often(rng, 0.1) else {})


def options(rng: Rng) -> dict[str, Any]:
    """Of a block with synapses."""
    found: dict[str, Any] = {"weight_scale": float(one(rng, 2.0, 3.0)), "weight_norm": often(rng, 0.2)}
    found |= {"delay": True} if often(rng, 0.25) else {}
    return found | ({"delay_shift": often(rng, 0.5)} if often(rng, 0.25) else {})


def row(rng: Rng, sigma_delta: bool, shape: tuple[int, ...], odd: float) -> list[Any]:
    """Blocks one after the other."""
    block = slayer().block.sigma_delta if sigma_delta else slayer().block.cuba
    blocks: list[Any] = []
    if sigma_delta or often(rng, 0.15):
        blocks.append(block.Input({k: v for k, v in neuron(rng, sigma_delta, 0).items() if k != "norm"}))
    elif often(rng, 0.1):
        blocks.append(block.Input(None, delay_shift=False))  # with a shift SLAYER's own forward fails
    size = int(np.prod(shape))
    if len(shape) == 3:
        blocks.append(block.Conv(neuron(rng, sigma_delta, odd), shape[0], 4, 3, padding=1, **options(rng)))
        if often(rng, 0.4):
            pooled = {**neuron(rng, sigma_delta, odd), "threshold": 0.25, "shared_param": True}
            blocks.append(block.Pool(pooled, 2, **options(rng) | {"weight_norm": False}))
            size //= 4
        blocks.append(block.Flatten())
        size *= 4 // shape[0]
    for width in rng.integers(3, 8, rng.integers(1, 4)):
        recurrent = not sigma_delta and often(rng, 0.2)
        kind = block.Recurrent if recurrent else block.Dense
        blocks.append(kind(neuron(rng, sigma_delta, odd), size, int(width), **options(rng)))
        size = int(width)
    if sigma_delta and often(rng, 0.4):
        blocks.append(block.Output(neuron(rng, True, 0), size, 3, weight_scale=2))
    if not sigma_delta and often(rng, 0.1):
        blocks.append(block.Affine(neuron(rng, False, 0) | {"shared_param": True}, size, 3, dynamics=often(rng, 0.5)))
    return blocks


def settled(rng: Rng, module: Any, shape: tuple[int, ...], sigma_delta: bool) -> None:
    """A batch, so that all is drawn that SLAYER draws; then parameters as training leaves them."""
    with torch.no_grad():
        module.train()
        module(torch.from_numpy((rng.random((2, *shape, 6)) < 0.3).astype(np.float32)))
    for part in module.modules():
        kind = type(part).__name__
        if kind == "Delay" and part.init:
            part.delay.data = torch.from_numpy(rng.uniform(0, 6, part.delay.shape)).float()
        if kind.endswith("BatchNorm") and part.num_features is not None:
            part.running_mean = torch.from_numpy(rng.normal(0, 0.2, part.num_features)).float()
            part.running_var = torch.tensor([float(one(rng, 0.01, 0.1, 1.0, 5.0, 300.0))]) if "Wgt" in kind else None
        if sigma_delta and kind == "Neuron" and part.shape is not None and often(rng, 0.2):
            value = torch.from_numpy(rng.normal(0, 0.1, tuple(part.shape))).float()
            part.set_bias(torch.round(value * 64) / 64 if often(rng, 0.7) else value)
        if sigma_delta and kind == "Delta" and often(rng, 0.1):
            part.threshold.data = part.threshold.data * float(one(rng, 0.77, 2.0))


class Rows(nn.Module):
    """`blocks`, and a `forward` that does one of many things with them."""

    def __init__(self, blocks: list[Any], way: str, extra: Any = None) -> None:
        super().__init__()
        self.blocks, self.way, self.extra = nn.ModuleList(blocks), way, extra
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        return getattr(self, self.way)(x)

    def plain(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return x

    def counting(self, x: Any) -> Any:
        """As the tutorials of lava-dl do."""
        counts: list[Any] = []
        cost: Any = 0
        for block in self.blocks:
            x = block(x)
            if hasattr(block, "neuron"):
                cost = cost + torch.mean(torch.abs(x))
                counts.append(torch.sum(x > 0).item())
        return x, cost, torch.FloatTensor(counts)

    def readout(self, x: Any) -> Any:
        return self.extra(self.plain(x))

    def skipping(self, x: Any) -> Any:
        for block in self.blocks:
            y = block(x)
            x = x + y if x.shape == y.shape else y
        return x if self.extra is None else self.extra(x)

    def summed(self, x: Any) -> Any:
        x = self.plain(x)
        return x + self.extra(x)

    def heads(self, x: Any) -> Any:
        x = self.plain(x)
        return x, self.extra(x)

    def second_head(self, x: Any) -> Any:
        x = self.plain(x)
        return self.extra(x), x

    def scaled(self, x: Any) -> Any:
        return self.plain(x * 2)

    def between(self, x: Any) -> Any:
        for block in self.blocks:
            x = torch.relu(block(x) - 0.5)
        return x

    def in_place(self, x: Any) -> Any:
        x = self.plain(x)
        y = x.clone()
        y += x
        return self.extra(y)

    def early(self, x: Any) -> Any:
        for block in list(self.blocks)[:-1]:
            x = block(x)
        return x

    def backwards(self, x: Any) -> Any:
        return self.plain(x.flip(-1))

    def rate(self, x: Any) -> Any:
        return self.plain(x).mean(-1)

    def deciding(self, x: Any) -> Any:
        return self.plain(x) if x.sum() > 5 else self.plain(x * 0)

    def dropping(self, x: Any) -> Any:
        for block in self.blocks:
            x = self.drop(block(x))
        return x


WAYS = ("list", "sequential", "plain", "counting", "readout", "skipping", "summed", "heads", "second_head", "scaled",
        "between", "in_place", "early", "backwards", "rate", "deciding", "dropping", "pre_hook", "hook", "inner_hook",
        "own_forward", "own_neuron", "instance")  # fmt: skip


def drawn(seed: int) -> Drawn:
    """A module that SLAYER runs: what it fails on itself is drawn again."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    while True:
        try:
            return _drawn(rng)
        except (RuntimeError, AttributeError, AssertionError):  # noqa: PERF203
            continue


def _drawn(rng: Rng) -> Drawn:
    """Half of them are plain rows of blocks."""
    sigma_delta, way = often(rng, 0.4), str(rng.choice(WAYS)) if often(rng, 0.5) else one(rng, "list", "plain")
    shape = one(rng, (9,), (2, 6, 4)) if way != "skipping" else (7,)
    blocks = row(rng, sigma_delta, shape, 0.03)
    kind = slayer().block.sigma_delta.Dense if sigma_delta else slayer().block.cuba.Dense
    width = {7: 7}.get(shape[0] if way == "skipping" else 0)
    extra = None
    if width:
        blocks = [b for b in blocks if type(b).__name__ == "Input"]
        blocks += [kind(neuron(rng, sigma_delta, 0), 7, 7, **options(rng)) for _ in range(3)]
        extra = kind(neuron(rng, sigma_delta, 0), 7, 4, **options(rng))
    elif way in ("readout", "summed", "heads", "second_head", "in_place"):
        size = _outputs(blocks[-1])
        extra = kind(neuron(rng, sigma_delta, 0), size, size, **options(rng))
    module = _with_code(rng, blocks, way, extra)
    settled(rng, Rows(blocks, "plain") if isinstance(module, list) else module, shape, sigma_delta)
    return Drawn(module, shape, sigma_delta, way)


def _outputs(block: Any) -> int:
    synapse = getattr(block, "synapse", None) or block.input_synapse
    return int(synapse.out_channels)


def _with_code(rng: Rng, blocks: list[Any], way: str, extra: Any) -> Any:
    """The module of that way; hooks and own methods on one of its blocks."""
    if way in ("list", "sequential"):
        return blocks if way == "list" else nn.Sequential(*blocks)
    target = one(rng, *[block for block in blocks if getattr(block, "neuron", None) is not None])
    if way == "pre_hook":
        target.register_forward_pre_hook(lambda _block, args: (args[0] * 2,))
    elif way == "hook":
        target.register_forward_hook(lambda _block, _args, output: output * 0)
    elif way == "inner_hook":
        getattr(target, "synapse", target.neuron).register_forward_hook(lambda _part, _args, output: output * 2)
    elif way == "own_forward":
        target.__class__ = type("Own", (type(target),), {"forward": _own_forward(type(target))})
    elif way == "own_neuron":
        own = type("Neuron", (type(target.neuron),), {"forward": _own_forward(type(target.neuron))})
        target.neuron.__class__ = own
    elif way == "instance":
        original = target.forward
        target.forward = lambda x: original(x).roll(1, -1)
    return Rows(blocks, way if hasattr(Rows, way) else "plain", extra)


def _own_forward(kind: Any) -> Callable[..., Any]:
    def forward(self: Any, x: Any) -> Any:
        return kind.forward(self, x).flip(1)

    return forward
