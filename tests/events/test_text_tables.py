"""Text of every kind: any header, order, unit, separator, comment and polarities; nothing is guessed in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.files import read_events

UNITS = {"s": 6, "ms": 3, "us": 0}
NAMES = {
    "t": ["t", "ts", "timestamp", "Time"],
    "x": ["x", "xs", "col"],
    "y": ["y", "row"],
    "p": ["p", "polarity", "on", "pol"],
}


def exact(t: int, power: int) -> str:
    """`t` us as a decimal fraction of a unit of 10^power us, without a float."""
    whole, rest = divmod(t, 10**power)
    return f"{whole}.{rest:0{power}d}" if power else str(whole)


def test_drawn_tables(tmp_path: Path) -> None:
    """Order, unit, separator, header, comments, BOM, line ends, polarities: all drawn; a header says what is what."""
    path, events = tmp_path / "a.csv", random_events(60, 300, 200, 1, span=1000)
    for seed in range(60):
        random = np.random.default_rng(seed)
        order = "".join(random.permutation(list("txyp")))
        unit = str(random.choice(list(UNITS)))
        separator = str(random.choice([",", ";", "\t", " ", ", "]))
        off = str(random.choice(["0", "-1", "False", "off"]))
        on = {"0": "1", "-1": "1", "False": "True", "off": "on"}[off]
        start = int(random.choice([0, 1_504_645_177_421_234]))
        names = [str(random.choice(NAMES[field])) + (f"[{unit}]" if field == "t" else "") for field in order]
        lines = [str(random.choice(["", "# ", "% ", "#"])) + separator.join(names)]
        for row in events:
            cells = {"t": exact(start + int(row["t"]), UNITS[unit]), "x": row["x"], "y": row["y"],
                     "p": on if row["p"] else off}  # fmt: skip
            lines.append(separator.join(str(cells[field]) for field in order))
            if random.random() < 0.1:
                lines.append(str(random.choice(["", "# remark", "% 1 2 3 4", "   "])))
        end = str(random.choice(["\n", "\r\n"]))
        path.write_bytes(bytes(random.choice([b"", b"\xef\xbb\xbf"])) + end.join(lines).encode())
        got = read_events(path)
        assert got.events["t"].tolist() == (start + events["t"]).tolist(), (seed, lines[:2])
        for name in "xyp":
            assert got.events[name].tolist() == events[name].tolist(), (seed, lines[:2])
        assert all("polarities" in note for note in got.notes), got.notes


@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt"])
def test_usual_orders_are_guessed_and_said(order: str, tmp_path: Path) -> None:
    """What numpy writes by default, `%.18e`, in the three orders that people use."""
    events = random_events(300, 300, 200, 2)
    np.savetxt(tmp_path / "a.txt", np.stack([events[name].astype(float) for name in order], axis=1))
    got = read_events(tmp_path / "a.txt")
    np.testing.assert_array_equal(got.events, events)
    assert got.notes[0] == f"it has no header: its columns were taken for {', '.join(order)}"
    assert "nothing says the unit of its times: taken for us" in got.notes[1]


def test_an_order_that_is_not_usual_is_refused_and_taken_where_it_is_said(tmp_path: Path) -> None:
    events = random_events(300, 300, 200, 3)
    np.savetxt(tmp_path / "a.txt", np.stack([events[name] for name in "ptxy"], axis=1), fmt="%d")
    with pytest.raises(FileFormatError, match=r'fit no usual order: say it, e.g. columns="txyp"'):
        read_events(tmp_path / "a.txt")
    np.testing.assert_array_equal(read_events(tmp_path / "a.txt", columns="ptxy").events, events)
    for wrong in ("txy", "txyq", "ttxyp"):
        with pytest.raises(InputError, match="write t, x, y and p once each"):
            read_events(tmp_path / "a.txt", columns=wrong)


def test_an_order_is_guessed_though_the_times_go_back(tmp_path: Path) -> None:
    """A column that never rises is no time, and one that falls often neither: half ON, then half OFF."""
    rows = "".join(f"{t},{t % 8},1,{p}\n" for p in (1, 0) for t in range(100))
    (tmp_path / "a.csv").write_text(rows)
    got = read_events(tmp_path / "a.csv", unsorted="sort")
    assert got.notes[0] == "it has no header: its columns were taken for t, x, y, p"
    assert got.events["t"].tolist() == sorted(2 * list(range(100)))
    events = random_events(300, 300, 200, 9)
    np.random.default_rng(9).shuffle(events)  # in no order at all: nothing tells the columns apart
    np.savetxt(tmp_path / "b.txt", np.stack([events[name] for name in "txyp"], axis=1), fmt="%d")
    with pytest.raises(FileFormatError, match="fit no usual order"):
        read_events(tmp_path / "b.txt", unsorted="sort")


def test_rows_that_fit_several_orders_say_so(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("5,1,2,1\n6,3,4,0\n")
    note = read_events(tmp_path / "a.csv").notes[0]
    assert note.endswith('taken for t, x, y, p; the first rows also fit columns="xytp"')


def test_seconds_are_guessed_by_their_fractions_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# events\n0.000001 5 6 1\n0.25 7 8 0\n1504645177.421234 1 1 1\n")
    got = read_events(tmp_path / "a.txt")
    assert got.events["t"].tolist() == [1, 250_000, 1_504_645_177_421_234]
    assert 'taken for seconds; time_unit="ms" says another unit' in got.notes[1]
    assert read_events(tmp_path / "a.txt", time_unit="ms").events["t"].tolist()[1] == 250


@pytest.mark.parametrize(("unit", "us"), [("s", 7_000_000), ("ms", 7000), ("us", 7), ("ns", 0)])
def test_the_unit_of_whole_numbers_by_option(unit: str, us: int, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x,y,p\n0,1,1,1\n7,2,2,0\n")
    got = read_events(tmp_path / "a.csv", time_unit=unit)
    assert got.events["t"].tolist() == [0, us]
    assert got.notes == ()


def test_a_fraction_after_whole_us_is_no_time(tmp_path: Path) -> None:
    rows = "".join(f"{t},1,1,1\n" for t in range(2000))
    (tmp_path / "a.csv").write_text(f"t,x,y,p\n{rows}2000.5,1,1,1\n")
    with pytest.raises(FileFormatError, match=r'line 2002: .*are times in seconds\? give time_unit="s"'):
        read_events(tmp_path / "a.csv")


def test_minus_1_is_off_and_said_but_not_beside_0(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,x,y,p\n1,1,1,1\n2,2,2,-1\n3,3,3,1\n")
    got = read_events(tmp_path / "a.csv", time_unit="us")
    assert got.events["p"].tolist() == [1, 0, 1]
    assert got.notes == ("its polarities are -1 and 1: -1 was taken for OFF",)
    (tmp_path / "a.csv").write_text("t,x,y,p\n1,1,1,-1\n2,2,2,0\n3,3,3,1\n")
    with pytest.raises(FileFormatError, match="line 3: p=0, but OFF is -1 in the rows before"):
        read_events(tmp_path / "a.csv")
    got = read_events(tmp_path / "a.csv", damaged="salvage")
    assert got.events["t"].tolist() == [1, 3]
    assert got.damage is not None
    assert got.damage.dropped == 1


def test_salvage_takes_every_line_but_the_bad_ones(tmp_path: Path) -> None:
    events = random_events(2000, 300, 200, 5)
    lines = [f"{t},{x},{y},{p}" for t, x, y, p in events.tolist()]
    random = np.random.default_rng(5)
    for seed in range(20):
        bad = np.sort(random.choice(2000, int(random.integers(1, 60)), replace=False))
        spoiled = list(lines)
        for line in bad:
            spoiled[line] = str(
                random.choice(["x", "1,2,3", "1,2,3,4,5", "nan,1,1,1", "5,70000,1,1", "5,1,1,7", "\x01"])
            )
        (tmp_path / "a.csv").write_text("t,x,y,p\n" + "\n".join(spoiled))
        with pytest.raises(FileFormatError, match=f"after {bad[0]} events, line {bad[0] + 2}: "):
            read_events(tmp_path / "a.csv")
        got = read_events(tmp_path / "a.csv", damaged="salvage")
        np.testing.assert_array_equal(got.events, np.delete(events, bad), err_msg=str(seed))
        assert got.damage is not None
        assert (got.damage.dropped, got.damage.events, got.damage.position) == (len(bad), bad[0], bad[0] + 2)


def test_columns_of_pandas_and_of_robots(tmp_path: Path) -> None:
    """An index and columns beside are not read, which is said; E2VID's first line is a size."""
    pandas = pytest.importorskip("pandas")
    events = random_events(50, 100, 90, 6)
    table = pandas.DataFrame({"label": 3, **{name: events[name] for name in "yxpt"}})
    table["p"] = table["p"].astype(bool)
    table.to_csv(tmp_path / "a.csv")
    got = read_events(tmp_path / "a.csv")
    np.testing.assert_array_equal(got.events, events)
    assert got.notes[0] == "columns that are not read: '', 'label'"
    rows = "".join(f"{t / 1e6:.6f} {x} {y} {p}\n" for t, x, y, p in events.tolist())
    (tmp_path / "b.txt").write_text(f"100 90\n{rows}")
    got = read_events(tmp_path / "b.txt")
    assert got.sensor_size == (100, 90)
    np.testing.assert_array_equal(got.events, events)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c,d\n1,2,3,1\n", "names no column 't'; give e.g. columns="),
        ("1,2,3\n4,5,6\n", "has 3 columns, not four"),
        ("hello\n", "there are no rows of numbers"),
        ("t,x,x,p\n1,2,3,1\n", "names no column 'x'"),
        ("1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8\n", "17 columns, at most 16"),
    ],
)
def test_what_is_no_table_of_events_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_events(tmp_path / "a.csv")


def test_decimal_numbers_are_exact(tmp_path: Path) -> None:
    """Against Python's own decimal arithmetic: signs, exponents, many digits."""
    from decimal import ROUND_HALF_UP, Decimal

    random, rows, wanted = np.random.default_rng(8), [], []
    for _ in range(300):
        digits, exponent = int(random.integers(0, 10**9)), int(random.integers(-9, 3))
        form = random.integers(0, 3)
        value = Decimal(digits).scaleb(exponent)
        text = [f"{value:f}", f"{value:e}", f"+{value:.12f}"][form]
        rows.append((text, int((Decimal(text) * 1_000_000).to_integral_value(ROUND_HALF_UP))))
    rows = [row for row in rows if row[1] < 2**60]
    rows.sort(key=lambda row: row[1])
    wanted = [us for _, us in rows]
    (tmp_path / "a.csv").write_text("t[s],x,y,p\n" + "".join(f"{text},1,1,1\n" for text, _ in rows))
    assert read_events(tmp_path / "a.csv").events["t"].tolist() == wanted
