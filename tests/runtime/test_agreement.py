"""Several targets on the same inputs: equal ones agree on every spike, a wrong one is named with its first spike."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from event_strategies import random_events
from tiny_programs import tiny_program

from i2e_deploy.chips import Trace
from i2e_deploy.chips.dynapcnn.runnable import DynapcnnProgram
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.events.files import write_events
from i2e_deploy.reporting.junit import junit_xml
from i2e_deploy.runtime import evaluate
from i2e_deploy.runtime.comparison import Difference
from i2e_deploy.runtime.eval_data import read_samples

PROGRAM = tiny_program(classes=4)
FRAMES = np.random.default_rng(0).integers(0, 2, (12, 5, *PROGRAM.input_shape)).astype(np.int32)


class OneSpikeOff(DynapcnnProgram):
    """Its board adds one spike of layer `conv` in sample 1 of each batch."""

    def run_elsewhere(self, kind: str, name: str, given: Any, semantics: str, injection: Any) -> Trace:
        return one_spike_off(self.run(given, semantics))


def one_spike_off(trace: Trace) -> Trace:
    spikes = {name: value.copy() for name, value in trace.spikes.items()}
    spikes["conv"][1, 2, 0, 3, 4] = spikes["conv"][1, 2, 0, 3, 4] + 1
    output = trace.output.copy()
    output[1, :, 2] = output[1, :, 2] + 50
    return replace(trace, spikes=spikes, output=output)


def test_equal_targets() -> None:
    labels = PROGRAM.run(FRAMES).decisions()
    labels[:3] = (labels[:3] + 1) % 4
    result = evaluate(PROGRAM, FRAMES, labels, ["simulator", "reference"], batch_size=5)
    data = result.to_dict()
    assert json.loads(json.dumps(data)) == data
    assert [row["correct"] for row in data["targets"].values()] == [9, 9]
    low, high = data["targets"]["simulator"]["interval95"]
    assert low < 0.75 < high
    assert data["agreement"][0]["exact"]
    assert data["agreement"][0]["share"] == 1
    per_sample = data["targets"]["simulator"]["per_sample"]["conv"]
    assert per_sample["spikes"] == PROGRAM.run(FRAMES).counts["conv"].spikes / 12
    suite = ElementTree.fromstring(junit_xml(result))
    assert (suite.get("tests"), suite.get("failures")) == ("3", "0")
    assert ElementTree.fromstring(junit_xml(result, min_accuracy=0.8)).get("failures") == "2"


def test_a_wrong_target_is_named_with_its_first_wrong_spike() -> None:
    program = OneSpikeOff(PROGRAM.input_shape, PROGRAM.layers, PROGRAM.outputs)
    result = evaluate(program, FRAMES, None, ["simulator", "board"], batch_size=6)
    (agreement,) = result.agreements
    assert not agreement.exact
    divergence = agreement.divergence
    assert isinstance(divergence, Difference)
    assert (divergence.label, divergence.sample, divergence.step, divergence.neuron) == ("conv", 1, 2, (0, 3, 4))
    wrong = result.results[1].decisions != result.results[0].decisions
    assert agreement.same == 12 - int(wrong.sum())
    suite = ElementTree.fromstring(junit_xml(result, min_agreement=1.0))
    assert suite.get("failures") == ("1" if wrong.any() else "0")
    assert "differs first at step 2" in "".join(suite.itertext())
    assert result.to_dict()["targets"]["board"]["accuracy"] is None


def test_stability_of_a_stream() -> None:
    frames = np.repeat(FRAMES[:1], 6, axis=0)
    assert evaluate(PROGRAM, frames, None, ["simulator"]).results[0].stability == 1.0


def test_wrong_requests() -> None:
    for targets, message in ((["simulator"] * 2, "each once"), (["chip9"], "target 'chip9'"), ([], "at least one")):
        with pytest.raises((InputError, UnsupportedError), match=message):
            evaluate(PROGRAM, FRAMES, None, targets)
    with pytest.raises(InputError, match="12 samples and 2 labels"):
        evaluate(PROGRAM, FRAMES, np.zeros(2, np.int64), ["simulator"])
    for label in (-1, 10**6):
        with pytest.raises(InputError, match=f"{label}.*the network has"):
            evaluate(PROGRAM, FRAMES, np.full(12, label), ["simulator"])


def test_samples_from_class_folders_and_npz(tmp_path: Path) -> None:
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            write_events(
                tmp_path / "data" / name / f"{i}.bin", random_events(100, 34, 34, seed=10 * label + i), (34, 34)
            )
    frames, labels, *_ = read_samples(tmp_path / "data", (2, 17, 17), 4)
    assert frames.shape == (6, 4, 2, 17, 17)
    with pytest.raises(InputError, match="6 recordings of 1000000 steps"):
        read_samples(tmp_path / "data", (2, 17, 17), 10**6)
    np.save(tmp_path / "frames.npy", frames)
    with pytest.raises(InputError, match="frames without labels"):
        read_samples(tmp_path / "frames.npy", (2, 17, 17), 4)
    assert frames.sum() == 600
    assert labels is not None
    assert sorted(labels.tolist()) == [0, 0, 0, 1, 1, 1]
    assert len(read_samples(tmp_path / "data", (2, 17, 17), 4, limit=2).frames) == 2
    np.savez(tmp_path / "a.npz", frames=FRAMES, labels=np.arange(12))
    got, names, *_ = read_samples(tmp_path / "a.npz", (2, 8, 8), 4)
    np.testing.assert_array_equal(got, FRAMES)
    assert names is not None
    objects: Any = np.array([None], object)
    np.savez(tmp_path / "b.npz", frames=objects)
    with pytest.raises(FileFormatError, match=r"is not a whole \.npz file of numbers"):
        read_samples(tmp_path / "b.npz", (2, 8, 8), 4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no recordings; expected"):
        read_samples(tmp_path / "empty", (2, 8, 8), 4)
