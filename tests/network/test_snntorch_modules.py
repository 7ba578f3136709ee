"""Networks as snnTorch's tutorials write them, against their own forward: loops, states by hand, views, functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import Delay, LeakyIntegrateAndFire, Network, from_snntorch
from i2e_deploy.network.op import Op

snn: Any = pytest.importorskip("snntorch")

STEPS, BATCH = 12, 3


class Dense(nn.Module):
    """Tutorial 5: two layers, states as arguments and return values, records that are stacked."""

    def __init__(self, inputs: int = 24) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(inputs, 30), snn.Leaky(beta=0.9, threshold=0.3)
        self.fc2, self.lif2 = nn.Linear(30, 5), snn.Leaky(beta=0.8, threshold=0.1)

    def forward(self, x: Any) -> Any:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, potentials = [], []
        for step in range(x.size(0)):
            cur1 = self.fc1(x[step].view(x.size(1), -1))
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = self.fc2(spk1)
            spk2, mem2 = self.lif2(cur2, mem2)
            spikes.append(spk2)
            potentials.append(mem2)
        return torch.stack(spikes, dim=0), torch.stack(potentials, dim=0)


class Convolutional(nn.Module):
    """Tutorial 6: convolutions, functions of torch for pooling and dropout, batch norm, flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.lif1 = nn.Conv2d(2, 8, 3, padding="same"), nn.BatchNorm2d(8), snn.Leaky(0.7)
        self.conv2, self.lif2 = nn.Conv2d(8, 8, 2), snn.Synaptic(0.5, 0.7, threshold=0.4)
        self.fc, self.lif3 = nn.Linear(8, 5), snn.Leaky(0.6, threshold=0.3)
        with torch.no_grad():
            self.bn1.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            self.bn1.running_var.uniform_(0.1, 0.4)  # type: ignore[union-attr]

    def forward(self, x: Any) -> Any:
        mem1 = self.lif1.reset_mem()
        syn2, mem2 = self.lif2.reset_mem()
        mem3 = self.lif3.reset_mem()
        total = torch.zeros(x.size(1), 5)
        for frame in x:
            cur1 = F.max_pool2d(self.bn1(self.conv1(frame)), 2)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = F.avg_pool2d(self.conv2(F.dropout(spk1, 0.3, self.training)), 2, 1)
            spk2, syn2, mem2 = self.lif2(cur2, syn2, mem2)
            spk3, mem3 = self.lif3(self.fc(spk2.flatten(1)), mem3)
            total += spk3
        return total


class Branches(nn.Module):
    """A sum, a concatenation of channels, a global average, a last linear layer without neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.lif = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 1), snn.Leaky(0.8)
        self.c, self.lif2 = nn.Conv2d(6, 6, 3, stride=2, bias=False), snn.Leaky(0.5, threshold=0.2)
        self.pool, self.last = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 5)

    def forward(self, x: Any) -> Any:
        mem, mem2 = self.lif.reset_mem(), self.lif2.reset_mem()
        out = []
        for step in range(len(x)):
            cur = self.a(x[step])
            cur += self.b(x[step])
            spk, mem = self.lif(cur, mem)
            spk2, mem2 = self.lif2(self.c(torch.cat([spk, x[step]], dim=1)) * 2 - 0.1, mem2)
            out.append(self.last(self.pool(spk2).squeeze(3).squeeze(2)))
        return torch.stack(out).mean(0)


class FedBack(nn.Module):
    """What fired in the step before is fed back by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.back = nn.Linear(24, 12), nn.Linear(12, 12)
        self.lif, self.out, self.lif2 = snn.Leaky(0.9), nn.Linear(12, 5), snn.Lapicque(beta=0.8, threshold=0.02)

    def forward(self, x: Any) -> Any:
        mem, mem2 = self.lif.init_leaky(), self.lif2.init_lapicque()
        spk = torch.zeros(x.shape[1], 12)
        recorded = []
        for step in range(x.shape[0]):
            spk, mem = self.lif(self.fc(x[step].flatten(1)) + self.back(spk), mem)
            spk2, mem2 = self.lif2(self.out(spk), mem2)
            recorded.append(spk2)
        return sum(recorded)


class Integrating(nn.Module):
    """A last layer that integrates and does not fire: its membrane potential decides."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(24, 12), snn.Leaky(0.9)
        self.out, self.readout = nn.Linear(12, 5), snn.Leaky(0.95, reset_mechanism="none")

    def forward(self, x: Any) -> Any:
        mem, mem2 = self.lif.init_leaky(), self.readout.init_leaky()
        recorded = torch.zeros(len(x), x.shape[1], 5)
        for step in range(len(x)):
            spk, mem = self.lif(self.fc(x[step].reshape(x.shape[1], -1)), mem)
            _, mem2 = self.readout(self.out(spk), mem2)
            recorded[step] = mem2
        return recorded[-1]


class AtOnce(nn.Module):
    """Weights of all steps at once, before and after the loop; a block and a pooling that are used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)), nn.MaxPool2d(2, 1)
        self.lif, self.lif2 = snn.Leaky(0.8, threshold=0.2), snn.Leaky(0.7, threshold=0.2)
        self.fc, self.last = nn.Linear(16, 8), nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        mem, mem2, recorded = self.lif.reset_mem(), self.lif2.reset_mem(), []
        currents = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        for current in currents.unbind(0):
            spk, mem = self.lif(self.pool(current), mem)
            spk2, mem2 = self.lif2(self.fc(self.pool(self.pool(self.pool(spk))).flatten(1)), mem2)
            recorded.append(spk2)
        return self.last(torch.stack(recorded))


class Batched(Dense):
    """[B, T, ...], batch first."""

    def forward(self, x: Any) -> Any:
        return super().forward(x.permute(1, 0, 2, 3, 4))


MODULES: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "dense": (Dense, "TB"),
    "convolutional": (Convolutional, None),
    "branches": (Branches, None),
    "fed back": (FedBack, None),
    "integrating": (Integrating, None),
    "at once": (AtOnce, None),
    "batch first": (Batched, "BT"),
}


def drawn(seed: int, shape: tuple[int, ...] = (2, 6, 6), steps: int = STEPS) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).poisson(0.6, (BATCH, steps, *shape)).astype(np.float32))


def own_output(network: Network, ours: Any, theirs: Any) -> Any:
    """What the module's readout makes of our steps [B, T, N]."""
    if theirs.ndim == 3:
        return ours
    said = " ".join(note.text for note in network.notes)
    if "sum over time" in said:
        return ours.sum(1)
    return ours.mean(1) if "mean over time" in said else ours[:, -1]


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("given", [True, False])
def test_modules_of_tutorials_are_what_their_forward_computes(kind: str, given: bool) -> None:
    make, layout = MODULES[kind]
    for seed in range(3):
        torch.manual_seed(seed)
        module = make()
        shape = (2, 3, 4) if not isinstance(module, Convolutional | Branches | AtOnce) else (2, 6, 6)
        frames = drawn(seed, shape)
        network = from_snntorch(module, shape, example=frames if given else None, layout=layout)
        assert any("compared with" in note.text for note in network.notes)
        with torch.no_grad():
            returned = module.eval()(frames if layout == "BT" else frames.transpose(0, 1))
        theirs = returned[0] if isinstance(returned, tuple) else returned
        theirs = theirs.transpose(0, 1) if theirs.ndim == 3 else theirs
        ours = own_output(network, network.run(frames).output, theirs)
        assert theirs.any()
        differ = np.abs(ours - theirs.numpy()) > 1e-4
        assert differ.mean() < 0.01


def test_a_sequential_with_states_inside_is_run_a_step_at_a_time() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.ZeroPad2d((0, 1, 1, 2)), nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), snn.Leaky(0.8, init_hidden=True),
        nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(36, 5),
        snn.Leaky(0.9, init_hidden=True, threshold=0.2, output=True),
    )  # fmt: skip
    frames = drawn(0)
    network = from_snntorch(module, (2, 6, 6), example=frames)
    pytest.importorskip("snntorch.utils").reset(module)
    module.eval()
    with torch.no_grad():
        theirs = torch.stack([module(frames[:, t])[0] for t in range(STEPS)], 1).numpy()
    assert theirs.any()
    assert (network.run(frames).output != theirs).mean() < 0.01
    assert [layer.name for layer in network.layers] == ["1", "3", "4", "4.flat", "7", "8"]
    assert "one step [B, ...] a call, as snnTorch does" in network.notes[0].text


def test_one_picture_in_every_step() -> None:
    class Static(Dense):
        def forward(self, x: Any) -> Any:
            mem1, mem2, total = self.lif1.init_leaky(), self.lif2.init_leaky(), 0
            for _ in range(9):
                spk1, mem1 = self.lif1(self.fc1(x.flatten(1)), mem1)
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
                total = total + spk2
            return total

    torch.manual_seed(1)
    module, picture = Static(), torch.rand(BATCH, 1, 2, 3, 4)
    network = from_snntorch(module, (2, 3, 4), example=picture, layout="static")
    with torch.no_grad():
        theirs = module(picture[:, 0]).numpy()
    assert theirs.any()
    assert (network.run(picture.expand(-1, 9, -1, -1, -1)).output.sum(1) != theirs).mean() < 0.05


def test_a_loop_is_a_delay_of_one_step() -> None:
    torch.manual_seed(0)
    network = from_snntorch(FedBack(), (2, 3, 4))
    (loop,) = (layer for layer in network.layers if isinstance(layer.op, Delay))
    assert (loop.name, loop.inputs, loop.op.describe()) == ("lif.before", ("lif",), "Delay 1")
    assert network.outputs == ("lif2",)


def test_an_integrator_hands_on_its_membrane_potential() -> None:
    network = from_snntorch(Integrating(), (2, 3, 4))
    op: Op = network.layers[-1].op
    assert isinstance(op, LeakyIntegrateAndFire)
    assert op.threshold is None


def test_what_was_assumed_is_said() -> None:
    notes = [note.text for note in from_snntorch(Dense(), (2, 3, 4)).notes]
    assert notes[0].startswith("the module was run on a whole sequence [T, B, ...], as snnTorch does: say layout=")
    assert any("returns its spikes and states of this layer" in text for text in notes)
    assert "the frames were drawn: give example=frames" in notes[-1]
    summed = from_snntorch(Convolutional(), (2, 6, 6))
    assert any("the module returns sum over time of what this layer gives" in note.text for note in summed.notes)


def in_loop(body: Callable[[Any, Any, int], Any], after: Callable[[Any], Any] = torch.stack) -> nn.Module:
    """A module with one layer, whose loop hands what `body` makes of a step to its neurons."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.other, self.lif, self.norm = nn.Linear(4, 4), nn.Linear(4, 4), snn.Leaky(0.9), nn.ReLU()
            self.lif2 = snn.Leaky(0.5)
            self.held: dict[Any, Any] = {}

        def forward(self, x: Any) -> Any:
            mem, spikes = self.lif.init_leaky(), []
            for step in range(len(x)):
                spk, mem = self.lif(body(self, x, step), mem)
                spikes.append(spk)
            return after(spikes)

    return Net()


def older(m: Any, x: Any, t: int) -> Any:
    m.held[t] = m.fc(x[t])
    return m.held[max(t - 2, 0)]


def state_of_another(m: Any, x: Any, t: int) -> Any:
    _, m.held["mem"] = m.lif2(m.fc(x[t]), m.held.get("other", torch.zeros(x.shape[1], 4)))
    m.held["other"] = m.fc(x[t])
    return m.held["mem"]


def through_a_view(m: Any, x: Any, t: int) -> Any:
    cur = m.fc(x[t])
    cur.view(x.shape[1], -1).mul_(2)
    return cur


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda m, x, t: m.fc(x[t]) if x[t].sum() > 3 else m.fc(x[t]) * 2, "decides by the data.*__bool__"),
        (
            lambda m, x, t: (m.fc if t % 2 else m.other)(x[t]),
            "gives layer 'lif' 'other' in step 0 and 'fc' in step 5: every step must do the same",
        ),
        (lambda m, x, t: m.norm(m.fc(x[t])), r"'norm' is a ReLU of torch.*from_model"),
        (lambda m, x, t: torch.relu(m.fc(x[t])), r"'relu' is a ReLU: .*from_model"),
        (lambda m, x, t: m.fc(torch.tanh(x[t])), "gives 'fc' what tanh made of layer 'input'"),
        (older, "'lif' is used twice in a step, or left out in one"),
        (lambda m, x, t: m.fc(x[t].flip(1)), "gives 'fc' values of 'input' in another order or not all"),
        (lambda m, x, t: m.fc(x[t].roll(1, 0)), "gives 'fc' values of 'input' in another order or not all"),
        (lambda m, x, t: m.fc(x[min(t, 3)]), "in step|used twice"),
        (state_of_another, "'lif2' takes for its state in step 1 something else"),
        (through_a_view, "changes in place, through a view, what layer 'fc' gave"),
        (lambda m, x, t: m.lif(m.fc(x[t]))[0], "'lif' is used twice in a step|takes for its state"),
        (lambda m, x, t: m.fc(x[t]) * m.other(x[t]), "gives 'lif' what mul made of layer 'fc and other'"),
        (lambda m, x, t: torch.from_numpy(m.fc(x[t]).numpy()), "takes it out of torch"),
        (lambda m, x, t: m.fc(x[t]) + torch.ones(x.shape[1], 4) * t, "uses|other arguments|what add made"),
    ],
)  # fmt: skip
def test_what_no_network_does_is_refused_in_one_line(body: Any, words: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(UnsupportedError, match=words) as caught:
        from_snntorch(in_loop(body), (4,))
    assert "\n" not in str(caught.value)


def test_layers_after_a_sum_over_time_are_refused() -> None:
    class Late(Dense):
        def forward(self, x: Any) -> Any:
            mem, spikes = self.lif1.init_leaky(), []
            for step in range(len(x)):
                spk, mem = self.lif1(self.fc1(x[step]), mem)
                spikes.append(spk)
            return self.fc2(torch.stack(spikes).sum(0))

    with pytest.raises(UnsupportedError, match=r"gives 'fc2' what sum over time made of layer 'lif1'.*into the loop"):
        from_snntorch(Late(), (24,))


def test_a_whole_sequence_for_neurons_of_one_step_asks_for_the_layout() -> None:
    module = nn.Sequential(nn.Linear(4, 3), snn.Leaky(0.5, init_hidden=True))
    with pytest.raises(UnsupportedError, match=r"'1' \(Leaky\) takes one step \[B, ...\] .*layout="):
        from_snntorch(module, (4,), layout="TB")
    with pytest.raises(InputError, match="layout is 'BTN'"):
        from_snntorch(module, (4,), layout="BTN")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the example has one step"):
        from_snntorch(module, (4,), example=torch.zeros(2, 1, 4))


@pytest.mark.parametrize(
    ("steps", "words"), [(9, "fails on .*an example of as many steps as it runs"), (3, "steps as")]
)
def test_a_loop_of_fixed_length_asks_for_an_example(steps: int, words: str) -> None:
    class Fixed(Dense):
        def forward(self, x: Any) -> Any:
            mem, spikes = self.lif1.init_leaky(), []
            for step in range(steps):
                spk, mem = self.lif1(self.fc1(x[step]), mem)
                spikes.append(spk)
            return torch.stack(spikes)

    with pytest.raises(UnsupportedError, match=words):
        from_snntorch(Fixed(), (24,))
    network = from_snntorch(Fixed(), (24,), example=drawn(0, (24,), steps))
    assert "compared with" in network.notes[-1].text


@pytest.mark.parametrize("change", ["reset", "halve"])
def test_states_that_are_reset_on_the_way_are_refused(change: str) -> None:
    """On quiet frames no spike says so."""

    class Resetting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(24, 5), snn.Leaky(0.5, threshold=100.0, init_hidden=True)

        def forward(self, x: Any) -> Any:
            recorded = []
            for step in range(len(x)):
                recorded.append(self.lif(self.fc(x[step])))
                if step == 3 and change == "reset":
                    self.lif.reset_mem()
                elif step == 3:
                    self.lif.mem = self.lif.mem * 0.5
            return torch.stack(recorded)

    with pytest.raises(UnsupportedError, match=r"'lif' has other states than it was left with .*\(mem\)"):
        from_snntorch(Resetting(), (24,), layout="TB")


def test_states_that_the_user_hands_over_from_outside_ask_for_a_loop() -> None:
    class Outside(Dense):
        def forward(self, x: Any, mem1: Any, mem2: Any) -> Any:  # type: ignore[override]
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            return spk2, mem1, mem2

    with pytest.raises(UnsupportedError, match=r"Outside.forward takes mem1, mem2 beside its input: put the loop"):
        from_snntorch(Outside(), (24,), layout="step")


def test_the_module_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), snn.Leaky(0.5, init_hidden=True)).train()
    module(torch.rand(2, 4))
    held, before = module[2].mem, {n: p.clone() for n, p in module.state_dict().items()}
    network = from_snntorch(module, (4,))
    assert module[2].mem is held
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(not part._forward_hooks and not part._forward_pre_hooks for part in module.modules())
    assert [layer.name for layer in network.layers] == ["0", "2"]


def test_what_leads_nowhere_or_is_returned_too_is_said() -> None:
    class Recording(Dense):
        def __init__(self) -> None:
            super().__init__()
            self.aside = nn.Linear(30, 2)

        def forward(self, x: Any) -> Any:
            mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
            hidden, spikes = [], []
            for frame in x:
                spk1, mem1 = self.lif1(self.fc1(frame), mem1)
                self.aside(spk1)
                spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
                hidden.append(spk1)
                spikes.append(spk2)
            return torch.stack(hidden), torch.stack(spikes)

    network = from_snntorch(Recording(), (24,))
    assert network.outputs == ("lif2",)
    said = [note.text for note in network.notes]
    assert "aside lead to no output and were left out" in said
    assert "the module returns lif1 too, which feeds other layers: see the trace's layers" in said


def test_states_of_neurons_that_are_reset_are_no_output() -> None:
    class Potential(Dense):
        def forward(self, x: Any) -> Any:
            return super().forward(x)[1]

    with pytest.raises(UnsupportedError, match=r"'lif2' hands on a state and no spikes: return its spikes"):
        from_snntorch(Potential(), (24,))
