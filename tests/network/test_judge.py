"""The judge: the user's own forward beside what was read, layer by layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sinabs.layers as sl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_case
from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import Conv2d, IntegrateAndFire, Layer, Linear, Pool2d, from_sinabs
from i2e_deploy.network.file import read_network, write_network
from i2e_deploy.network.judge import NOT_COMPARED, judge

SHAPE = (2, 12, 12)


def frames_of(rng: np.random.Generator, shape: tuple[int, ...], samples: int = 2, steps: int = 5) -> Any:
    return rng.poisson(0.7, (samples, steps, *shape))


def module_of(seed: int = 0) -> nn.Sequential:
    """Two convolutions, the first with a batch norm that has seen data; every layer fires."""
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(6)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-0.1, 0.3)
        norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
        norm.running_var.uniform_(0.3, 2)  # type: ignore[union-attr]
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), norm, nn.Dropout(0.5), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0),
        nn.AvgPool2d(2), nn.Conv2d(6, 4, 3), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0, spike_threshold=0.3),
        nn.Flatten(), nn.Linear(64, 5), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0, spike_threshold=0.3),
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_drawn_networks_are_what_their_forward_computes(seed: int) -> None:
    """Agreement: exact for neurons, float32 rounding for sums; the oracle is the Sinabs module itself."""
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    network = from_sinabs(case.module(1), case.input_shape, frames_of(rng, case.input_shape))
    assert network.notes[0].text.startswith("compared with Sequential.forward on 2 samples of 5 steps")


def _changed(layer: Layer) -> Layer:
    """The same layer a little wrong."""
    op = layer.op
    if isinstance(op, Conv2d | Linear):
        return replace(layer, op=replace(op, weight=op.weight * np.float32(1.004)))  # half a step of 8 bits
    if isinstance(op, IntegrateAndFire):
        return replace(layer, op=replace(op, threshold=op.threshold * 1.3))
    assert isinstance(op, Pool2d)
    return replace(layer, op=replace(op, kind="sum"))


@pytest.mark.parametrize("name", ["0", "3", "4", "5", "6", "8", "9"])
def test_the_layer_that_is_wrong_is_named_and_no_other(name: str) -> None:
    module, frames = module_of().eval(), torch.from_numpy(frames_of(np.random.default_rng(0), SHAPE, 1)).float()
    network = from_sinabs(module, SHAPE)
    values, recorded = frames.flatten(0, 1), {}
    with torch.no_grad():
        for number, part in enumerate(module):
            values = part(values)
            recorded["0" if number == 1 else str(number)] = values.unflatten(0, (1, 5))
    judge(network, frames, recorded, "Net.forward")
    wrong = replace(network, layers=tuple(_changed(la) if la.name == name else la for la in network.layers))
    with pytest.raises(UnsupportedError, match=rf"^layer '{name}' .* was read wrongly: first at step \d"):
        judge(wrong, frames, recorded, "Net.forward")


def test_a_module_is_left_as_it_was() -> None:
    """States, modes, statistics, what a layer knows of batch and time, and random numbers."""
    module = module_of().train()
    module[2].eval()
    module(torch.rand(4, *SHAPE))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    states = [part.v_mem.clone() for part in module if isinstance(part, sl.IAFSqueeze)]
    modes, drawn = [part.training for part in module.modules()], torch.get_rng_state()
    from_sinabs(module, SHAPE, frames_of(np.random.default_rng(1), SHAPE))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert [part.training for part in module.modules()] == modes
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    neurons = [part for part in module if isinstance(part, sl.IAFSqueeze)]
    assert all(torch.equal(part.v_mem, state) for part, state in zip(neurons, states, strict=True))
    assert all((part.batch_size, part.num_timesteps) == (1, -1) for part in neurons)
    assert not any(part._forward_hooks for part in module.modules())


class Halved(nn.Conv2d):
    """What it says of itself is not what it computes."""

    stands_for = "Conv2d"

    def forward(self, frames: Any) -> Any:
        return super().forward(frames) / 2


class Loud(nn.Dropout):
    stands_for = "Dropout"

    def forward(self, frames: Any) -> Any:
        return frames * 1.5


def test_a_class_that_stands_for_another_must_compute_what_that_does() -> None:
    module, frames = module_of(), frames_of(np.random.default_rng(2), SHAPE)
    module[5] = Halved(6, 4, 3)
    with pytest.raises(UnsupportedError, match=r"layer '5' .*Sequential.forward gives"):
        from_sinabs(module, SHAPE, frames)
    module[5], module[2] = nn.Conv2d(6, 4, 3), Loud()
    with pytest.raises(UnsupportedError, match=r"layer '2' \(Loud\) was left out.*changes"):
        from_sinabs(module, SHAPE, frames)


def test_a_module_that_computes_on_after_its_last_layer_is_refused() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.row = module_of()

        def forward(self, frames: Any) -> Any:
            made = self.row(frames)
            return made if isinstance(made, torch.fx.Proxy) else made + 1  # hides from who traces it

    with pytest.raises(UnsupportedError, match=r"Net.forward returns something else than its layer 'row.9' gives"):
        from_sinabs(Net(), SHAPE, frames_of(np.random.default_rng(3), SHAPE))


def test_a_forward_that_fails_on_the_example_is_one_line() -> None:
    module = module_of()
    module[8] = nn.Linear(63, 5)
    with pytest.raises(InputError, match="takes 63 inputs"):
        from_sinabs(module, SHAPE, frames_of(np.random.default_rng(3), SHAPE))
    with pytest.raises(InputError, match=r"frames have shape \[2, 5, 2, 12, 11\]"):
        from_sinabs(module_of(), SHAPE, frames_of(np.random.default_rng(3), (2, 12, 11)))


def test_a_forward_that_fails_in_several_lines_is_one_line() -> None:
    class Talkative(nn.Identity):
        stands_for = "Identity"

        def forward(self, _: Any) -> Any:
            raise RuntimeError("first\nsecond\nthird")

    module = nn.Sequential(*module_of(), Talkative())
    with pytest.raises(UnsupportedError, match=r"fails on the example: first$") as caught:
        from_sinabs(module, SHAPE, frames_of(np.random.default_rng(7), SHAPE))
    assert "\n" not in str(caught.value)


def test_several_outputs_and_shared_pooling_in_any_order() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.fire = nn.Conv2d(2, 4, 3), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0)
            self.pool = nn.AvgPool2d(2)
            self.a, self.fire_a = nn.Conv2d(4, 3, 3), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0, spike_threshold=0.2)
            self.b, self.fire_b = nn.Conv2d(3, 2, 1), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0, spike_threshold=0.2)
            self.c, self.fire_c = nn.Conv2d(3, 2, 1), sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0, spike_threshold=0.2)

        def forward(self, frames: Any) -> Any:
            inner = self.pool(self.fire(self.first(frames)))
            deep = self.fire_a(self.a(inner))
            return self.fire_c(self.c(self.pool(deep))), self.fire_b(self.b(deep))

    torch.manual_seed(0)
    network = from_sinabs(Two(), SHAPE, frames_of(np.random.default_rng(4), SHAPE))
    assert "compared with Two.forward" in network.notes[0].text


def test_a_silent_example_says_that_it_is_silent() -> None:
    network = from_sinabs(module_of(), SHAPE, np.zeros((1, 2, *SHAPE), np.int64))
    assert "nothing fired in" in network.notes[0].text


def test_what_was_compared_is_a_finding_and_stays_with_the_file(tmp_path: Any) -> None:
    compared = from_sinabs(module_of(), SHAPE, frames_of(np.random.default_rng(5), SHAPE))
    for network in (compared, from_sinabs(module_of(), SHAPE)):
        write_network(network, tmp_path / "network.safetensors")
        read = read_network(tmp_path / "network.safetensors")
        assert read.notes == network.notes
        notes = [f for f in get("speck2f").check(read).findings if f.rule == "note"]
        assert [(f.value, f.severity) for f in notes] == [(network.notes[0].text, "info")]
    assert network.notes[0].text == NOT_COMPARED


def test_a_module_that_cannot_run_is_one_line() -> None:
    """Sinabs' neurons give float32 whatever they are given, so its networks of float64 do not run."""
    with pytest.raises(UnsupportedError, match=r"Sequential.forward fails on the example: .*same"):
        from_sinabs(module_of().double(), SHAPE, frames_of(np.random.default_rng(6), SHAPE))
