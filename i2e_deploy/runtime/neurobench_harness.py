"""A program for NeuroBench's own harness: it runs on our simulator, and the harness counts the integers' own spikes.

The harness counts by hooks on torch modules. So every connection is a module with the integers as its weights, every
population one that hands spikes on, and what the simulator gave goes through them step by step.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from i2e_deploy.chips.base import Program
from i2e_deploy.chips.connections import Connection, Population
from i2e_deploy.chips.options import Semantics
from i2e_deploy.errors import InputError, MissingDependency
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.requirements import install_command
from i2e_deploy.runtime.neurobench import Deployed, Ran

#: What a call gives to the harness: what left the network [B, T, N], scores [B, classes], or classes [B].
Returns = Literal["output", "scores", "decisions"]


def neurobench_model(program: Program, semantics: Semantics = "timestep", returns: Returns = "output") -> Any:
    """A `NeuroBenchModel` of the program, to give to `neurobench.benchmarks.Benchmark`.

    It takes batches [B, T, *input_shape] of whole numbers. With `returns="output"` add the package's postprocessor
    `ChooseMaxCount`; with `"decisions"` the program's own readout decides.

    Raises:
        InputError: `returns` is unknown; when it is called, batches that are no frames.
        UnsupportedError: the program does not show its connections.
        MissingDependency: neurobench or snntorch is not installed.
    """
    if returns not in get_args(Returns):
        raise InputError(f"returns is {returns!r}: choose one of {', '.join(get_args(Returns))}")
    try:
        import snntorch  # noqa: F401  # the package's hooks know spiking neurons by its base class
        from neurobench.models import NeuroBenchModel
    except ModuleNotFoundError as error:
        how = install_command("neurobench", "snntorch")
        raise MissingDependency(error.name or "neurobench", "the NeuroBench harness", how) from error
    deployed = Deployed(program, semantics)
    net, neurons = _modules(deployed)

    class ProgramModel(NeuroBenchModel):  # type: ignore[misc]
        """Runs the program, and shows its spikes to the hooks where there are any."""

        def __call__(self, batch: Any) -> Any:
            import torch

            frames = _frames(batch)
            if self.connection_hooks or self.activation_hooks:
                _show(net, deployed.run(frames))
            trace = program.run(frames, semantics)
            given = {"output": lambda: trace.output, "scores": trace.scores, "decisions": trace.decisions}[returns]()
            return torch.from_numpy(np.ascontiguousarray(given))

        def __net__(self) -> Any:
            return net

    model = ProgramModel()
    model.add_activation_module(neurons)
    return model


def _frames(batch: Any) -> Any:
    """A batch of the harness as integers."""
    array = batch.detach().cpu().numpy()
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or (array != np.rint(array)).any() or np.abs(array).max(initial=0) >= 2**31:
            raise InputError("the batch holds fractions: a program takes whole numbers, e.g. counts of events")
        array = array.astype(np.int64)
    return array


def _modules(deployed: Deployed) -> tuple[Any, type[Any]]:
    """A module with one child for every connection and population; and the class of the latter."""
    import torch
    from snntorch import SpikingNeuron
    from torch import nn

    class Neurons(SpikingNeuron):  # type: ignore[misc]
        """Hands on what the simulator's neurons sent; `mem` is their membrane potential."""

        init_hidden, output = True, False

        def __init__(self, population: Population) -> None:
            nn.Module.__init__(self)  # the base class would add buffers of its own to the footprint
            self.mem = torch.zeros(0)
            for name, array in population.stored.items():
                self.register_parameter(f"stored_{name}", nn.Parameter(torch.from_numpy(array.copy()), False))

        def forward(self, sent: Any, membrane: Any) -> Any:
            self.mem = membrane
            return sent

    children: dict[str, Any] = {}
    for number, connection in enumerate(deployed.connections):
        children[f"{number}_{_plain(connection.layer)}_in"] = _module(connection)
    for each in deployed.populations:
        children[f"{_plain(each.layer)}"] = Neurons(each)
    return nn.ModuleDict(children), Neurons


def _plain(name: str) -> str:
    """A name that torch takes for a module."""
    return name.replace(".", "_")


def _module(connection: Connection) -> Any:
    """The connection as torch has it, with integers as weights; it computes in float64."""
    import torch
    from torch import nn

    op, weight = connection.op, torch.from_numpy(connection.stored.copy())

    class InFloat64:
        """Weights are cast where they are used: torch convolves no integers."""

        def forward(self: Any, given: Any) -> Any:
            whole = self.weight
            self.weight = nn.Parameter(whole.double(), False)
            try:
                return super().forward(given.double())  # type: ignore[misc]
            finally:
                self.weight = whole

    def made(kind: type[Any], *arguments: Any, **named: Any) -> Any:
        module = type(kind.__name__, (InFloat64, kind), {})(*arguments, bias=False, device="meta", **named)
        module.weight = nn.Parameter(weight, False)
        return module

    if isinstance(op, (Conv1d, Conv2d)):
        out, inside, *kernel = op.weight.shape
        how = {"stride": op.stride, "padding": op.padding, "dilation": op.dilation, "groups": op.groups}
        return made(nn.Conv2d if len(kernel) == 2 else nn.Conv1d, inside * op.groups, out, tuple(kernel), **how)
    return made(nn.Linear, op.weight.shape[1], op.weight.shape[0])


def _show(net: Any, ran: Ran) -> None:
    """Let a run pass the hooks: first what reaches the connections of a step, then what its neurons sent."""
    import torch

    children, layers = list(net.children()), list(ran.spikes)
    connections, populations = children[: len(ran.given)], children[len(ran.given) :]
    steps = next(iter(ran.spikes.values())).shape[1]
    for step in range(steps):
        for module, values in zip(connections, ran.given, strict=True):
            module(torch.from_numpy(np.ascontiguousarray(values[:, step], np.float64)))
        for module, name in zip(populations, layers, strict=True):
            sent = torch.from_numpy(np.ascontiguousarray(ran.spikes[name][:, step]))
            module(sent, torch.from_numpy(np.ascontiguousarray(ran.membranes[name][step])))
