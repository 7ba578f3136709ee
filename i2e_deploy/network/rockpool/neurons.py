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
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.layers import Reading
from i2e_deploy.network.modules.values import doubles_of
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


def _check_silent(module: Any) -> None:
    """It draws no noise."""
    if doubles_of(module, "noise_std").any():
        raise UnsupportedError("draws noise in every step (noise_std): set noise_std to 0, as for a chip")


def spec_of(kind: str, module: Any) -> Spec:
    """What LIFTorch, LIFBitshiftTorch, aLIFTorch, LIFNeuronTorch and the native LIF compute with.

    Raises:
        UnsupportedError: an option without counterpart; the message begins with a verb.
        InputError: values that mean nothing.
    """
    _check_silent(module)
    if kind != "LIF":
        _check_steps(module.spike_generation_fn)
    size = int(module.size_out)
    threshold, bias = doubles_of(module, "threshold"), doubles_of(module, "bias")
    dt = float(module.dt)
    if kind == "LIFNeuronTorch":
        return Spec(size, np.exp(-dt / doubles_of(module, "tau_mem")), None, threshold, bias, _most(module))
    if kind == "LIF":
        alpha, beta = (np.exp(-dt / doubles_of(module, name)) for name in ("tau_mem", "tau_syn"))
    else:  # whatever leak_mode says: the decays that its forward takes
        alpha, beta = doubles_of(module, "alpha"), doubles_of(module, "beta")
    synapses = int(module.n_synapses)
    recurrent = np.asarray(doubles_of(module, "w_rec")).reshape(size, -1)
    if int(module.size_in) != size * synapses or recurrent.shape[1] != size * synapses:
        raise InputError(f"it has {module.size_in} inputs for {size} neurons: give a whole number of synapses a neuron")
    after = None
    if kind == "aLIFTorch":
        after = doubles_of(module, "w_ahp"), np.exp(-dt / doubles_of(module, "tau_ahp"))
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


def read_neurons(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """Neurons of Rockpool's; see `modules.layers.WideReader`."""
    _check_inputs(call.module, given)
    return Reading(neuron_layers(call.name, inputs[0], spec_of(call.kind, call.module)))


def read_synapse(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """ExpSynTorch: y = decay * (y + x)."""
    _check_inputs(call.module, given)
    _check_silent(call.module)
    decay = parameter(np.exp(-float(call.module.dt) / doubles_of(call.module, "tau")))
    return Reading((Layer(call.name, LeakyIntegrateAndFire(decay, gain=decay), tuple(inputs)),))


def read_linear(call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    """Weights are [inputs, outputs] in Rockpool, torch and native."""
    module = call.module
    _check_inputs(module, given)
    weight = doubles_of(module, "weight").reshape(int(module.size_in), int(module.size_out))
    bias = None if module.bias is None else doubles_of(module, "bias")
    spread = None if bias is None or not bias.any() else np.broadcast_to(bias, weight.shape[1:])
    op = Linear(parameter(weight.T), None if spread is None else parameter(spread))
    return Reading((Layer(call.name, op, tuple(inputs)),))


def _check_inputs(module: Any, given: Sequence[Shape]) -> None:
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
    most = float(doubles_of(module, "max_spikes_per_dt"))
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
