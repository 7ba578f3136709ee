"""What a SLAYER block computes, as integers: its group for `netx_read`, and what no `.net` file says.

Taken from what `forward` uses (lava-dl 0.6.0, paths below are in lava/lib/dl/slayer), not from what `export_hdf5`
writes where the two differ: the export truncates thresholds, forgets a Sigma-Delta bias and the limits of a norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from i2e_deploy.chips.loihi2.formats.slayer_norm import cuba_bias, current_decays, exponent_of, norm_bias, scaled
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.errors import InputError, UnsupportedError

#: Integers of a program for a message of 1.0 of a Sigma-Delta block, and of weights and biases.
MESSAGE, WEIGHT = 4096, 64
#: Longest delay of a synapse, steps (lava proc/dense/models.py:331, netx/hdf5.py:425).
LONGEST = 62


@dataclass(frozen=True, eq=False)
class Facts:
    """What the program needs to know of a block beside its group.

    Args:
        title: for messages, e.g. "block 2 (Dense)".
        kind: `pass`: no neurons; `input`: neurons that take frames directly; `neurons`; `membrane`: gives its state.
        shift: steps by which SLAYER sends later than it fires (block/base.py:16, `delay_shift`).
        bias: int64 [C] or [N], or None.
        delay: int64 [C] that is not in the group: it must act where the block's messages arrive; or None.
        unit: integers of the program for 1.0 of what SLAYER's block gives.
        takes: the same of what feeds it.
        summed: `membrane`: the state is the sum of what SLAYER's block gives.
    """

    title: str
    kind: str
    shift: int
    bias: Ints | None = None
    delay: Ints | None = None
    unit: int = 1
    takes: int = 1
    summed: bool = False


def exported(blocks: Sequence[Any], layers: Any) -> list[Facts]:
    """Write a group a block into `layers` and say the rest. The blocks are changed: give copies that have run.

    Raises:
        UnsupportedError: blocks that have no exact counterpart; every one is named, with the reason.
        InputError: SLAYER cannot export one.
    """
    titles = [f"block {index} ({type(block).__name__})" for index, block in enumerate(blocks)]
    found = [_facts_or_reason(block, layers.create_group(str(i)), titles[i]) for i, block in enumerate(blocks)]
    refused = [reason for reason in found if isinstance(reason, str)]
    if refused:
        raise UnsupportedError(" | ".join(refused))
    return [facts for facts in found if isinstance(facts, Facts)]


def _facts_or_reason(block: Any, group: Any, title: str) -> Facts | str:
    try:
        return _facts(block, group, title)
    except UnsupportedError as error:
        return f"{title}: {error}"


def _facts(block: Any, group: Any, title: str) -> Facts:
    kind, neuron = block_kind(block), getattr(block, "neuron", None)
    if kind == "Average":  # its own export asks for neurons that it does not have (block/base.py:232)
        group.create_dataset("type", (1,), "S10", [b"average"])
        group["shape"] = np.array([block.num_outputs, 1, 1])
        return Facts(title, "pass", 0)
    if kind == "TimeDecimation":
        raise UnsupportedError("skips steps, which neither netx nor the chip does: train without it")
    if kind == "Flatten" or neuron is None:
        _export(block, group, title)
        shifted = kind == "Input" and block.delay_shift is True
        return Facts(title, "pass", int(shifted))
    shift = int(block.delay_shift is True) if kind not in ("Affine", "Output") else 0
    if _family(neuron) == "sigma_delta":
        return _sigma_delta(block, kind, group, title, 0 if kind == "Input" else shift)
    if getattr(neuron, "graded_spike", False) is not False:
        raise UnsupportedError("graded CUBA or RF spikes; netx makes them binary, use graded_spike=False")
    if kind != "Affine":
        _check_threshold(neuron)
    _check_decays(neuron)
    silent = kind == "Affine" and block.dynamics is not True
    bias = None if silent else cuba_bias(block, kind)
    delay = _kept_delay(block, kind, bias)
    exponent = 0 if silent else exponent_of(getattr(neuron, "norm", None))
    _export(block, group, title)
    _check_weights(block, group)
    bias = scaled(group, bias, exponent, current_decays(neuron)) if exponent else bias
    _left_to_facts(group, delay)
    if kind == "Affine":
        return Facts(title, "membrane", 0, bias, None, neuron.s_scale, summed=silent)
    return Facts(title, "input" if kind == "Input" else "neurons", shift, bias, delay)


def _family(neuron: Any) -> str:
    """cuba, sigma_delta, rf, ...; of a derived class too."""
    return next(m.rpartition(".")[2] for kind in type(neuron).__mro__ if (m := kind.__module__).startswith("lava."))


def block_kind(block: Any) -> str:
    """Name of SLAYER's block, of a derived class too."""
    return next(kind.__name__ for kind in type(block).__mro__ if kind.__module__.startswith("lava."))


def _sigma_delta(block: Any, kind: str, group: Any, title: str, shift: int) -> Facts:
    neuron = block.neuron
    if neuron.w_scale != WEIGHT:
        raise UnsupportedError(
            f"scale={neuron.w_scale}: Sigma-Delta messages are steps of 1/(64 scale) in SLAYER and of 1/scale^2 on the "
            "chip, which are equal at scale=64: train with scale=64"
        )
    if neuron.activation not in (torch.nn.functional.relu, torch.relu) and kind not in ("Input", "Output"):
        name = getattr(neuron.activation, "__name__", type(neuron.activation).__name__)
        raise UnsupportedError(f"activation {name!r}: netx always rectifies and would drop it; use relu")
    threshold = None if kind == "Output" else _threshold(neuron, kind == "Input")
    neuron.delta.threshold = torch.nn.Parameter(torch.tensor([(threshold or 0) / WEIGHT]), requires_grad=False)
    if kind in ("Input", "Output"):  # neither uses them (block/sigma_delta.py:59, :210)
        neuron.norm, neuron.bias_is_set = None, False
    exponent, bias = exponent_of(neuron.norm), _sigma_delta_bias(neuron)
    delay = _kept_delay(block, kind, bias)
    _export(block, group, title)
    if kind != "Input":
        _check_weights(block, group)
    bias = scaled(group, bias, exponent, (0,)) if exponent else bias
    _left_to_facts(group, delay)
    unit = MESSAGE * WEIGHT if kind == "Output" else MESSAGE
    if kind == "Input":
        return Facts(title, "input", shift, unit=unit)
    return Facts(title, "neurons", shift, bias, delay, unit, MESSAGE)


def _threshold(neuron: Any, first: bool) -> int:
    """In units of 1/64. The changes of an input block's whole numbers reach the next one: rounding up is exact."""
    values = np.unique(neuron.delta.threshold.detach().double().numpy()) * WEIGHT
    if first:
        values = np.unique(np.ceil(values))
    if values.size > 1:
        raise UnsupportedError(
            f"{values.size} thresholds from {values[0]:g}/64 to {values[-1]:g}/64 (shared_param=False): netx and Lava "
            "have one a layer; train with shared_param=True"
        )
    if values[0] != np.round(values[0]):
        raise UnsupportedError(
            f"threshold {values[0] / WEIGHT:.6g} is between steps of 1/64, and Lava would take {int(values[0])}/64: "
            "set neuron.delta.threshold.data to a multiple of 1/64, at least 1/64, and train on without requires_grad"
        )
    return int(values[0])


def _sigma_delta_bias(neuron: Any) -> Ints | None:
    """What neuron/sigma_delta.py:177-190 adds to the sum: of `norm`, and of `set_bias`."""
    bias = norm_bias(neuron)
    if not neuron.bias_is_set:
        return bias
    shape = tuple(neuron.shape)
    own = neuron.bias.detach().double().numpy() * WEIGHT
    if (own != np.round(own)).any():
        raise UnsupportedError(
            f"set_bias holds {own.flat[np.flatnonzero(own != np.round(own))[0]] / WEIGHT:.6g}, between the steps of "
            "1/64 that a bias has on the chip: round it with torch.round(bias * 64) / 64"
        )
    own = np.broadcast_to(own, shape).reshape(shape[0], -1)
    if (own == own[:, :1]).all():
        own = own[:, :1]
    total: Ints = np.rint(own).astype(np.int64) + (0 if bias is None else bias.reshape(-1, 1))
    return np.ascontiguousarray(total.reshape(-1))


def _check_threshold(neuron: Any) -> None:
    """SLAYER fires from a step above the threshold on (neuron/cuba.py:134), the chip above it: if float32 holds it."""
    step = getattr(neuron, "threshold_eps", None)
    if step is not None and np.float32(neuron.threshold + step) == np.float32(neuron.threshold):
        raise UnsupportedError(
            f"threshold {neuron.threshold:g}: so high, SLAYER's float32 fires at the threshold too, and the chip only "
            f"above it: scale weights, bias and threshold down together, the threshold below {4096 / neuron.w_scale:g}"
        )


def _check_decays(neuron: Any) -> None:
    """UnsupportedError where `forward` uses other decays than the export says, or uses them otherwise."""
    names = [n for n in ("current_decay", "voltage_decay", "sin_decay", "cos_decay") if hasattr(neuron, n)]
    used = {name: getattr(neuron, name).detach().round().clone() for name in names}
    neuron.clamp()  # `forward` does so only with requires_grad (neuron/cuba.py:353), the export always
    for name, before in used.items():
        outside = before != getattr(neuron, name).detach().round()
        if outside.any():
            raise UnsupportedError(
                f"{name} is {float(before[outside][0]):g} of 4096 parts, which SLAYER computes with and the chip "
                "cannot: call neuron.clamp(), which changes what the module computes, and train on"
            )
        # neuron/dynamics/leaky_integrator.py:220 multiplies a state [B, C, H, W] with decays [C], so W counts, not C.
        if len(neuron.shape) > 1 and len(set(before.reshape(-1).tolist())) > 1:
            raise UnsupportedError(
                f"{name} of its own for each channel of an image (shared_param=False): SLAYER applies the values to "
                "the columns of the image, the chip to its channels; train with shared_param=True"
            )


def _kept_delay(block: Any, kind: str, bias: Ints | None) -> Ints | None:
    """Delays that must not move from the output to the input, which netx does: the block is active from its start."""
    if block.delay is None:
        return None
    longest = float(block.delay.delay.detach().max())
    if longest >= LONGEST + 1 or block.delay.sampling_time != 1:
        raise UnsupportedError(
            f"a delay of {longest:g} steps with sampling_time={block.delay.sampling_time}: the chip holds whole "
            f"steps up to {LONGEST}, as delay=True of the block builds them"
        )
    if not ((bias is not None and bias.any()) or kind == "Recurrent"):
        return None
    delay: Ints = block.delay.delay.detach().floor().clamp(0, LONGEST).numpy().astype(np.int64).reshape(-1)
    return delay


def _left_to_facts(group: Any, delay: Ints | None) -> None:
    if group["type"][0] != b"input":  # an input layer's bias is of the frames
        for key in ("bias", "neuron/weight_exp"):
            if key in group:
                del group[key]
    if delay is not None:
        del group["delay"]


def _export(block: Any, group: Any, title: str) -> None:
    try:
        block.export_hdf5(group)
    except (TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise InputError(f"{title} cannot be exported ({error}): run one batch through the network first") from error
    if "type" not in group:
        raise UnsupportedError("exports nothing; the chip has no counterpart (k-winners-take-all)")


#: Data sets of weights, and the synapses that have them.
_WEIGHTS = (
    ("weight", "synapse"), ("weight", "input_synapse"), ("weight_rec", "recurrent_synapse"),
    ("weight/real", "synapse.real"), ("weight/imag", "synapse.imag"),
)  # fmt: skip


def _check_weights(block: Any, group: Any) -> None:
    """The exported weights are those that the next `forward` multiplies with."""
    for key, name in _WEIGHTS:
        synapse = block
        for part in name.split("."):
            synapse = getattr(synapse, part, None)
        if synapse is None or hasattr(synapse, "imag"):
            continue
        hook = synapse.pre_hook_fx
        used = (synapse.weight if hook is None else hook(synapse.weight)).detach().double() * block.neuron.w_scale
        if (used != used.round()).any() or (group[key][()].reshape(-1) != used.numpy().reshape(-1)).any():
            raise UnsupportedError(
                f"{name}: the weights that `forward` multiplies with are not the exported integers: use the "
                "quantiser that SLAYER sets (pre_hook_fx = neuron.quantize_8bit)"
            )
