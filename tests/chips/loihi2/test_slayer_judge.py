"""The judge: a SLAYER module is read as its own forward runs, or refused, live against SLAYER."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from children import needs_lava
from slayer_beside import agrees, own_output
from slayer_draws import Drawn, Rows, settled
from torch import nn

from i2e_deploy.chips.loihi2 import BlockNetwork, from_slayer
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.lava_shim import import_lava

pytestmark = needs_lava
NEURON = {"threshold": 1.0, "current_decay": 0.25, "voltage_decay": 0.1}


def cuba() -> Any:
    import_lava()
    return import_module("lava.lib.dl.slayer").block.cuba


def row(*widths: int) -> list[Any]:
    return [cuba().Dense(NEURON, a, b, weight_scale=3) for a, b in pairwise(widths)]


def ready(seed: int, module: Any, shape: tuple[int, ...] = (8,)) -> tuple[Drawn, Any]:
    """The module after a batch, and frames [B, T, ...]."""
    rng = np.random.default_rng(seed)
    settled(rng, module, shape, False)
    return Drawn(module, shape, False, ""), (rng.random((2, 20, *shape)) < 0.3).astype(np.float32)


def texts(network: BlockNetwork, doubtful: bool = False) -> str:
    return " | ".join(note.text for note in network.notes if note.doubtful or not doubtful)


class Encoder(nn.Module):
    """Something of torch's before the blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.blocks = nn.Conv1d(8, 8, 1), nn.ModuleList(row(8, 5))

    def forward(self, x: Any) -> Any:
        return self.blocks[0](self.encoder(x))


class Exchanged(nn.Module):
    """`blocks` in another order than they run."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(reversed(row(8, 8, 8, 5)))

    def forward(self, x: Any) -> Any:
        return self.blocks[0](self.blocks[1](self.blocks[2](x)))


READ: dict[str, tuple[Callable[[], Any], int]] = {
    "a readout beside blocks": (lambda: Rows(row(8, 10, 6), "readout", *row(6, 3)), 3),
    "skips between blocks": (lambda: Rows(row(8, 8, 8, 8), "skipping", *row(8, 4)), 4),
    "another order": (Exchanged, 5),
    "a sum in place": (lambda: Rows(row(8, 10, 6), "in_place", *row(6, 3)), 3),
    "counts and costs beside it": (lambda: Rows(row(8, 10, 6), "counting"), 6),
    "dropout, which evaluation leaves out": (lambda: Rows(row(8, 10, 6), "dropping"), 6),
    "a block that is not used": (lambda: Rows(row(8, 10, 6), "early"), 10),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", READ)
def test_a_module_is_read_as_its_forward_runs(name: str, seed: int) -> None:
    """Agreement: exact, on frames that the judge has not seen too, and with no example."""
    build, outputs = READ[name]
    torch.manual_seed(seed)
    case, frames = ready(seed, build())
    for options in ({"example": frames[:1]}, {}):
        network = from_slayer(case.module, **options)
        assert network.blocks[-1].shape == (outputs,)
        assert agrees(network, case, frames)
    assert own_output(case.module, frames).any()


class Changed(Rows):
    """Frames or a block's output changed in place, directly or through a view."""

    def __init__(self, view: bool) -> None:
        super().__init__(row(8, 10, 6), "plain")
        self.view = view

    def forward(self, x: Any) -> Any:
        x = self.blocks[0](x)
        if self.view:
            x[:, :3].mul_(2)
        else:
            x[..., 0] = 1
        return self.blocks[1](x)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a(x) + b(x)": (lambda: Rows(row(8, 6), "summed", *row(6, 6)), "a sum of blocks"),
    "several heads": (lambda: Rows(row(8, 6), "heads", *row(6, 3)), "lead to no output"),
    "an encoder": (Encoder, "takes what conv1d gives"),
    "scaled frames": (lambda: Rows(row(8, 6), "scaled"), "takes what mul gives"),
    "an activation between": (lambda: Rows(row(8, 8, 6), "between"), "takes what relu gives"),
    "frames backwards": (lambda: Rows(row(8, 6), "backwards"), "takes what flip gives"),
    "a rate": (lambda: Rows(row(8, 6), "rate"), "returns what 'mean' makes"),
    "a change in place": (lambda: Changed(False), "a change in place"),
    "a change of a view": (lambda: Changed(True), "a change in place"),
    "a decision by values": (lambda: Rows(row(8, 6), "deciding"), "decides by the values"),
}


@pytest.mark.parametrize("example", [True, False])
@pytest.mark.parametrize("name", REFUSED)
def test_what_no_block_computes_is_refused(name: str, example: bool) -> None:
    build, text = REFUSED[name]
    case, frames = ready(0, build())
    with pytest.raises(UnsupportedError, match=re.escape(text)):
        from_slayer(case.module, example=frames if example else None)


def _pre_hook(block: Any) -> None:
    block.register_forward_pre_hook(lambda _block, args: (args[0] * 2,))


def _hook(block: Any) -> None:
    block.register_forward_hook(lambda _block, _args, output: 1 - output)


@pytest.mark.parametrize(("add", "text"), [(_pre_hook, "takes what mul gives"), (_hook, "makes of its blocks")])
def test_hooks_of_a_block_are_seen(add: Callable[[Any], None], text: str) -> None:
    module = nn.Sequential(*row(8, 6))
    case, frames = ready(0, module)
    add(module[0])
    for example in (frames, None):
        with pytest.raises(UnsupportedError, match=text):
            from_slayer(case.module, example=example)


def _own_class(block: Any, same: bool) -> None:
    original: Any = type(block).forward
    change: Any = (lambda y: y) if same else (lambda y: y.flip(1))
    block.__class__ = type("Own", (type(block),), {"forward": lambda self, x: change(original(self, x))})


def _own_neuron(block: Any, same: bool) -> None:
    _own_class(block.neuron, same)


def _inner_hook(block: Any, same: bool) -> None:
    block.synapse.register_forward_hook(lambda _part, _args, output: None if same else 2 * output)


@pytest.mark.parametrize("change", [_own_class, _own_neuron, _inner_hook])
@pytest.mark.parametrize("seed", range(2))
def test_code_in_a_block_is_judged_or_refused(change: Callable[[Any, bool], None], seed: int) -> None:
    for same in (True, False):
        torch.manual_seed(seed)
        blocks = row(8, 10, 6)
        case, frames = ready(seed, Rows(blocks, "plain"))
        change(blocks[1], same)
        with pytest.raises(UnsupportedError, match="not SLAYER's alone"):
            from_slayer(case.module)
        if same:
            assert "it agrees on the example" in texts(from_slayer(case.module, example=frames), doubtful=True)
        else:
            with pytest.raises(UnsupportedError, match="is not layer"):
                from_slayer(case.module, example=frames)


@pytest.mark.parametrize("example", [True, False])
def test_a_replaced_function_is_refused(example: bool) -> None:
    """It may hold the module itself, which then would run, and change, in place of the copy."""
    for name in ("", "blocks.0", "blocks.0.neuron"):
        case, frames = ready(0, Rows(row(8, 10, 6), "plain"))
        part = case.module.get_submodule(name)
        original: Any = part.forward
        part.forward = lambda x, run=original: run(x)
        with pytest.raises(UnsupportedError, match=r"forward .*is replaced on the object"):
            from_slayer(case.module, example=frames if example else None)


@pytest.mark.parametrize("seed", range(5))
def test_the_first_layer_that_differs_is_named_with_both_values(seed: int) -> None:
    torch.manual_seed(seed)
    blocks = row(8, 10, 6, 4)
    case, frames = ready(seed, Rows(blocks, "plain"))
    original = own_output(Rows(blocks[:2], "plain"), frames)
    handle = blocks[1].synapse.register_forward_hook(lambda _part, _args, output: output + 0.25)
    changed = own_output(Rows(blocks[:2], "plain"), frames)
    with pytest.raises(UnsupportedError) as caught:
        from_slayer(case.module, example=frames)
    handle.remove()
    found = re.search(
        r"block 1 .* layer '1.dense': first at step (\d+) of sample (\d+), neuron \((\d+),\), it gives (\d) where "
        r"SLAYER has (\d); (\d+) of (\d+) values", str(caught.value),
    )  # fmt: skip
    assert found is not None
    t, sample, neuron, ours, theirs, wrong, size = map(int, found.groups())
    differ = original != changed
    assert (ours, theirs) == (original[sample, t, neuron], changed[sample, t, neuron])
    assert t == differ.any(axis=(0, 2)).argmax()
    assert (wrong, size) == (differ.sum(), differ.size)


def _everything(module: Any) -> list[Any]:
    """Flags, tensors and attributes of all parts."""
    found: list[Any] = []
    for part in module.modules():
        tensors = {**part._parameters, **part._buffers}
        found += [part.training, len(part._forward_hooks), len(part._forward_pre_hooks)]
        found += [None if t is None else t.clone() for t in tensors.values()]
        found += [v for k, v in sorted(vars(part).items()) if isinstance(v, str | int | float | bool | torch.Size)]
        buffer = getattr(part, "delay_buffer", None)
        found.append(None if buffer is None else buffer.clone())
    return found


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("example", [True, False])
def test_nothing_of_the_module_changes_nor_random_numbers(example: bool) -> None:
    norm = import_module("lava.lib.dl.slayer").neuron.norm.MeanOnlyBatchNorm if cuba() else None
    lasting = {**NEURON, "persistent_state": True, "norm": norm, "threshold": 3.0}
    blocks = [
        cuba().Dense(lasting, 8, 10, weight_norm=True, weight_scale=3),
        cuba().Recurrent(dict(NEURON), 10, 6, weight_scale=3),
        cuba().Dense(NEURON, 6, 4, delay=True, weight_scale=3),
    ]
    case, frames = ready(1, nn.Sequential(*blocks))
    with torch.no_grad():
        case.module.train()(torch.ones(2, 8, 5))  # states and averages that are not zero
    before, states = _everything(case.module), (torch.get_rng_state(), repr(np.random.get_state()), random.getstate())
    from_slayer(case.module, example=frames if example else None, reset_interval=20)
    for a, b in zip(before, _everything(case.module), strict=True):
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
    after = (torch.get_rng_state(), repr(np.random.get_state()), random.getstate())
    assert torch.equal(states[0], after[0])
    assert states[1:] == after[1:]


def test_notes_say_what_was_compared_or_that_nothing_was() -> None:
    case, frames = ready(0, Rows(row(8, 10, 6), "plain"))
    assert "nothing was compared" in texts(from_slayer(case.module))
    size = 2 * 20 * (10 + 6)
    expected = f"compared with Rows.forward from a fresh state on 2 samples of 20 steps: 2 layers, {size} values, all"
    assert expected in texts(from_slayer(case.module, example=frames))
    silent = texts(from_slayer(case.module, example=np.zeros_like(frames)))
    assert "nothing fired in 0.dense, 1.dense" in silent
    reading, _ = ready(0, Rows(row(8, 10, 6), "counting"))
    assert "reads values of tensors" in texts(from_slayer(reading.module), doubtful=True)
    assert not texts(from_slayer(reading.module, example=frames), doubtful=True)


@pytest.mark.parametrize("seed", range(4))
def test_counts_in_frames_are_counted_as_slayer_does(seed: int) -> None:
    """Agreement: exact; with `input_message_bits=0` given, refused; without an example a note says it."""
    torch.manual_seed(seed)
    case, frames = ready(seed, Rows(row(8, 10, 6), "plain"))
    frames *= np.random.default_rng(seed).integers(1, 6, frames.shape)
    network = from_slayer(case.module, example=frames)
    assert network.input_message_bits == 1 + int(frames.max()).bit_length()
    assert agrees(network, case, frames)
    with pytest.raises(UnsupportedError, match="counts up to"):
        from_slayer(case.module, example=frames, input_message_bits=0)
    assert "a value above 1" in texts(from_slayer(case.module))


def test_bad_examples_are_refused_in_a_line() -> None:
    case, frames = ready(0, Rows(row(8, 10, 6), "plain"))
    for example, text in (
        (frames[..., :5], "fails on frames"),
        (frames[0], "give frames"),
        (frames + 0.5, "whole numbers"),
        (np.full_like(frames, np.nan), "not finite"),
        ([1, 2], "give frames"),
    ):
        with pytest.raises(InputError, match=text):
            from_slayer(case.module, example=example)
    with pytest.raises(InputError, match="holds no SLAYER blocks"):
        from_slayer(nn.Linear(2, 2))
    with pytest.raises(InputError, match="draws its delays"):
        from_slayer([cuba().Dense(NEURON, 4, 4, delay=True)])
