"""Run a bundle's golden vectors again and compare every spike and state."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from i2e_deploy.bundle.bundle import Bundle
from i2e_deploy.errors import ComparisonFailed
from i2e_deploy.runtime import Difference, compare, run_on


@dataclass(frozen=True)
class Verification:
    """Result of `verify`: `differences` is empty when everything agreed; one entry an array that differs."""

    target: str
    samples: int
    steps: int
    values: int
    differences: tuple[Difference, ...]

    @property
    def exact(self) -> bool:
        """True when every value agreed."""
        return not self.differences

    def raise_if_different(self) -> None:
        """Raise ComparisonFailed naming the first layer, step and neuron that differ."""
        if self.differences:
            first = self.differences[0]
            raise ComparisonFailed(f"{self.target}: {first}; {len(self.differences)} arrays differ")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"exact": self.exact, **asdict(self)}


def verify(bundle: Bundle, target: str = "simulator") -> Verification:
    """Run the golden inputs on `target` and compare with what the slow reference gave when it was exported.

    Raises:
        InputError: no such target.
    """
    golden = bundle.golden
    trace = run_on(target, bundle.program, golden.inputs, str(bundle.manifest["semantics"]))
    actual = {**trace.arrays(state=True, binned=True), "output": trace.output}
    labels = {f"layer{i}": name for i, name in enumerate(bundle.program.layer_names)}
    differences = compare(golden.expected, actual, labels)
    values = sum(array.size for array in golden.expected.values())
    return Verification(target, golden.inputs.shape[0], golden.inputs.shape[1], values, tuple(differences))
