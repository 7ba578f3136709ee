"""A user's torch module as a network: run, folded into one step, read layer by layer, and judged by that very run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import INPUT, Network, Note
from i2e_deploy.network.judge import judge
from i2e_deploy.network.modules.arrangement import ALWAYS, Made, Place, place_of
from i2e_deploy.network.modules.assemble import Assembly, assemble
from i2e_deploy.network.modules.folding import Folded, fold
from i2e_deploy.network.modules.framework import Framework, Layout
from i2e_deploy.network.modules.functions import MONOTONE
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.hooks import check_plain
from i2e_deploy.network.modules.recording import as_it_was
from i2e_deploy.network.modules.rows import Derived, Ledger, tensors_of
from i2e_deploy.network.modules.unrolled import Recorder
from i2e_deploy.network.modules.values import shape_of
from i2e_deploy.network.op import Shape
from i2e_deploy.network.run import as_frames
from i2e_deploy.text import listed, one_line

if TYPE_CHECKING:
    from torch import Tensor, nn

#: What is run where the user gives no example.
SAMPLES, STEPS = 2, 6
_LAYOUTS: Mapping[Layout, str] = {
    "TB": "a whole sequence [T, B, ...]",
    "BT": "a whole sequence [B, T, ...]",
    "step": "one step [B, ...] a call",
    "static": "one picture [B, ...], shown in every step",
}


class _Run(NamedTuple):
    ledger: Ledger
    returned: list[Any]
    steps: int


def read_module(
    module: nn.Module, input_shape: Shape, example: Any, layout: Layout | None, framework: Framework
) -> Network:
    """Read a module as it computes in evaluation mode, whatever mode it is in; it is left as it was.

    Args:
        module: layers of torch and neurons of the framework in any `forward`.
        input_shape: of one step, (C, H, W) or (N,).
        example: frames [B, T, ...] or of one sample [T, ...] on which it is run; None: drawn ones.
        layout: what the module's forward takes; None: the framework's default, which a note says.
        framework: what is known of the framework.

    Raises:
        UnsupportedError: something without exact counterpart, or that the layers do not say; it names the layer.
        InputError: shapes or values that do not fit.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{type(module).__name__} is no torch module: give the trained network")
    if layout is not None and layout not in _LAYOUTS:
        raise InputError(f"layout is {layout!r}: choose one of {', '.join(_LAYOUTS)}")
    shape = shape_of(input_shape)
    check_plain(module)
    title = f"{type(module).__name__}.forward"
    with as_it_was(module), torch.no_grad(), torch.random.fork_rng(devices=[]):
        module.eval()
        chosen = framework.default(module) if layout is None else layout
        frames = _frames(example, shape, chosen)
        run = _run(module, framework, frames, shape, chosen)
        frames = frames[:, :1].expand(-1, run.steps, *shape) if chosen == "static" else frames
        outputs, notes = _outputs(run, title)
        folded = fold(run.ledger.rows, outputs, shape, run.steps, type(module).__name__)
        made, names = _assembled(folded, outputs, shape, framework)
    notes = [_layout_note(chosen, layout, framework), *made.notes, *notes]
    if folded.unused:
        notes.append(Note("", f"{listed(folded.unused)} lead to no output and were left out"))
    network = Network(shape, tuple(made.layers.values()), tuple(notes))
    inner = [name for name in dict.fromkeys(made.stands_for[n] for n in names) if name not in network.outputs]
    if inner:
        text = f"the module returns {listed(inner)} too, which feeds other layers: see the trace's layers"
        network = replace(network, notes=(*network.notes, Note("", text)))
    judgement = judge(network, frames, _recorded(folded, made), title)
    said = judgement.note(title)
    if example is None:
        said = replace(said, text=f"{said.text}; the frames were drawn: give example=frames of your data")
    return replace(network, notes=(*network.notes, said))


def _frames(example: Any, shape: Shape, layout: Layout) -> Tensor:
    """[B, T, ...], two samples and steps at least, so that batch and time can be told apart."""
    import numpy as np
    import torch

    rng = np.random.default_rng(0)
    if example is None:
        steps = 1 if layout == "static" else STEPS
        return torch.from_numpy(rng.poisson(0.7, (SAMPLES, steps, *shape)).astype(np.float32))
    alone = getattr(example, "ndim", 0) == len(shape) + 1
    frames = as_frames(example[None] if alone else example, shape)
    if layout == "static" and not torch.equal(frames, frames[:, :1].expand_as(frames)):
        raise InputError('the example moves, and layout="static" means one picture for all steps: give one')
    if frames.shape[1] < 2 and layout != "static":
        raise InputError("the example has one step: give two at least, which show what goes from one to the next")
    if len(frames) > 1:
        return frames
    return torch.cat([frames, frames.flip(1).roll(1, -1)])


def _run(module: nn.Module, framework: Framework, frames: Tensor, shape: Shape, layout: Layout) -> _Run:
    """Run the module under the recorder."""
    weight = next((p for p in module.parameters() if p.is_floating_point()), frames)
    frames = frames.to(weight.dtype).to(weight.device)
    batch, steps = frames.shape[:2]
    recorder = Recorder(module, framework, batch)
    ledger = recorder.ledger
    framework.start(module)
    title = f"{type(module).__name__}.forward"
    given: list[Tensor] = []
    if layout == "TB":
        given = [frames.transpose(0, 1).contiguous()]
        ledger.start(given[0], Place("TB", 0, steps, shape), shape)
    elif layout == "BT":
        given = [frames.contiguous()]
        ledger.start(given[0], Place("BT", 0, steps, shape), shape)
    elif layout == "step":
        for step in range(steps):
            given.append(frames[:, step].contiguous())
            ledger.start(given[step], Place("step", step, 1, shape), shape)
    else:
        given = [frames[:, 0].contiguous()]
        ledger.start(given[0], Place("step", ALWAYS, 1, shape), shape)
    try:
        with recorder.hooks(), recorder:
            returned = framework.run(module, given)
    except UnsupportedError:
        raise
    except Exception as error:  # whatever a user's forward raises
        raise UnsupportedError(
            f"{title} fails{recorder.running} on {_LAYOUTS[layout]} of shape {list(given[0].shape)}: "
            f'{one_line(error)}; say how it takes time with layout="TB", "BT", "step" or "static", and give an example '
            "of as many steps as it runs"
        ) from error
    if layout == "static":
        steps = max((len(row.values) for row in ledger.rows.values()), default=0)
    return _Run(ledger, returned, steps)


def _outputs(run: _Run, title: str) -> tuple[list[tuple[str, int]], list[Note]]:
    """The layers (and parts of them) that the module returns, in its order; and what it makes of them."""
    found: dict[str, list[str]] = {}
    parts: dict[str, set[int]] = {}
    for value in run.returned[-1:]:
        tensors = list(tensors_of(value))
        if not tensors:
            raise UnsupportedError(f"{title} returns {type(value).__name__}: return tensors")
        for tensor in tensors:
            made = run.ledger.sums.get(id(tensor)) or run.ledger.made(tensor)
            if made is None:
                raise UnsupportedError(f"{title} returns a constant: return what its layers give")
            for source, part in made.sources if isinstance(made, Derived) else [(made.source, min(made.parts))]:
                parts.setdefault(source, set()).add(part)
                found.setdefault(source, []).append(_said(made, run, len(run.returned) > 1))
    outputs = [(name, part) for name in found for part in sorted(parts[name]) if part == min(parts[name])]
    notes = []
    for name, said in found.items():
        if name == INPUT:
            raise UnsupportedError(f"{title} returns its input: return what its layers give")
        notes += _readout_notes(name, parts[name], [word for word in dict.fromkeys(said) if word])
    return outputs, notes


def _said(made: Made | Derived, run: _Run, calls: bool) -> str:
    """What the module returns of an output, in words; empty: all steps of it."""
    if isinstance(made, Derived):
        if made.steps and len(made.steps) < run.steps:
            return f"a sum over {len(made.steps)} of {run.steps} steps"
        return ", then ".join(made.words)
    place = place_of(made, run.ledger.batch)
    if place is None:
        return "some of its values, or in another order"
    if place.form != "step" or calls:
        return "" if place.steps == run.steps or calls else f"{place.steps} of {run.steps} steps"
    return "the last step" if place.step == run.steps - 1 else f"step {place.step}"


def _readout_notes(name: str, parts: set[int], said: Sequence[str]) -> list[Note]:
    """What the user must know of what decides: the network gives its outputs in every step."""
    notes = []
    if parts - {0}:
        whole = "returns its spikes and states" if 0 in parts else "returns a state"
        more = ": the network gives its spikes; states are in the trace" if 0 in parts else ""
        notes.append(Note(name, f"the module {whole} of this layer{more}"))
    for words in said:
        known = all(
            word.endswith("over time") or word in MONOTONE for word in words.split(", then ")
        ) or words == "the last step"  # fmt: skip
        text = f"the module returns {words} of what this layer gives; the network gives every step, so decide by that"
        notes.append(Note(name, text, doubtful=not known))
    return notes


def _assembled(
    folded: Folded, outputs: Sequence[tuple[str, int]], shape: Shape, framework: Framework
) -> tuple[Assembly, list[str]]:
    names = [name for name, _ in outputs]
    return assemble(_in_order(folded.calls, names), names, shape, framework), names


def _in_order(calls: Sequence[Call], outputs: Sequence[str]) -> list[Call]:
    """What the first output needs first, so that outputs stand in the order in which they are returned."""
    by_name = {call.name: call for call in calls}
    ordered: dict[str, Call] = {}
    for output in outputs:
        needed, waiting = set[str](), [output]
        while waiting:
            name = waiting.pop()
            if name in by_name and name not in needed:
                needed.add(name)
                waiting += by_name[name].inputs
        ordered |= {call.name: call for call in calls if call.name in needed and call.name not in ordered}
    return list(ordered.values())


def _recorded(folded: Folded, made: Assembly) -> dict[str, Tensor]:
    """What the module gave in place of each layer."""
    values: dict[str, Tensor] = {}
    order = [*(name for name in folded.values if name not in made.norms), *made.norms]  # norms are in what is before
    for name in order:
        value = folded.values[name]
        layer = made.stands_for.get(name)
        if layer is not None and layer in made.layers and name not in made.pads:
            values[layer] = value.cpu() if value.dtype.itemsize > 4 else value.cpu().float()
    return values


def _layout_note(chosen: Layout, layout: Layout | None, framework: Framework) -> Note:
    if layout is not None:
        return Note("", f"the module was run on {_LAYOUTS[chosen]}, as said")
    return Note("", f'the module was run on {_LAYOUTS[chosen]}, as {framework.name} does: say layout="..." if not')
