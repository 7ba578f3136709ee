"""The contract suite on every chip of the package, in all semantics."""

from __future__ import annotations

from typing import Any

import loihi_nets
import lowering_nets
import networks
import numpy as np
import pytest
from numpy.typing import NDArray

from i2e_deploy.chips import AnyNetwork, get
from i2e_deploy.chips.loihi2.engine import workers
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, ConvSynapse, CubaLif, DenseSynapse
from i2e_deploy.network import (
    Add,
    Conv2d,
    Flatten,
    IntegrateAndFire,
    Layer,
    Linear,
    Network,
    Op,
    Pool2d,
    Sensor,
    chain,
    from_sinabs,
)
from i2e_deploy.testing.chip_contract import ChipContract, Refused, Subject
from i2e_deploy.testing.contract.same import assert_same
from i2e_deploy.testing.contract.subject import drawn

NEURON = IntegrateAndFire(1.0, -1.0)


def weights(*shape: int, spread: float = 0.4) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0.1, spread, shape).astype(np.float32)


def draw_for(chip: str) -> Any:
    """The first random network from the seed on that fits the chip."""

    def draw(seed: int) -> Network:
        for attempt in range(100):
            case = networks.random_case(np.random.default_rng([seed, attempt]))
            network = from_sinabs(case.module(1), case.input_shape)
            if get(chip).check(network).fits:
                return network
        raise AssertionError("no random network fits")

    return draw


def speck_frames(network: AnyNetwork, seed: int, samples: int, steps: int) -> NDArray[np.int64]:
    assert len(network.input_shape) == 3
    return networks.random_frames(np.random.default_rng(seed), network.input_shape, samples, steps)


def small() -> Network:
    ops: dict[str, Op] = {"conv": Conv2d(weights(4, 2, 3, 3), stride=(2, 2), padding=(1, 1)), "n": NEURON}
    return chain((2, 16, 16), ops | {"flat": Flatten(), "fc": Linear(weights(5, 256)), "out": NEURON})


def one_layer(op: Op, shape: tuple[int, int, int] = (2, 16, 16)) -> Network:
    return chain(shape, {"layer": op, "n": NEURON})


#: A convolution that any core takes.
CONV = Conv2d(weights(2, 2, 1, 1))


def in_a_row(**ops: Op) -> Network:
    return chain((2, 8, 8), ops)


def many_layers() -> Network:
    """One layer more than any of these chips has cores."""
    return in_a_row(**{f"{kind}{i}": op for i in range(10) for kind, op in (("c", CONV), ("n", NEURON))})


def speck(chip: str, seeds: int) -> Subject:
    return Subject(
        chip=chip,
        draw=draw_for(chip),
        frames=speck_frames,
        deployed=small,
        too_large={
            "kernel memory": Refused("layer", lambda: one_layer(Conv2d(weights(1024, 64, 3, 3)), (64, 16, 16))),
            "kernel": Refused("layer", lambda: one_layer(Conv2d(weights(2, 2, 17, 17)), (2, 32, 32))),
            "neurons": Refused("layer", lambda: one_layer(Conv2d(weights(64, 2, 3, 3)), (2, 128, 128))),
            "cores": Refused("", many_layers),
        },
        unsupported={
            "no neurons": Refused("layer", lambda: in_a_row(layer=CONV, next=CONV, n=NEURON)),
            "pooled input": Refused("pool", lambda: in_a_row(pool=Pool2d((2, 2)), conv=CONV, n=NEURON)),
            "a sum at the end": Refused("sum", lambda: Network((2, 8, 8), (
                Layer("a", CONV, ("input",)), Layer("an", NEURON, ("a",)),
                Layer("b", CONV, ("input",)), Layer("bn", NEURON, ("b",)),
                Layer("sum", Add(), ("an", "bn"))))),
        },
        semantics=("timestep", "event"),
        seeds=seeds,
    )  # fmt: skip


class TestSpeck2f(ChipContract):
    subject = speck("speck2f", seeds=3)


class TestSpeck2e(ChipContract):
    subject = speck("speck2e", seeds=1)


class TestDynapcnn(ChipContract):
    subject = speck("dynapcnn", seeds=1)


def cuba(threshold: int = 10) -> CubaLif:
    return CubaLif(np.array([1024]), np.array([512]), threshold)


def on_images() -> BlockNetwork:
    """A convolution and a dense layer, on what a camera sees."""
    rng = np.random.default_rng(0)
    conv = ConvSynapse(rng.integers(-10, 20, (4, 2, 3, 3)) * 2, (2, 2), (1, 1), (1, 1), 1)
    dense = DenseSynapse(rng.integers(-10, 20, (5, 4 * 8 * 8)) * 2)
    return BlockNetwork((2, 16, 16), (
        Block("conv", cuba(), (4, 8, 8), (Connection(SOURCE, conv),)),
        Block("fc", cuba(), (5,), (Connection("conv", dense),)),
    ))  # fmt: skip


def dense(size: int, inputs: int, weight: int = 2) -> BlockNetwork:
    synapse = DenseSynapse(np.full((size, inputs), weight, np.int64))
    return BlockNetwork((inputs,), (Block("fc", cuba(), (size,), (Connection(SOURCE, synapse),)),))


def with_sensor() -> Network:
    return chain((2, 8, 8), {"sensor": Sensor(), "conv": Conv2d(weights(2, 2, 3, 3)), "n": NEURON})


def wide() -> Network:
    return chain((16001,), {"fc": Linear(weights(2, 16001)), "n": NEURON})


def float_frames(network: AnyNetwork, seed: int, samples: int, steps: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, (samples, steps, *network.input_shape))


def drawn_blocks(seed: int) -> BlockNetwork:
    """The first random network from the seed on that fits the chip."""
    tries = (loihi_nets.draw_network(100 * seed + attempt) for attempt in range(100))
    return next(network for network in tries if get("loihi2").check(network).fits)


def block_frames(network: AnyNetwork, seed: int, samples: int, steps: int) -> NDArray[np.int64]:
    assert isinstance(network, BlockNetwork)
    drawn: NDArray[np.int64] = loihi_nets.draw_frames(network, seed, samples, steps)
    return drawn


class TestLoihi2(ChipContract):
    subject = Subject(
        chip="loihi2",
        draw=drawn_blocks,
        frames=block_frames,
        deployed=on_images,
        too_large={
            "inputs of a core": Refused("fc", lambda: dense(2, 16001)),
            "weights": Refused("fc", lambda: dense(3, 4, weight=1000)),
        },
        unsupported={"sensor": Refused("sensor", with_sensor)},
        semantics=("timestep", "lava"),
        signed=lambda network: isinstance(network, BlockNetwork) and network.input_message_bits > 0,
        seeds=5,
    )

    def test_the_steps_of_the_chip_are_its_time_steps(self, seed: int) -> None:
        """Agreement: exact."""
        case = drawn(self.subject, seed)
        assert_same(case.program.run(case.frames, "timestep"), case.program.run(case.frames, "chip"), "both names")

    @pytest.fixture(autouse=True)
    def _share_all_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Small layers are shared over threads too."""
        monkeypatch.setattr(workers, "WORTHWHILE", 0)


class TestLoihi2Floats(ChipContract):
    """Float networks on Loihi 2: leaky and programmable neurons, pooling, delays, loops."""

    subject = Subject(
        chip="loihi2",
        draw=lowering_nets.drawn,
        frames=float_frames,
        deployed=small,
        too_large={"inputs of a core": Refused("fc", wide)},
        unsupported={
            "sensor": Refused("sensor", with_sensor),
            "two outputs": Refused("b", lambda: Network((4,), (
                Layer("a", NEURON, ("input",)), Layer("b", NEURON, ("input",))))),
        },
        signed=lambda network: True,
        seeds=8,
    )  # fmt: skip
