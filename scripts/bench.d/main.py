"""Runs the comparison and prints its table; `scripts/bench` starts this."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType

import build
import history
import ingest
import machine
import publish
import python_way
import window
from programs import ROOT, BenchError, Ports
from settings import Settings
from table import Outcome, markdown

BENCHMARKS = ROOT / "BENCHMARKS.md"
BEGIN, END = "<!-- begin: scripts/bench --write -->", "<!-- end -->"

PARTS: dict[str, Callable[[Settings, Outcome], None]] = {
    "ingest": ingest.measure,
    "publish": publish.measure,
    "memory": history.memory,
    "frames": history.frames,
    "window": window.measure,
    "python": python_way.measure,
}

EPILOG = """\
parts, in the order in which they run:
  ingest    the consumer beside a raw socket drain and the redis crate's two subscriptions, under one flood each
  publish   the producer beside redis-benchmark
  memory    memory a tick, of real trades and random walks
  frames    downsampling and whole frames at several lengths of history
  window    the consumer with its window: under a flood, busy, idle
  python    redis-py with pandas and matplotlib, and pyqtgraph (in a virtual environment under target/)

BENCHMARKS.md says how to read the table.
Exit status: 0 all was measured, 1 something was not (it is named), 2 wrong usage or something is missing."""


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures tickscope and its peers side by side and prints a table of ratios.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="only these parts (default: all)")
    parser.add_argument("--quick", action="store_true", help="about three minutes instead of fifteen")
    parser.add_argument("--write", action="store_true", help="put the table into BENCHMARKS.md as well")
    parser.add_argument("--messages", type=positive, metavar="N", help="messages a flood")
    parser.add_argument("--rounds", type=positive, metavar="N", help="interleaved rounds")
    parser.add_argument("--port", type=positive, metavar="N", default=7400, help="first port for servers (7400)")
    parser.add_argument("--profile", default="release", metavar="NAME", help="cargo profile (release)")
    parser.add_argument("--no-install", action="store_true", help="install nothing on this system")
    told = parser.parse_args()
    unknown = [part for part in told.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}; the parts are: {', '.join(PARTS)}")
    return told


def plan(told: argparse.Namespace) -> Settings:
    ports = Ports(told.port)
    if told.quick:
        settings = Settings(1_000_000, 2, 0, [10_000, 1_000_000], 60, 1, 20.0, 5.0, ports)
    else:
        lengths = [10_000, 1_000_000, 10_000_000, 100_000_000]
        settings = Settings(2_000_000, 5, 10_000_000, lengths, 200, 2, 60.0, 10.0, ports)
    if told.messages is not None:
        # A count that was asked for is the only one.
        settings.messages, settings.long_messages = told.messages, 0
    settings.rounds = told.rounds or settings.rounds
    return settings


def install(told: argparse.Namespace, parts: list[str]) -> None:
    if told.no_install:
        return
    # Packages of the system, then of Python for the peers that are written in it.
    kinds = ["base", "python"] if "python" in parts else ["base"]
    done = subprocess.run([ROOT / "scripts" / "bench.d" / "install", *kinds], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        sys.exit(2)


def prepare(told: argparse.Namespace, parts: list[str], settings: Settings) -> None:
    settings.say("building")
    found = build.programs(told.profile)
    settings.compare, settings.consumer, settings.producer = found["compare"], found["consumer"], found["producer"]


def document(outcome: Outcome, parts: list[str]) -> str:
    lines = [*machine.description(build.REQUIREMENTS), f"- parts: {', '.join(parts)}", "", markdown(outcome.rows), ""]
    lines += [f"- {note}" for note in outcome.notes]
    lines += [f"- NOT MEASURED: {what}" for what in outcome.missing]
    return "\n".join(lines).strip() + "\n"


def write(text: str) -> None:
    """Between the marks of BENCHMARKS.md."""
    before, mark, rest = BENCHMARKS.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise BenchError(f"{BENCHMARKS.name} has no marks '{BEGIN}' and '{END}'")
    BENCHMARKS.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def stop(_signal: int, _frame: FrameType | None) -> None:
    # An exception unwinds through every server and program that is open.
    raise SystemExit(130)


def main() -> int:
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    told = arguments()
    parts = [part for part in PARTS if part in told.parts] or list(PARTS)
    settings, outcome = plan(told), Outcome()
    install(told, parts)
    try:
        prepare(told, parts, settings)
        for part in parts:
            settings.say(f"== {part}")
            try:
                PARTS[part](settings, outcome)
            except BenchError as error:
                outcome.miss(part, "the rest", str(error))
        text = document(outcome, parts)
        print(text, flush=True)
        if told.write:
            write(text)
    except BenchError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 1
    settings.say("done")
    for what in outcome.missing:
        print(f"scripts/bench: not measured: {what}", file=sys.stderr)
    return 1 if outcome.missing else 0


if __name__ == "__main__":
    sys.exit(main())
