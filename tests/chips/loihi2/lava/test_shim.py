"""The import shim, and what it is for: SLAYER and Lava's CPU runtime agree exactly."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
from children import needs_lava, needs_lava_run, run_python

from i2e_deploy import lava_shim
from i2e_deploy.errors import MissingDependency

needs_shim = pytest.mark.skipif(sys.version_info < (3, 11), reason="Lava imports as it is")


@needs_lava_run
@pytest.mark.slow
def test_slayer_trains_and_lava_gives_the_same_spikes(tmp_path: Path) -> None:
    """Agreement: exact, at shift 0."""
    script = Path(__file__).with_name("slayer_roundtrip.py")
    result = json.loads(run_python(str(script), str(tmp_path)))
    assert len(result["losses"]) == 3
    assert all(math.isfinite(loss) for loss in result["losses"])
    assert result["weights_moved"]
    assert 20 < result["spikes"] < result["cells"] // 2
    assert result["spiking_neurons"] >= 3
    assert result["mismatches"] == 0
    assert result["mismatches_one_step_late"] > 10


FRESH = """
import dataclasses, sys
original = dataclasses.dataclass
from i2e_deploy.lava_shim import import_lava
assert not {"lava", "numpy", "torch"} & set(sys.modules)
try:
    import lava.magma.compiler.var_model
except ValueError as error:
    assert "mutable default" in str(error), error
else:
    raise SystemExit("Lava imports without the shim")
for _ in range(2):
    import_lava()
    assert dataclasses.dataclass is original
assert "torch" not in sys.modules
import lava.magma.compiler.compiler, lava.proc.lif.models
"""


@needs_lava
@needs_shim
def test_lava_imports_with_the_shim_and_not_without() -> None:
    run_python("-c", FRESH)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lava_shim, "_exists", lambda _module: True)


@needs_shim
@pytest.mark.usefixtures("installed")
def test_dataclass_is_restored_when_the_import_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    original = dataclasses.dataclass

    def broken(name: str) -> ModuleType:
        assert dataclasses.dataclass is not original
        raise RuntimeError(name)

    monkeypatch.setattr(lava_shim, "import_module", broken)
    modules = set(sys.modules)
    with pytest.raises(RuntimeError, match="var_model"):
        lava_shim.import_lava()
    assert dataclasses.dataclass is original
    assert set(sys.modules) == modules


@needs_shim
def test_only_lavas_encoder_becomes_hashable() -> None:
    def declare(module: str, name: str) -> type:
        return dataclasses.dataclass(type(name, (), {"__module__": module}))

    with lava_shim._hashable_byte_encoder():
        ours = declare("lava.magma.compiler.var_model", "ByteEncoder")
        others = [
            declare("lava.magma.compiler.var_model", "CoreEncoder"),
            declare("elsewhere", "ByteEncoder"),
        ]
        frozen: type = dataclasses.dataclass(frozen=True)(type("Frozen", (), {}))
    hash(ours())
    hash(frozen())
    for other in others:
        with pytest.raises(TypeError, match="unhashable"):
            hash(other())


@pytest.mark.parametrize("error", [None, ImportError, RuntimeError, UserWarning])
@needs_shim
@pytest.mark.usefixtures("installed")
def test_object_detection_is_replaced_only_when_it_cannot_work(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None
) -> None:
    def importer(name: str) -> ModuleType:
        if name == "torchvision" and error:
            raise error(name)
        return ModuleType(name)

    monkeypatch.setattr(lava_shim, "import_module", importer)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    sys.modules.pop(lava_shim._OBJECT_DETECTION, None)
    lava_shim.import_lava()
    assert (lava_shim._OBJECT_DETECTION in sys.modules) == (error is not None)


@pytest.mark.usefixtures("installed")
def test_nothing_is_touched_on_python_3_10(monkeypatch: pytest.MonkeyPatch) -> None:
    original, modules = dataclasses.dataclass, set(sys.modules)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
        patch.setattr(lava_shim, "_can_import", lambda *_modules: True)  # installed as lava-dl's pins ask
        patch.delattr(lava_shim, "import_module")
        patch.delattr(lava_shim, "_hashable_byte_encoder")
        lava_shim.import_lava()
    assert dataclasses.dataclass is original
    assert set(sys.modules) == modules


@pytest.mark.parametrize("absent", ["lava-nc", "lava-dl"])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    module = {"lava-nc": "lava.magma", "lava-dl": "lava.lib.dl.slayer"}[absent]
    monkeypatch.setattr(lava_shim, "_exists", lambda name: name != module)
    with pytest.raises(MissingDependency, match=f"^netx needs .*{absent}.*pip install") as caught:
        lava_shim.import_lava(needed_for="netx")
    assert isinstance(caught.value, ImportError)
    assert caught.value.package == absent


def test_a_missing_parent_package_is_not_an_error() -> None:
    assert not lava_shim._exists("i2e_no_such_parent.child")
    assert lava_shim._exists("json.decoder")


def test_lava_beside_numpy_2_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its runtime would hang until the time limit."""
    import numpy as np
    from loihi_nets import draw_frames, draw_network

    from i2e_deploy.chips.loihi2.targets.lava.run import run_lava

    monkeypatch.setattr(np, "__version__", "2.5.5")
    with pytest.raises(MissingDependency, match=r"Lava 0.10 \(found numpy 2.5.5\) needs the package 'numpy<2'"):
        run_lava(draw_network(0), draw_frames(draw_network(0), 0))
