"""Put the commands together and turn errors into one line and an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from i2e_deploy.cli import (
    audit,
    calibrate_power,
    check,
    checkpoint,
    compare,
    convert,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    info,
    live,
    probe,
    profiles,
    report,
    simulate,
    train,
    verify,
)
from i2e_deploy.errors import I2EDeployError

# Plain help: rich's costs half of the 0.3 s that `--help` may take.
#: Exit code of a defect of our own, as in BSD's sysexits.h; and what shows its traceback.
DEFECT, TRACEBACK = 70, "I2E_DEPLOY_TRACEBACK"

app = typer.Typer(name="i2e-deploy", add_completion=False, rich_markup_mode=None)
COMMANDS = {
    module.__name__.rpartition(".")[2].replace("_", "-"): module.command
    for module in (
        demo, doctor, profiles, convert, info, train, checkpoint, check, explain, export, verify, simulate, evaluate,
        compare, live, report, calibrate_power, probe, audit,
    )
}  # fmt: skip
for name, command in COMMANDS.items():
    app.command(name)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from i2e_deploy.version import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """From a picture to a neuromorphic chip.

    Start with `i2e-deploy demo` and `i2e-deploy doctor`. Every command takes --json, shows an example under --help, and
    exits with 0 when done, 1 when a check or comparison fails, 2 for bad input, 70 for a defect of i2e-deploy.
    """


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 a check or comparison failed, 2 bad input, 70 a defect, 130 interrupted."""
    # Threads that spin while they wait take six times the CPU time of training on two cores that others use too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code.

    With --json the error of one that fails is a line of JSON, unless its result is printed: then that says what failed.
    """
    from i2e_deploy.cli.common import JSON_PRINTED

    JSON_PRINTED.set(False)
    code, message = _outcome(arguments)
    if message and "--json" in arguments and not JSON_PRINTED.get():
        print(json.dumps({"error": message, "exit_code": code}))
    return code


def _outcome(arguments: list[str]) -> tuple[int, str]:
    """Exit code, and the error that was printed."""
    try:
        return int(app(arguments or ["--help"], prog_name="i2e-deploy", standalone_mode=False) or 0), ""
    except BrokenPipeError:  # the reader has gone, e.g. `| head`
        return 0, ""
    except I2EDeployError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), 2)
    except (KeyboardInterrupt, typer.Abort, typer.Exit) as stop:
        code = getattr(stop, "exit_code", 130)
        return _fail("interrupted", code) if code == 130 else (int(code), "")
    except Exception as error:
        usage = getattr(error, "format_message", None)  # a wrong command line, as the parser reports it
        if usage is None:
            return _report(error)
        words = [word for word in arguments[:1] if word in COMMANDS]
        return _fail(f"{usage().rstrip('.')}; see `{' '.join(['i2e-deploy', *words, '--help'])}`", 2)


def _report(error: Exception) -> tuple[int, str]:
    """One line about an error that nobody foresaw; what to do where numba has no place for what it compiles."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if isinstance(error, RuntimeError) and "no locator available" in str(error):
        return _fail("no folder for compiled kernels can be written: export NUMBA_CACHE_DIR=FOLDER", 2)
    package, frames = Path(__file__).parents[1], traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(package)]
    place = f"{Path(ours[-1].filename).relative_to(package.parent)}:{ours[-1].lineno}"
    what = f"{type(error).__name__} at {place}: {error}".removesuffix(": ")
    how = f"please report this line, and the traceback that {TRACEBACK}=1 shows"
    return _fail(f"{what}; this is a defect of i2e-deploy, not of what you gave it: {how}", DEFECT)


def _fail(message: str, code: int) -> tuple[int, str]:
    """One line; what a hostile file has put into it, such as a terminal's escape sequences, is made visible."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.split()))
    print(f"error: {line}", file=sys.stderr)
    return code, line
