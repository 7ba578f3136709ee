"""Weights are those that the next forward in evaluation mode would use. The oracle is the module's own forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sinabs_reading import FRAMES, SHAPE, conv, differing, neurons, read
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from i2e_deploy.errors import InputError
from i2e_deploy.network import from_sinabs

#: Untyped parts of torch.
PRUNE: Any = prune


def _pruned(module: nn.Module) -> None:
    PRUNE.random_unstructured(module, "weight", 0.4)
    PRUNE.l1_unstructured(module, "weight", 0.3)  # a container of two
    PRUNE.random_unstructured(module, "bias", 0.5)


def _pruned_weight_norm(module: nn.Module) -> None:
    nn.utils.weight_norm(module)
    PRUNE.random_unstructured(module, "weight_v", 0.4)


class Shrunk(nn.Module):
    def forward(self, weight: Any) -> Any:
        return weight / (1 + weight.abs())


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "prune": _pruned,
    "weight norm": nn.utils.weight_norm,
    "spectral norm": nn.utils.spectral_norm,
    "pruned weight norm": _pruned_weight_norm,
    "parametrized weight norm": parametrizations.weight_norm,
    "parametrized spectral norm": parametrizations.spectral_norm,
    "parametrized by a user": lambda m: parametrize.register_parametrization(m, "weight", Shrunk()),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("wrap", WRAPPED)
def test_weights_are_those_that_the_next_forward_would_use(wrap: str, training: bool) -> None:
    """As after `load_state_dict`: what the weights are made of has changed, the weights are those of before."""
    module = nn.Sequential(conv(), neurons())
    WRAPPED[wrap](module[0])
    other = nn.Sequential(conv(1), neurons())
    WRAPPED[wrap](other[0])
    with torch.no_grad():
        for parameter in other[0].parameters():  # not the threshold: Sinabs' layers share their default in memory
            parameter.mul_(1.5)
    other.train()(FRAMES)
    module[0].load_state_dict(other[0].state_dict())
    module.train(training)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    attribute = vars(module[0]).get("weight")
    network = from_sinabs(module, SHAPE)
    assert vars(module[0]).get("weight") is attribute
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(part.training == training for part in module.modules())
    assert differing(network, module) == 0


def test_states_that_inference_mode_has_left_are_no_obstacle() -> None:
    """Such tensors may not be changed outside of that mode."""
    module = nn.Sequential(conv(), nn.BatchNorm2d(3), neurons())
    with torch.inference_mode():
        module(FRAMES)
    left = module[2].v_mem
    network = from_sinabs(module, SHAPE, example=FRAMES)
    assert "compared with" in network.notes[0].text
    assert module[2].v_mem is left


def test_weights_that_come_out_otherwise_each_time_are_refused() -> None:
    class Noisy(nn.Module):
        def forward(self, weight: Any) -> Any:
            return weight + torch.randn_like(weight)

    noisy = conv()
    parametrize.register_parametrization(noisy, "weight", Noisy())
    with pytest.raises(InputError, match="layer '0': weight is computed with another result each time"):
        read(noisy, neurons())


def test_evaluation_mode_is_read_whatever_mode_the_module_is_in() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm, self.drop, self.fire = conv(), nn.BatchNorm2d(3), nn.Dropout(0.9), neurons()
            self.noise = nn.AvgPool2d(2)

        def forward(self, x: Any) -> Any:
            x = self.drop(self.norm(self.conv(self.noise(x) if self.training else x)))
            return self.fire(x)

    module = Net()
    module(torch.rand(4, *SHAPE))
    for training in (True, False):
        network = from_sinabs(module.train(training), SHAPE)
        assert [layer.name for layer in network.layers] == ["conv", "fire"]
        assert differing(network, Net.eval(module)) == 0


@pytest.mark.parametrize(
    ("dtype", "words", "doubtful"),
    [
        (torch.float64, "weight is torch.float64: rounded to float32", False),
        (torch.float16, "weight is torch.float16: read exactly", True),
        (torch.bfloat16, "weight is torch.bfloat16: read exactly", True),
    ],
)
def test_other_precisions_are_read_with_a_note(dtype: torch.dtype, words: str, doubtful: bool) -> None:
    given, same = conv().to(dtype), conv()
    network = read(given, neurons())
    note = network.notes[0]
    assert (note.layer, note.doubtful) == ("0", doubtful)
    assert note.text.startswith(words)
    with torch.no_grad():
        same.weight.copy_(given.weight)
        same.bias.copy_(given.bias)
    assert differing(network, nn.Sequential(same, neurons())) == 0


def test_thresholds_of_another_precision_leave_a_note_where_torch_computes_in_it() -> None:
    many = neurons(spike_threshold=torch.full((3, 6, 6), 0.7, dtype=torch.float64))
    notes = read(conv(), many).notes
    assert [note.text for note in notes if note.layer == "1"] == [
        "spike_threshold is torch.float64: rounded to float32, in which the network computes"
    ]
    one = nn.Sequential(conv(), neurons(spike_threshold=torch.tensor(0.7, dtype=torch.float64)))
    network = from_sinabs(one, SHAPE)
    assert not [note for note in network.notes if note.layer]
    assert differing(network, one) == 0


class Wrapped(torch.Tensor):
    """A subclass, as quantising libraries put them in place of weights."""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.to("meta"), "are on device 'meta'"),
        (lambda m: m.to(torch.complex64), "weight is torch.complex64: give floating-point"),
        (lambda m: m.__setattr__("weight", nn.Parameter(m.weight.detach().int(), False)), "weight is torch.int32"),
        (lambda m: m.__setattr__("weight", nn.Parameter(m.weight.detach().as_subclass(Wrapped))), "a Wrapped of"),
        (lambda m: m.__setattr__("weight", nn.Parameter(m.weight.detach().to_sparse())), "torch.sparse_coo"),
        (lambda m: (m.__delattr__("weight"), m.register_buffer("weight", torch.quantize_per_tensor(
            torch.ones(3, 2, 3, 3), 0.1, 0, torch.qint8))), "of torch.qint8"),
        (lambda m: (m.__delattr__("weight"), m.register_buffer("weight", None)), "it has no weight"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_weights_that_are_no_plain_floats_are_refused(change: Callable[[Any], Any], words: str) -> None:
    changed = conv()
    change(changed)
    with pytest.raises(InputError, match=f"layer '0': .*{words}"):
        read(changed, neurons())


def test_layout_and_gradients_of_weights_do_not_matter() -> None:
    turned = conv().to(memory_format=torch.channels_last)
    turned.weight = nn.Parameter(turned.weight.detach().transpose(2, 3), requires_grad=False)
    assert not turned.weight.is_contiguous()
    module = nn.Sequential(turned, neurons())
    assert differing(from_sinabs(module, SHAPE), module) == 0
