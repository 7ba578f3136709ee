"""A class is known by what it is; hooks and replaced calls are refused. The oracle is the module's own forward."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import samna_standin
import sinabs
import sinabs.layers as sl
import torch
from sinabs.hooks import register_synops_hooks
from sinabs_reading import FRAMES, SHAPE, conv, differing, neurons, read
from torch import nn

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import from_sinabs
from i2e_deploy.training.fused_iaf import FusedIAF

#: Untyped parts of torch.
QUANTIZATION: Any = torch.ao.quantization
QUANTIZED: Any = torch.ao.nn.quantized


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
