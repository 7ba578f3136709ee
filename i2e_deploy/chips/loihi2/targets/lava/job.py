"""A job for a Loihi 2 that is elsewhere: the netx file and frames as plain files, and the script that runs them.

program.net    as `export` writes it: netx and Lava change nothing of it
frames.npy     int32 [B, T + lag, N], steps without input at the end where the readout waits for what is on its way

The script needs Lava alone. We had no chip: its part with Intel's adapters is unverified on silicon; the rest is tested
with Lava's models on the processor.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np

from i2e_deploy.chips.jobs import Job, Returned
from i2e_deploy.chips.loihi2.engine.run import run
from i2e_deploy.chips.loihi2.formats.netx_export import Mended, export_netx, mend
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.reference.counts import LoihiCounts
from i2e_deploy.chips.loihi2.reference.layers import layers_of
from i2e_deploy.chips.loihi2.targets.lava.run import options_of
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import FileFormatError, UnsupportedError

SCRIPT = Path(__file__).with_name("job_script.py")


def make_job(network: BlockNetwork, frames: Integers) -> Job:
    """See `MakesJobs.job`.

    Args:
        frames: [B, T, N], see `engine.inputs.flat_frames`.

    Raises:
        UnsupportedError: a `.net` file cannot hold the network, or it decides by a state, which does not come back.
    """
    if network.deciding.of_state:
        raise UnsupportedError(
            f"a job brings back what layers send, and this program decides by the {network.deciding.describe()}: "
            "export with --readout-kind count"
        )
    with tempfile.TemporaryDirectory(prefix="i2e-job-") as folder:
        path = Path(folder) / "program.net"
        mended = export_netx(network, path)
        net = path.read_bytes()
    late = np.pad(frames, ((0, 0), (0, network.deciding.lag), (0, 0))).astype(np.int32)
    array = io.BytesIO()
    np.save(array, late)
    trace = run(network, late, "chip")
    options = options_of(mended.network, hardware=False)
    del options["hardware"]  # the script is told when it is started
    about = options | {
        "samples": len(frames),
        "layers": [block.name for block in network.blocks],
        "message_bits": [block.message_bits for block in network.blocks],
        "expected": [np.count_nonzero(sent.reshape(len(sent), -1), axis=1).tolist() for sent in trace.spikes.values()],
    }
    files = {"program.net": net, "frames.npy": array.getvalue()}
    return Job(SCRIPT.read_text(encoding="utf-8"), files, about, "lava-nc 0.10, lava-dl 0.6, lava-loihi and a Loihi 2")


def job_trace(network: BlockNetwork, returned: Returned, frames: Integers) -> Trace:
    """See `MakesJobs.trace_of_job`; there are no states.

    Raises:
        FileFormatError: an array of a layer is missing, or has another shape than that layer in these frames.
    """
    mended, (samples, steps), lag = mend(network), frames.shape[:2], network.deciding.lag
    sent = {
        layer.name: _sent(returned, i, (samples, steps + lag, *layer.shape), layer.name, mended)
        for i, layer in enumerate(layers_of(network, "chip"))
    }
    last = sent[network.blocks[-1].name].reshape(samples, steps + lag, -1)
    spikes = {name: array[:, :steps] for name, array in sent.items()}
    counts = {name: LoihiCounts(int(np.count_nonzero(array)), 0, 0) for name, array in spikes.items()}
    return Trace(
        spikes, {}, last[:, :steps], counts, uncounted=frozenset({"synops", "saturations", "wraps"}),
        deciding=network.deciding, read=last[:, lag:] if lag else None, incidents=dict(returned.incidents),
    )  # fmt: skip


def _sent(returned: Returned, number: int, shape: tuple[int, ...], layer: str, mended: Mended) -> Integers:
    """What a layer sent, without the neurons that the file has more."""
    array = returned.arrays.get(f"sent{number}")
    extra = mended.added.get(layer, 0)
    if array is None:
        raise FileFormatError(f"the results hold nothing of layer {layer!r} (sent{number})")
    if extra and array.ndim == 3:
        array = array[..., :-extra]
    if array.shape[:2] != shape[:2] or array.size != int(np.prod(shape)) or np.any(np.abs(array) >= 2**31):
        raise FileFormatError(
            f"the results have {list(array.shape)} of layer {layer!r}, where the job asks for {list(shape)} of 32 bits"
        )
    return array.reshape(shape).astype(np.int32)
