"""EXACT: graphs (branches, merges, several outputs), ANN conversion and folded layers equal Sinabs' own network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sinabs
import torch
from numpy.typing import NDArray
from sinabs.layers import Merge, SumPool2d
from sinabs_networks import conv, linear, neurons, oracle, run_oracle
from torch import Tensor, nn

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import Network, from_sinabs

SHAPE = (2, 12, 12)
G = torch.Generator


class Diamond(nn.Module):
    """One layer feeds two, with different pooling, which a third adds up."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        g = G().manual_seed(seed)
        self.first, self.spike1 = conv(g, 2, 4, 3, padding=1), neurons()
        self.left, self.spike2 = conv(g, 4, 6, 3, padding=1, stride=2), neurons()
        self.right, self.spike3 = conv(g, 4, 6, 1), neurons()
        self.halve = SumPool2d(2)
        self.merge, self.last, self.spike4 = Merge(), conv(g, 6, 5, 3), neurons()

    def forward(self, x: Tensor) -> Any:
        x = self.spike1(self.first(x))
        left = self.spike2(self.left(x))
        right = self.halve(self.spike3(self.right(x)))
        return self.spike4(self.last(self.merge(left, right)))


class Fork(nn.Module):
    """Two outputs."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        g = G().manual_seed(seed)
        self.first, self.spike1 = conv(g, 2, 4, 3, padding=1), neurons()
        self.left, self.spike2 = conv(g, 4, 3, 3), neurons()
        self.right, self.spike3 = conv(g, 4, 6, 2, stride=2), neurons()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.spike1(self.first(x))
        return self.spike2(self.left(x)), self.spike3(self.right(x))


def frames(seed: int, rate: float = 0.4) -> NDArray[Any]:
    return (np.random.default_rng(seed).random((2, 5, *SHAPE)) < rate).astype(np.int64)


def outputs(program: Any, given: NDArray[Any]) -> list[NDArray[Any]]:
    slow, fast = (program.run(given, engine=engine) for engine in ("reference", "fast"))
    np.testing.assert_array_equal(slow.output, fast.output)
    return [slow.output]


def spikes_of(network: Any, given: NDArray[Any]) -> list[NDArray[Any]]:
    """Every layer's spikes from Sinabs, by hooks."""
    caught: dict[int, NDArray[Any]] = {}
    for index, layer in network.dynapcnn_layers.items():
        layer.spk.register_forward_hook(lambda _m, _i, out, index=index: caught.update({index: out.numpy().copy()}))
    with torch.no_grad():
        network(torch.from_numpy(given).float().flatten(0, 1))
    return [caught[index].reshape(*given.shape[:2], *caught[index].shape[1:]) for index in sorted(caught)]


@pytest.mark.parametrize("build", [Diamond, Fork])
@pytest.mark.parametrize("seed", range(3))
def test_graphs_equal_sinabs(build: Any, seed: int) -> None:
    module, given = build(seed), frames(seed)
    program = get("speck2f").lower(from_sinabs(module, SHAPE))
    theirs = spikes_of(oracle(module, SHAPE, batch_size=2), given)
    for engine in ("reference", "fast"):
        trace = program.run(given, engine=engine)
        ours = list(trace.spikes.values())
        assert len(ours) == len(theirs)
        remaining = list(theirs)
        for spikes in ours:  # both are in an order of their own; each layer has its counterpart
            match = [i for i, other in enumerate(remaining) if other.shape == spikes.shape and (other == spikes).all()]
            assert match
            remaining.pop(match[0])
        assert trace.output.sum() > 0


def test_several_outputs_stand_one_behind_the_other() -> None:
    program = get("speck2f").lower(from_sinabs(Fork(0), SHAPE))
    given = frames(0)
    for semantics in ("timestep", "event"):
        for engine in ("reference", "fast"):
            trace = program.run(given, semantics, engine)
            assert trace.output.shape == (2, 5, 3 * 10 * 10 + 6 * 6 * 6)
            parts = [trace.spikes[name].reshape(2, 5, -1) for name in ("left", "right")]
            np.testing.assert_array_equal(trace.output, np.concatenate(parts, axis=2))


@pytest.mark.parametrize("seed", range(2))
def test_converted_anns_equal_sinabs(seed: int) -> None:
    """`from_model` turns ReLU into spiking layers."""
    g = G().manual_seed(seed)
    ann = nn.Sequential(conv(g, 2, 6, 3), nn.ReLU(), nn.AvgPool2d(2), conv(g, 6, 5, 5), nn.ReLU())
    converted = sinabs.from_model(ann, input_shape=SHAPE, batch_size=2, add_spiking_output=False)
    given = frames(seed)
    program = get("speck2f").lower(from_sinabs(converted, SHAPE))
    expected = run_oracle(oracle(converted.spiking_model, SHAPE, batch_size=2), given)
    assert expected.sum() > 0
    np.testing.assert_array_equal(program.run(given).output, expected.reshape(2, 5, -1))


def test_layers_behind_a_linear_layer() -> None:
    g = G().manual_seed(0)
    module = nn.Sequential(
        conv(g, 2, 4, 3, stride=2), neurons(), nn.Flatten(), linear(g, 100, 20), neurons(), linear(g, 20, 7), neurons()
    )
    given = frames(3)
    program = get("speck2f").lower(from_sinabs(module, SHAPE))
    expected = run_oracle(oracle(module, SHAPE, batch_size=2), given)
    assert expected.sum() > 0
    np.testing.assert_array_equal(program.run(given).output, expected.reshape(2, 5, -1))


@pytest.mark.parametrize("size", [(6, 6), (5, 9), (9, 5), (4, 7), (1, 8), (10, 3)])
def test_linear_layers_of_any_rectangle(size: tuple[int, int]) -> None:
    """Sinabs refuses them. The square kernel in its padding computes the plain product, and fits the chip's fields."""
    height, width = size
    g = G().manual_seed(height)
    module = nn.Sequential(nn.Flatten(), linear(g, 2 * height * width, 7), neurons())
    network = from_sinabs(module, (2, height, width))
    program = get("speck2f").lower(network)
    assert isinstance(program, DynapcnnProgram)
    assert get("speck2f").check(network).fits
    (layer,) = program.layers
    assert layer.weight.shape[2] == layer.weight.shape[3]
    window = zip(size, layer.padding, layer.weight.shape[2:], layer.stride, strict=True)
    assert [(n + 2 * p - k) // s + 1 for n, p, k, s in window] == [1, 1]  # what the chip makes of these fields
    given = (np.random.default_rng(0).random((1, 1, 2, height, width)) < 0.5).astype(np.int64)
    weight = np.asarray(module[1].get_parameter("weight").detach())
    q = np.rint(weight * np.float32(127 / np.abs(weight).max()))
    assert np.abs(layer.weight).sum() > 0
    kept = layer.weight[:, :, layer.padding[0] :, layer.padding[1] :][:, :, :height, :width]
    assert np.abs(kept.astype(int)).sum() == np.abs(layer.weight.astype(int)).sum()
    assert np.abs(kept.reshape(7, -1) - q).max() <= 1  # the scale may come from the smallest weight: 128, not 127
    for engine in ("reference", "fast"):
        trace = program.run(given, engine=engine)
        expected = kept.reshape(7, -1).astype(int) @ given.reshape(-1)
        state = trace.states[layer.name]["v_mem"].reshape(-1) + trace.output.reshape(-1) * layer.threshold
        np.testing.assert_array_equal(np.maximum(expected, layer.min_v), state)


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_is_folded_with_its_eps(affine: bool) -> None:
    """Sinabs' backend leaves eps out, which is 0.5 % at a variance of 1e-3. Tolerance: rounding of float32."""
    g = G().manual_seed(0)
    first, second = conv(g, 2, 4, 3, bias=True), linear(g, 400, 6)
    norm: Any = nn.BatchNorm2d(4, affine=affine)
    flat: Any = nn.BatchNorm1d(6, affine=affine)
    for layer in (norm, flat):
        layer.running_mean.uniform_(-1, 1, generator=g)
        layer.running_var.uniform_(1e-3, 1e-2, generator=g)
        if affine:
            nn.init.uniform_(layer.weight, 0.5, 2, generator=g)
            nn.init.uniform_(layer.bias, -1, 1, generator=g)
    x = torch.rand(3, *SHAPE, generator=g)
    network: Network = from_sinabs(nn.Sequential(first, norm, neurons(), nn.Flatten(), second, flat, neurons()), SHAPE)
    folded: dict[str, Any] = {layer.name: layer.op for layer in network.layers}
    with torch.no_grad():
        expected = norm.eval()(first(x))
        ours = nn.functional.conv2d(x, torch.from_numpy(folded["0"].weight), torch.from_numpy(folded["0"].bias))
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
        y = torch.rand(3, 400, generator=g)
        ours = nn.functional.linear(y, torch.from_numpy(folded["4"].weight), torch.from_numpy(folded["4"].bias))
        torch.testing.assert_close(ours, flat.eval()(second(y)), rtol=1e-4, atol=1e-4)


class Deciding(Fork):
    def forward(self, x: Tensor) -> Any:
        return self.spike1(self.first(x)) if x.sum() > 0 else x


class Tapped(Fork):
    def forward(self, x: Tensor) -> Any:
        x = self.spike1(self.first(x))
        return x, self.spike2(self.left(x))


class Multiplying(Fork):
    def forward(self, x: Tensor) -> Any:
        return self.spike1(self.first(x)) * 2


class Twice(Fork):
    def forward(self, x: Tensor) -> Any:
        return self.spike1(self.first(self.spike1(self.first(x))))


class Named(Fork):
    """A `Fork` whose forward pass goes on after the first layer with `behind`."""

    def __init__(self, behind: Any, spikes: bool = True) -> None:
        super().__init__(0)
        self.drop, self.norm, self.merge = nn.Dropout(), nn.BatchNorm2d(4), Merge()
        self._behind, self._spikes = behind, spikes

    def forward(self, x: Tensor) -> Any:
        x = self.first(x)
        return self._behind(self, self.spike1(x) if self._spikes else x)


class Doubled(nn.Sequential):
    def forward(self, x: Tensor) -> Any:
        return self[1](self[0](x)) * 2


def row(seed: int = 0) -> list[Any]:
    return [conv(G().manual_seed(seed), 2, 2, 3), neurons()]


SHARED = neurons()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Named(lambda m, y: m.spike2(m.left(torch.add(y, m.drop(y), alpha=2)))), "uses add with alpha=2"),
        (Named(lambda m, y: m.spike2(m.left(y + 1))), "uses add with 1"),
        (Named(lambda m, y: m.spike2(m.left(torch.flatten(y)))), "uses flatten"),
        (Named(lambda m, y: (y, m.spike2(m.left(y)))[0]), r"\['left', 'spike2'\] lead to no output"),
        (Named(lambda m, y: (m.drop(y), m.spike2(m.left(y)))), "'spike1' leaves the network and feeds a layer too"),
        (Named(lambda m, y: (y, y)), "return each output once"),
        (Named(lambda m, y: (y, m.drop(y))), "'spike1' leaves the network as two outputs"),
        (
            Named(lambda m, y: (m.spike1(y), m.spike2(m.norm(y))), spikes=False),
            r"'spike1' takes 'first' without the batch norm \['norm'\]",
        ),
        (nn.Sequential(*row(), nn.Flatten(0)), "'2' flattens dimensions 0 to -1"),
        (Doubled(*row()), "Doubled.forward uses mul with 2"),
        (nn.Sequential(Doubled(*row())), "uses mul with 2"),
        (nn.Sequential(row()[0], SHARED, row()[0], SHARED), "'1' is used twice"),
        (nn.Sequential(row()[0], neurons(spike_threshold=torch.tensor(0.0))), "layer '1': spike threshold is 0"),
        (nn.Sequential(nn.Conv2d(2, 2, 1, device="meta"), neurons()), "layer '0': .* have no values"),
        (nn.Sequential(row()[0], nn.BatchNorm2d(1), neurons()), "layer '1' normalises 1 channels of 2"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(module: nn.Module, words: str) -> None:
    with pytest.raises((UnsupportedError, InputError), match=words):
        from_sinabs(module, SHAPE)


def test_a_module_may_stand_in_a_row_again() -> None:
    """`named_children` gives it once: the second pooling must not get lost."""
    g, pool = G().manual_seed(1), nn.AvgPool2d(2)
    module = nn.Sequential(
        conv(g, 2, 6, 3, padding=1), neurons(), pool, conv(g, 6, 6, 3, padding=1), neurons(), pool,
        conv(g, 6, 5, 3, gain=5.0), neurons(),
    )  # fmt: skip
    twin = nn.Sequential(*(nn.AvgPool2d(2) if layer is pool else layer for layer in module))
    given = frames(1)
    program = get("speck2f").lower(from_sinabs(module, SHAPE))
    expected = run_oracle(oracle(twin, SHAPE, batch_size=2), given)
    assert expected.sum() > 0
    np.testing.assert_array_equal(program.run(given).output, expected.reshape(2, 5, -1))


def test_dropout_and_pooling_may_be_used_again_in_a_graph() -> None:
    class Again(Fork):
        def __init__(self) -> None:
            super().__init__(2)
            self.drop, self.pool = nn.Dropout(), SumPool2d(2)
            self.more, self.spike4 = conv(G().manual_seed(1), 3, 2, 2, gain=8.0), neurons()

        def forward(self, x: Tensor) -> Any:
            x = self.pool(self.drop(self.spike1(self.first(x))))
            return self.spike4(self.more(self.pool(self.drop(self.spike2(self.left(x))))))

    made, given = Again().eval(), frames(2)
    row = [made.first, made.spike1, SumPool2d(2), made.left, made.spike2, SumPool2d(2), made.more, made.spike4]
    expected = run_oracle(oracle(nn.Sequential(*row), SHAPE, batch_size=2), given)
    assert expected.sum() > 0
    program = get("speck2f").lower(from_sinabs(made, SHAPE))
    np.testing.assert_array_equal(program.run(given).output, expected.reshape(2, 5, -1))


def test_outputs_stand_in_the_order_of_return() -> None:
    swapped = Named(lambda m, y: (m.spike3(m.right(y)), m.spike2(m.left(y))))
    program = get("speck2f").lower(from_sinabs(swapped, SHAPE))
    assert isinstance(program, DynapcnnProgram)
    assert [source.layer for source in program.outputs] == ["right", "left"]
    given = frames(0)
    there, back = (program.run(given).output, get("speck2f").lower(from_sinabs(Fork(0), SHAPE)).run(given).output)
    np.testing.assert_array_equal(there, np.concatenate([back[..., 300:], back[..., :300]], axis=2))


def test_a_row_may_hold_blocks_with_a_forward_of_their_own() -> None:
    module = nn.Sequential(Diamond(0), conv(G().manual_seed(5), 5, 3, 2, gain=6.0), neurons())
    program = get("speck2f").lower(from_sinabs(module, SHAPE))
    assert program.layer_names == ("0.first", "0.left", "0.right", "0.last", "1")
    assert program.run(frames(0)).output.sum() > 0


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Deciding(0), "Deciding.forward cannot be traced"),
        (Tapped(0), "'spike1' leaves the network and feeds a layer too"),
        (Multiplying(0), "forward uses .*mul"),
        (Twice(0), "'spike1' is used twice"),
        (nn.Sequential(nn.BatchNorm2d(2)), "'0' normalises something else"),
        (nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)), "'1' has no running stat"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(module: nn.Module, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        from_sinabs(module, SHAPE)


def test_three_destinations_are_a_finding_not_a_crash() -> None:
    """Sinabs ends in a bare IndexError."""

    class Three(Fork):
        def __init__(self) -> None:
            super().__init__(0)
            self.more, self.spike4 = conv(G().manual_seed(1), 4, 2, 1), neurons()

        def forward(self, x: Tensor) -> Any:
            x = self.spike1(self.first(x))
            return self.spike2(self.left(x)), self.spike3(self.right(x)), self.spike4(self.more(x))

    report = get("speck2f").check(from_sinabs(Three(), SHAPE))
    assert [(finding.rule, finding.layer, finding.value) for finding in report.errors] == [("destinations", "first", 3)]


def test_one_layer_feeding_a_direct_and_a_pooled_branch() -> None:
    """Sinabs 3.1.3 ends in an IndexError; here both branches get their own pooling."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            g = G().manual_seed(0)
            self.first, self.spike1 = conv(g, 2, 4, 3, padding=1), neurons()
            self.direct, self.spike2 = conv(g, 4, 3, 3), neurons()
            self.pool, self.pooled, self.spike3 = nn.AvgPool2d(2), conv(g, 4, 3, 3), neurons()

        def forward(self, x: Tensor) -> Any:
            x = self.spike1(self.first(x))
            return self.spike2(self.direct(x)), self.spike3(self.pooled(self.pool(x)))

    program = get("speck2f").lower(from_sinabs(Both(), SHAPE))
    assert isinstance(program, DynapcnnProgram)
    assert [source.pool for layer in program.layers[1:] for source in layer.sources] == [(1, 1), (2, 2)]
    assert program.run(frames(0)).output.sum() > 0


def test_branches_with_different_average_pools_are_refused_by_name() -> None:
    """Sinabs rescales the weights after the merge by half the mean of the factors, rounded to 2 digits."""
    module = Diamond(0)
    module.halve = nn.AvgPool2d(2)
    with pytest.raises(UnsupportedError, match="layer 'last' gets inputs scaled by different average pools"):
        get("speck2f").lower(from_sinabs(module, SHAPE))
