"""NeuroBench's figures: the package's own harness on our programs, and on a snnTorch network, gives the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from dynapcnn_programs import programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network
from tiny_programs import tiny_program
from torch import nn
from truenorth_programs import draw_program

from i2e_deploy.chips.base import Program
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.truenorth.runnable import TrueNorthProgram
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import from_snntorch
from i2e_deploy.runtime.neurobench import Deployed, Trained, neurobench_figures
from i2e_deploy.runtime.neurobench_harness import neurobench_model

pytest.importorskip("neurobench")
snntorch = pytest.importorskip("snntorch")


def harness(model: Any, frames: Any, targets: Any, batch: int, post: list[Any]) -> dict[str, Any]:
    """The package's benchmark with all its metrics of this kind."""
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics import static, workload

    data = torch.utils.data.TensorDataset(torch.as_tensor(frames), torch.as_tensor(targets))
    loader = torch.utils.data.DataLoader(data, batch_size=batch)
    metrics = [
        [static.Footprint, static.ParameterCount, static.ConnectionSparsity],
        [workload.ActivationSparsity, workload.SynapticOperations, workload.MembraneUpdates,
         workload.ClassificationAccuracy],
    ]  # fmt: skip
    found: dict[str, Any] = Benchmark(model, loader, [], post, metrics).run(quiet=True)
    return found


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Counts are equal; the package adds up shares of batches in floats, so means agree to their rounding."""
    assert ours["ConnectionSparsity"] == theirs["ConnectionSparsity"]
    assert ours["ActivationSparsity"] == pytest.approx(theirs["ActivationSparsity"], rel=1e-12, abs=1e-15)
    assert ours["SynapticOperations"] == theirs["SynapticOperations"]
    assert ours["MembraneUpdates"] == theirs["MembraneUpdates"]


def assert_program(program: Program, frames: Any, semantics: str = "timestep") -> None:
    ours = neurobench_figures(Deployed(program, semantics), frames)
    decided = program.run(frames, semantics).decisions()
    theirs = harness(neurobench_model(program, semantics, "decisions"), frames, decided, 1, [])
    assert_same(ours, theirs)
    assert ours["Footprint"] == theirs["Footprint"]
    assert ours["ParameterCount"] == theirs["ParameterCount"]
    assert theirs["ClassificationAccuracy"] == 1.0


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.integers(0, 2**32 - 1))
def test_the_harness_counts_a_speck_program_as_we_do(program: Any, seed: int) -> None:
    frames = np.random.default_rng(seed).poisson(0.4, (3, 4, *program.input_shape))
    assert_program(program, frames, "event" if program.counts_events else "timestep")


@pytest.mark.parametrize("seed", range(25))
def test_the_harness_counts_a_loihi_program_as_we_do(seed: int) -> None:
    network = draw_network(seed)
    frames = draw_frames(network, seed, 3, 5)
    assert_program(LoihiProgram(network), frames)


class Net(nn.Module):
    """Convolution, pooling and a linear layer between leaky neurons, as snnTorch's users write them."""

    def __init__(self, seed: int, reset: str) -> None:
        super().__init__()
        torch.manual_seed(seed)
        # snnTorch resets every neuron that the process has made, and fails at those of other tests that never ran.
        snntorch.SpikingNeuron.init()
        self.conv = nn.Conv2d(2, 4, 3, padding=1, stride=1 + seed % 2)
        self.lif1 = snntorch.Leaky(beta=0.9, threshold=0.4, init_hidden=True, reset_mechanism=reset)
        self.flat = nn.Flatten()
        self.fc = nn.Linear(4 * (64 if seed % 2 == 0 else 16), 5)
        self.lif2 = snntorch.Leaky(beta=0.8, threshold=0.3, init_hidden=True, output=True, reset_mechanism=reset)
        with torch.no_grad():
            self.fc.weight[self.fc.weight.abs() < 0.02] = 0

    def forward(self, x: torch.Tensor) -> Any:
        return self.lif2(self.fc(self.flat(self.lif1(self.conv(x)))))


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("seed", range(4))
def test_the_float_network_has_the_figures_of_the_package_on_the_module_itself(seed: int, reset: str) -> None:
    """The very module in NeuroBench's own wrapper, batches of 4, beside what we read of it.

    With `reset="zero"` snnTorch resets at the start of the next step, so that the package sees other potentials than
    ours, which are those after the reset; the spikes are the same.
    """
    from neurobench.models import SNNTorchModel
    from neurobench.processors.postprocessors import ChooseMaxCount

    net = Net(seed, reset).eval()
    frames = (np.random.default_rng(seed).random((8, 6, 2, 8, 8)) < 0.3).astype(np.float32)
    network = from_snntorch(net, (2, 8, 8))
    ours = neurobench_figures(Trained(network), frames.astype(np.int64))
    decided = network.run(frames).output.sum(axis=1).argmax(axis=1)
    buffers = sum(b.numel() * b.element_size() for b in net.buffers())
    theirs = harness(SNNTorchModel(net), frames, decided, 4, [ChooseMaxCount()])
    assert_same(ours, theirs if reset == "subtract" else {**theirs, "MembraneUpdates": ours["MembraneUpdates"]})
    assert ours["ParameterCount"] == theirs["ParameterCount"]
    assert ours["Footprint"] == theirs["Footprint"] - buffers
    assert theirs["ClassificationAccuracy"] == 1.0
    assert 0 < ours["ActivationSparsity"] < 1


def test_counts_of_any_batch_add_up_to_the_same() -> None:
    """The package calls a whole batch MACs where one value in it is above 1: the sum stays."""
    program, frames = tiny_program(), np.random.default_rng(1).poisson(0.4, (6, 4, 2, 8, 8))
    ours = neurobench_figures(Deployed(program), frames)["SynapticOperations"]
    theirs = harness(neurobench_model(program), frames, np.zeros(6, np.int64), 3, [])["SynapticOperations"]
    assert ours["Dense"] == theirs["Dense"]
    total = ours["Effective_MACs"] + ours["Effective_ACs"]
    assert total == pytest.approx(theirs["Effective_MACs"] + theirs["Effective_ACs"], rel=1e-12)


def test_what_is_returned_to_the_harness() -> None:
    program, frames = tiny_program(), np.random.default_rng(0).integers(0, 2, (3, 4, 2, 8, 8))
    trace = program.run(frames)
    for returns, wanted in (("output", trace.output), ("scores", trace.scores()), ("decisions", trace.decisions())):
        given = neurobench_model(program, returns=returns)(torch.from_numpy(frames).float())  # type: ignore[arg-type]
        assert np.array_equal(given.numpy(), wanted)


def test_refusals() -> None:
    with pytest.raises(InputError, match="returns is 'spikes': choose one of output, scores, decisions"):
        neurobench_model(tiny_program(), returns="spikes")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the batch holds fractions"):
        neurobench_model(tiny_program())(torch.full((1, 1, 2, 8, 8), 0.5))
    with pytest.raises(InputError, match="no samples to count on"):
        neurobench_figures(Deployed(tiny_program()), np.zeros((0, 1, 2, 8, 8), np.int64))


def test_a_program_that_does_not_show_its_connections_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"NeuroBench's figures.*ShowsConnections"):
        Deployed(TrueNorthProgram(draw_program(0)))
