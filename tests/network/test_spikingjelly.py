"""Networks as people write them with SpikingJelly: containers, step modes, its models. The oracle is their forward."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import Delay, Network, from_spikingjelly

functional: Any = pytest.importorskip("spikingjelly.activation_based.functional")
layer: Any = pytest.importorskip("spikingjelly.activation_based.layer")
neuron: Any = pytest.importorskip("spikingjelly.activation_based.neuron")
surrogate: Any = pytest.importorskip("spikingjelly.activation_based.surrogate")

BATCH, STEPS, SHAPE = 2, 5, (2, 8, 8)


def frames_of(seed: int, shape: tuple[int, ...] = SHAPE) -> Any:
    return np.random.default_rng(seed).poisson(0.7, (BATCH, STEPS, *shape)).astype(np.float32)


def own_forward(module: Any, frames: Any, whole: bool = True) -> Any:
    """What the module gives from a fresh state, [B, T, N]."""
    module.eval()
    functional.reset_net(module)
    steps = torch.from_numpy(frames).transpose(0, 1)
    with torch.no_grad():
        out = module(steps) if whole else torch.stack([module(x) for x in steps])
    functional.reset_net(module)
    return out.transpose(0, 1).reshape(len(frames), len(steps), -1).numpy()


def checked(module: Any, shape: tuple[int, ...] = SHAPE, whole: bool = True, share: float = 0.0) -> Network:
    """Read, judged by the run that is recorded, and run by us beside its own forward."""
    frames = frames_of(0, shape)
    network = from_spikingjelly(module, shape, frames)
    theirs = own_forward(module, frames, whole)
    ours = network.run(frames).output
    assert theirs.any()
    apart = np.abs(ours - theirs) > 1e-4 * np.abs(theirs).max()
    assert apart.mean() <= share, f"{apart.sum()} of {apart.size} values differ"
    return network


def normed(module: Any) -> Any:
    """Batch norms that norm: drawn statistics and factors."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            with torch.no_grad():
                part.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
                part.running_var.uniform_(0.1, 0.6)  # type: ignore[union-attr]
                part.weight.uniform_(0.7, 1.3)
                part.bias.normal_(0.1, 0.2)
    return module


def lively(seed: int) -> None:
    torch.manual_seed(seed)


def row(step_mode: str, *others: Any) -> Any:
    """As in SpikingJelly's tutorials."""
    lively(0)
    net = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), *others,
        neuron.LIFNode(tau=1.5, v_threshold=0.3, surrogate_function=surrogate.ATan()), layer.MaxPool2d(2),
        layer.Dropout(0.5), layer.Flatten(), layer.Linear(64, 20), neuron.ParametricLIFNode(v_threshold=0.05),
        layer.VotingLayer(10),
    )  # fmt: skip
    functional.set_step_mode(net, step_mode)
    return normed(net)


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_a_row_in_both_step_modes_is_one_network(step_mode: str) -> None:
    network = checked(row(step_mode), whole=step_mode == "m")
    assert [layer.op.describe().split()[0] for layer in network.layers] == [
        "Conv", "LIF", "MaxPool", "Flatten", "Linear", "LIF", "Linear"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "others",
    [
        lambda: [layer.AvgPool2d(3, 1, 1)],
        lambda: [layer.Conv2d(4, 4, 3, padding="same")],
        lambda: [layer.WSConv2d(4, 4, 3, padding=1)],
        lambda: [layer.Delay(2)],
        lambda: [layer.AvgPool2d(2, 1), layer.BatchNorm2d(4), layer.Conv2d(4, 4, 2, padding=1)],
    ],
)
@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_layers_of_spikingjelly_are_what_they_compute(others: Callable[[], list[Any]], step_mode: str) -> None:
    checked(row(step_mode, *others()), whole=step_mode == "m")


def test_threshold_dependent_batch_norm_is_a_batch_norm_at_inference() -> None:
    lively(2)
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 4, 3)), layer.ThresholdDependentBatchNorm2d(1.0, 0.5, 4),
        neuron.IFNode(v_threshold=0.5, step_mode="m"), layer.Flatten(step_mode="m"), layer.Linear(144, 10),
        layer.ThresholdDependentBatchNorm1d(0.7, 1.0, 10), neuron.IFNode(step_mode="m"),
    )  # fmt: skip
    network = checked(normed(net))
    assert len(network.layers) == 5


def test_containers_run_what_they_hold() -> None:
    lively(3)
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)),
        layer.MultiStepContainer(nn.AvgPool2d(2), neuron.IFNode(v_threshold=0.3), nn.Flatten()),
        layer.StepModeContainer(True, "m", nn.Linear(36, 12), neuron.LIFNode(v_threshold=0.2)),
        layer.StepModeContainer(False, "m", nn.Linear(12, 6)),
    )
    checked(normed(net))


@pytest.mark.parametrize("step_mode", ["s", "m"])
def test_recurrent_containers_are_loops_through_a_delay(step_mode: str) -> None:
    lively(4)
    net = nn.Sequential(
        layer.Linear(6, 8),
        layer.LinearRecurrentContainer(neuron.LIFNode(tau=1.5, v_threshold=0.3), 8, 8, step_mode=step_mode),
        layer.Linear(8, 5),
        layer.ElementWiseRecurrentContainer(
            neuron.IFNode(v_threshold=0.4), lambda x, y: x + y, step_mode=step_mode
        ),
    )  # fmt: skip
    network = checked(net, (6,), whole=step_mode == "m")
    assert sum(isinstance(layer.op, Delay) for layer in network.layers) == 2
    weighted = layer.ElementWiseRecurrentContainer(neuron.IFNode(), lambda x, y: x * y, step_mode="m")
    with pytest.raises(UnsupportedError, match="no layer does that"):
        from_spikingjelly(nn.Sequential(weighted), (6,))


class Looping(nn.Module):
    """The classic: a loop over time in the forward, and the rate of the last layer."""

    def __init__(self) -> None:
        super().__init__()
        lively(5)
        self.net = nn.Sequential(
            layer.Flatten(), layer.Linear(128, 10, bias=False), neuron.LIFNode(tau=2.0, v_threshold=0.3)
        )

    def forward(self, x: Any) -> Any:
        total = 0.0
        for t in range(STEPS):
            total = total + self.net(x[t])
        return total / STEPS


class Still(nn.Module):
    """A picture that is shown in every step, as in the tutorial on Fashion-MNIST."""

    def __init__(self) -> None:
        super().__init__()
        lively(6)
        self.conv = nn.Sequential(layer.Conv2d(2, 4, 3), neuron.IFNode(v_threshold=0.3), layer.Flatten())
        self.fc = nn.Sequential(layer.Linear(144, 10), neuron.IFNode(v_threshold=0.3))
        functional.set_step_mode(self, "m")

    def forward(self, x: Any) -> Any:
        return self.fc(self.conv(x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1))).mean(0)


def test_a_loop_over_time_and_its_rate_are_read() -> None:
    module, frames = Looping(), frames_of(1)
    network = from_spikingjelly(module, SHAPE, frames, layout="TB")
    functional.reset_net(module)
    with torch.no_grad():
        rate = module(torch.from_numpy(frames).transpose(0, 1)).numpy()
    assert rate.any()
    np.testing.assert_allclose(network.run(frames).output.mean(axis=1), rate, atol=1e-6)
    assert any("the network gives every step" in note.text for note in network.notes)


def test_a_picture_shown_in_every_step_is_read() -> None:
    module, picture = Still(), frames_of(2)[:, :1]
    frames = np.repeat(picture, STEPS, axis=1)
    network = from_spikingjelly(module, SHAPE, frames, layout="static")
    functional.reset_net(module)
    with torch.no_grad():
        rate = module(torch.from_numpy(picture[:, 0])).numpy()
    assert rate.any()
    np.testing.assert_allclose(network.run(frames).output.mean(axis=1), rate, atol=1e-6)


def test_step_modes_that_do_not_fit_are_refused() -> None:
    mixed = row("m")
    mixed[2].step_mode = "s"
    with pytest.raises(UnsupportedError, match=r"'2' \(LIFNode\) takes one step \[B, ...\] and is given \[T, B, ...\]"):
        from_spikingjelly(mixed, SHAPE)
    with pytest.raises(InputError, match="no torch module"):
        from_spikingjelly("net", SHAPE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (layer.SynapseFilter, "is a SynapseFilter, which stops its decay in the step of a spike; use CUBALIF"),
        (lambda: layer.NeuNorm(2, 8, 8), "is a NeuNorm, which divides"),
        (lambda: layer.TemporalEffectiveBatchNorm2d(5, 2), "which scales each step otherwise; use BatchNorm2d"),
        (lambda: layer.BatchNormThroughTime2d(5, 2), "which normalises each step otherwise; use BatchNorm2d"),
        (lambda: layer.GroupNorm(1, 2), "which normalises by statistics of its input"),
        (lambda: layer.ConvTranspose2d(2, 2, 2), "use Conv2d"),
    ],
)  # fmt: skip
def test_layers_without_counterpart_are_refused_with_their_reason(module: Callable[[], Any], words: str) -> None:
    net = nn.Sequential(module(), neuron.IFNode())
    functional.set_step_mode(net, "m") if not isinstance(net[0], layer.TemporalEffectiveBatchNorm2d) else None
    with pytest.raises(UnsupportedError, match=f"'0' .*{words}"):
        from_spikingjelly(net, SHAPE)


# SpikingJelly's own networks, as they are.


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its package of networks, which needs of torchvision a function that downloads weights."""
    if importlib.util.find_spec("torchvision") is None:
        for name in ("torchvision", "torchvision.models", "torchvision.models.utils"):
            stand_in: Any = ModuleType(name)
            stand_in.load_state_dict_from_url = None
            monkeypatch.setitem(sys.modules, name, stand_in)
    return importlib.import_module


def _sew(models: Any, cnf: str) -> Any:
    sew_resnet = models("spikingjelly.activation_based.model.sew_resnet")
    block = sew_resnet.BasicBlock
    net = sew_resnet.SEWResNet(
        block, [1, 1, 1, 1], num_classes=5, cnf=cnf, spiking_neuron=neuron.IFNode, v_threshold=0.3
    )
    functional.set_step_mode(net, "m")
    return normed(net)


def _spiking_resnet(models: Any) -> Any:
    spiking_resnet = models("spikingjelly.activation_based.model.spiking_resnet")
    net = spiking_resnet.SpikingResNet(
        spiking_resnet.BasicBlock, [1, 1, 1, 1], num_classes=5, spiking_neuron=neuron.LIFNode, v_threshold=0.3
    )
    functional.set_step_mode(net, "m")
    return normed(net)


def test_spikingjellys_sew_resnet_is_read_as_it_is(models: Any) -> None:
    lively(7)
    network = checked(_sew(models, "ADD"), (3, 32, 32), share=0.01)
    assert sum(layer.op.describe() == "Add" for layer in network.layers) == 4
    for cnf in ("AND", "IAND"):
        with pytest.raises(UnsupportedError, match=f'joins its branches by {cnf}.*cnf="ADD"'):
            from_spikingjelly(_sew(models, cnf), (3, 32, 32))


def test_spikingjellys_spiking_resnet_is_read_as_it_is(models: Any) -> None:
    lively(8)
    network = checked(_spiking_resnet(models), (3, 32, 32), share=0.01)
    assert sum(layer.op.describe() == "Add" for layer in network.layers) == 4


@pytest.mark.slow
def test_spikingjellys_spiking_vgg_is_read_as_it_is(models: Any) -> None:
    spiking_vgg = models("spikingjelly.activation_based.model.spiking_vgg")
    lively(9)
    net = spiking_vgg.SpikingVGG(
        [8, "M", 16, "M", 512, "M"], batch_norm=True, num_classes=5, spiking_neuron=neuron.IFNode, v_threshold=0.2
    )
    functional.set_step_mode(net, "m")
    checked(normed(net), (3, 56, 56), share=0.01)


@pytest.mark.parametrize(("name", "shape"), [("MNISTNet", (1, 28, 28)), ("NMNISTNet", (2, 34, 34))])
def test_spikingjellys_parametric_lif_networks_are_read_as_they_are(
    models: Any, name: str, shape: tuple[int, ...]
) -> None:
    parametric_lif_net = models("spikingjelly.activation_based.model.parametric_lif_net")
    lively(10)
    net = getattr(parametric_lif_net, name)(
        channels=4, spiking_neuron=neuron.ParametricLIFNode, init_tau=1.5, v_threshold=0.1
    )
    functional.set_step_mode(net, "m")
    checked(normed(net), shape, share=0.01)
