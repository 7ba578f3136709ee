"""`benchmarks/check.py`: when a row is red. Nothing is timed here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))
import check  # noqa: E402
from judge import Committed, Line, Outcome, better_of, judge  # noqa: E402
from rows import Better, Row, cpu  # noqa: E402


def committed(*rows: Row) -> Committed:
    return Committed("here", "here, 2 cores", "", rows)


def one(before: Row, outcome: Outcome) -> Line:
    (line,) = judge("bench", committed(before), outcome, "here")
    return line


@pytest.mark.parametrize(
    ("better", "before", "now", "verdict"),
    [
        ("higher", 30.0, 20.001, "ok"),
        ("higher", 30.0, 19.99, "slow"),
        ("higher", 30.0, 300.0, "ok"),
        ("lower", 20.0, 29.99, "ok"),
        ("lower", 20.0, 30.01, "slow"),
        ("lower", 20.0, 2.0, "ok"),
    ],
)
@pytest.mark.parametrize("unit", ["x", "ns an event"])
def test_slow_below_two_thirds(better: Better, before: float, now: float, verdict: str, unit: str) -> None:
    line = one(Row("a", before, unit, better), Outcome((Row("a", now, unit, better),)))
    assert line.verdict == verdict
    assert line.share == pytest.approx(now / before if better == "higher" else before / now)


def test_another_processor_leaves_only_ratios_to_judge() -> None:
    rows = Row("ratio", 30), Row("figure", 10, "ns", "lower")
    now = Outcome((Row("ratio", 10), Row("figure", 90, "ns", "lower")))
    assert [line.verdict for line in judge("bench", committed(*rows), now, "elsewhere")] == ["slow", "not judged"]
    assert [line.verdict for line in judge("bench", committed(*rows), now, "here")] == ["slow", "slow"]


def test_absent_rows() -> None:
    row = Row("a", 1)
    assert one(row, Outcome(reasons=("no GPU",))).why == "no GPU"
    assert one(row, Outcome(reasons=("no GPU",))).verdict == "not run"
    assert one(row, Outcome(failure="exit code 1")).verdict == "failed"
    dropped = one(row, Outcome())
    assert dropped.verdict == "failed"
    assert "no longer measured" in dropped.why


def test_a_failure_after_all_rows_is_red() -> None:
    lines = judge("bench", committed(Row("a", 1)), Outcome((Row("a", 1),), failure="exit code 1"), "here")
    assert [(line.name, line.verdict) for line in lines] == [("a", "ok"), ("bench", "failed")]


def test_a_row_of_another_unit_or_direction_is_not_compared() -> None:
    for now in (Row("a", 1, "ms"), Row("a", 1, "x", "lower")):
        assert one(Row("a", 1), Outcome((now,))).verdict == "failed"


def test_nothing_committed() -> None:
    assert [line.verdict for line in judge("bench", None, Outcome((Row("a", 1),)), "here")] == ["new"]
    assert [line.verdict for line in judge("bench", None, Outcome(reasons=("no GPU",)), "here")] == ["not run"]
    assert [line.verdict for line in judge("bench", None, Outcome(failure="exit code 1"), "here")] == ["failed"]


def test_better_of_two_runs() -> None:
    first = Outcome((Row("a", 1), Row("b", 1, "ms", "lower")), ("no GPU",))
    second = Outcome((Row("a", 2), Row("b", 2, "ms", "lower"), Row("c", 3)), ("no GPU",), "exit code 1")
    assert better_of(first, second) == Outcome(
        (Row("a", 2), Row("b", 1, "ms", "lower"), Row("c", 3)), ("no GPU",), "exit code 1"
    )
    assert better_of(second, first).rows == better_of(first, second).rows


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_figure_is_finite_and_above_0(value: float) -> None:
    with pytest.raises(ValueError, match="finite and above 0"):
        Row("a", value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("print('chatter'); yield Row('a', 2)", Outcome((Row("a", 2),))),
        ("yield Row('a', 2); import no_such_peer", Outcome((Row("a", 2),), ("No module named 'no_such_peer'",))),
        ("yield NotRun('no GPU')", Outcome(reasons=("no GPU",))),
        (
            "yield Row('a', 2); assert False, 'differs'",
            Outcome((Row("a", 2),), (), "exit code 1, AssertionError: differs"),
        ),
        (
            "from i2e_deploy.chips import nothing; yield",
            Outcome((), (), "exit code 1, ImportError: cannot import name 'nothing' from 'i2e_deploy.chips'"),
        ),
        ("yield Row('a', 2); import os; os._exit(3)", Outcome((Row("a", 2),), (), "exit code 3")),
    ],
)
def test_a_benchmark_in_its_own_process(body: str, expected: Outcome, tmp_path: Path) -> None:
    file = tmp_path / "bench.py"
    file.write_text(f"from rows import NotRun, Row\ndef short():\n    {body}\n", encoding="utf-8")
    found = check.measure(file, 60)
    assert (found.rows, found.reasons) == (expected.rows, expected.reasons)
    assert found.failure.startswith(expected.failure)
    assert bool(found.failure) == bool(expected.failure)


def test_a_benchmark_that_hangs(tmp_path: Path) -> None:
    file = tmp_path / "bench.py"
    file.write_text("import time\ndef short():\n    time.sleep(600)\n    yield\n", encoding="utf-8")
    assert check.measure(file, 0.1) == Outcome(failure="took longer than 0.1 s")


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome((Row("a", 9),)), 0),
        (Outcome((Row("a", 1),)), 1),
        (Outcome(reasons=("no GPU",)), 0),
        (Outcome(failure="exit code 1"), 1),
    ],
)
def test_exit_code(
    outcome: Outcome, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "COMMITTED", tmp_path / "ratios.json")
    check.write_committed({"i2e": committed(Row("a", 9))})
    before = check.read_committed()
    assert before == {"i2e": committed(Row("a", 9))}
    monkeypatch.setattr(check, "measure", lambda path: outcome)
    monkeypatch.setattr(sys, "argv", ["check.py", "i2e"])
    assert check.main() == code
    assert ("nothing red" in capsys.readouterr().out) == (code == 0)
    assert check.read_committed() == before


def test_write_keeps_the_better_and_never_half_a_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "COMMITTED", tmp_path / "ratios.json")
    runs = [Outcome((Row("a", 1.23456),)), Outcome((Row("a", 1.1),))]
    monkeypatch.setattr(check, "measure", lambda path: runs.pop(0))
    monkeypatch.setattr(sys, "argv", ["check.py", "--write", "--note", "quiet", "i2e"])
    assert check.main() == 0
    written = check.read_committed()["i2e"]
    assert (written.rows, written.note, written.cpu) == ((Row("a", 1.235),), "quiet", cpu())
    for poor in (Outcome((Row("a", 7),), ("no peer",)), Outcome((Row("a", 7),), (), "exit code 1")):
        runs += [poor, poor]
        assert check.main() == bool(poor.failure)
        assert check.read_committed()["i2e"] == written


def test_every_short_form_is_checked_and_every_script_is_in_the_readme() -> None:
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in BENCHMARKS.glob("*.py")}
    assert {name for name, text in scripts.items() if "\ndef short()" in text} == set(check.BENCHMARKS)
    readme = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert [name for name in scripts if f"`{name}.py`" not in readme] == []


def test_committed_rows_have_names_of_their_own() -> None:
    found = check.read_committed()
    assert set(found) <= set(check.BENCHMARKS)
    for name, each in found.items():
        assert len({row.name for row in each.rows}) == len(each.rows) > 0, name
