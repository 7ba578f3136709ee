"""`i2e-deploy calibrate-power`: from readings of a board's power monitor to energy per operation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    readings: Annotated[
        list[Path],
        typer.Argument(help="Tables (.csv: synops_per_s, spikes_per_s, watts) or results of `evaluate` (.json)."),
    ],
    chip: Annotated[str, typer.Option(help="Name of the chip on the board, see `profiles`.")],
    out: Annotated[Path, typer.Option(help="Coefficients to write (.json).")],
    source: Annotated[str, typer.Option(help="Where they come from, as reports will say it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit energy per operation to readings of a board.

    The readings are those of its power monitor. Found are power at rest, energy of a synaptic operation and of a spike,
    for --power-coefficients of other commands. Watts are
    of the rails io, ram and logic together. Three readings at least, that differ in work: one at rest, and several
    networks or inputs. `evaluate MODEL DATA --semantics event --target simulator --target board --json` gives one: the
    simulator counts the operations, the board reads the watts. For chips of the DYNAP-CNN family.

    Example: i2e-deploy calibrate-power readings.csv --chip speck2f --out my_board.json
    """
    from i2e_deploy.chips import get
    from i2e_deploy.chips.abilities import CalibratesPower, require
    from i2e_deploy.cli.common import console, print_json
    from i2e_deploy.errors import InputError

    target = require(get(chip), CalibratesPower, f"calibrate-power --chip {chip}")
    if out.suffix != ".json":
        raise InputError(f"--out is {out}: coefficients are a .json file; give a name that ends so")
    fitted = target.calibrate_power(readings, out, source)
    if as_json:
        print_json({"file": str(out), **fitted})
        return
    console().print(
        f"at rest {1e3 * fitted['idle_w']:.4g} mW, {1e12 * fitted['synop_j']:.4g} pJ a synaptic operation, "
        f"{1e12 * fitted['spike_j']:.4g} pJ a spike; the fit leaves {1e3 * fitted['residual_w']:.2g} mW (root mean "
        f"square of {fitted['readings']} readings); wrote {out}"
    )
