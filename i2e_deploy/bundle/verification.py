"""Run a bundle's golden vectors again and compare every spike and state."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from i2e_deploy.bundle.bundle import Bundle
from i2e_deploy.bundle.golden import Golden, make_golden
from i2e_deploy.chips.base import Program
from i2e_deploy.chips.options import Injection, Target
from i2e_deploy.chips.trace import Trace
from i2e_deploy.errors import ComparisonFailed
from i2e_deploy.runtime.comparison import Difference, compare
from i2e_deploy.text import counted, said


@dataclass(frozen=True)
class Verification:
    """Result of `verify`.

    Args:
        target: where the inputs ran.
        samples, steps: of the golden inputs.
        values: how many were compared.
        differences: empty when everything agreed; one entry an array that differs.
        not_reported: golden arrays that the target does not report, so that they were not compared.
        semantics: of the run; where it is not the bundle's, the reference was run again for it.
        silent: layers, and `output`, in which nothing fires on the golden inputs: agreement there proves little.
    """

    target: str
    samples: int
    steps: int
    values: int
    differences: tuple[Difference, ...]
    not_reported: tuple[str, ...] = ()
    semantics: str = "timestep"
    silent: tuple[str, ...] = ()

    def __repr__(self) -> str:
        verdict = "exact" if self.exact else f"{counted(len(self.differences), 'array')} differ"
        return said(self, f"{verdict} on {self.target}", counted(self.values, "value"), f"semantics {self.semantics}")

    def __str__(self) -> str:
        if not self.exact:
            return f"different on {self._first()}"
        left = f"; not reported by it: {', '.join(self.not_reported)}" if self.not_reported else ""
        return (
            f"exact: {self.values:,} values of {self.samples} samples over {self.steps} steps agree on {self.target} "
            f"(semantics {self.semantics}){left}{self._vacuous()}"
        )

    @property
    def exact(self) -> bool:
        """True when every value agreed."""
        return not self.differences

    def raise_if_different(self) -> None:
        """Raise ComparisonFailed naming the first layer, step and neuron that differ."""
        if self.differences:
            raise ComparisonFailed(self._first())

    def _vacuous(self) -> str:
        if not self.silent:
            return ""
        return f"; nothing fires in {', '.join(self.silent)} on these inputs, so that it proves little there"

    def _first(self) -> str:
        return f"{self.target}: {self.differences[0]}; {len(self.differences)} arrays differ"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"exact": self.exact, **asdict(self)}


def verify(bundle: Bundle, target: Target = "simulator") -> Verification:
    """Run the golden inputs on `target` and compare with what the slow reference gave when it was exported.

    A recording runs in its own order and at its own times, and steps last as long as they did. A chip that knows only
    other semantics (an asynchronous one has no time steps) is compared with what the slow reference makes of the golden
    inputs in those, at the bundle's step.

    Raises:
        InputError: no such target.
    """
    golden, exported = bundle.golden, str(bundle.manifest["semantics"])
    semantics = bundle.program.semantics_on(target, exported)
    if semantics != exported:
        injection = Injection() if bundle.step_us is None else Injection(step_us=bundle.step_us)
        golden = make_golden(bundle.program, golden.inputs, semantics=semantics, injection=injection)
    trace = bundle.program.run_on(target, golden.given, semantics, golden.injection)
    actual = {**trace.arrays(state=True, binned=True), "output": trace.output}
    labels = {f"layer{i}": name for i, name in enumerate(bundle.program.layer_names)}
    missing = tuple(name for name in golden.expected if name not in actual and _unseen(name, trace))
    expected = {name: array for name, array in golden.expected.items() if name not in missing}
    differences = tuple(compare(expected, actual, labels))
    values = sum(array.size for array in expected.values())
    samples, steps = golden.inputs.shape[:2]
    silent = silent_layers(golden, bundle.program)
    return Verification(target, samples, steps, values, differences, missing, semantics, silent)


def silent_layers(golden: Golden, program: Program) -> tuple[str, ...]:
    """Names of the layers, and `output`, in which nothing fires on the golden inputs.

    An output that is read by its state need not fire: its states are compared.
    """
    names = {**{f"layer{i}": name for i, name in enumerate(program.layer_names)}, "output": "output"}
    silent = [name for array, name in names.items() if not golden.expected[array].any()]
    quiet = () if program.deciding.of_spikes else ("output", program.deciding.layer or program.layer_names[-1])
    return tuple(name for name in silent if name not in quiet)


def _unseen(name: str, trace: Trace) -> bool:
    """Whether that array is of a layer, or of states, that the target says it does not report."""
    layer, _, state = name.partition("_")
    return layer in {f"layer{i}" for i in trace.unseen} or bool(state and not trace.states)
