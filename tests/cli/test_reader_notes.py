"""What the reader of an event file assumed is said by the commands that read it."""

from __future__ import annotations

from pathlib import Path

from command_line import Captured

from i2e_deploy.cli.app import run

ASSUMED = "it has no header: its columns were taken for t, x, y, p"


def bare_csv(path: Path) -> Path:
    path.write_text("".join(f"{100 * t},{t % 8},{t // 8 % 8},{t % 2}\n" for t in range(60)))
    return path


def test_simulate_says_it(network_file: Path, tmp_path: Path, capsys: Captured) -> None:
    arguments = ["simulate", str(network_file), "--chip", "speck2f", "--out", str(tmp_path / "t.npz")]
    assert run([*arguments, "--input", str(bare_csv(tmp_path / "a.csv"))]) == 0
    assert f"a.csv: {ASSUMED}" in capsys.readouterr().err
