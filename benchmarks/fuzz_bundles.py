"""Files of a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from fuzz_kind import Kind, Read
from fuzz_seeds import small_network


def bundles(folder: Path) -> list[Kind]:
    """A mutated file of a bundle, whose checksum in the manifest is put right; and the manifest itself."""
    from i2e_deploy import bundle
    from i2e_deploy.bundle.bundle import GOLDEN, MANIFEST, NETWORK, PROGRAM
    from i2e_deploy.bundle.evaluation import leave_evaluation, read_evaluation
    from i2e_deploy.chips import get
    from i2e_deploy.files import sha256

    home = folder / "bundle"
    if not home.exists():
        frames = np.random.default_rng(0).integers(0, 3, (1, 2, 2, 8, 8))
        made = bundle.write(home, get("speck2f"), small_network(), frames)
        leave_evaluation(made, {"targets": {"simulator": {"accuracy": 1.0}}}, "drawn", "timestep")
    whole = {name: (home / name).read_bytes() for name in (MANIFEST, NETWORK, PROGRAM, GOLDEN, "evaluation.json")}

    def reader(name: str) -> Read:
        def read(path: Path) -> str:
            try:
                (home / name).write_bytes(path.read_bytes())
                if name in (NETWORK, PROGRAM, GOLDEN):
                    manifest = json.loads(whole[MANIFEST])
                    manifest["files"][name]["sha256"] = sha256(home / name)
                    (home / MANIFEST).write_text(json.dumps(manifest))
                read_evaluation(bundle.read(home))
            finally:
                for each in (name, MANIFEST):
                    (home / each).write_bytes(whole[each])
            return "read"

        return read

    return [Kind(f"bundle {name}", "bundles", Path(name).suffix, (data,), reader(name)) for name, data in whole.items()]
