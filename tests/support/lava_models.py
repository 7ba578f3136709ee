"""Run a netx network on Lava's own `fixed_pt` process models, each in a thread, without Lava's process runtime.

The models are Lava's, instantiated as its builder does (magma/compiler/builders/py_builder.py:393-412); only the
channels are ours. A small network takes milliseconds instead of a second, so that hundreds can be compared in a
test. `test_lava_live.py` shows on several networks that this and Lava's runtime give the same integers.
"""

from __future__ import annotations

import queue
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
TIME_LIMIT = 60.0
_MODELS = {
    "LIF": ("lif", "PyLifModelBitAcc"), "LIFReset": ("lif", "PyLifResetModelBitAcc"),
    "Dense": ("dense", "PyDenseModelBitAcc"), "DelayDense": ("dense", "PyDelayDenseModelBitAcc"),
    "Sparse": ("sparse", "PySparseModelBitAcc"), "Conv": ("conv", "PyConvModelFixed"),
    "Delta": ("sdn", "PyDeltaModelFixed"), "SigmaDelta": ("sdn", "PySigmaDeltaModelFixed"),
    "Sigma": ("sdn", "PySigmaModelFixed"), "RF": ("rf", "PyRFModelFixed"), "RF_IZ": ("rf_iz", "PyRF_IZModelFixed"),
    "ATRLIF": ("atrlif", "PyATRLIFModelFixed"),
}  # fmt: skip


class InPort:
    """Sums what its channels hold, as lava/magma/core/model/py/ports.py:333 does."""

    def __init__(self) -> None:
        self.channels: list[queue.Queue[Any]] = []

    def recv(self) -> Any:
        parts = [channel.get(timeout=TIME_LIMIT) for channel in self.channels]
        return parts[0] if len(parts) == 1 else np.sum(parts, axis=0, dtype=parts[0].dtype)


class OutPort:
    """Sends copies, cast to the port's type."""

    def __init__(self, dtype: Any) -> None:
        self.dtype, self.targets, self.log = dtype, [], None  # type: ignore[var-annotated]

    def connect(self, port: InPort, view: Any = None) -> None:
        channel: queue.Queue[Any] = queue.Queue()
        port.channels.append(channel)
        self.targets.append((channel, view or (lambda data: data)))

    def send(self, data: Any) -> None:
        data = np.asarray(data).astype(self.dtype)
        if self.log is not None:
            self.log.append(data.copy())
        for channel, view in self.targets:
            channel.put(view(data).copy())


def model_of(process: Any) -> Any:
    """The process model with its variables set and ports of ours."""
    module, name = _MODELS[type(process).__name__]
    cls = getattr(import_module(f"lava.proc.{module}.models"), name)
    model = cls(process.proc_params)
    for var in process.vars:
        kind = getattr(cls, var.name)
        if isinstance(kind.cls, type) and issubclass(kind.cls, np.ndarray):
            value = np.empty(var.shape, kind.d_type)
            value[:] = var.init
        else:
            value = var.init
        setattr(model, var.name, value)
    for port in process.in_ports:
        setattr(model, port.name, InPort())
    for port in process.out_ports:
        setattr(model, port.name, OutPort(getattr(cls, port.name).d_type))
    return model


def _wire(net: Any) -> tuple[list[Any], list[Any], list[dict[str, list[Any]]], OutPort]:
    """All models, the neuron models in order, the synapse models of each by current, and what feeds the first layer."""
    source = OutPort(np.int32)
    models: list[Any] = []
    neurons: list[Any] = []
    synapses: list[dict[str, list[Any]]] = []
    feed, shape = source, None
    for layer in net.layers:
        neuron = model_of(layer.neuron)
        synapses.append({})
        for attribute, target in (("synapse", "a_in"), ("real_synapse", "a_real_in"), ("imag_synapse", "a_imag_in")):
            if not hasattr(layer, attribute):
                continue
            synapse = model_of(getattr(layer, attribute))
            flat = shape is not None and len(shape) == 3 and len(getattr(layer, attribute).s_in.shape) == 1
            feed.connect(synapse.s_in, (lambda d: d.transpose(2, 1, 0).flatten()) if flat else None)
            synapse.a_out.connect(getattr(neuron, target))
            models.append(synapse)
            synapses[-1].setdefault("in_flight_imag" if "imag" in target else "in_flight", []).append(synapse)
        if not models and not neurons:
            feed.connect(neuron.a_in)
        if hasattr(layer, "synapse_rec"):
            synapse = model_of(layer.synapse_rec)
            neuron.s_out.connect(synapse.s_in)
            synapse.a_out.connect(neuron.a_in)
            models.append(synapse)
            synapses[-1]["in_flight"].append(synapse)
        models.append(neuron)
        neurons.append(neuron)
        neuron.s_out.log = []
        feed, shape = neuron.s_out, layer.shape
    return models, neurons, synapses, source


def run_models(net: Any, frames: Ints) -> tuple[list[Ints], list[dict[str, Ints]]]:
    """Messages [T, *shape] and final states of each layer, as (C, H, W) or (N,); currents in flight [depth, ...].

    Args:
        net: `lava.lib.dl.netx.hdf5.Network`.
        frames: [T, *shape] with shape (C, H, W) or (N,).
    """
    models, neurons, synapses, source = _wire(net)
    failures: list[BaseException] = []

    def loop(model: Any) -> None:
        try:
            for t in range(len(frames)):
                model.time_step = t + 1
                model.run_spk()
        except BaseException as error:
            failures.append(error)

    flat = len(net.inp.shape) == 1
    for frame in frames:
        source.send(frame.reshape(-1) if flat else frame.transpose(2, 1, 0))
    threads = [threading.Thread(target=loop, args=(model,), daemon=True) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIME_LIMIT)
    if failures:
        raise failures[0]
    sent = [np.stack([_chw(m) for m in neuron.s_out.log]) for neuron in neurons]
    states = [{k: _chw(np.asarray(getattr(n, v))) for k, v in _STATES.items() if hasattr(n, v)} for n in neurons]
    for state, wires in zip(states, synapses, strict=True):
        state |= {name: np.asarray(sum(_in_flight(m) for m in found), np.int64) for name, found in wires.items()}
    return sent, states


def _in_flight(synapse: Any) -> Any:
    """What a synapse will send: row 0 in the next step (dense/models.py:96, :330; conv/models.py:38)."""
    array = np.asarray(synapse.a_buff if hasattr(synapse, "a_buff") else synapse.a_buf)
    return array.T if array.ndim == 2 else _chw(array)[None]


_STATES = {"u": "u", "v": "v", "sigma": "sigma", "act": "act", "residue": "residue", "real": "real", "imag": "imag"}


def _chw(array: Any) -> Ints:
    return np.asarray(array.transpose(2, 1, 0) if array.ndim == 3 else array, np.int64)


def load(path: Path, **options: Any) -> Any:
    """`netx.hdf5.Network` of a file."""
    return import_module("lava.lib.dl.netx").hdf5.Network(net_config=str(path), **options)
