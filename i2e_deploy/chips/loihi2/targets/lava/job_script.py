"""Runs this job with Lava: `python run.py` on a Loihi 2, `python run.py --cpu` with Lava's models on the processor.

It needs lava-nc and lava-dl, for the chip Intel's extension lava-loihi too, and nothing else. It reads job.json,
program.net and frames.npy beside it, and writes results.zip there. Written for lava-nc 0.10 and lava-dl 0.6; the chip's
part is unverified on silicon.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import traceback
import zipfile
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
#: Seconds that Lava may take to stop: its `stop` can hang.
STOP_S = 20
DETECTION = "lava.lib.dl.slayer.object_detection"
VAR_MODEL = "lava.magma.compiler.var_model"


def main(hardware: bool) -> None:
    """Run every sample from a fresh state, and write what every layer sent."""
    job = json.loads((HERE / "job.json").read_text(encoding="utf-8"))
    prepare()
    if hardware and not import_module("lava.utils.loihi").is_installed():
        sys.exit("Intel's extension lava-loihi is not installed: it comes from Intel's INRC. --cpu runs without a chip")
    frames = np.load(HERE / "frames.npy", allow_pickle=False)
    print(f"running {len(frames)} samples on {'a Loihi 2' if hardware else 'the processor'}", flush=True)
    samples = []
    for number, sample in enumerate(frames):
        samples.append(run_sample(job, sample, hardware))
        fired = sum(int(np.count_nonzero(sent)) for sent in samples[-1])
        print(f"sample {number}: {fired} messages", flush=True)
    arrays = {f"sent{i}": np.stack([sent[i] for sent in samples]) for i in range(len(job["layers"]))}
    write_results(job, arrays, f"{'Loihi 2' if hardware else 'CPU'}, Lava, Python {sys.version.split()[0]}")
    report(job, arrays)


def prepare() -> None:
    """Make Lava importable: it declares Python below 3.11, and one of its modules asks for torchvision and OpenCV."""
    original: Any = dataclasses.dataclass

    def hashable(cls: Any = None, /, **options: Any) -> Any:
        if cls and (cls.__module__, cls.__name__) == (VAR_MODEL, "ByteEncoder"):
            options["unsafe_hash"] = True
        return original(cls, **options)

    if sys.version_info >= (3, 11):
        dataclasses.dataclass = hashable
        try:
            import_module(VAR_MODEL)
        finally:
            dataclasses.dataclass = original
    sys.modules.setdefault(DETECTION, ModuleType(DETECTION))


def run_sample(job: dict[str, Any], frames: Any, hardware: bool) -> list[Any]:
    """What each layer sent, [T, C, H, W] or [T, N]."""
    network = build(HERE, job)
    data = frames.reshape(len(frames), *job["input_shape"])
    flat = len(network.inp.shape) == 1
    data = data.reshape(len(frames), -1).T if flat else data.transpose(3, 2, 1, 0)
    source = import_module("lava.proc.io.source").RingBuffer(data=data)
    # An input block is entered at its neurons: through its own port, Lava's compiler finds no model for it.
    connect_input(source, network.in_layer.neuron.a_in if job["direct"] else network.inp, job, hardware)
    ring = import_module("lava.proc.io.sink").RingBuffer
    sinks = []
    for layer, bits in zip(network.layers, job["message_bits"], strict=True):
        sinks.append(ring(shape=layer.neuron.s_out.shape, buffer=len(frames)))
        connect_output(layer.neuron.s_out, sinks[-1], bits, hardware)
    configs = import_module("lava.magma.core.run_configs")
    config = configs.Loihi2HwCfg() if hardware else configs.Loihi2SimCfg(select_tag="fixed_pt")
    steps = import_module("lava.magma.core.run_conditions").RunSteps(num_steps=len(frames))
    network.run(condition=steps, run_cfg=config)
    sent = [np.moveaxis(np.asarray(sink.data.get()), -1, 0) for sink in sinks]
    stop = Thread(target=network.stop, daemon=True)
    stop.start()
    stop.join(timeout=STOP_S)
    return [each.transpose(0, 3, 2, 1) if each.ndim == 4 else each for each in sent]


def build(folder: Path, job: dict[str, Any]) -> Any:
    """The netx network in a folder, with the resets of each layer set."""
    resets = job["resets"]
    first = next((reset for reset in resets if reset is not None), None)
    network = import_module("lava.lib.dl.netx").hdf5.Network(
        net_config=str(folder / "program.net"),
        input_message_bits=job["input_message_bits"],
        reset_interval=None if first is None else first[0],
        reset_offset=0 if first is None else first[1] - 1,
        spike_exp=job["spike_exp"],
    )
    for layer, reset in zip(network.layers, resets, strict=True):
        if reset is not None:
            layer.neuron.proc_params.overwrite("reset_interval", reset[0])
            layer.neuron.proc_params.overwrite("reset_offset", reset[1])
    return network


def connect_input(source: Any, entry: Any, job: dict[str, Any], hardware: bool) -> None:
    """Frames into the network; on the chip through Intel's adapter, as in lava/networks/gradedvecnetwork.py."""
    if not hardware:
        source.s_out.connect(entry)
        return
    adapter = import_module("lava.proc.embedded_io.spike").PyToNxAdapter(
        shape=entry.shape, num_message_bits=job["input_message_bits"]
    )
    source.s_out.connect(adapter.inp)
    adapter.out.connect(entry)


def connect_output(port: Any, sink: Any, message_bits: int, hardware: bool) -> None:
    """A layer's messages to the host."""
    if not hardware:
        port.connect(sink.a_in)
        return
    adapter = import_module("lava.proc.embedded_io.spike").NxToPyAdapter(
        shape=port.shape, num_message_bits=message_bits
    )
    port.connect(adapter.inp)
    adapter.out.connect(sink.a_in)


def write_results(job: dict[str, Any], arrays: dict[str, Any], machine: str) -> None:
    """results.zip: what ran, and the messages as int64, little-endian."""
    about = {
        "format": "i2e-deploy-results", "format_version": 1, "job": job["id"], "machine": machine, "incidents": {},
        "arrays": {name: list(array.shape) for name, array in arrays.items()},
    }  # fmt: skip
    with zipfile.ZipFile(HERE / "results.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.json", json.dumps(about, indent=1))
        for name, array in arrays.items():
            archive.writestr(f"{name}.bin", np.round(array).astype("<i8").tobytes())


def report(job: dict[str, Any], arrays: dict[str, Any]) -> None:
    """What came, beside what our simulator expects."""
    for i, name in enumerate(job["layers"]):
        found = np.count_nonzero(arrays[f"sent{i}"].reshape(len(arrays[f"sent{i}"]), -1), axis=1)
        for sample, expected in enumerate(job["expected"][i]):
            print(f"layer {name}, sample {sample}: {found[sample]} messages, expected {expected}")
    print(f"wrote {HERE / 'results.zip'}: send it back, and `i2e-deploy evaluate BUNDLE --target results.zip` compares")


if __name__ == "__main__":
    code: Any = 1
    try:
        main("--cpu" not in sys.argv[1:])
        code = 0
    except SystemExit as end:
        print(end, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # Lava's exit handlers can hang
