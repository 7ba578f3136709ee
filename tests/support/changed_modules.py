"""Drawn Sinabs modules with drawn changes: wrappers that compute weights, classes, hooks and values of many kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sinabs.layers as sl
import torch
from sinabs.activation import Heaviside, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from i2e_deploy.training.fused_iaf import FusedIAF

#: Untyped parts of torch.
PRUNE: Any = prune
QUANTIZATION: Any = torch.ao.quantization
SHAPE, BATCH, STEPS = (2, 7, 7), 2, 5
Generator = np.random.Generator


@dataclass(frozen=True)
class Change:
    """One change of a module, in place or as another module.

    Args:
        apply: takes a generator and the row of layers, gives the module in place of the row.
        readable: the layers still say what is computed, so it is read; else it is refused.
        exact: weights stay multiples of 1/8, so that float32 adds them without rounding.
    """

    apply: Callable[[Generator, nn.Sequential], nn.Module | None]
    readable: bool = True
    exact: bool = True


def row(rng: Generator) -> nn.Sequential:
    """Two layers with weights and neurons, pooling or not. Weights are multiples of 1/8, no threshold is near one."""
    pool = [nn.AvgPool2d(2), sl.SumPool2d(2), sl.SumPool2d(3), nn.Identity()][rng.integers(4)]
    side = {nn.Identity: 5, nn.AvgPool2d: 2}.get(type(pool)) or 5 // pool.kernel_size
    layers = [nn.Conv2d(2, 3, 3), _neurons(rng), pool, nn.Dropout(0.5)]
    layers += [nn.Conv2d(3, 4, 1)] if rng.random() < 0.5 else [nn.Flatten(), nn.Linear(3 * side**2, 4)]
    made = nn.Sequential(*layers, _neurons(rng))
    with torch.no_grad():
        for layer in _weighted(made):
            for parameter in layer.parameters():
                drawn = rng.integers(-5, 9, tuple(parameter.shape)) / 8
                parameter.copy_(torch.from_numpy(drawn) * (1 if parameter.ndim > 1 else 0.5))
    return made


def _neurons(rng: Generator) -> Any:
    return sl.IAFSqueeze(
        batch_size=BATCH,
        spike_threshold=torch.tensor(float(rng.choice([0.7071, 1.3179, 2.2183]))),
        min_v_mem=None if rng.random() < 0.2 else -float(rng.integers(1, 4)),
        spike_fn=MultiSpike if rng.random() < 0.7 else SingleSpike,
        reset_fn=MembraneSubtract() if rng.random() < 0.7 else MembraneReset(),
    )


def _weighted(module: nn.Module) -> list[Any]:
    return [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.Linear)]


def _spiking(module: nn.Module) -> list[Any]:
    return [part for part in module.modules() if isinstance(part, sl.IAF)]


def _one(rng: Generator, parts: list[Any]) -> Any:
    return parts[rng.integers(len(parts))]


def _retrained(rng: Generator, layer: nn.Module) -> None:
    """As after `load_state_dict`: what the weights are made of has changed, weights that a hook made are old."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(float(rng.choice([0.5, 2.0])))


def _pruned(rng: Generator, module: nn.Sequential) -> None:
    layer = _one(rng, _weighted(module))
    for name in ("weight", "bias", "weight")[: rng.integers(1, 4)]:
        plain = getattr(layer, name).is_contiguous() and not hasattr(layer, f"{name}_v")
        if plain and not parametrize.is_parametrized(layer, name):
            torch.manual_seed(int(rng.integers(2**31)))
            PRUNE.random_unstructured(layer, name, float(rng.uniform(0.2, 0.6)))
    _retrained(rng, layer)


def _by(wrap: Callable[[Any], Any]) -> Callable[[Generator, nn.Sequential], None]:
    """Wrap the weight of one layer that is not wrapped yet, and train on."""

    def apply(rng: Generator, module: nn.Sequential) -> None:
        layer = _one(rng, _weighted(module))
        if "weight" in layer._parameters:
            wrap(layer)
        _retrained(rng, layer)

    return apply


def _convolved(layer: Any, x: Any) -> Any:
    return nn.Conv2d.forward(layer, x)


def _twofold(layer: Any, name: str) -> Any:
    value: Any = nn.Module.__getattr__(layer, name)
    return value * 2 if name == "weight" else value


class Doubled(nn.Module):
    def forward(self, weight: Any) -> Any:
        return weight * 2


def _turned(rng: Generator, module: nn.Sequential) -> None:
    """Weights that are a view with other strides, without gradients."""
    for layer in _weighted(module):
        if "weight" in layer._parameters:
            layer.weight = nn.Parameter(layer.weight.detach().transpose(0, 1).contiguous().transpose(0, 1), False)


def _normed(rng: Generator, module: nn.Sequential) -> nn.Module:
    norm = nn.BatchNorm2d(3, eps=float(rng.choice([1e-5, 1e-2])))
    with torch.no_grad():
        for tensor, low, high in ((norm.weight, 0.5, 2), (norm.bias, -0.5, 0.5)):
            tensor.copy_(torch.from_numpy(rng.uniform(low, high, 3)))
    norm.running_mean, norm.running_var = (torch.from_numpy(rng.uniform(0.2, 1, 3)).float() for _ in range(2))
    parts = list(module)
    return nn.Sequential(parts[0], norm, *parts[1:])


def _as(kind: Callable[[Any], type], number: int | None = None) -> Callable[[Generator, nn.Sequential], None]:
    """Give one layer (that of a number, or one of neurons) another class, made from its own."""

    def apply(rng: Generator, module: nn.Sequential) -> None:
        layer = _one(rng, _spiking(module)) if number is None else module[number]
        layer.__class__ = kind(type(layer))

    return apply


def _class(**members: Any) -> Callable[[type], type]:
    return lambda base: type(base.__name__, (base,), members)


def _quantising(_: Generator, module: nn.Sequential) -> nn.Module:
    config = QUANTIZATION.get_default_qat_qconfig("fbgemm")
    made = torch.ao.nn.qat.Conv2d(2, 3, 3, qconfig=config)
    made.weight_fake_quant(made.weight)
    return nn.Sequential(made, *list(module)[1:])


def _hooked(kind: str) -> Callable[[Generator, nn.Sequential], None]:
    def scaled(_: Any, given: Any, *output: Any) -> Any:
        return output[0] * 2 if output else (given[0] * 2,)

    def apply(rng: Generator, module: nn.Sequential) -> None:
        getattr(_one(rng, list(module.modules())), f"register_{kind}")(scaled)

    return apply


def _set(name: str, value: Any, kind: str = "weighted") -> Callable[[Generator, nn.Sequential], None]:
    def apply(rng: Generator, module: nn.Sequential) -> None:
        layer = _one(rng, _weighted(module) if kind == "weighted" else _spiking(module))
        setattr(layer, name, value(layer))

    return apply


def _spread(layer: Any) -> Any:
    return nn.Parameter(layer.spike_threshold.detach().reshape(-1)[:1].clone(), False)


def _fused(rng: Generator, module: nn.Sequential) -> nn.Module:
    parts: list[nn.Module] = list(module)
    threshold = torch.tensor(0.7071)
    parts[-1] = FusedIAF(
        batch_size=BATCH, spike_threshold=threshold, min_v_mem=-1.0, surrogate_grad_fn=Heaviside(threshold)
    )
    return nn.Sequential(*parts)


class Held(nn.Module):
    """A class of a user's own around a row; in training mode it computes something else."""

    def __init__(self, held: nn.Module) -> None:
        super().__init__()
        self.held, self.extra = held, nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.held(x + x if self.training else self.extra(x))


class Reversed(nn.Sequential):
    """A row that runs twice what its layers say."""

    def forward(self, x: Any) -> Any:
        for part in self:
            x = part(x)
        return x * 2


def _used(rng: Generator, module: nn.Sequential) -> None:
    """States, modes and attributes that a run leaves."""
    module.train(bool(rng.random() < 0.5))
    module(torch.rand(BATCH * STEPS, *SHAPE))


#: In the order in which several are applied: layers, what makes weights, classes, instances, what holds the layers.
CHANGES: dict[str, Change] = {
    "batch norm": Change(_normed, exact=False),
    "fused neurons": Change(_fused),
    "other strides": Change(_turned),
    "prune": Change(_pruned),
    "weight norm, old": Change(_by(nn.utils.weight_norm), exact=False),
    "spectral norm, old": Change(_by(nn.utils.spectral_norm), exact=False),
    "weight norm": Change(_by(parametrizations.weight_norm), exact=False),
    "spectral norm": Change(_by(parametrizations.spectral_norm), exact=False),
    "parametrized": Change(_by(lambda m: parametrize.register_parametrization(m, "weight", Doubled()))),
    "one threshold as a tensor": Change(_set("spike_threshold", _spread, "spiking")),
    "a subclass that adds nothing": Change(_as(_class(extra_repr=lambda self: "mine", note=1), 0)),
    "stands for": Change(_as(_class(stands_for="Conv2d", forward=_convolved), 0)),
    "class with another forward": Change(_as(_class(forward=lambda s, x: nn.Conv2d.forward(s, x * 2)), 0), False),
    "class with another _conv_forward": Change(
        _as(_class(_conv_forward=lambda s, x, w, b: nn.functional.conv2d(x, w.abs(), b)), 0), False
    ),
    "class with another __call__": Change(_as(_class(__call__=lambda s, x: nn.Module.__call__(s, x) * 2), 0), False),
    "class with weights of its own": Change(_as(_class(__getattr__=_twofold), 0), False),
    "neurons that leak": Change(_as(_class(alpha_mem_calculated=property(lambda _: torch.tensor(0.5)))), False),
    "neurons with another forward": Change(_as(_class(forward=lambda s, x: sl.IAFSqueeze.forward(s, x) * 2)), False),
    "neurons that scale their input": Change(_set("norm_input", lambda _: True, "spiking"), False),
    "neurons of another batch": Change(_set("batch_size", lambda _: 1, "spiking"), False),
    "quantised weights": Change(_quantising, readable=False),
    "a run before": Change(_used),
    "training mode": Change(lambda _, m: m.train(True)),
    "backward hook": Change(lambda rng, m: _one(rng, list(m)).register_full_backward_hook(lambda *_: None) and None),
    "forward hook": Change(_hooked("forward_hook"), readable=False),
    "forward pre-hook": Change(_hooked("forward_pre_hook"), readable=False),
    "forward of an instance": Change(_set("forward", lambda layer: lambda x: type(layer).forward(layer, x) * 2), False),
    "_conv_forward of an instance": Change(
        lambda _, m: setattr(m[0], "_conv_forward", lambda x, w, b: nn.functional.conv2d(x, w * 2, b)), False
    ),
    "nested": Change(lambda _, m: nn.Sequential(m, nn.Identity())),
    "a row with another forward": Change(lambda _, m: Reversed(m), readable=False),
    "in a class": Change(lambda _, m: Held(m)),
}  # fmt: skip
