"""The consumer with its window open: under a flood, with a hundred thousand ticks a second, and with three."""

from __future__ import annotations

import time
from typing import Any

from ingest import DRAIN, FLOOD_S, consumer, flood_by_benchmark, peer, report_rows, rounds
from programs import BenchError, Program, Redis, Xvfb
from settings import Settings
from table import Outcome

# Ticks a second at which a tick is to be on the screen within a frame.
BUSY_RATE = 100_000

# The window settles: fonts, first frames, the first ticks.
WARM_UP_S = 3.0


def number(report: dict[str, Any], *path: str) -> float | None:
    """A figure that a report may have."""
    found: Any = report
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, (int, float)) else None


def paced(settings: Settings, display: Xvfb, pace: list[str], watch_s: float) -> tuple[float, dict[str, Any], int]:
    """The window while a producer keeps its pace: percent of a core, the consumer's report, ticks sent."""
    subject = consumer(settings, display.env)
    with Redis(settings.ports) as redis, Program(subject.name, subject.argv(redis), subject.env) as window:
        redis.wait_subscribed("stock_prices", window)
        argv = [str(settings.producer), *pace, "--quiet", "--stats", "json", "--redis", redis.url]
        with Program("producer", argv) as producer:
            time.sleep(WARM_UP_S)
            cpu, started = window.cpu(), time.monotonic()
            time.sleep(watch_s)
            share = 100.0 * (window.cpu() - cpu) / (time.monotonic() - started)
            producer.stop(by_signal=True)
        window.wait_idle(FLOOD_S)
        sent = redis.published()
        return share, window.stop(by_signal=True), sent


def complete(outcome: Outcome, part: str, report: dict[str, Any], sent: int) -> None:
    """Whether all came, and if not, what the consumer says about it."""
    received = int(report["received"])
    outcome.single(part, "received of sent", "%", 100.0 * received / sent, "100 %")
    told = ", ".join(f"{key} {report.get(key)}" for key in ("lost", "reconnects", "rejected"))
    outcome.notes.append(f"{part}: consumer with a window: {received:,} of {sent:,} messages; it says: {told}.")


def flooded(settings: Settings, outcome: Outcome, display: Xvfb) -> None:
    """As `ingest`, with a window, beside a drain that runs while nothing is drawn."""
    part = "window, flood"
    ours = consumer(settings, display.env)
    subjects = [ours, peer(DRAIN, settings.compare, "drain")]
    plan = (settings.messages, max(1, settings.rounds // 2))
    taken = rounds(subjects, flood_by_benchmark, settings, outcome, part, plan)
    for found in taken.get(ours.name, [])[-1:]:
        outcome.single(part, "frame from series to pixels, mean", "ms", number(found.report, "frames", "mean_ms"))
    # It draws, too, so that its cost has no floor to be held to.
    report_rows(outcome, part, taken, ours.name, cpu_wanted="")


def measure(settings: Settings, outcome: Outcome) -> None:
    """The part `window`."""
    with Xvfb() as display:
        flooded(settings, outcome, display)
        busy(settings, outcome, display)
        idle(settings, outcome, display)


def busy(settings: Settings, outcome: Outcome, display: Xvfb) -> None:
    part = "window, busy"
    settings.say(f"{part}: {BUSY_RATE:,} ticks a second for {settings.busy_s:.0f} s")
    try:
        share, report, sent = paced(settings, display, ["--rate", str(BUSY_RATE)], settings.busy_s)
    except BenchError as error:
        outcome.miss(part, f"{BUSY_RATE:,} ticks a second", str(error))
        return
    outcome.single(part, f"CPU at {BUSY_RATE:,} ticks a second", "% of a core", share)
    complete(outcome, part, report, sent)
    drawn, elapsed_s = number(report, "frames", "count"), number(report, "elapsed_s")
    outcome.single(part, "frames a second", "1/s", drawn / elapsed_s if drawn and elapsed_s else None)
    outcome.single(part, "frame from series to pixels, mean", "ms", number(report, "frames", "mean_ms"))
    for quantile, wanted in (("p50", ""), ("p99", "at most a frame: 16.7")):
        value = number(report, "latency_ms", quantile)
        outcome.single(part, f"publish to pixel, {quantile}", "ms", value, wanted)


def idle(settings: Settings, outcome: Outcome, display: Xvfb) -> None:
    part = "window, idle"
    settings.say(f"{part}: three symbols, a tick a second each, for {settings.idle_s:.0f} s")
    try:
        share, report, sent = paced(settings, display, ["--interval", "1s"], settings.idle_s)
    except BenchError as error:
        outcome.miss(part, "three symbols at one tick a second", str(error))
        return
    outcome.single(part, "CPU with three symbols at one tick a second", "% of a core", share, "under 0.5 %")
    complete(outcome, part, report, sent)
