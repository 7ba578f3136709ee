"""The `neuron` group of a layer in a netx `.net` file."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.loihi2.neuron import Ints, Neuron
from i2e_deploy.chips.loihi2.program import CubaLif, Delta, Resonator, Sigma, SigmaDelta
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.op import Shape


def read_neuron(group: Guarded, shape: Shape, first: bool = False, spike_exp: int = 6) -> tuple[Neuron, int, list[str]]:
    """The neuron record, its message bits, and notes on what the file says beyond them.

    Args:
        group: `layer/<i>/neuron`.
        shape: of the layer; per-channel parameters have shape[0] values.
        first: the layer is the input layer.
        spike_exp: fractional bits of Sigma-Delta messages.

    Raises:
        UnsupportedError: neurons that netx does not load, or loads as something else.
    """
    kind, keys = group.text("type"), set(group.names(64))
    if "gradedSpike" in keys and group.integers("gradedSpike", 0, 1).any():
        raise UnsupportedError(
            "graded CUBA or RF spikes: netx makes them binary (num_message_bits 0); use graded_spike=False"
        )
    default = 16 if kind == "SDNN" else 0  # netx/hdf5.py:135-172
    bits = int(group.integers("messageBits", 0, 32).reshape(-1)[0]) if "messageBits" in keys else default
    if kind in ("LOIHI", "CUBA"):
        return _cuba(group, shape), bits, []
    if kind == "SDNN":
        return _sdnn(group, keys, first, spike_exp), bits, []
    if kind in ("RF_PHASE", "RF_IZHIKEVICH") and not first:
        sin, cos = (int(group.integers(key, -4096, 4096, ()).item()) for key in ("sinDecay", "cosDecay"))
        return Resonator("phase" if kind == "RF_PHASE" else "izhikevich", sin, cos, _threshold(group)), 0, []
    raise UnsupportedError(_reason(kind, first))


def _reason(kind: str, first: bool) -> str:
    if kind.startswith("ADRF"):
        return f"{kind} neurons: netx loads them as plain resonators and drops the adaptation; use RF or CUBA neurons"
    if kind == "ALIF":
        return "ALIF neurons: netx cannot load them (Lava has ATRLIF, but no exporter); use CUBA neurons"
    if first:
        return f"{kind} neurons in an input layer: netx has CUBA and SDNN inputs only"
    return f"{kind} neurons: known are CUBA, LOIHI, SDNN, RF_PHASE, RF_IZHIKEVICH"


def _cuba(group: Guarded, shape: Shape) -> CubaLif:
    return CubaLif(_decay(group, "iDecay", shape), _decay(group, "vDecay", shape), _threshold(group))


def _sdnn(group: Guarded, keys: set[str], first: bool, spike_exp: int) -> Neuron:
    """netx/hdf5.py:164-189: an input is Delta, `sigma_output` makes Sigma, whatever its value."""
    if first:
        return Delta(_threshold(group), spike_exp)
    if "sigma_output" in keys:
        return Sigma()
    if "activation" in keys and group.text("activation") != "relu":
        raise UnsupportedError(
            f"activation {group.text('activation')!r}: netx always rectifies and would drop it; use relu"
        )
    return SigmaDelta(_threshold(group), spike_exp)


def _decay(group: Guarded, key: str, shape: Shape) -> Ints:
    decay = group.integers(key, 0, 4096).reshape(-1)
    if decay.size not in (1, shape[0]):
        raise group.error(f"has {decay.size} values, expected 1 or {shape[0]} (one a channel)", key)
    return np.ascontiguousarray(decay)


def _threshold(group: Guarded) -> int:
    threshold = group.integers("vThMant", 0, 2**31 - 1).reshape(-1)
    if threshold.size != 1:
        raise group.error(f"has {threshold.size} values, expected 1", "vThMant")
    return int(threshold[0])
