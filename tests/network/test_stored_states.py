"""Where a network starts: states of neurons in the float network, in its files, and in the modules of Sinabs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sinabs_networks import conv, neurons
from torch import nn

from i2e_deploy import network as nw
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import IntegrateAndFire, Network, from_sinabs, write_nir
from i2e_deploy.network.sinabs.export import to_sinabs

SHAPE = (2, 6, 5)


def ran(seed: int, batch: int = 1) -> tuple[Any, torch.Tensor]:
    """Two layers of neurons that hold the states of a run, and the next frames of it [T, C, H, W] of the first."""
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(
        conv(generator, 2, 3, 3, padding=1), neurons(batch_size=batch), conv(generator, 3, 2, 2),
        neurons(batch_size=batch),
    )  # fmt: skip
    frames = torch.randint(0, 3, (batch, 8, *SHAPE), generator=generator).float()
    with torch.no_grad():
        module(frames[:, :4].flatten(0, 1))
    return module, frames[:, 4:]


@pytest.mark.parametrize("seed", range(20))
def test_a_network_with_stored_states_goes_on_where_the_module_stopped(seed: int) -> None:
    """The oracle is the module itself, which keeps its states."""
    module, frames = ran(seed, batch=1 + seed % 3)
    network = from_sinabs(module, SHAPE, states="stored")
    ours = network.run(frames[:1].numpy()).output
    with torch.no_grad():
        theirs = module(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])[:1].flatten(2).numpy()
    np.testing.assert_array_equal(ours, theirs)
    assert any(layer.op.start.any() for layer in network.layers if isinstance(layer.op, IntegrateAndFire))  # type: ignore[union-attr]


def test_states_that_nobody_chose_are_left_out_aloud() -> None:
    module, _ = ran(1)
    network = from_sinabs(module, SHAPE)
    assert starts(network) == [None, None]
    (said,) = [note for note in network.notes if "states that are not zero" in note.text]
    assert "in 2 layers (1, 3)" in said.text
    assert said.doubtful
    assert "states='stored'" in said.text
    chosen = from_sinabs(module, SHAPE, states="zero")
    assert starts(chosen) == [None, None]
    assert [note.doubtful for note in chosen.notes if "as asked" in note.text] == [False]
    for layer in (1, 3):
        module[layer].reset_states()
    assert not any("states" in note.text for note in from_sinabs(module, SHAPE).notes)


def test_of_a_batch_the_first_sample_is_taken_and_a_note_says_so() -> None:
    module, _ = ran(2, batch=3)
    network = from_sinabs(module, SHAPE, states="stored")
    np.testing.assert_array_equal(starts(network)[0], module[1].v_mem[0].numpy())
    assert "of the first of 3 samples" in network.notes[-1].text


def test_an_example_is_judged_from_zero_and_the_module_keeps_its_states() -> None:
    module, frames = ran(3)
    before = module[1].v_mem.clone()
    network = from_sinabs(module, SHAPE, frames, states="stored")
    assert starts(network)[0] is not None
    assert torch.equal(module[1].v_mem, before)


def test_wrong_states_are_refused() -> None:
    module, _ = ran(4)
    with pytest.raises(InputError, match="states is 'old': choose 'stored' or 'zero'"):
        from_sinabs(module, SHAPE, states="old")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="layer '1' holds states of shape"):
        from_sinabs(module, (2, 7, 7), states="stored")
    module[1].v_mem[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=r"not finite|finite"):
        from_sinabs(module, SHAPE, states="stored")
    with pytest.raises(InputError, match="start of shape"):
        nw.chain(SHAPE, {"n": IntegrateAndFire(start=np.zeros((3, 1, 1), np.float32))})
    with pytest.raises(InputError, match="start is float64"):
        IntegrateAndFire(start=np.zeros(1))  # type: ignore[arg-type]


def test_a_file_holds_the_start(tmp_path: Path) -> None:
    network = from_sinabs(ran(5)[0], SHAPE, states="stored")
    nw.write(network, tmp_path / "n.safetensors")
    again = nw.read(tmp_path / "n.safetensors")
    assert [layer.op for layer in again.layers if isinstance(layer.op, IntegrateAndFire)] == [
        layer.op for layer in network.layers if isinstance(layer.op, IntegrateAndFire)
    ]
    np.testing.assert_array_equal(starts(again)[1], starts(network)[1])


def test_neurons_are_equal_with_equal_starts_alone() -> None:
    start = np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    neurons = IntegrateAndFire(start=start)
    assert neurons == replace(neurons, start=start.copy())
    assert neurons != replace(neurons, start=start + 1)
    assert neurons != IntegrateAndFire()
    assert hash(IntegrateAndFire()) == hash(IntegrateAndFire())


def test_what_cannot_hold_a_start_refuses_it(tmp_path: Path) -> None:
    network = from_sinabs(ran(6)[0], SHAPE, states="stored")
    with pytest.raises(UnsupportedError, match="starts from membrane states, for which NIR has no field"):
        write_nir(network, tmp_path / "n.nir")
    with pytest.raises(UnsupportedError, match="starts from membrane states, which are not exported"):
        to_sinabs(network, 4)


def starts(network: Network) -> list[Any]:
    return [layer.op.start for layer in network.layers if isinstance(layer.op, IntegrateAndFire)]
