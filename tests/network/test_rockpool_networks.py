"""Networks of Rockpool's modules: what stands in a row is read as it evolves, what has no counterpart is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from i2e_deploy import network as nw
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.rockpool.native import NATIVE
from i2e_deploy.network.rockpool.read import LEAVES

with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "samna", None)  # the one of the public index runs pip when it is imported
    modules = pytest.importorskip("rockpool.nn.modules")
    combinators = pytest.importorskip("rockpool.nn.combinators")
    networks = pytest.importorskip("rockpool.nn.networks")
    ahp = pytest.importorskip("rockpool.nn.modules.torch.ahp_lif_torch")
    torch_module = pytest.importorskip("rockpool.nn.modules.torch.torch_module")

INPUTS, BATCH, STEPS = 6, 2, 25


def frames(seed: int = 0, inputs: int = INPUTS) -> Any:
    return np.random.default_rng(seed).poisson(0.8, (BATCH, STEPS, inputs)).astype(np.float32)


def row(seed: int) -> Any:
    """Torch's modules: recurrent neurons with two synapses, a residual block, torch's own Linear, a readout."""
    torch.manual_seed(seed)
    block = combinators.Residual(modules.LinearTorch((5, 5)), modules.LIFTorch(5, threshold=torch.tensor(0.5)))
    return combinators.Sequential(
        modules.LinearTorch((INPUTS, 10), has_bias=True),
        modules.LIFTorch((10, 5), has_rec=True, w_rec=torch.randn(5, 10) / 20, threshold=torch.tensor(0.6)),
        modules.TimeStepDropout((5,), p=0.4),
        block,
        nn.Linear(5, 3),
        modules.UnitDropout((3,)),
        modules.ExpSynTorch(3),
    )


def native(seed: int) -> Any:
    np.random.seed(seed)  # Rockpool's initialisers draw of it
    return combinators.Sequential(
        modules.Linear((INPUTS, 8)),
        combinators.Residual(modules.Linear((8, 8)), modules.LIF(8)),
        modules.Linear((8, 6), has_bias=True),
        modules.LIF((6, 3), has_rec=True, w_rec=np.random.randn(3, 6) / 20),
        modules.ExpSyn(3),
    )


def synnet(seed: int) -> Any:
    torch.manual_seed(seed)
    return networks.SynNet(
        n_channels=INPUTS, n_classes=3, size_hidden_layers=[8, 6], time_constants_per_layer=[2, 3], p_dropout=0.1,
        threshold=0.05,
    )  # fmt: skip


def as_torch(seed: int) -> Any:
    return row(seed).to_torch()


class Mine(modules.TorchModule):  # type: ignore[misc, name-defined]
    """A forward of one's own, as Rockpool's documentation has it."""

    def __init__(self) -> None:
        super().__init__(shape=(INPUTS, 3))
        self.lin, self.lif = modules.LinearTorch((INPUTS, 8)), ahp.aLIFTorch((8, 4), threshold=torch.tensor(0.4))
        self.tail = combinators.Sequential(modules.LinearTorch((4, 3)), modules.ExpSynTorch(3))
        self.fc = nn.Linear(4, 4)

    def forward(self, data: Any) -> Any:
        data, _, _ = self.lin(2 * data)
        data, _, _ = self.lif(data)
        data = data + self.fc(data)
        data, _, _ = self.tail(data)
        return data


def mine(seed: int) -> Any:
    torch.manual_seed(seed)
    return Mine()


@pytest.mark.parametrize("make", [row, native, synnet, as_torch, mine])
@pytest.mark.parametrize("seed", range(3))
def test_networks_equal_their_own_evolution(make: Callable[[int], Any], seed: int) -> None:
    """Agreement: every layer, by the judge; the output to 1e-4 where float32 decided no spike."""
    module = make(seed)
    network = nw.from_rockpool(module, (INPUTS,), example=frames(seed))
    said = network.notes[-1].text
    assert "compared with" in said
    assert "nothing fired" not in said
    module.reset_state()
    if isinstance(module, nn.Module):
        nn.Module.eval(module)
    given = torch.from_numpy(frames(seed)) if isinstance(module, nn.Module) else frames(seed)
    with torch.no_grad():
        theirs, _, _ = module.evolve(given)
    if "last bit" not in said:
        np.testing.assert_allclose(network.run(frames(seed)).output, np.asarray(theirs), rtol=1e-4, atol=1e-4)


def test_without_an_example_a_module_evolves_on_drawn_frames() -> None:
    assert "the frames were drawn" in nw.from_rockpool(native(0), (INPUTS,)).notes[-1].text


def test_the_judge_compares_modules_within_rows() -> None:
    network = nw.from_rockpool(row(0), (INPUTS,), example=frames())
    assert "compared with TorchSequential.forward on 2 samples of 25 steps: 7 layers" in network.notes[-1].text


def test_the_module_is_left_as_it_was_and_its_states_are_said() -> None:
    module = row(0)
    with torch.no_grad():
        module.evolve(torch.from_numpy(frames()))
    before = {name: value.clone() for name, value in nn.Module.state_dict(module).items()}
    fresh, later = nw.from_rockpool(row(0), (INPUTS,)), nw.from_rockpool(module, (INPUTS,), example=frames()[0])
    assert all(torch.equal(value, before[name]) for name, value in nn.Module.state_dict(module).items())
    assert any("states of an earlier run" in note.text for note in later.notes)
    assert not any("states of an earlier run" in note.text for note in fresh.notes)
    np.testing.assert_array_equal(fresh.run(frames()).output, later.run(frames()).output)


def lif(**named: Any) -> Any:
    return modules.LIFTorch((INPUTS,), **named)


class Sure(torch.autograd.Function):
    """Fires always."""

    @staticmethod
    def forward(_: Any, data: Any, *__: Any) -> Any:
        return torch.ones_like(data)


class Doubling(modules.LIFTorch):  # type: ignore[misc, name-defined]
    """Another forward than that of its class."""

    def forward(self, data: Any) -> Any:
        return super().forward(2 * data)


def hooked() -> Any:
    module = row(0)
    module[0].register_forward_hook(lambda *_: None)
    return module


def patched() -> Any:
    module = lif()
    module._call = (lambda self, x: (2 * x, {}, {})).__get__(module)
    return module


class Thresholds(sys.modules["rockpool.nn.modules.module"].Module):  # type: ignore[misc]
    """A native evolution of one's own."""

    def evolve(self, data: Any, record: bool = False) -> Any:
        return data > record, {}, {}

    def __init__(self) -> None:
        super().__init__(shape=(INPUTS,))


def twice_native() -> Any:
    shared = modules.LIF(INPUTS)
    return combinators.Sequential(shared, modules.Linear((INPUTS, INPUTS)), shared)


def twice() -> Any:
    """Rockpool goes on in the second place with the states that the first left."""
    shared = lif()
    return combinators.Sequential(modules.LinearTorch((INPUTS, INPUTS)), shared, nn.Linear(INPUTS, INPUTS), shared)


#: What has no counterpart, and what is said of it.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "noise": (lambda: lif(noise_std=0.1), "set noise_std to 0"),
    "noise of synapses": (lambda: modules.ExpSynTorch(INPUTS, noise_std=0.1), "set noise_std to 0"),
    "spikes of one's own": (lambda: lif(spike_generation_fn=Sure), "use StepPWL or PeriodicExponential"),
    "half a spike": (lambda: lif(max_spikes_per_dt=torch.tensor(1.5)), "give a whole number"),
    "another forward": (lambda: Doubling((INPUTS,)), "forward of its own"),
    "a hook": (hooked, "forward hook"),
    "another call": (patched, "a call of its own"),
    "a short kernel": (lambda: modules.ExpSyn(INPUTS, max_window_length=20), "leave max_window_length out"),
    "a function": (lambda: modules.InstantTorch(INPUTS, torch.relu), "put what it computes into"),
    "membrane potentials of a SynNet": (
        lambda: networks.SynNet(
            n_channels=INPUTS, n_classes=3, size_hidden_layers=[4], time_constants_per_layer=[2], output="vmem"
        ),
        "output='spikes'",
    ),
    "a module in two places": (twice, "give each use its own"),
    "a native module in two places": (twice_native, "give each place its own"),
    "a native module of one's own": (Thresholds, "build it of Sequential and Residual"),
    "rectifiers": (lambda: combinators.Sequential(modules.LinearTorch((INPUTS, 3)), nn.ReLU()), "neurons in its place"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_options_without_counterpart_are_refused_with_the_way_out(name: str) -> None:
    make, said = REFUSED[name]
    with pytest.raises(UnsupportedError, match=said):
        nw.from_rockpool(make(), (INPUTS,))


def unknown_classes() -> list[str]:
    """Every class of `rockpool.nn.modules` that is not read; those without their library are functions there."""
    known = {leaf.rpartition(".")[2] for leaf in (*LEAVES, *NATIVE)} | {
        "TorchModuleParameters",
        "TimedModule",
        "Module",
    }
    found = [name for name in dir(modules) if isinstance(getattr(modules, name), type) and name not in known]
    base = sys.modules["rockpool.nn.modules.module"].ModuleBase
    return [name for name in found if issubclass(getattr(modules, name), base)]


@pytest.mark.parametrize("name", unknown_classes())
def test_classes_without_counterpart_are_refused_with_the_way_out(name: str) -> None:
    own = getattr(modules, name)
    module = own.__new__(own)
    if issubclass(own, nn.Module):
        torch_module.TorchModule.__init__(module, shape=(INPUTS,))
    else:
        sys.modules["rockpool.nn.modules.module"].ModuleBase.__init__(module, shape=(INPUTS,))
    with pytest.raises(UnsupportedError, match=name) as raised:
        nw.from_rockpool(module, (INPUTS,))
    assert ";" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_single_input_is_not_repeated_in_silence() -> None:
    """Rockpool gives a single input to all neurons; one neuron would be another network."""
    module = lif()
    assert module.evolve(torch.ones(1, 4, 1))[0].shape == (1, 4, INPUTS)
    with pytest.raises(InputError, match="put a Linear before it"):
        nw.from_rockpool(module, (1,))


def test_time_constants_spread_over_the_synapses_of_each_neuron() -> None:
    """Rockpool would make six synapses of one where tau_syn has a value a neuron, (N,) and not (N, 1), and fails."""
    module = lif()
    module.tau_syn.data = torch.full((INPUTS,), 0.01)
    with pytest.raises(UnsupportedError, match="broadcast shape"):
        nw.from_rockpool(module, (INPUTS,))


def test_a_step_is_what_the_modules_say() -> None:
    module = combinators.Sequential(lif(dt=0.002), modules.ExpSynTorch(INPUTS, dt=0.001))
    notes = nw.from_rockpool(module, (INPUTS,)).notes
    assert any(note.doubtful and "0.002 s in layer '0_LIFTorch'" in note.text for note in notes)


def test_something_else_is_no_module_of_rockpools() -> None:
    for thing in ("net", nn.Linear(INPUTS, 3)):
        with pytest.raises(InputError, match="no Rockpool module"):
            nw.from_rockpool(thing, (INPUTS,))
