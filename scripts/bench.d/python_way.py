"""What Python offers for the same job: the tutorial's way (redis-py, pandas, matplotlib), and pyqtgraph."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import build
from history import HISTORY_S, POINTS, history, name
from ingest import CHANNEL, Subject, benchmark_argv, consumer, flood_by_benchmark, report_rows, rounds, tick
from programs import ROOT, BenchError, Program, Redis, Xvfb, as_json, run
from settings import Settings
from table import Outcome

PEERS = ROOT / "scripts" / "bench.d" / "peers"

# pyqtgraph needs a platform to draw on; this one is memory.
OFFSCREEN = {"QT_QPA_PLATFORM": "offscreen"}

TUTORIAL = "redis-py, pandas, matplotlib"
LISTENER = "redis-py, json.loads"

# Messages of a flood that is broken off.
ENDLESS = 1_000_000_000

# The gap to pyqtgraph is wide: a few rounds tell it.
ROUNDS_MAX = 3

# Ticks a second for the tutorial's chart: some hundred times what it takes, and so few that it has a core to itself.
TUTORIAL_RATE = "1000"


def ask(settings: Settings, script: str, *words: object) -> float:
    """Milliseconds, as a peer's script measured them."""
    argv: list[str | Path] = [settings.python, PEERS / script, *map(str, words)]
    return float(as_json(script, run(script, argv, HISTORY_S, OFFSCREEN))["ms"])


def ours_ms(settings: Settings, ticks: int) -> float:
    """A whole frame of ours after one more tick, all in view, one symbol."""
    found = history(settings, ticks, "--symbols", "1")
    return float(found["frame_us"]["live"]["p50"]) / 1e3


def subscriber(settings: Settings, title: str, script: str, *mode: str) -> Subject:
    return Subject(title, lambda redis: [str(settings.python), str(PEERS / script), *mode, str(redis.port), CHANNEL])


def listening(settings: Settings, outcome: Outcome) -> None:
    part = "python, ingest"
    ours, theirs = consumer(settings), subscriber(settings, LISTENER, "listen.py")
    plan = (settings.messages, 1)
    taken = rounds([ours, theirs], flood_by_benchmark, settings, outcome, part, plan)
    report_rows(outcome, part, taken, ours.name)


def rate(settings: Settings, subject: Subject, feed: Callable[[Redis], list[str]]) -> tuple[float, float]:
    """Messages a second that a program takes in while more come than it can take, and its peak memory in MB."""
    with Redis(settings.ports) as redis, Program(subject.name, subject.argv(redis), subject.env) as program:
        redis.wait_subscribed(CHANNEL, program)
        with Program("the feed", feed(redis)):
            started = time.monotonic()
            time.sleep(settings.busy_s)
            peak_mb, elapsed_s = program.peak_mb(), time.monotonic() - started
            received = int(program.stop(subject.by_signal)["received"])
    return received / elapsed_s, peak_mb


def flood(redis: Redis) -> list[str]:
    return benchmark_argv(redis, ENDLESS, tick())


def living(settings: Settings, outcome: Outcome) -> None:
    part = "python, live chart"

    def trickle(redis: Redis) -> list[str]:
        return [str(settings.producer), "--rate", TUTORIAL_RATE, "--quiet", "--redis", redis.url]

    mine: list[tuple[float, float]] = []
    other: list[tuple[float, float]] = []
    try:
        with Xvfb() as display:
            for number in range(max(1, settings.rounds // 2)):
                settings.say(f"{part}: round {number + 1}: {TUTORIAL}")
                mine.append(rate(settings, consumer(settings, display.env), flood))
                other.append(rate(settings, subscriber(settings, TUTORIAL, "tutorial.py", "live"), trickle))
    except BenchError as error:
        outcome.miss(part, TUTORIAL, str(error))
        return
    what = "ticks taken in and drawn"
    outcome.compare(part, what, "1/s", [m[0] for m in mine], TUTORIAL, [o[0] for o in other])
    outcome.compare(part, "peak memory", "MB", [m[1] for m in mine], TUTORIAL, [o[1] for o in other])


def drawing(settings: Settings, outcome: Outcome) -> None:
    part = "python, frames"
    for ticks in [1_000, *[length for length in settings.histories if length <= POINTS]]:
        settings.say(f"{part}: {TUTORIAL}, {name(ticks)} ticks")
        try:
            theirs = [ask(settings, "tutorial.py", "redraw", ticks, 10)]
            ours = [ours_ms(settings, ticks)]
        except BenchError as error:
            outcome.miss(part, f"{TUTORIAL}, {name(ticks)} ticks", str(error))
            continue
        outcome.compare(part, f"one more tick, drawn, {name(ticks)} ticks", "ms", ours, TUTORIAL, theirs)
    for mode, repeats, title in (
        ("peak", 60, "pyqtgraph, peak downsampling"),
        ("none", 12, "pyqtgraph, no downsampling"),
    ):
        mine: list[float] = []
        other: list[float] = []
        try:
            count = min(settings.rounds, ROUNDS_MAX)
            for number in range(count):
                settings.say(f"{part}: round {number + 1} of {count}: {title}")
                other.append(ask(settings, "pyqtgraph_frames.py", POINTS, repeats, mode))
                mine.append(ours_ms(settings, POINTS))
        except BenchError as error:
            outcome.miss(part, title, str(error))
            continue
        outcome.compare(part, f"frame, {name(POINTS)} points in view", "ms", mine, title, other, "at most 2 ms")


def measure(settings: Settings, outcome: Outcome) -> None:
    """The part `python`."""
    settings.say("setting up the Python peers")
    settings.python = build.virtual_environment()
    listening(settings, outcome)
    living(settings, outcome)
    drawing(settings, outcome)
