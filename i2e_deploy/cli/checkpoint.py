"""`i2e-deploy checkpoint`: trained weights of torch become a network file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="A checkpoint of torch: .pth.tar, .pth or .pt.")],
    input_shape: Annotated[str, typer.Option(help="C,H,W of the frames, which a checkpoint does not say.")],
    out: Annotated[Path, typer.Option(help="The network file (.safetensors) to write.")],
    key: Annotated[str, typer.Option(help="Where in the checkpoint the weights are, e.g. state_dict.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Turn an MS-ResNet's checkpoint into a network file.

    The file is read as data: nothing in it is run. Weights in the layout of the I2E paper's authors are known
    (`conv1`, `bn1`, `layer1.0.conv1`, ..., `fc`, perhaps with `module.` in front); what else it holds is left out and
    named. Strides and neurons, which it does not hold, are those of the authors' network.

    Example: i2e-deploy checkpoint best.pth.tar --input-shape 2,128,128 --out resnet18.safetensors
    """
    from i2e_deploy.cli.common import console, parse_shape, print_json, working
    from i2e_deploy.errors import InputError
    from i2e_deploy.network.checkpoint import read_checkpoint
    from i2e_deploy.network.file import write_network
    from i2e_deploy.network.ms_resnet import from_ms_resnet, is_ms_resnet
    from i2e_deploy.text import listed

    shape = parse_shape(input_shape)
    if shape is None or len(shape) != 3 or out.suffix != ".safetensors":
        raise InputError(f"--input-shape {input_shape!r}, --out {out}: give C,H,W and a .safetensors file")
    with working(f"reading {file}"):
        found = read_checkpoint(file, key)
    if not is_ms_resnet(found.weights):
        raise InputError(
            f"{file} holds weights {listed(list(found.weights))}, which are no MS-ResNet's: load them into your module "
            "and read that, e.g. with network.from_spikingjelly"
        )
    network = from_ms_resnet(found.weights, shape)
    write_network(network, out, {"checkpoint": file.name, **found.beside})
    if as_json:
        print_json({
            "network": str(out), "layers": len(network.layers), "key": found.key, "prefix": found.prefix,
            "left_out": list(found.left_out), "beside": dict(found.beside),
            "notes": [note.text for note in network.notes],
        })  # fmt: skip
        return
    console().print(f"wrote {out}: {network!r}")
    told = console(wrap=True)
    for note in network.notes:
        told.print(note.text)
    if found.left_out:
        told.print(f"not read, because they are no weights: objects of {listed(list(found.left_out))}")
    if found.beside:
        told.print("beside the weights: " + ", ".join(f"{name} {value}" for name, value in found.beside.items()))
