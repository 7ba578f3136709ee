"""What a netx file says and netx drops: read as it was trained, said, or refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from children import needs_lava_run, run_script
from command_line import Captured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from netx_files import INPUT_SHAPE, add_layer, small_file

from i2e_deploy.chips import Deciding, get, read_model
from i2e_deploy.chips.loihi2 import BlockNetwork, CubaLif, read_netx, write_netx
from i2e_deploy.chips.loihi2.formats.netx_export import export_netx
from i2e_deploy.chips.loihi2.program import ConvSynapse, DenseSynapse
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.cli.app import run
from i2e_deploy.errors import FileFormatError, I2EDeployError, InputError, UnsupportedError

Change = Callable[[h5py.File], Any]


def put(path: str, value: Any) -> Change:
    def change(file: h5py.File) -> None:
        if path in file:
            del file[path]
        file[path] = value

    return change


def changed(folder: Path, *changes: Change, name: str = "changed.net") -> Path:
    path = folder / name
    small_file(path)
    with h5py.File(path, "r+") as file:
        for change in changes:
            change(file)
    return path


def read(folder: Path, *changes: Change, **options: Any) -> BlockNetwork:
    return read_netx(changed(folder, *changes), INPUT_SHAPE, **options)


def weight_of(network: BlockNetwork, block: int, connection: int = 0) -> Any:
    synapse = network.blocks[block].connections[connection].synapse
    assert synapse is not None
    return synapse.weight


def doubts(network: BlockNetwork) -> list[str]:
    return [f"{note.layer}: {note.text}" for note in network.notes if note.doubtful]


def average(classes: int) -> Change:
    return lambda file: add_layer(file, 3, "average", (classes, 1, 1), neuron=False)


def test_groups_at_the_end_decide(tmp_path: Path) -> None:
    """Six outputs, of which pairs belong together: the pair that fires most, not the output."""
    with h5py.File(tmp_path / "groups.net", "w") as file:
        layer = add_layer(file, 0, "dense", (6,))
        layer["weight"] = 64 * np.eye(6, dtype=np.float32)
        for key, value in {"iDecay": 4096, "vDecay": 4096, "vThMant": 10}.items():
            put(f"layer/0/neuron/{key}", value)(file)
        add_layer(file, 1, "average", (3, 1, 1), neuron=False)
    program = LoihiProgram(read_netx(tmp_path / "groups.net"))
    frames = np.zeros((2, 10, 6), np.int64)
    frames[0, :6, 2:4] = frames[0, :8, 5] = 1  # class 1: 6 + 6 spikes; class 2: 0 + 8
    frames[1, :5, 0] = frames[1, :4, 4] = frames[1, 4:6, 5] = 1
    trace = program.run(frames)
    assert trace.output.sum(axis=1).argmax(axis=1).tolist() == [5, 0]
    assert trace.decisions().tolist() == [1, 2]
    assert trace.scores().tolist() == [[0, 12, 8], [5, 0, 6]]


def test_groups_survive_a_file_of_ours_and_stay_out_of_netxs(tmp_path: Path) -> None:
    network = read(tmp_path, average(5))
    assert network.deciding == Deciding("count", 5)
    write_netx(network, tmp_path / "again.net")
    assert read_netx(tmp_path / "again.net").deciding == network.deciding
    export_netx(network, tmp_path / "for_netx.net")  # netx raises NotImplementedError for `average` (hdf5.py:680)
    assert read_netx(tmp_path / "for_netx.net").deciding == Deciding()


def test_groups_that_do_not_divide_the_outputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="2 groups of 5 outputs"):
        read(tmp_path, average(2))


def no_neurons(file: h5py.File) -> None:
    del file["layer/2/neuron"]


def test_an_output_that_never_fires_is_read_by_its_state(tmp_path: Path) -> None:
    sums, leaky = read(tmp_path, no_neurons), read(tmp_path, put("layer/2/neuron/vThMant", 2**18 - 1))
    assert sums.deciding == Deciding("state", 0, 1, "2.dense", "v")
    assert leaky.deciding == Deciding("state-mean", 0, 1, "2.dense", "v")
    assert [len(doubts(network)) for network in (sums, leaky)] == [0, 1]
    rules = {f.rule: str(f) for f in get("loihi2").check(leaky).findings if f.layer == "2.dense"}
    assert "mean of its state over the steps (v), 1 step on" in rules["readout"]
    told = get("loihi2").check(leaky.decided_by(Deciding()))
    assert "--readout-kind state" in " ".join(map(str, told.warnings))
    write_netx(leaky, tmp_path / "again.net")
    assert read_netx(tmp_path / "again.net").deciding.kind == "state-mean"
    with pytest.raises(UnsupportedError, match="it decides by state:u, and whoever reads the file takes state-mean"):
        write_netx(leaky.decided_by(Deciding("state", variable="u")), tmp_path / "other.net")


@pytest.mark.parametrize("seed", range(10))
def test_cut_fractions_are_counted(seed: int, tmp_path: Path) -> None:
    """20.7 becomes 20 as in netx (`astype(int)`), and it is said how many numbers and which is cut most."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-20, 30, (5, 64)).astype(np.float64)
    where = rng.choice(weight.size, int(rng.integers(1, 40)), replace=False)
    weight.flat[where] += rng.choice([-1, 1], len(where)) * rng.uniform(0.01, 0.9, len(where))
    network = read(tmp_path, put("layer/2/weight", weight), put("layer/2/bias", np.array([0.3, 1, 2, 3, 4])))
    assert np.array_equal(weight_of(network, 1), np.trunc(weight))
    of_weights, of_bias = (text for text in doubts(network) if "no integers" in text)
    worst = weight.flat[np.abs(weight - np.trunc(weight)).argmax()]
    assert f"/layer/2/weight: {len(where)} of 320 numbers" in of_weights
    assert f"makes {int(worst)} of {worst:g}" in of_weights
    assert "1 of 5 numbers" in of_bias
    assert "makes 0 of 0.3" in of_bias
    assert len([f for f in get("loihi2").check(network).warnings if f.rule == "note"]) == 2
    assert doubts(read(tmp_path, put("layer/2/weight", np.trunc(weight)))) == []


@pytest.mark.parametrize("exponent", [-2, -1, 1, 3])
def test_the_exponent_of_old_weights_acts_on_all_of_a_layer(exponent: int, tmp_path: Path) -> None:
    """slayerPytorch: weighted spikes times 2^(6 + wgtExp), feedback too."""

    def recurrent(file: h5py.File) -> None:
        put("layer/2/type", b"dense_rec")(file)
        put("layer/2/weight", 4 * np.arange(320, dtype=np.float32).reshape(5, 64) % 60)(file)
        put("layer/2/weight_rec", np.full((5, 5), 8.0))(file)
        put("layer/2/neuron/type", b"LOIHI")(file)

    plain = read(tmp_path, recurrent)
    network = read(tmp_path, recurrent, put("layer/2/neuron/wgtExp", exponent))
    for connection in (0, 1):
        wanted = weight_of(plain, 1, connection) * 2.0**exponent
        assert np.array_equal(weight_of(network, 1, connection), wanted)
    assert f"wgtExp {exponent}" in " ".join(note.text for note in network.notes)
    assert read(tmp_path, recurrent, put("layer/2/neuron/wgtExp", 0)).notes == plain.notes


def test_an_exponent_that_leaves_the_integers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"layer 2 \(dense\): wgtExp -1.*multiply weights, threshold and bias"):
        read(tmp_path, put("layer/2/neuron/wgtExp", -1))
    with pytest.raises(FileFormatError, match=r"allowed -8\.\.7"):
        read(tmp_path, put("layer/2/neuron/wgtExp", 20))


@pytest.mark.slow
@needs_lava_run
def test_the_exponent_is_that_of_lavas_synapses(tmp_path: Path) -> None:
    """Agreement: exact, every message and state, with Lava's own `weight_exp`; netx itself would drop it."""
    printed = run_script(Path(__file__).parent / "lava" / "old_files.py", "40", str(tmp_path))
    found = json.loads(printed.splitlines()[-1])
    assert [row for row in found if row[1]] == []
    assert sum(without > 0 for _, _, without, _ in found) > 30
    assert sum(spikes for *_, spikes in found) > 2000


def test_a_refractory_period_is_doubted(tmp_path: Path) -> None:
    network = read(tmp_path, put("layer/2/neuron/refDelay", 3), put("layer/0/neuron/refDelay", 1))
    (text,) = doubts(network)
    assert text.startswith("2.dense: refDelay 3: Loihi 1 holds a neuron")
    warned = [f for f in get("loihi2").check(network).warnings if f.rule == "note"]
    assert len(warned) == 1


def old_recurrent(file: h5py.File) -> None:
    put("layer/2/type", b"recurrent")(file)
    put("layer/2/recWeight", 2 * np.random.default_rng(1).integers(-20, 20, (5, 5)).astype(np.float32))(file)


def test_the_old_recurrent_type_is_read_as_dense_rec_with_a_doubt(tmp_path: Path) -> None:
    def new(file: h5py.File) -> None:
        old_recurrent(file)
        put("layer/2/type", b"dense_rec")(file)
        file["layer/2/weight_rec"] = file["layer/2/recWeight"][()]

    old, same = read(tmp_path, old_recurrent), read(tmp_path, new)
    assert np.array_equal(weight_of(old, 1, 1), weight_of(same, 1, 1))
    assert old.blocks[1].connections[1].source == old.blocks[1].name
    assert "no public program reads" in doubts(old)[0]
    assert doubts(same) == []


def squeezed(file: h5py.File) -> None:
    """slayerPytorch's genModel: `weight.squeeze()`."""
    weight = np.random.default_rng(2).integers(-9, 9, (4, 2, 1, 3)).astype(np.float32) * 2
    put("layer/0/weight", weight.squeeze())(file)
    put("layer/0/kernelSize", np.array([1, 3]))(file)
    put("layer/0/padding", np.array([0, 1]))(file)


def test_a_squeezed_kernel_has_its_shape_back(tmp_path: Path) -> None:
    network = read(tmp_path, squeezed)
    assert weight_of(network, 0).shape == (4, 2, 1, 3)
    with pytest.raises(FileFormatError, match=r"expected \[4, 2, kH, kW\]"):
        read(tmp_path, squeezed, put("layer/0/kernelSize", np.array([3, 3])))


def pool(shape: tuple[int, int, int], kernel: int, **geometry: int) -> Change:
    def change(file: h5py.File) -> None:
        del file["layer/0"], file["layer/1"], file["layer/2"]
        layer = add_layer(file, 0, "pool", shape)
        layer["weight"] = np.full((1, 1, kernel, kernel), 20.0, np.float32)
        for key in ("stride", "padding", "dilation"):
            layer[key] = np.array(geometry.get(key, kernel if key == "stride" else int(key == "dilation")))

    return change


def test_pooling_of_an_odd_size_pads_below_and_right(tmp_path: Path) -> None:
    """17 pixels by 2 are 9: the last window covers one pixel (SLAYER's own run: test_readouts)."""
    path = changed(tmp_path, pool((3, 9, 9), 2))
    synapse = read_netx(path, (3, 17, 17)).blocks[0].connections[0].synapse
    assert isinstance(synapse, ConvSynapse)
    frames = np.zeros((1, 2, 3, 17, 17), np.int64)
    frames[0, 0, 1, 16, 16] = frames[0, 0, 2, 0, 1] = 1
    u = LoihiProgram(read_netx(path, (3, 17, 17))).run(frames).states["0.pool"]["u"][0]
    assert np.argwhere(u).tolist() == [[1, 8, 8], [2, 0, 0]]


@pytest.mark.parametrize(
    ("size", "shape", "kernel", "geometry"),
    [
        ((2, 8, 8), (2, 7, 7), 2, {"stride": 1}),  # windows overlap: of two channels, in SLAYER
        ((2, 17, 18), (2, 6, 6), 3, {}),  # 17 % 3 = 2 rows more do not make whole windows
        ((2, 8, 8), (2, 5, 5), 2, {"padding": 1}),
        ((1, 9, 9), (1, 5, 5), 2, {"padding": 1}),
    ],
)
def test_pooling_across_channels_is_refused(
    size: Any, shape: Any, kernel: int, geometry: dict[str, int], tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match=r"layer 0 \(pool\): pooling .* choose a kernel"):
        read_netx(changed(tmp_path, pool(shape, kernel, **geometry)), size)


@pytest.mark.parametrize("suffix", [".net", ".h5", ".hdf5"])
def test_the_suffixes_of_netx_files(suffix: str, tmp_path: Path) -> None:
    path = changed(tmp_path, name=f"model{suffix}")
    network = read_model(path, INPUT_SHAPE)
    assert isinstance(network, BlockNetwork)
    assert len(network.blocks) == 2


def test_the_options_of_the_reader(tmp_path: Path) -> None:
    """By keyword and as the shell gives them; `reset` as netx does it, unless all layers are to reset together."""
    path = changed(tmp_path)
    asked = {"input_message_bits": "8", "spike_exp": "3", "reset_interval": "20", "reset_offset": "1"}
    network = read_model(path, INPUT_SHAPE, asked)
    assert isinstance(network, BlockNetwork)
    assert network.input_message_bits == 8
    resets = [block.neuron.reset for block in network.blocks if isinstance(block.neuron, CubaLif)]
    assert [(reset.interval, reset.offset) for reset in resets if reset] == [(20, 2), (20, 3)]
    together = read_netx(path, INPUT_SHAPE, reset_interval=20, reset_offset=1, reset_staggered=False)
    assert {block.neuron.reset for block in together.blocks if isinstance(block.neuron, CubaLif)} == {resets[0]}
    bad = {
        "input_message_bits=40": "out of range",
        "spike_exp=x": "invalid",
        "reset_staggered=0": "yes or no",
        "reset_interval=-1": "at least 1",
        "reset_offset=3": "needs reset_interval",
        "bits=3": "no option",
    }
    for option, text in bad.items():
        name, _, value = option.partition("=")
        with pytest.raises(InputError, match=text):
            read_model(path, INPUT_SHAPE, {name: value})


@pytest.mark.slow
def test_the_options_on_the_command_line(tmp_path: Path, capsys: Captured) -> None:
    path, frames = changed(tmp_path), tmp_path / "frames.npy"
    np.save(frames, np.full((6, *INPUT_SHAPE), 2, np.int16))
    simulate = ["simulate", str(path), "--chip", "loihi2", "--input-shape", "2,8,8", "--input", str(frames), "--json"]
    told = []
    for bits in ([], ["--read", "input_message_bits=4"]):
        assert run([*simulate, "--out", str(tmp_path / "trace.npz"), *bits]) == 0
        told.append(json.loads(capsys.readouterr().out)["layers"]["0.conv"]["peaks"]["u"])
    assert told[1] == 2 * told[0]  # graded: a value of 2 counts twice


@pytest.fixture(scope="module")
def old_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Everything at once that only old files have."""
    old = (put("layer/2/neuron/wgtExp", 1), put("layer/2/neuron/refDelay", 2), put("layer/2/weight", np.full(320, 2.5)))
    return changed(tmp_path_factory.mktemp("old"), old_recurrent, squeezed, *old, average(5)).read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_of_an_old_file_never_do_harm(data: st.DataObject, old_file: bytes, tmp_path: Path) -> None:
    """A network whose output decides, or one of our errors."""
    flipped = bytearray(old_file)
    for _ in range(data.draw(st.integers(0, 6))):
        flipped[data.draw(st.integers(8, len(old_file) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "flipped.net"
    path.write_bytes(bytes(flipped))
    with contextlib.suppress(I2EDeployError):
        network = read_netx(path, (2, 4, 8))
        network.deciding.check(int(np.prod(network.blocks[-1].shape)))


def test_dense_weights_keep_their_delays(tmp_path: Path) -> None:
    """An exponent and delays in one layer."""
    network = read(tmp_path, put("layer/2/delay", np.arange(5)), put("layer/2/neuron/wgtExp", 1))
    synapse = network.blocks[1].connections[0].synapse
    assert isinstance(synapse, DenseSynapse)
    assert synapse.delay is not None
    assert synapse.delay[:, 0].tolist() == [0, 1, 2, 3, 4]
