"""`i2e-deploy simulate`: frames in, spikes of every layer out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[Path, typer.Argument(help="A bundle folder or a network file (.safetensors).")],
    chip: Annotated[str, typer.Option(help="Name of the chip, see `profiles`.")],
    inputs: Annotated[Path, typer.Option("--input", help="Integers [T, C, H, W] or [B, T, C, H, W] (.npy).")],
    out: Annotated[Path, typer.Option(help="Trace to write (.npz).")],
    semantics: Annotated[str, typer.Option(help="timestep (exact to Sinabs).")] = "timestep",
    state: Annotated[bool, typer.Option("--state", help="Write the final states too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run frames through the chip's integers, bit for bit, and write what every layer did.

    The trace holds layer0, layer1, ... in network order, each [B, T, C, H, W]; with --state also
    layerN_<state>, e.g. layer0_v_mem.

    Example: i2e-deploy simulate demo_output/bundle --chip speck2f --input frames.npy --out trace.npz
    """
    from dataclasses import asdict

    import numpy as np

    from i2e_deploy.cli.common import console, print_json, read_frames, read_program_of
    from i2e_deploy.errors import InputError
    from i2e_deploy.files import replacing

    if out.suffix != ".npz":
        raise InputError(f"--out is {out}: a trace is an .npz file; give a name that ends so")
    program = read_program_of(model, chip)
    trace = program.run(read_frames(inputs), semantics)
    with replacing(out) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **trace.arrays(state))
    if as_json:
        print_json({
            "trace": str(out),
            "decisions": trace.decisions().tolist(),
            "layers": {name: asdict(counts) for name, counts in trace.counts.items()},
        })  # fmt: skip
        return
    for i, (name, counts) in enumerate(trace.counts.items()):
        console().print(
            f"layer{i} {name}: {counts.spikes:,} spikes, {counts.synops:,} synaptic operations, "
            f"{counts.saturations:,} saturations"
        )
    console().print(f"decisions {trace.decisions().tolist()}; wrote {out}")
