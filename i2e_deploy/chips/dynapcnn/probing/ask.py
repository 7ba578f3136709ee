"""Ask a board: one question after the other on one open board, each so many times.

The questions run as `targets.board` runs any program, by the same stream: states are written before every repeat, a
first event that the board loses is sent twice. What a board cannot be asked (samna refuses the configuration) is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from i2e_deploy.chips.answers import NOT_ASKED, Answer, Observation, decide
from i2e_deploy.chips.dynapcnn.probing.question import Question
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.spikes import SPIKE, Spikes
from i2e_deploy.chips.dynapcnn.targets.board.arrivals import CORE_EVENT, CoreEvents, Rail
from i2e_deploy.chips.dynapcnn.targets.board.link import Board
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.chips.dynapcnn.targets.board.results import spikes_of
from i2e_deploy.chips.dynapcnn.targets.board.sample_stream import PIXELS, SampleStream
from i2e_deploy.chips.dynapcnn.targets.board.setup import configure
from i2e_deploy.errors import CheckFailed
from i2e_deploy.network import INPUT

#: Repeats of a question that is not clear are doubled, so often at most.
DOUBLINGS = 2


@dataclass(eq=False)
class Asker:
    """An open board, and what asking has cost it.

    Args:
        board: open; whoever opened it closes it.
        options: `monitor`, `events` and `power_hz` say nothing here.
        events: input events that were sent.
    """

    board: Board
    options: BoardOptions
    events: int = 0

    def answer(self, question: Question, repeats: int) -> Answer:
        """Ask, and ask again where the repeats do not agree.

        Raises:
            SourceLost: the board went away or stopped answering.
        """
        try:
            observed = self.observe(question, repeats)
            found = decide(question.name, question.asks, question.predicted, observed)
            for _ in range(DOUBLINGS):
                if found.settled and 2 * found.followed >= found.asked:
                    break
                observed += self.observe(question, len(observed))
                found = decide(question.name, question.asks, question.predicted, observed)
        except CheckFailed as error:
            counts = dict.fromkeys(question.ways, 0)
            return Answer(question.name, question.asks, NOT_ASKED, counts, 0, note=str(error)[:500])
        return found

    def observe(self, question: Question, repeats: int) -> list[Observation]:
        """One observation a repeat.

        Raises:
            CheckFailed: samna refuses the configuration.
        """
        if not question.fresh:
            return self._observe(self._stream(question), question, repeats)
        return [seen for _ in range(repeats) for seen in self._observe(self._stream(question), question, 1)]

    def _stream(self, question: Question) -> SampleStream:
        placed = question.program, question.placement, question.watched, question.clock_us
        return self.prepared(*placed, sends_again=question.sends_again)

    def prepared(
        self, program: CoreNetwork, cores: dict[str, int], watched: Sequence[str], clock_us: int | None = None,
        power_hz: float = 0.0, sends_again: bool = True,
    ) -> SampleStream:  # fmt: skip
        """The board configured with a program, and the stream that runs samples of it.

        Raises:
            CheckFailed: samna refuses the configuration.
        """
        configure(self.board, program, cores, tuple(watched))
        self.board.clock.sleep(self.options.settle_s)
        layers = {cores[layer.name]: layer for layer in program.layers}
        clock_hz = None if clock_us is None else 1_000_000 // clock_us
        options = replace(self.options, power_hz=power_hz)
        return SampleStream(self.board, layers, inputs_of(program, cores), options, clock_hz, sends_again)

    def _observe(self, stream: SampleStream, question: Question, repeats: int) -> list[Observation]:
        """One observation a repeat; where something is kept from run to run the first run is left out."""
        skipped = question.pins or any(way.chained for ways in question.ways.values() for way in ways)
        stimuli, inputs = question.stimuli(), inputs_of(question.program, question.placement)
        events = to_send(stimuli, inputs, self.options.lead_us)
        observed = []
        for repeat in range(repeats + skipped):
            received, _ = self.run(stream, events, question.end_us, f"at question {question.name}")
            if repeat or not skipped:
                observed.append(question.observe(self.sent(question, received) | self.pins(stream, question)))
            stream.take_pins()
        return observed

    def run(self, stream: SampleStream, events: CoreEvents, end_us: int, where: str) -> tuple[CoreEvents, list[Rail]]:
        """One sample of the stream, counted."""
        self.events += len(events)
        return stream.run(events, self.options.lead_us + end_us, where)

    def pins(self, stream: SampleStream, question: Question) -> dict[str, Spikes]:
        """What the readout's pins showed in the last run, as a layer `pins`."""
        if not question.pins:
            return {}
        taken = stream.take_pins()
        rows = np.zeros(len(taken), SPIKE)
        rows["t"], rows["c"] = taken["t"] - self.options.lead_us, taken["index"]
        return {"pins": rows}

    def sent(self, question: Question, received: CoreEvents) -> dict[str, Spikes]:
        """Spikes of the watched layers, times from the first slot on."""
        shapes, cores = question.program.shapes(), question.placement
        return {
            name: spikes_of(cores[name], shapes[name], received, self.options.lead_us)[0] for name in question.watched
        }


def inputs_of(program: CoreNetwork, cores: dict[str, int]) -> tuple[int, ...]:
    """Cores that take the events of the host; none where those go into the pre-processing."""
    if program.sensor is not None:
        return ()
    return tuple(cores[layer.name] for layer in program.layers if any(s.layer == INPUT for s in layer.sources))


def to_send(stimuli: np.ndarray[tuple[int], np.dtype[np.void]], inputs: Sequence[int], lead_us: int) -> CoreEvents:
    """Stimuli as events for each of the input cores, in turn; where there are none, for the pre-processing."""
    inputs = inputs or (PIXELS,)
    events = np.empty(len(stimuli) * len(inputs), CORE_EVENT)
    for name in ("t", "c", "y", "x"):
        events[name] = np.repeat(stimuli[name], len(inputs))
    events["core"] = np.tile(inputs, len(stimuli))
    events["t"] += lead_us
    return events
