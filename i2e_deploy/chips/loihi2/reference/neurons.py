"""The definition of Loihi 2 neurons: one function a kind, int64 [B, N], in the order in which the chip works.

Equal bit for bit to the `fixed_pt` models of lava-nc 0.10.0; each function names its file. For `ProgrammableLif` and
`Relay` there is no such model. Counts are what a designer must know: `wraps` and `saturations` of the 24-bit words,
`peak` the largest magnitude before either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2.program import CubaLif, Delta, Resonator, Sigma, SigmaDelta
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.reference.layers import Layer
from i2e_deploy.chips.loihi2.relay import Relay
from i2e_deploy.chips.trace import States

Integers = NDArray[np.int64]

#: Half the range of a 24-bit state word.
WORD = 2**23


@dataclass
class State:
    """What a layer remembers.

    Args:
        variables: state variables by name, int64 [B, N].
        in_flight: currents that synapses have computed, real and imaginary part: int64 [B, depth, N]; row 0 arrives
            in the next step.
        t: steps done.
        wraps, saturations, peaks: counts since the start of this run.
    """

    variables: dict[str, Integers]
    in_flight: tuple[Integers, Integers]
    t: int = 0
    wraps: int = 0
    saturations: int = 0
    peaks: dict[str, int] = field(default_factory=dict)

    def peak(self, name: str, values: Integers) -> None:
        """Keep the largest magnitude of a variable."""
        self.peaks[name] = max(self.peaks.get(name, 0), int(np.abs(values).max()))


IN_FLIGHT = ("in_flight", "in_flight_imag")


def depth_of(layer: Layer) -> int:
    """Steps until the last delayed current has arrived, >= 1."""
    return max((wire.depth for wire in layer.wires), default=1)


def fresh(layer: Layer, samples: int, states: States | None = None) -> State:
    """All zero, or where an earlier run ended."""
    names = layer.neuron.variables
    in_flight = tuple(np.zeros((samples, depth_of(layer), layer.size), np.int64) for _ in range(2))
    state = State(
        {name: np.zeros((samples, layer.size), np.int64) for name in names},
        (in_flight[0], in_flight[1]),
        peaks=dict.fromkeys(names, 0),
    )
    if states is not None:
        given = states[layer.name]
        state.variables = {name: given[name].reshape(samples, -1).astype(np.int64) for name in names}
        for arriving, name in zip(state.in_flight, IN_FLIGHT, strict=True):
            if name in given:
                arriving[:] = given[name].reshape(arriving.shape)
        state.t = int(given["step"][0]) if "step" in given else 0
    return state


def final(layer: Layer, state: State) -> dict[str, Integers]:
    """The state as a trace holds it: variables [B, *shape], `in_flight` [B, depth, *shape], `step` [B]."""
    samples = len(state.in_flight[0])
    found = {name: value.reshape(samples, *layer.shape) for name, value in state.variables.items()}
    for arriving, name in zip(state.in_flight, IN_FLIGHT, strict=True):
        if name in extra_shapes(layer):
            found[name] = wrap(arriving, 32).reshape(samples, -1, *layer.shape)
    if "step" in extra_shapes(layer):
        found["step"] = np.full(samples, state.t)
    return found


def extra_shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    """What beside the state variables a run must hand to the next, without B."""
    shapes: dict[str, tuple[int, ...]] = {}
    if any(wire.synapse is not None for wire in layer.wires):
        shapes["in_flight"] = (depth_of(layer), *layer.shape)
        if isinstance(layer.neuron, Resonator):
            shapes["in_flight_imag"] = shapes["in_flight"]
    if layer.neuron.reset is not None:
        shapes["step"] = ()
    return shapes


def state_shapes(layers: tuple[Layer, ...]) -> dict[str, dict[str, tuple[int, ...]]]:
    """Shapes of all states by layer and name, without B."""
    return {layer.name: dict.fromkeys(layer.neuron.variables, layer.shape) | extra_shapes(layer) for layer in layers}


def update(layer: Layer, state: State, t: int, real: Integers, imag: Integers) -> Integers:
    """One step: currents in, messages out (0 or 1, or signed values). `t` counts from 1."""
    functions: dict[type, Any] = {
        CubaLif: _cuba, ProgrammableLif: _programmable, Delta: _delta, SigmaDelta: _sigma_delta, Sigma: _sigma,
        Resonator: _resonator, Relay: _relay,
    }  # fmt: skip
    messages: Integers = functions[type(layer.neuron)](layer, layer.neuron, state, t, real, imag)
    return messages


def decay(x: Integers, lost: Integers | int) -> Integers:
    """Of 4096 parts `lost` are lost, rounding toward zero."""
    kept: Integers = np.sign(x) * ((np.abs(x) * (4096 - lost)) >> 12)  # type: ignore[operator, unused-ignore]
    return kept


def wrap(x: Integers, bits: int) -> Integers:
    """Two's complement of that many bits."""
    wrapped: Integers = (x + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    return wrapped


def _cuba(layer: Layer, neuron: CubaLif, state: State, t: int, a: Integers, _: Integers) -> Integers:
    """lava proc/lif/models.py:137-200 (LIF), :436-449 (LIFReset). The current is 32 bits wide in between."""
    v = _clipped(state, "v", _integrated(layer, neuron, state, t, a))
    spikes = v > neuron.threshold << 6
    state.variables["v"] = np.where(spikes, 0, v)
    return spikes.astype(np.int64)


def _integrated(layer: Layer, neuron: CubaLif | ProgrammableLif, state: State, t: int, a: Integers) -> Integers:
    """The periodic reset and the current; returns the voltage with the current and the bias, 32 bits wide."""
    if neuron.reset is not None and t % neuron.reset.interval == neuron.reset.offset % neuron.reset.interval:
        state.variables = {name: np.zeros_like(value) for name, value in state.variables.items()}
    u = wrap(decay(state.variables["u"], layer.per_neuron(neuron.current_decay)) + wrap(a << 6, 32), 32)
    state.peak("u", u)
    state.wraps += int(((u > WORD) | (u <= -WORD)).sum())
    once = np.where(u > WORD, u - 2 * WORD, u)  # one addition, not a modulo: +2^23 itself stays
    u = state.variables["u"] = np.where(once <= -WORD, wrap(u + 2 * WORD, 32), once)
    return wrap(decay(state.variables["v"], layer.per_neuron(neuron.voltage_decay)) + u + layer.bias, 32)


def _clipped(state: State, name: str, values: Integers) -> Integers:
    """Within 24 bits, counted, and the largest kept."""
    state.peak(name, values)
    return _within(state, values)


def _within(state: State, values: Integers) -> Integers:
    """Within 24 bits, counted."""
    state.saturations += int((np.abs(values) > WORD - 1).sum())
    return values.clip(-(WORD - 1), WORD - 1)


def _programmable(layer: Layer, neuron: ProgrammableLif, state: State, t: int, a: Integers, _: Integers) -> Integers:
    """No model of Lava: current, voltage and their words as `_cuba`.

    The threshold moves as in lava proc/atrlif/models.py:186-194, 245, 265 (decay, compare, grow), and is clipped as the
    voltage is, which Lava leaves open. The reset in the next step is snnTorch's (`Leaky(reset_delay=True)`). The rest
    is this project's choice: nothing about it was seen on a chip.
    """
    v, variables = _integrated(layer, neuron, state, t, a), state.variables
    if neuron.sends == "spikes" and neuron.reset_step == "next":
        if neuron.after_spike in ("subtract", "amount"):
            v = wrap(v - variables["pending"], 32)
        elif neuron.after_spike == "set":
            v = np.where(variables["pending"] != 0, layer.per_neuron(neuron.reset_value) << 6, v)
    v, lowest = _clipped(state, "v", v), layer.per_neuron(neuron.lowest) << 6
    if neuron.sends == "voltage":
        variables["v"], most = np.maximum(v, lowest), 2 ** (neuron.bits - 1) - 1
        message = (variables["v"] + (1 << neuron.shift >> 1)) >> neuron.shift  # to the nearest, half up
        state.saturations += int((np.abs(message) > most).sum())
        return message.clip(-most, most)
    kept: Integers = decay(variables["adaptation"], layer.per_neuron(neuron.adaptation_decay)).clip(0, WORD - 1)
    threshold = (layer.per_neuron(neuron.threshold) << 6) + kept
    spikes = _spikes(neuron, v, threshold)
    grown = kept + spikes * (layer.per_neuron(neuron.adaptation_step) << 6)
    variables["adaptation"] = _clipped(state, "adaptation", grown)
    value = layer.per_neuron(neuron.reset_value) << 6
    amount = threshold if neuron.after_spike == "subtract" else value
    after, pending = _reset(neuron, state, v, spikes, amount)
    variables["v"], variables["pending"] = np.maximum(after, lowest), pending
    state.peak("pending", pending)
    return spikes


def _relay(layer: Layer, neuron: Relay, state: State, t: int, a: Integers, _: Integers) -> Integers:
    """No model of Lava, but a sum sent in every step as lava proc/sdn/models.py:31-57 does; bounds are our choice."""
    v = _clipped(state, "v", wrap(a + layer.bias, 32))
    v = np.maximum(np.minimum(v, layer.per_neuron(neuron.highest)), layer.per_neuron(neuron.lowest))
    state.variables["v"], most = v, 2 ** (neuron.bits - 1) - 1
    message = v >> neuron.shift
    state.saturations += int((np.abs(message) > most).sum())
    return message.clip(-most, most)


def _spikes(neuron: ProgrammableLif, v: Integers, threshold: Integers) -> Integers:
    """How many thresholds the voltage exceeds (`>`) or reaches (`>=`), as many as it may send."""
    reached = v if neuron.fires == ">=" else v - 1  # integers: v > th is v - 1 >= th
    if neuron.max_spikes == 1:
        return (reached >= threshold).astype(np.int64)
    most = None if neuron.max_spikes == "any" else neuron.max_spikes
    return (reached // threshold).clip(0, most)


def _reset(
    neuron: ProgrammableLif, state: State, v: Integers, spikes: Integers, amount: Integers
) -> tuple[Integers, Integers]:
    """The voltage after the spikes, and what the next step's voltage will lose; one of them is as it was."""
    taken, set_to = np.zeros_like(v), np.where(spikes > 0, amount, v)
    if neuron.after_spike in ("subtract", "amount"):
        taken = _within(state, spikes * amount)
        set_to = v if neuron.reset_step == "next" else _within(state, v - taken)
    elif neuron.after_spike == "set":
        taken = (spikes > 0).astype(np.int64)
    else:
        set_to = v
    return (v, taken) if neuron.reset_step == "next" else (set_to, np.zeros_like(v))


def _send_change(neuron: Delta | SigmaDelta, state: State, act: Integers) -> Integers:
    """lava proc/sdn/models.py:68-100: `>=`; the low 6 bits of what is sent are lost."""
    variables = state.variables
    change = wrap(act - variables["act"] + variables["residue"], 32)
    large = wrap(np.abs(change), 32) >= wrap(np.array(neuron.threshold << (neuron.spike_exp + 6)), 32)
    sent = np.where(large, change, 0)
    variables["residue"], variables["act"] = wrap(change - sent, 32), act
    state.peak("residue", variables["residue"])
    state.peak("act", act)
    state.wraps += int((np.abs(act) > WORD).sum())
    return sent >> 6


def _delta(layer: Layer, neuron: Delta, state: State, t: int, a: Integers, _: Integers) -> Integers:
    """lava proc/sdn/models.py:211-231."""
    return _send_change(neuron, state, wrap(a << (neuron.spike_exp + 6), 32))


def _sigma_delta(layer: Layer, neuron: SigmaDelta, state: State, t: int, a: Integers, _: Integers) -> Integers:
    """lava proc/sdn/models.py:144-173, 262-284; netx always rectifies."""
    sigma = wrap(state.variables["sigma"] + a, 32)
    state.variables["sigma"] = sigma
    state.peak("sigma", sigma)
    state.wraps += int((np.abs(sigma) > WORD).sum())
    return _send_change(neuron, state, np.maximum(wrap(sigma + layer.bias, 32), 0))


def _sigma(layer: Layer, neuron: Sigma, state: State, t: int, a: Integers, _: Integers) -> Integers:
    """lava proc/sdn/models.py:31-57."""
    sigma = wrap(state.variables["sigma"] + a, 32)
    state.variables["sigma"] = sigma
    state.peak("sigma", sigma)
    state.wraps += int((np.abs(sigma) > WORD).sum())
    return sigma


def _resonator(layer: Layer, neuron: Resonator, state: State, t: int, a: Integers, a_imag: Integers) -> Integers:
    """lava proc/rf/models.py:113-145, proc/rf_iz/models.py:34-58: each of the four products rounds toward zero."""
    re, im, sin, cos = state.variables["real"], state.variables["imag"], neuron.sin_decay, neuron.cos_decay
    real = _scaled(cos * re) - _scaled(sin * im) + wrap(a << 6, 32)
    imag = _scaled(sin * re) + _scaled(cos * im) + wrap(a_imag << 6, 32)
    state.peak("real", real)
    state.peak("imag", imag)
    state.saturations += int((np.abs(real) > WORD - 1).sum() + (np.abs(imag) > WORD - 1).sum())
    real, imag = real.clip(-(WORD - 1), WORD - 1), imag.clip(-(WORD - 1), WORD - 1)
    threshold = neuron.threshold << 6
    if neuron.kind == "phase":
        spikes = (real >= threshold) & (imag >= 0) & (im < 0)
    else:
        spikes = imag >= threshold
        real, imag = np.where(spikes, 0, real), np.where(spikes, threshold - 1, imag)
    state.variables["real"], state.variables["imag"] = real, imag
    return spikes.astype(np.int64)


def _scaled(product: Integers) -> Integers:
    scaled: Integers = np.sign(product) * (np.abs(product) >> 12)
    return scaled
