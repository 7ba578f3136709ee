"""Networks of Norse's modules: what stands in a row is read as Norse runs it, and what Norse loses is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from i2e_deploy import network as nw
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.norse.neurons import KINDS

norse = pytest.importorskip("norse.torch")

SHAPE, BATCH, STEPS = (2, 8, 8), 2, 12


def frames(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Any:
    return np.random.default_rng(seed).poisson(0.7, (BATCH, STEPS, *shape)).astype(np.float32)


def lif(rng: np.random.Generator) -> Any:
    return norse.LIFParameters(
        tau_mem_inv=torch.tensor(rng.uniform(100, 400)), v_th=torch.tensor(rng.uniform(0.1, 0.3))
    )


def cells(rng: np.random.Generator) -> Any:
    """A network that takes one step: convolution, norm, pooling, recurrent neurons, a readout."""
    torch.manual_seed(int(rng.integers(1 << 30)))
    norm = nn.BatchNorm2d(4)
    norm.running_mean, norm.running_var = torch.randn(4) / 4, torch.rand(4) + 0.5
    return norse.SequentialState(
        nn.Conv2d(2, 4, 3, padding=1, bias=bool(rng.integers(2))),
        norm,
        norse.LIFCell(lif(rng)),
        nn.AvgPool2d(2),
        norse.SequentialState(nn.Conv2d(4, 3, 3), norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.tensor(0.02)))),
        nn.Flatten(),
        nn.Dropout(),
        norse.LIFRecurrentCell(12, 6, lif(rng)),
        norse.LILinearCell(6, 3),
    )


def over_time(rng: np.random.Generator) -> Any:
    """The same in layers that take all steps."""
    torch.manual_seed(int(rng.integers(1 << 30)))
    return norse.SequentialState(
        norse.Lift(nn.Sequential(nn.Conv2d(2, 4, 3), nn.AvgPool2d(2))),
        norse.LIF(lif(rng)),
        nn.Flatten(2),
        nn.Linear(36, 8),
        norse.LSNNRecurrent(8, 6, norse.LSNNParameters(v_th=torch.tensor(0.1), tau_mem_inv=torch.tensor(300.0))),
        nn.Dropout(),
        nn.Linear(6, 3),
        norse.LI(),
    )


def lifted(rng: np.random.Generator) -> Any:
    """A network of cells, given all steps."""
    return norse.Lift(cells(rng))


def own(module: Any, given: Any) -> Any:
    """Norse's own output, [B, T, N]."""
    module.eval()
    steps = torch.from_numpy(given).transpose(0, 1)
    with torch.no_grad():
        if isinstance(module, norse.Lift) or isinstance(module[0], norse.Lift):
            return module(steps)[0].transpose(0, 1).numpy()
        state, rows = None, []
        for x in steps:
            out, state = module(x, state)
            rows.append(out)
        return torch.stack(rows, dim=1).numpy()


@pytest.mark.parametrize("make", [cells, over_time, lifted])
@pytest.mark.parametrize("seed", range(3))
def test_networks_equal_their_own_forward(make: Callable[[Any], Any], seed: int) -> None:
    """Agreement: every layer, by the judge; the readout to 1e-4 where float32 decided no spike."""
    module = make(np.random.default_rng(seed)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = nw.from_norse(module, SHAPE, example=frames(seed))
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert "compared with" in network.notes[-1].text
    assert "nothing fired" not in network.notes[-1].text
    if "last bit" not in network.notes[-1].text:
        theirs = own(module, frames(seed))
        np.testing.assert_allclose(network.run(frames(seed)).output, theirs, rtol=1e-4, atol=1e-5)


def test_one_sample_is_an_example_too() -> None:
    network = nw.from_norse(over_time(np.random.default_rng(0)), SHAPE, example=frames()[0])
    assert "1 sample of 12 steps" in network.notes[-1].text


def test_without_an_example_a_note_says_that_nothing_was_compared() -> None:
    assert "nothing was compared" in nw.from_norse(cells(np.random.default_rng(0)), SHAPE).notes[-1].text


def test_modules_that_stand_in_two_places_have_two_states() -> None:
    shared = norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(0.1)))
    module = norse.SequentialState(nn.Linear(4, 4), shared, nn.Linear(4, 4), shared)
    network = nw.from_norse(module, (4,), example=frames(0, (4,)))
    assert [layer.name for layer in network.layers] == ["0", "1", "2", "3"]


#: What Norse itself runs otherwise than it reads, or not at all.
TRAPS: dict[str, tuple[Callable[[], Any], str]] = {
    "states of a Lift go to the Lift after it": (
        lambda: norse.SequentialState(norse.Lift(norse.LIFCell()), norse.Lift(norse.LIFCell())), "gives to the module",
    ),
    "a cell would take time for the batch": (
        lambda: norse.SequentialState(norse.Lift(nn.Conv2d(2, 2, 1)), norse.LIFCell()), "time for the batch",
    ),
    "a layer of all steps in a Lift": (lambda: norse.Lift(norse.LIF()), "leave out the Lift"),
    "torch's Sequential drops states": (lambda: nn.Sequential(nn.Conv2d(2, 2, 1), norse.LIFCell()), "drops its states"),
    "a convolution on all steps": (
        lambda: norse.SequentialState(nn.Conv2d(2, 2, 1), norse.LIF()), "put it into a Lift",
    ),
    "flattening the batch": (lambda: norse.SequentialState(nn.Flatten(1), norse.LIF()), r"use nn.Flatten\(2\)"),
    "a method that Norse does not run": (
        lambda: norse.LIFCell(norse.LIFParameters(method="adjoint")), "fires by method 'adjoint'",
    ),
    "a reset of one's own": (
        lambda: norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=lambda z, v, reset, th: v)), "use reset_value",
    ),
    "neurons that fire on their own": (
        lambda: norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(-1.0))), "raise v_th",
    ),
    "torch's own recurrent layers": (lambda: norse.SequentialState(nn.RNN(8, 8)), "leaky neurons in its place"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRAPS)
def test_what_norse_runs_otherwise_than_it_reads_is_refused(name: str) -> None:
    make, said = TRAPS[name]
    with pytest.raises(UnsupportedError, match=said):
        nw.from_norse(make(), SHAPE)


def test_a_lift_does_give_its_states_to_the_lift_after_it() -> None:
    """Why the first trap is refused: Norse computes something else than two rows of neurons."""
    cell = norse.LIFCell(norse.LIFParameters(v_th=torch.tensor(0.1)))
    steps = torch.from_numpy(frames(0, (4,))).transpose(0, 1)
    (both, _), _ = norse.SequentialState(norse.Lift(cell), norse.Lift(cell))(steps)
    separate = norse.SequentialState(norse.LIF(cell.p), norse.LIF(cell.p))(steps)[0]
    assert not torch.equal(both, separate)


def unknown_classes() -> list[str]:
    """Every class of modules in `norse.torch` that is not read and is no container."""
    known = {*KINDS, "SequentialState", "Lift", "RegularizationCell"}
    found = [name for name in dir(norse) if isinstance(getattr(norse, name), type) and name not in known]
    return [name for name in found if issubclass(getattr(norse, name), nn.Module)]


@pytest.mark.parametrize("name", unknown_classes())
def test_classes_without_counterpart_are_refused_with_the_way_out(name: str) -> None:
    own = getattr(norse, name)
    module = own.__new__(own)
    nn.Module.__init__(module)
    with pytest.raises(UnsupportedError, match=name) as raised:
        nw.from_norse(norse.SequentialState(nn.Linear(8, 8), module), (8,))
    assert "\n" not in str(raised.value)
    assert any(word in str(raised.value) for word in ("train with", "run it yourself", "use ", "take its", "read what"))


def test_changed_cells_are_refused() -> None:
    class Mine(norse.LIFCell):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, state: Any = None) -> Any:
            return super().forward(2 * x, state)

    with pytest.raises(UnsupportedError, match="forward of its own"):
        nw.from_norse(Mine(), (4,))
    stepping, starting = norse.LIFCell(), norse.LIFCell()
    stepping.activation = lambda x, state, p, dt: (x, state)
    starting.state_fallback = lambda x: None
    for cell, said in ((stepping, "steps by"), (starting, "starts from a state of its own")):
        with pytest.raises(UnsupportedError, match=said):
            nw.from_norse(cell, (4,))


def test_the_judge_finds_what_the_layers_do_not_say() -> None:
    """A container whose forward was changed is not looked into; a cell's weights that change in the run are found."""

    class Doubled(norse.SequentialState):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, state: Any = None) -> Any:
            return super().forward(2 * x, state)

    with pytest.raises(UnsupportedError):
        nw.from_norse(Doubled(nn.Linear(4, 4), norse.LIFCell()), (4,), example=frames(0, (4,)))


def test_a_step_is_what_the_neurons_say() -> None:
    module = norse.SequentialState(nn.Linear(4, 4), norse.LIFCell(dt=0.002), nn.Linear(4, 2), norse.LICell(dt=0.002))
    assert any("a step lasts 0.002 s" in note.text for note in nw.from_norse(module, (4,), dt=0.002).notes)
    with pytest.raises(InputError, match=r"steps of 0\.002 s, not of dt = 0\.001 s"):
        nw.from_norse(module, (4,), dt=0.001)
    module[3].dt = 0.001
    assert next(note.doubtful for note in nw.from_norse(module, (4,)).notes)


def test_parameters_must_be_those_of_the_neurons() -> None:
    """Norse makes five neurons of one input where a parameter has five values; nothing says that this is meant."""
    for parameters in (
        norse.LIFParameters(v_th=torch.ones(5)),
        norse.LIFParameters(tau_mem_inv=torch.tensor(float("nan"))),
    ):
        with pytest.raises(InputError, match=r"layer '0'"):
            nw.from_norse(norse.LIFCell(parameters), (1,))


def test_something_else_is_no_module() -> None:
    with pytest.raises(InputError, match="no torch module"):
        nw.from_norse("net", (4,))  # type: ignore[arg-type]
