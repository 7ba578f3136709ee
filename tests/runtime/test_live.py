"""The live loop over a fake camera with faults: nothing silent, nothing growing, and every session replays exactly."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from tiny_programs import tiny_program

from i2e_deploy.chips import Program
from i2e_deploy.errors import ComparisonFailed, FileFormatError, InputError, SourceLost
from i2e_deploy.events import Events
from i2e_deploy.events.frames import FrameSpec, frames_reference
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.sources.tcp import EventServer
from i2e_deploy.events.stream import StreamSpec
from i2e_deploy.events.windows import by_time
from i2e_deploy.runtime.backlog import Backlog, Policy
from i2e_deploy.runtime.decider import Decision, LiveSpec
from i2e_deploy.runtime.histogram import LatencyHistogram
from i2e_deploy.runtime.live import Live
from i2e_deploy.runtime.recording import Recorder, read_session
from i2e_deploy.runtime.replaying import replay, session_header, session_windows

PROGRAM = tiny_program()
SPEC = LiveSpec(StreamSpec(4, 2500), FrameSpec((64, 48), (2, 8, 8)), policy="block")
CAMERA = "fake://64x48?rate=2e5&seed=1"


def run(uri: str, spec: LiveSpec = SPEC, **options: Any) -> tuple[list[Decision], dict[str, Any]]:
    live = Live(open_source(uri), PROGRAM, spec, **options)
    with live:
        decisions = list(live)
    return decisions, live.stats()


class Slow(Program):
    """A program that takes `seconds` a window."""

    layer_names = PROGRAM.layer_names

    def __init__(self, seconds: float) -> None:
        self.input_shape, self.seconds = PROGRAM.input_shape, seconds

    def run(self, frames: Any, *args: Any, **options: Any) -> Any:
        time.sleep(self.seconds * frames.shape[1] / SPEC.stream.steps)
        return PROGRAM.run(frames, *args, **options)

    def to_tensors(self) -> Any:
        return PROGRAM.to_tensors()


@pytest.mark.parametrize("state", ["reset", "keep"])
def test_decisions_equal_an_offline_run(state: Any) -> None:
    uri = CAMERA + "&seconds=0.3&realtime=0"
    decisions, stats = run(uri, replace(SPEC, state=state))
    source, parts = open_source(uri), list[Events]()
    while (packet := source.read(1)) is not None:
        parts.append(packet)
    events = np.concatenate(parts)
    steps = frames_reference(events, by_time(events, SPEC.stream.step), SPEC.frame)
    windows = steps[: len(steps) // 4 * 4].reshape(-1, 4, *SPEC.frame.shape)
    if state == "reset":
        trace = PROGRAM.run(windows, engine="reference")
        scores = trace.output.sum(axis=1)
    else:
        trace = PROGRAM.run(windows.reshape(1, -1, *SPEC.frame.shape), engine="reference")
        scores = trace.output.reshape(-1, 4, trace.output.shape[2]).sum(axis=1)
    assert len(decisions) == len(windows) >= 29
    assert [list(d.scores) for d in decisions] == scores.tolist()
    assert [d.choice for d in decisions] == scores.argmax(axis=1).tolist()
    assert stats["events"] == len(events)
    assert stats["latency"]["count"] == len(decisions)
    assert sum(d.spikes["conv"] for d in decisions) == trace.counts["conv"].spikes


@pytest.mark.parametrize("policy", ["block", "drop", "merge"])
def test_a_slow_network_is_never_silent(policy: Policy) -> None:
    spec = replace(SPEC, policy=policy, backlog=2)
    live = Live(open_source(CAMERA + "&seconds=0.4"), Slow(0.03), spec)
    with live:
        decisions = list(live)
    stats, covered = live.stats(), [i for d in decisions for i in d.windows]
    assert covered == sorted(set(covered))  # in order, none twice
    made = live.windower._index
    assert stats["late"] == 0  # waiting for the network is not taken for silence of the source
    if policy == "block":
        assert covered == list(range(made))
        assert stats["blocked_seconds"] > 0.1
    elif policy == "drop":
        assert stats["dropped_windows"] == made - len(covered) > 0
        assert stats["dropped_events"] + sum(d.events for d in decisions) == made * 2000
    else:
        assert covered == list(range(made))
        assert stats["merged_windows"] == made - len(decisions) > 0
        assert sum(d.events for d in decisions) == made * 2000


def test_a_source_that_can_wait_waits_unless_told_otherwise() -> None:
    live = Live(open_source(CAMERA + "&seconds=0.4&realtime=0"), Slow(0.01), replace(SPEC, policy=None, backlog=2))
    with live:
        covered = [i for decision in live for i in decision.windows]
    assert covered == list(range(live.windower._index))
    assert live.stats()["dropped_windows"] == 0
    assert Live(open_source(CAMERA + "&seconds=0.4"), PROGRAM, replace(SPEC, policy=None)).backlog.policy == "drop"


FAULTS = "&seconds=0.6&realtime=0&faults=garbage@0.1,back@0.2:30,burst@0.3:2e6,silence@0.5:0.05"


@pytest.mark.parametrize(("policy", "state"), [("block", "keep"), ("drop", "reset"), ("merge", "keep")])
def test_a_session_with_faults_replays_exactly(policy: Policy, state: Any, tmp_path: Path) -> None:
    spec = replace(SPEC, policy=policy, state=state, backlog=2)
    path, program = tmp_path / "a.session", Slow(0.002)
    recorder = Recorder(path, session_header(spec, program, CAMERA, 0))
    decisions, stats = run(CAMERA + FAULTS, spec, recorder=recorder)
    result = replay(path, PROGRAM)
    assert (result.decisions, result.differences, result.same_program) == (len(decisions), (), True)
    assert stats["epochs"] >= 2
    assert stats["outside"] > 0
    kinds = [kind for kind, _ in read_session(path)]
    assert (kinds[0], kinds[-1]) == ("H", "E")
    assert sum(1 for _ in session_windows(path)) >= len(decisions)


def test_a_replay_that_differs_says_where(tmp_path: Path) -> None:
    path = tmp_path / "a.session"
    run(CAMERA + "&seconds=0.1&realtime=0", recorder=Recorder(path, session_header(SPEC, PROGRAM, CAMERA, 0)))
    result = replay(path, tiny_program(seed=9))
    assert not result.same_program
    with pytest.raises(ComparisonFailed, match=r"decision 0 \(windows \[0\]\): \w+ was .*, now "):
        result.raise_if_different()
    with pytest.raises(InputError, match="not overwritten"):
        Recorder(path, {})


def test_damaged_sessions(tmp_path: Path) -> None:
    path = tmp_path / "a.session"
    run(CAMERA + "&seconds=0.1&realtime=0", recorder=Recorder(path, session_header(SPEC, PROGRAM, CAMERA, 0)))
    data = path.read_bytes()
    path.write_bytes(data[:-100])  # a crash: what was written counts
    assert not replay(path, PROGRAM).differences
    header = data[: 5 + int.from_bytes(data[1:5], "little")]
    for content, message in (
        (b"", "it is empty"),
        (b"\x89PNG" * 9, "not a recorded session"),
        (header + b"P\xff\xff\xff\xff", "claims 4294967295 bytes"),
        (header + b"P\x05\x00\x00\x00hello", "record b'P' is damaged"),
        (header + b"Q\x00\x00\x00\x00", "unknown record"),
        (header + b"D\x0f\x00\x00\x00" + b'{"windows":[9]}', "packets do not make"),
        (header.replace(b'"steps":4', b'"steps":0'), "no valid spec"),
    ):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=message):
            replay(path, PROGRAM)


def test_a_lost_source_is_found_again(tmp_path: Path) -> None:
    path, opened = tmp_path / "a.session", []

    def reopen() -> Any:
        opened.append(1)
        if len(opened) < 3:
            raise SourceLost("still gone")
        return open_source(CAMERA + "&seconds=0.2&realtime=0")

    recorder = Recorder(path, session_header(SPEC, PROGRAM, CAMERA, 0))
    decisions, stats = run(CAMERA + "&realtime=0&faults=unplug@0.1", reopen=reopen, recorder=recorder)
    assert (stats["lost"], stats["epochs"], len(opened)) == (1, 1, 3)
    assert len(decisions) >= 9 + 19
    assert not replay(path, PROGRAM).differences


def test_a_source_that_stays_lost_ends_the_session_with_its_error() -> None:
    def gone() -> Any:
        raise SourceLost("gone for good")

    for options in ({}, {"reopen": gone}):
        live = Live(open_source(CAMERA + "&faults=unplug@0.05"), PROGRAM, replace(SPEC, patience=0.2), **options)  # type: ignore[arg-type]
        with live, pytest.raises(SourceLost):
            list(live)


def test_a_source_that_comes_back_with_another_sensor_ends_the_session() -> None:
    """Its events would be cropped and counted as those of the old one."""

    def reopen() -> Any:
        return open_source("fake://32x24?rate=2e5&seconds=0.2&realtime=0")

    live = Live(open_source(CAMERA + "&realtime=0&faults=unplug@0.1"), PROGRAM, SPEC, reopen=reopen)
    with live, pytest.raises(SourceLost, match=r"came back with 32 x 24 pixels, it had 64 x 48"):
        list(live)


def test_silence_closes_windows_by_the_clock() -> None:
    """Half a second of nothing: windows keep coming, with no events in them."""
    decisions, _ = run(CAMERA + "&seconds=0.7&faults=silence@0.1:0.5")
    empty = [d for d in decisions if d.events == 0]
    assert len(empty) >= 20  # 48 on an idle machine


def test_stop_from_another_thread_is_quick() -> None:
    live = Live(open_source(CAMERA), PROGRAM, replace(SPEC, backlog=1))
    with live:
        threading.Timer(0.2, live.stop).start()
        for _ in live:
            pass
        stopped = time.monotonic()
    assert time.monotonic() - stopped < 10


def test_over_tcp_nothing_is_lost_when_the_network_is_slow() -> None:
    events = random_events(200_000, 64, 48)
    with EventServer((64, 48)) as server:
        thread = threading.Thread(target=server.send, args=(np.array_split(events, 100), 120))
        thread.start()
        live = Live(open_source(f"tcp://127.0.0.1:{server.port}"), Slow(0.002), SPEC)
        with live:
            decisions = list(live)
        thread.join()
    assert live.stats()["events"] == len(events)
    assert live.stats()["dropped_windows"] == 0
    assert [i for d in decisions for i in d.windows] == list(range(len(decisions)))


def test_stats_are_plain_data() -> None:
    _, stats = run(CAMERA + "&seconds=0.05&realtime=0")
    assert json.loads(json.dumps(stats)) == stats


def test_backlog_and_histogram_alone() -> None:
    backlog = Backlog(1, "drop", binary=False)
    assert backlog.get(0) is None
    backlog.close()
    assert backlog.get(5) is None
    histogram = LatencyHistogram()
    values = np.random.default_rng(0).lognormal(-6, 1, 5000)
    for value in values:
        histogram.add(float(value))
    for share in (0.5, 0.9, 0.99):
        exact = float(np.quantile(values, share))
        assert exact <= histogram.quantile(share) * 1.001 <= exact * 1.06


def test_wrong_specs() -> None:
    for options, message in (
        ({"policy": "hope"}, "choose one of block, drop, merge"),
        ({"state": "maybe"}, "'reset' or 'keep'"),
        ({"backlog": 0}, "at least 1"),
        ({"stream": StreamSpec(4, 100, stride=2), "state": "keep"}, "count events twice"),
    ):
        with pytest.raises(InputError, match=message):
            replace(SPEC, **options)
    with pytest.raises(InputError, match="this program takes"):
        Live(open_source(CAMERA), tiny_program((2, 6, 6)), SPEC)
