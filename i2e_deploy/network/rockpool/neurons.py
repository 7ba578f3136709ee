"""Rockpool's neurons and synapses as layers; several synapses a neuron, loops and after-potentials become layers too.

Evidence: rockpool 3.1.0, `rockpool/nn/modules/{torch,native}/*.py`. A step adds the input to the synaptic current, then
decays it; decays the membrane potential and adds the currents and the bias; fires at the threshold too, as often as it
fits in; and takes the threshold off for each spike.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.layers import Add, Linear, Scale
from i2e_deploy.network.neurons import LeakyIntegrateAndFire, parameter
from i2e_deploy.network.op import Shape

Doubles = NDArray[np.float64]

#: `forward` of these functions is the same: how often the threshold fits in, at most a number of spikes.
_STEPS = tuple(
    f"rockpool.nn.modules.torch.{name}"
    for name in ("lif_torch.StepPWL", "lif_torch.PeriodicExponential", "lif_neuron_torch.StepPWL")
)


@dataclass(frozen=True, eq=False)
class Spec:
    """What neurons of Rockpool compute with.

    Args:
        size: neurons.
        alpha: of the membrane potential, `()` or `(N,)`.
        beta: of the synaptic currents, [N, S]; None = the input reaches the membrane itself.
        threshold, bias: `()` or `(N,)`.
        most: spikes of a neuron in a step, at most.
        recurrent: from its spikes to its synapses, [N, N * S]; None = no loop.
        after: weight and decay of a current that each spike adds to its own neuron; None = there is none.
    """

    size: int
    alpha: Doubles
    beta: Doubles | None
    threshold: Doubles
    bias: Doubles
    most: int | None
    recurrent: Doubles | None = None
    after: tuple[Doubles, Doubles] | None = None


def values(module: Any, name: str) -> Doubles:
    """A parameter as float64, without leading axes of one value.

    Raises:
        InputError: no numbers.
    """
    import torch

    value = getattr(module, name)
    if isinstance(value, torch.Tensor):
        if value.is_meta or value.is_complex():
            raise InputError(f"{name} is a {value.dtype} on device {value.device}: give numbers")
        value = value.detach().cpu().double().numpy()
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is {value!r}: give a number, or one a neuron") from None
    while found.ndim and len(found) == 1:
        found = found[0]
    return np.asarray(found)


def check_silent(module: Any) -> None:
    """It draws no noise."""
    if values(module, "noise_std").any():
        raise UnsupportedError("draws noise in every step (noise_std): set noise_std to 0, as for a chip")


def spec_of(kind: str, module: Any) -> Spec:
    """What LIFTorch, LIFBitshiftTorch, aLIFTorch, LIFNeuronTorch and the native LIF compute with.

    Raises:
        UnsupportedError: an option without counterpart; the message begins with a verb.
        InputError: values that mean nothing.
    """
    check_silent(module)
    if kind != "LIF":
        _check_steps(module.spike_generation_fn)
    size = int(module.size_out)
    threshold, bias = values(module, "threshold"), values(module, "bias")
    dt = float(module.dt)
    if kind == "LIFNeuronTorch":
        return Spec(size, np.exp(-dt / values(module, "tau_mem")), None, threshold, bias, _most(module))
    if kind == "LIF":
        alpha, beta = (np.exp(-dt / values(module, name)) for name in ("tau_mem", "tau_syn"))
    else:  # whatever leak_mode says: the decays that its forward takes
        alpha, beta = values(module, "alpha"), values(module, "beta")
    synapses = int(module.n_synapses)
    recurrent = np.asarray(values(module, "w_rec")).reshape(size, -1)
    if int(module.size_in) != size * synapses or recurrent.shape[1] != size * synapses:
        raise InputError(f"it has {module.size_in} inputs for {size} neurons: give a whole number of synapses a neuron")
    after = None
    if kind == "aLIFTorch":
        after = values(module, "w_ahp"), np.exp(-dt / values(module, "tau_ahp"))
    return Spec(
        size, alpha, _spread(beta, size, synapses), threshold, bias, _most(module),
        recurrent=recurrent if recurrent.any() else None, after=after,
    )  # fmt: skip


def neuron_layers(name: str, source: str, spec: Spec) -> tuple[Layer, ...]:
    """The layers that neurons become; the last has their name.

    Synapses whose currents decay alike in a neuron are one: their inputs are summed before. Others keep a current each,
    in a leaky integrator of their own.
    """
    rows: list[Layer] = []

    def add(part: str, op: Any, *inputs: str) -> str:
        rows.append(Layer(f"{name}.{part}", op, inputs))
        return rows[-1].name

    loop = spec.recurrent is not None or spec.after is not None
    spikes = add("delay", Delay(parameter(1), (spec.size,)), name) if loop else ""
    if spec.recurrent is not None:
        fed_back = add("recurrent", Linear(parameter(spec.recurrent.T)), spikes)
        source = add("input", Add(), source, fed_back)
    current: dict[str, Any] = {}
    if spec.beta is not None:
        alike = bool((spec.beta == spec.beta[:, :1]).all()) and spec.after is None
        if not alike:
            fades = parameter(spec.beta.reshape(-1))
            source = add("synapses", LeakyIntegrateAndFire(fades, gain=fades), source)
        if spec.beta.shape[1] > 1:
            source = add("joined", Linear(_joining(*spec.beta.shape)), source)
        current = {name: parameter(spec.beta[:, 0]) for name in ("current_decay", "current_gain") if alike}
    if spec.after is not None:
        weight, fades = (parameter(value) for value in spec.after)
        kick = add("kick", Scale(weight), spikes)
        source = add("sum", Add(), source, add("after", LeakyIntegrateAndFire(fades, gain=fades), kick))
    op = LeakyIntegrateAndFire(
        parameter(spec.alpha), parameter(spec.threshold), bias=parameter(spec.bias) if spec.bias.any() else None,
        max_spikes=spec.most, **current,
    )  # fmt: skip
    return (*rows, Layer(name, op, (source,)))


def integrator(decay: Doubles) -> LeakyIntegrateAndFire:
    """ExpSyn: y = decay * (y + x)."""
    return LeakyIntegrateAndFire(parameter(decay), gain=parameter(decay))


def check_inputs(module: Any, given: Sequence[Shape]) -> None:
    """Rockpool repeats a single input for all neurons (`_auto_batch`); here each has its own."""
    if len(given) != 1 or given[0] != (int(module.size_in),):
        hint = "; put a Linear before it, as Rockpool would repeat a single input" if given[0] == (1,) else ""
        raise InputError(f"it takes {module.size_in} inputs and is given shape {list(given[0])}{hint}")


def _spread(beta: Doubles, size: int, synapses: int) -> Doubles:
    """Decays of the currents as [N, S], as they spread over [B, N, S]."""
    try:
        return np.broadcast_to(beta, (size, synapses))
    except ValueError:
        raise InputError(
            f"its synaptic decays have shape {list(beta.shape)} for {size} neurons with {synapses} synapses each: "
            "give tau_syn of shape (neurons, synapses), (1, synapses) or ()"
        ) from None


def _joining(size: int, synapses: int) -> NDArray[np.float32]:
    """[N, N * S]: the sum over the synapses of each neuron."""
    return np.repeat(np.eye(size, dtype=np.float32), synapses, axis=1)


def _most(module: Any) -> int | None:
    most = float(values(module, "max_spikes_per_dt"))
    if most == np.inf:
        return None
    if most != int(most):
        raise UnsupportedError(f"fires {most:g} times a step at most (max_spikes_per_dt): give a whole number")
    return int(most)


def _check_steps(function: Any) -> None:
    known = [getattr(sys.modules.get(path.rpartition(".")[0]), path.rpartition(".")[2], None) for path in _STEPS]
    made_by = getattr(function, "__self__", None)
    if made_by is None or made_by not in known or getattr(function, "__name__", "") != "apply":
        title = getattr(made_by, "__qualname__", repr(function))
        raise UnsupportedError(f"fires by {title}: use StepPWL or PeriodicExponential of Rockpool")
