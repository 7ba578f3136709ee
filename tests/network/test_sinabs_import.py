"""`from_sinabs` reads what the next forward in evaluation mode computes, or refuses: classes, hooks, weights, values.

The oracle is the module's own forward pass.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import samna_standin
import sinabs
import sinabs.layers as sl
import torch
from numpy.typing import NDArray
from sinabs.activation import MaxSpike, MultiSpike
from sinabs.hooks import register_synops_hooks
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import IntegrateAndFire, Network, from_sinabs
from i2e_deploy.training.fused_iaf import FusedIAF

#: Untyped parts of torch.
PRUNE: Any = prune
QUANTIZATION: Any = torch.ao.quantization
QUANTIZED: Any = torch.ao.nn.quantized
SHAPE = (2, 8, 8)
FRAMES = torch.from_numpy(np.random.default_rng(0).poisson(0.7, (6, *SHAPE))).float()  # one sample of 6 steps


def conv(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return nn.Conv2d(2, 3, 3)


def neurons(**options: Any) -> Any:
    return sl.IAFSqueeze(**{"batch_size": 1, "min_v_mem": -1.0, **options})


def read(*modules: nn.Module) -> Network:
    return from_sinabs(nn.Sequential(*modules), SHAPE)


def differing(network: Network, module: nn.Module) -> float:
    """Share of the module's output that the network gives otherwise than up to rounding."""
    for part in module.modules():
        if isinstance(part, sl.StatefulLayer):
            part.reset_states()
    with torch.no_grad():
        theirs = module.eval()(FRAMES).flatten(1).numpy()
    ours = network.run(FRAMES[None]).output[0]
    return float((np.abs(ours - theirs) > 1e-4 * np.abs(theirs).max()).mean())


# Classes


def _impostors() -> dict[str, type]:
    """Classes by the name of known ones with a forward of their own, or with parts of the class replaced."""

    class Conv2d(nn.Conv2d):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * 2

    class Standardised(nn.Conv2d):
        def _conv_forward(self, x: Any, weight: Any, bias: Any) -> Any:
            return super()._conv_forward(x, weight - weight.mean(), bias)

    class Called(nn.Conv2d):
        def __call__(self, *given: Any) -> Any:
            return super().__call__(*given) + 1

    class IAFSqueeze(sl.IAFSqueeze):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return super().forward(x) / 2

    class Leaking(sl.IAFSqueeze):  # type: ignore[misc]
        @property
        def alpha_mem_calculated(self) -> Any:
            return torch.tensor(0.5)

    class Merge(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a * b

    class AvgPool2d(nn.AvgPool2d):
        def forward(self, x: Any) -> Any:
            return nn.functional.max_pool2d(x, self.kernel_size)

    class Dropout(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2

    class Identity(nn.Identity):
        def forward(self, x: Any) -> Any:
            return x.roll(1, -1)

    class BatchNorm2d(nn.BatchNorm2d):
        def forward(self, x: Any) -> Any:
            return x - x.mean()

    return {kind.__name__: kind for kind in locals().values()}


IMPOSTORS = _impostors()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (lambda: IMPOSTORS["Conv2d"](2, 3, 3), "is a Conv2d of .*, a torch.nn.Conv2d with forward of its own"),
        (lambda: IMPOSTORS["Standardised"](2, 3, 3), "with _conv_forward of its own"),
        (lambda: IMPOSTORS["Called"](2, 3, 3), "__call__ of its own"),
        (lambda: IMPOSTORS["IAFSqueeze"](batch_size=1), "a sinabs.layers.IAFSqueeze with forward of its own"),
        (lambda: IMPOSTORS["Leaking"](batch_size=1), "with alpha_mem_calculated of its own"),
        (lambda: IMPOSTORS["AvgPool2d"](2), "a torch.nn.AvgPool2d with forward of its own"),
        (IMPOSTORS["Dropout"], "is a Dropout of "),
        (IMPOSTORS["Identity"], "a torch.nn.Identity with forward of its own"),
        (lambda: IMPOSTORS["BatchNorm2d"](2), "a torch.nn.BatchNorm2d with forward of its own"),
        (lambda: QUANTIZED.Conv2d(2, 3, 3), "is a Conv2d of torch.ao.nn.quantized"),
        (lambda: QUANTIZED.dynamic.Linear(8, 3), "is a Linear of torch.ao.nn.quantized.dynamic"),
        (lambda: nn.LazyConv2d(3, 3), "has the forward pre-hook LazyModuleMixin._infer_parameters"),
        (lambda: nn.SyncBatchNorm(2), "is a SyncBatchNorm"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_a_class_is_known_by_what_it_is_not_by_its_name(module: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(UnsupportedError, match=f"layer '0' .*{words}"):
        read(module(), neurons())


def test_a_merge_of_ones_own_is_refused() -> None:
    class Net(nn.Module):
        def __init__(self, merge: nn.Module) -> None:
            super().__init__()
            self.a, self.b, self.merge, self.fire = conv(0), conv(1), merge, neurons()

        def forward(self, x: Any) -> Any:
            return self.fire(self.merge(self.a(x), self.b(x)))

    assert differing(from_sinabs(Net(sl.Merge()), SHAPE), Net(sl.Merge())) == 0
    with pytest.raises(UnsupportedError, match="layer 'merge' is a Merge of "):
        from_sinabs(Net(IMPOSTORS["Merge"]()), SHAPE)


def test_a_convolution_that_quantises_its_weights_is_refused_and_what_stands_for_it_is_read() -> None:
    """The issue's case: 61 % of the spikes were off."""
    config = QUANTIZATION.get_default_qat_qconfig("fbgemm")
    quantising = torch.ao.nn.qat.Conv2d(2, 3, 3, qconfig=config)
    with pytest.raises(UnsupportedError, match=r"'0' is a Conv2d of torch.ao.nn.qat.*stands_for = 'NAME'"):
        read(quantising, neurons())
    quantising(FRAMES)  # sets the scale
    plain = conv()
    with torch.no_grad():
        plain.weight.copy_(quantising.weight_fake_quant(quantising.weight))
        plain.bias.copy_(quantising.bias)
    assert differing(read(plain, neurons()), nn.Sequential(quantising, neurons())) == 0


def test_a_word_for_another_class_holds_for_the_forward_that_it_was_said_of() -> None:
    class Mine(nn.Conv2d):
        stands_for = "Conv2d"

        def forward(self, x: Any) -> Any:
            return nn.functional.conv2d(x, self.weight, self.bias)

    class Changed(Mine):
        def forward(self, x: Any) -> Any:
            return super().forward(x) * 2

    class Unknown(nn.Conv2d):
        stands_for = "Conv5d"

    class Bare(nn.Module):
        stands_for = "IAFSqueeze"

        def forward(self, x: Any) -> Any:
            return x

    mine = nn.Sequential(Mine(2, 3, 3), neurons())
    assert differing(from_sinabs(mine, SHAPE), mine) == 0
    with pytest.raises(UnsupportedError, match=r"a torch\.nn\.Conv2d with forward of its own"):
        read(Changed(2, 3, 3))
    with pytest.raises(UnsupportedError, match="which stands for 'Conv5d'"):
        read(Unknown(2, 3, 3))
    with pytest.raises(UnsupportedError, match=r"layer '0' stands for IAFSqueeze, but .*tau_syn"):
        read(Bare())
    mine[0].forward = lambda x: x
    with pytest.raises(UnsupportedError, match="forward of its own"):
        from_sinabs(mine, SHAPE)


def test_subclasses_that_change_nothing_are_what_they_derive_from() -> None:
    class Named(nn.Conv2d):
        def __init__(self, width: int) -> None:
            super().__init__(2, width, 3)
            self.note = "mine"

        def extra_repr(self) -> str:
            return self.note

    module = nn.Sequential(
        Named(3), FusedIAF(batch_size=1, min_v_mem=-1.0, surrogate_grad_fn=sinabs.activation.Heaviside())
    )
    assert differing(from_sinabs(module, SHAPE), module) == 0


def test_a_class_changed_from_outside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: plain(self, x) * 2)
    with pytest.raises(UnsupportedError, match=r"'0' is a Conv2d .*with forward of its own"):
        read(conv(), neurons())


def test_a_spiking_model_in_a_class_of_ones_own_is_not_all_of_it() -> None:
    """What `from_model` returns has this attribute; a class that adds a head was read without it."""

    class Headed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.spiking_model = nn.Sequential(conv(), neurons())
            self.head = nn.AvgPool2d(2)

        def forward(self, x: Any) -> Any:
            return self.head(self.spiking_model(x))

    headed = Headed()
    assert [layer.name for layer in from_sinabs(headed, SHAPE).layers] == ["spiking_model.0", "spiking_model.1", "head"]
    assert differing(from_sinabs(headed, SHAPE), headed) == 0
    converted = sinabs.from_model(nn.Sequential(conv(), nn.ReLU()), batch_size=1)
    assert differing(from_sinabs(converted, SHAPE), converted) == 0


def test_a_sensor_layer_with_parts_of_ones_own_is_refused() -> None:
    samna_standin.install()
    from sinabs.backend.dynapcnn.dvs_layer import DVSLayer

    layer = DVSLayer(input_shape=(8, 8), pool=(2, 2))
    assert read(layer, nn.Conv2d(2, 3, 3), neurons()).shapes()["0"] == (2, 4, 4)
    changes: list[tuple[Callable[[], None], str]] = [
        (lambda: setattr(layer, "pool_layer", nn.AvgPool2d(2)), "has a AvgPool2d as its pool_layer"),
        (lambda: setattr(layer, "pool_layer", sl.SumPool2d(2, 1)), "sum-pools"),
        (lambda: setattr(layer, "forward", lambda x: x), "has forward of its own"),
    ]
    for change, words in changes:
        change()
        with pytest.raises(UnsupportedError, match=words):
            read(layer, nn.Conv2d(2, 3, 3), neurons())


# Hooks


def scaled(module: Any, given: Any, *output: Any) -> Any:
    return output[0] * 2 if output else (given[0] * 2,)


@contextmanager
def everywhere(kind: str) -> Iterator[None]:
    handle = getattr(nn.modules.module, f"register_module_{kind}")(scaled)
    yield
    handle.remove()


@pytest.mark.parametrize("part", ["", "0", "0.0", "0.1"])
@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook"])
def test_hooks_are_refused_by_name_on_layers_and_on_what_holds_them(part: str, kind: str) -> None:
    module = nn.Sequential(nn.Sequential(conv(), neurons()))
    handle = getattr(module.get_submodule(part), f"register_{kind}")(scaled)
    where = f"layer '{part}' " if part else "Sequential has"
    with pytest.raises(UnsupportedError, match=f"{where}.*hook scaled, which may change.*remove"):
        from_sinabs(module, SHAPE)
    handle.remove()
    assert differing(from_sinabs(module, SHAPE), module) == 0
    with everywhere(kind), pytest.raises(UnsupportedError, match="scaled on all modules"):
        from_sinabs(module, SHAPE)


@pytest.mark.parametrize("part", ["", "0", "0.0", "0.1"])
def test_a_forward_of_one_instance_is_refused(part: str) -> None:
    module = nn.Sequential(nn.Sequential(conv(), neurons()))
    module.get_submodule(part).forward = lambda x: x
    with pytest.raises(UnsupportedError, match="has forward of its own"):
        from_sinabs(module, SHAPE)


@pytest.mark.filterwarnings("ignore")
def test_sinabs_own_counters_are_no_reason_to_refuse() -> None:
    module = nn.Sequential(conv(), neurons())
    counter = sinabs.SNNAnalyzer(module)
    register_synops_hooks(module)
    network = from_sinabs(module, SHAPE)
    del counter
    for part in module.modules():
        part._forward_hooks.clear()
    assert differing(network, module) == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "wrap", [torch.jit.script, torch.compile, nn.DataParallel, torch.optim.swa_utils.AveragedModel]
)
def test_what_wraps_a_network_is_refused(wrap: Callable[[nn.Module], nn.Module]) -> None:
    with pytest.raises(UnsupportedError, match=r"is made from another module .*give that one"):
        from_sinabs(wrap(nn.Sequential(conv())), SHAPE)


def test_what_torch_fx_made_is_read_and_what_is_no_module_is_refused() -> None:
    module = torch.fx.symbolic_trace(nn.Sequential(conv(), nn.Identity()))
    assert differing(from_sinabs(module, SHAPE), module) == 0
    with pytest.raises(InputError, match=r"a layer is called 'input'.*rename it"):
        from_sinabs(nn.Sequential(OrderedDict(input=conv(), fire=neurons())), SHAPE)
    with pytest.raises(InputError, match="dict is no torch module"):
        from_sinabs({}, SHAPE)  # type: ignore[arg-type]


# Weights


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


# Values


def test_equal_thresholds_one_a_neuron_are_that_one() -> None:
    """108 neurons, 108 equal thresholds and bounds."""
    each = (3, 6, 6)
    module = nn.Sequential(conv(), neurons(spike_threshold=torch.full(each, 0.5), min_v_mem=torch.full(each, -0.5)))
    network = from_sinabs(module, SHAPE)
    op = network.layers[1].op
    assert isinstance(op, IntegrateAndFire)
    assert (op.threshold, op.min_v) == (0.5, -0.5)
    assert differing(network, module) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spike_threshold": torch.linspace(0.5, 1, 108).reshape(3, 6, 6)}, "'1' has 108 thresholds, from 0.5 to 1: "),
        ({"min_v_mem": torch.linspace(-2, -1, 108).reshape(3, 6, 6)}, "'1' has 108 lower bounds, from -2 to -1: "),
        ({"spike_threshold": torch.ones(108)}, r"'1' has 108 thresholds of shape \(108,\) for neurons of shape"),
        ({"min_v_mem": -torch.ones(2, 3, 6, 6)}, "'1' has 216 lower bounds of shape"),
        ({"spike_threshold": torch.ones(0)}, "'1': the threshold is empty"),
        ({"spike_threshold": None}, "'1': it has no spike_threshold"),
        ({"spike_threshold": torch.tensor(1.0, device="meta")}, "'1': .*'meta'"),
        ({"spike_fn": MaxSpike(2.5)}, "'1': the largest number of spikes is 2.5"),
        ({"spike_fn": None}, "'1' spikes by NoneType"),
        ({"spike_fn": type("MultiSpike", (MultiSpike,), {})}, "'1' spikes by MultiSpike of .*: use MultiSpike"),
        ({"reset_fn": type("MembraneReset", (), {"reset_value": 0.0})()}, "'1' resets by .*of sinabs"),
    ],
)  # fmt: skip
def test_values_of_neurons_are_right_or_one_line(options: Any, words: str) -> None:
    with pytest.raises((InputError, UnsupportedError), match=words):
        read(conv(), neurons(**options))


def test_numpy_integers_in_shapes_are_integers() -> None:
    two: Any = np.int64(2)
    layer = conv()
    layer.stride, layer.padding, layer.groups = (two, np.int32(1)), (np.int8(1), two), np.int64(1)
    module = nn.Sequential(layer, neurons(), nn.AvgPool2d(two), sl.SumPool2d([two, 1]))
    for shape in (np.array(SHAPE), torch.Size(SHAPE), list(SHAPE), tuple(np.int64(side) for side in SHAPE)):
        network = from_sinabs(module, shape)  # type: ignore[arg-type]
        assert network.input_shape == SHAPE
        assert all(type(side) is int for side in network.input_shape)
        assert differing(network, module) == 0
    for wrong in ((2, 8.0, 8), "288", 2, (2, "8", 8), (True, 8, 8)):
        with pytest.raises(InputError, match="input shape"):
            from_sinabs(module, wrong)  # type: ignore[arg-type]


def test_neurons_take_for_time_what_the_other_layers_do() -> None:
    """An IAF takes the channels behind a convolution for time."""
    with pytest.raises(UnsupportedError, match=r"'1' is an IAF, which takes \[B, T, ...\], and layer '0'"):
        read(conv(), sl.IAF())
    with pytest.raises(UnsupportedError, match="batch_size is 1 in layer '1' and 2 in layer '3'"):
        read(conv(), neurons(), nn.Conv2d(3, 3, 3), neurons(batch_size=2))
    torch.manual_seed(0)
    flat = nn.Sequential(
        nn.Linear(6, 5), sl.IAF(min_v_mem=-1.0, spike_threshold=0.2), nn.Linear(5, 4), sl.IAF(spike_threshold=0.1)
    )
    frames: NDArray[np.int64] = np.random.default_rng(0).poisson(1.0, (3, 7, 6))
    with torch.no_grad():
        theirs = flat(torch.from_numpy(frames).float()).numpy()
    assert theirs.any()
    np.testing.assert_array_equal(from_sinabs(flat, (6,)).run(frames).output, theirs)


def test_flattening_by_keyword_is_read_as_it_is_written() -> None:
    class Net(nn.Module):
        def __init__(self, **given: int) -> None:
            super().__init__()
            self.first, self.fire, self.last, self.given = conv(), neurons(), nn.Linear(108, 4), given

        def forward(self, x: Any) -> Any:
            return self.last(torch.flatten(self.fire(self.first(x)), **self.given))

    right = Net(end_dim=-1, start_dim=1)
    assert differing(from_sinabs(right, SHAPE), right) == 0
    with pytest.raises(UnsupportedError, match="uses flatten with end_dim=1"):
        from_sinabs(Net(end_dim=1), SHAPE)
