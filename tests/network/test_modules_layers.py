"""torch's own layers with drawn options, as every importer reads them; the oracle is the module's own forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import Conv2d, Flatten, Layer, Linear, MaxPool2d, Pool2d, Reshape
from i2e_deploy.network.graph import Network
from i2e_deploy.network.modules.framework import Framework
from i2e_deploy.network.modules.layers import READERS, read_op
from i2e_deploy.network.modules.norms import affine, scale
from i2e_deploy.network.modules.read import read_module
from i2e_deploy.network.modules.weights import padded_more
from i2e_deploy.network.op import Op

Generator = np.random.Generator
#: Untyped parts of torch.
QUANTIZATION: Any = torch.ao.quantization
QAT: Any = torch.ao.nn.qat
#: No framework: torch's layers alone.
TORCH_ALONE = Framework("torch", "torch", (), start=lambda _: None)


def one(rng: Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def conv2d(rng: Generator) -> nn.Module:
    same = rng.random() < 0.5
    groups = int(rng.choice([1, 2]))
    kernel = (one(rng, 1, 4), one(rng, 1, 4))
    dilation = (one(rng, 1, 2), one(rng, 1, 3))
    if same:
        return nn.Conv2d(4, 6, kernel, padding="same", dilation=dilation, groups=groups, bias=bool(rng.random() < 0.5))
    padding: Any = "valid" if rng.random() < 0.3 else (one(rng, 0, 2), one(rng, 0, 2))
    return nn.Conv2d(4, 6, (one(rng, 1, 3), one(rng, 1, 3)), one(rng, 1, 3), padding, dilation, groups)


def conv1d(rng: Generator) -> nn.Module:
    padding: Any = "same" if rng.random() < 0.5 else one(rng, 0, 2)
    stride = 1 if padding == "same" else one(rng, 1, 3)
    return nn.Conv1d(4, 6, one(rng, 1, 4), stride, padding, one(rng, 1, 2), int(rng.choice([1, 2])))


def average(rng: Generator) -> nn.Module:
    kernel = one(rng, 1, 3)
    divisor = None if rng.random() < 0.6 else one(rng, 1, 5)
    return nn.AvgPool2d(kernel, one(rng, 1, 3), one(rng, 0, kernel // 2), False, True, divisor)


def largest(rng: Generator) -> nn.Module:
    kernel = one(rng, 1, 3)
    return nn.MaxPool2d(kernel, one(rng, 1, 3), one(rng, 0, kernel // 2))


def adaptive(rng: Generator) -> nn.Module:
    size: Any = [1, (3, 4), (9, None), (1, 2)][rng.integers(4)]
    return (nn.AdaptiveAvgPool2d if rng.random() < 0.5 else nn.AdaptiveMaxPool2d)(size)


def flat(rng: Generator) -> nn.Module:
    return nn.Flatten(*[(), (1, 2), (2, 3), (2,), (-2, -1)][rng.integers(5)])


def unflat(rng: Generator) -> nn.Module:
    return nn.Unflatten(*[(1, (2, 2)), (2, (3, -1)), (-1, (4, 2))][rng.integers(3)])


KINDS: dict[str, tuple[Callable[[Generator], nn.Module], tuple[int, ...]]] = {
    "Conv2d": (conv2d, (4, 9, 8)),
    "Conv1d": (conv1d, (4, 9)),
    "AvgPool2d": (average, (4, 9, 8)),
    "MaxPool2d": (largest, (4, 9, 8)),
    "Adaptive": (adaptive, (4, 9, 8)),
    "AvgPool1d": (lambda rng: nn.AvgPool1d(one(rng, 2, 3), one(rng, 1, 3), one(rng, 0, 1)), (4, 9)),
    "Flatten": (flat, (4, 9, 8)),
    "Unflatten": (unflat, (4, 9, 8)),
    "Linear": (lambda rng: nn.Linear(7, 5, bias=bool(rng.random() < 0.5)), (7,)),
}


def beside(op: Op, module: nn.Module, x: Any) -> None:
    """The same values, and the shape that the layer says."""
    with torch.no_grad():
        theirs, ours = module(x), op.step([x], {})[0]
    assert ours.shape == theirs.shape
    assert op.output_shape([tuple(x.shape[1:])]) == tuple(theirs.shape[1:])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_drawn_layers_are_what_torch_computes(kind: str) -> None:
    make, shape = KINDS[kind]
    for seed in range(60):
        rng = np.random.default_rng([seed, len(kind)])
        torch.manual_seed(seed)
        module = make(rng)
        op = read_op("layer", type(module).__name__, module, [shape], READERS)
        beside(op, module, torch.randn(2, *shape))


def test_the_plainest_record_is_taken() -> None:
    shape = (4, 8, 8)
    for module, wanted in (
        (nn.AvgPool2d(2), Pool2d((2, 2))),
        (nn.AvgPool2d(2, divisor_override=1), Pool2d((2, 2), "sum")),
        (nn.AdaptiveAvgPool2d(1), Pool2d((8, 8))),
        (nn.AdaptiveMaxPool2d(4), MaxPool2d((2, 2), (2, 2))),
        (nn.MaxPool2d(3, 2, 1), MaxPool2d((3, 3), (2, 2), (1, 1))),
        (nn.Flatten(), Flatten()),
        (nn.Flatten(2), Reshape((4, 64))),
    ):
        assert read_op("layer", type(module).__name__, module, [shape], READERS) == wanted
    op = read_op("layer", "Conv2d", nn.Conv2d(4, 4, 3, padding="same"), [shape], READERS)
    assert isinstance(op, Conv2d)
    assert (op.padding, op.weight.shape) == ((1, 1), (4, 4, 3, 3))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), "pads by .*'circular': pad by a number, with zeros"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), "count_include_pad=False"),
        (nn.AvgPool2d(3, 2, ceil_mode=True), "ceil_mode windows that hang over the border"),
        (nn.MaxPool2d(3, 2, ceil_mode=True), "ceil_mode windows that hang over the border"),
        (nn.MaxPool2d(2, dilation=2), "with dilation"),
        (nn.AdaptiveAvgPool2d(3), "its windows differ in size"),
        (nn.Flatten(0), "flattens dimensions 0 to -1"),
        (nn.ReLU(), "a spiking network has neurons in its place.*sinabs.from_torch.from_model"),
        (nn.LSTM(4, 4), "train leaky neurons in its place"),
        (nn.LayerNorm(4), "use batch norm, which becomes fixed factors"),
        (nn.GroupNorm(2, 4), "use batch norm"),
        (nn.ConvTranspose2d(4, 4, 3), "use Conv2d"),
    ],
)
def test_what_has_no_counterpart_is_refused_with_the_way_out(module: nn.Module, words: str) -> None:
    with pytest.raises(UnsupportedError, match=f"layer 'here' .*{words}"):
        read_op("here", type(module).__name__, module, [(4, 8, 8)], READERS)


def test_padding_on_any_side_is_in_the_convolution_that_follows() -> None:
    for seed in range(80):
        rng = np.random.default_rng(seed)
        torch.manual_seed(seed)
        around: Any = tuple(int(n) for n in rng.integers(0, 4, 4))
        conv = nn.Conv2d(
            2, 3, (one(rng, 1, 3), one(rng, 1, 3)), one(rng, 1, 3), one(rng, 0, 1), (one(rng, 1, 2), one(rng, 1, 2))
        )
        op = read_op("layer", "Conv2d", conv, [(2, 9, 8)], READERS)
        assert isinstance(op, Conv2d)
        left, right, top, bottom = around
        padded = padded_more(op, [(top, bottom), (left, right)])
        beside(padded, nn.Sequential(nn.ZeroPad2d(around), conv), torch.randn(2, 2, 9, 8))


def normed(kind: str, seed: int) -> tuple[Any, tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    shape = (5,) if kind == "BatchNorm1d" and seed % 2 else (5, 4) if kind == "BatchNorm1d" else (5, 4, 3)
    norm: Any = getattr(nn, kind)(5, eps=float(rng.choice([1e-5, 1e-2])), affine=bool(rng.random() < 0.7))
    with torch.no_grad():
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.1, 3)
        for parameter in norm.parameters():
            parameter.uniform_(-2, 2)
    return norm.eval(), shape


@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d"])
def test_batch_norms_are_factors_and_offsets(kind: str) -> None:
    for seed in range(30):
        torch.manual_seed(seed)
        norm, shape = normed(kind, seed)
        beside(scale("norm", affine("norm", norm), shape), norm, torch.randn(3, *shape))


class Normed(nn.Module):
    """Batch norm before all, behind a convolution, behind one that another branch reads too, behind a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(normed("BatchNorm2d", seed)[0] for seed in range(5))
        self.a, self.b, self.c = nn.Conv2d(5, 5, 1), nn.Conv2d(5, 5, 1), nn.Conv2d(5, 5, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = self.norms[1](self.a(self.norms[0](x)))
        shared = self.b(x)
        both = self.norms[2](shared) + shared
        return self.norms[4](self.c(self.norms[3](both)))


def test_a_batch_norm_anywhere_is_folded_or_a_layer_of_its_own() -> None:
    torch.manual_seed(0)
    network = read_module(Normed(), (5, 4, 3), None, "step", TORCH_ALONE)
    kinds = {layer.name: type(layer.op).__name__ for layer in network.layers}
    assert kinds == {
        "norms.0": "Scale", "a": "Conv2d", "b": "Conv2d", "norms.2": "Scale", "add": "Add", "norms.3": "Scale",
        "c": "Conv2d",
    }  # fmt: skip
    assert "compared with Normed.forward" in network.notes[-1].text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["Conv2d", "Linear"])
def test_weights_that_are_quantised_in_forward_are_what_they_compute(kind: str) -> None:
    config = QUANTIZATION.get_default_qat_qconfig("fbgemm")
    torch.manual_seed(0)
    layer: Any = (
        QAT.Conv2d(2, 3, 3, padding=1, qconfig=config) if kind == "Conv2d" else QAT.Linear(6, 4, qconfig=config)
    )
    shape = (2, 5, 5) if kind == "Conv2d" else (6,)
    layer(torch.rand(1, *shape))  # sets the scale
    network = read_module(nn.Sequential(layer.eval()), shape, None, "step", TORCH_ALONE)
    op = network.layers[0].op
    assert isinstance(op, Conv2d | Linear)
    plain = layer.weight.detach().numpy()
    assert 1e-4 < np.abs(op.weight - plain).max() < 0.1 * np.abs(plain).max()
    assert all(np.unique(row).size <= 256 for row in op.weight.reshape(len(plain), -1))
    beside(op, layer, torch.rand(3, *shape))


def test_a_quantiser_whose_scale_still_moves_is_refused() -> None:
    class Moving(nn.Module):
        def forward(self, weight: Any) -> Any:
            return weight + torch.rand(())

    layer = QAT.Linear(6, 4, qconfig=QUANTIZATION.get_default_qat_qconfig("fbgemm"))
    layer.weight_fake_quant = Moving()
    with pytest.raises(UnsupportedError, match=r"'0' quantises its weight otherwise each time.*disable_observer"):
        read_module(nn.Sequential(layer), (6,), None, "step", TORCH_ALONE)


@pytest.mark.filterwarnings("ignore")
def test_activations_that_are_quantised_are_refused() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 3)).train()
    model.qconfig = QUANTIZATION.get_default_qat_qconfig("fbgemm")
    prepared = QUANTIZATION.prepare_qat(model)
    prepared(torch.rand(2, 6))
    with pytest.raises(UnsupportedError, match=r"hook .*which may change what it computes"):
        read_module(prepared, (6,), None, "step", TORCH_ALONE)


def test_shapes_that_do_not_fit_name_the_layer() -> None:
    with pytest.raises(InputError, match="layer 'fc' takes 8 inputs"):
        Network((4,), (Layer("fc", Linear(np.ones((2, 8), np.float32)), ("input",)),))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_that_brevitas_quantises_are_what_they_compute(bits: int) -> None:
    quantised: Any = pytest.importorskip("brevitas.nn")
    torch.manual_seed(bits)
    for layer, shape in (
        (quantised.QuantConv2d(2, 3, 3, padding=1, weight_bit_width=bits), (2, 6, 6)),
        (quantised.QuantLinear(6, 4, bias=True, weight_bit_width=bits), (6,)),
    ):
        network = read_module(nn.Sequential(layer), shape, None, "step", TORCH_ALONE)
        op = network.layers[0].op
        assert isinstance(op, Conv2d | Linear)
        assert np.unique(op.weight).size < 2**bits
        beside(op, layer.eval(), torch.rand(3, *shape))


@pytest.mark.filterwarnings("ignore")
def test_inputs_that_brevitas_quantises_are_refused() -> None:
    quantised: Any = pytest.importorskip("brevitas.nn")
    kinds: Any = pytest.importorskip("brevitas.quant")
    layer = quantised.QuantLinear(6, 4, bias=True, input_quant=kinds.Int8ActPerTensorFloat)
    with pytest.raises(UnsupportedError, match=r"'0' quantises more than its weight \(input_quant\).*input_quant=None"):
        read_module(nn.Sequential(layer), (6,), None, "step", TORCH_ALONE)
