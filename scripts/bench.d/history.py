"""Memory a tick, downsampling and whole frames at several lengths of history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from programs import BenchError, as_json, run
from settings import Settings
from table import Outcome, middle

# Time, price and size of a tick as plain numbers.
PLAIN_BYTES = 24.0
PLAIN = "plain columns (computed)"

# Points of the line that is also drawn by pyqtgraph.
POINTS = 1_000_000

# The longest history fills in half a minute on a slow machine.
HISTORY_S = 400.0

# From this length on, a third of the repeats has to do: a cold view of so many ticks takes its time.
LONG_TICKS = 10_000_000

# A tick may take this much memory while a history is filled, before anything is compressed.
ROOM_BYTES = 40

VIEWS = (("still", "view at rest"), ("live", "view follows live ticks"), ("elsewhere", "a new view each time"))


def free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def history(settings: Settings, ticks: int, *more: str, repeats: int = 0) -> dict[str, Any]:
    """What `compare history` says of so many ticks."""
    repeats = repeats or (settings.repeats if ticks < LONG_TICKS else settings.repeats // 3)
    plan = ["--ticks", str(ticks), "--repeats", str(repeats), *more]
    argv: list[str | Path] = [settings.compare, "history", *plan]
    return as_json("compare history", run("compare history", argv, HISTORY_S))


def name(ticks: int) -> str:
    """10^6 for a million."""
    power = len(str(ticks)) - 1
    return f"10^{power}" if ticks == 10**power else f"{ticks:,}"


def memory(settings: Settings, outcome: Outcome) -> None:
    """The part `memory`: the trading day that is shipped, repeated, and random walks."""
    plain = [PLAIN_BYTES]
    for source, what in (("day", "real trades"), ("walk", "random walks")):
        for ticks in [t for t in settings.histories if t >= 1_000_000] or settings.histories[-1:]:
            if not fits(settings, outcome, "memory", ticks):
                continue
            settings.say(f"memory: {name(ticks)} ticks, {what}")
            try:
                found = history(settings, ticks, "--source", source, repeats=1)
            except BenchError as error:
                outcome.miss("memory", f"{what}, {name(ticks)} ticks", str(error))
                continue
            wanted = "at most 3 bytes" if source == "day" else ""
            label = f"{what}, {name(ticks)} ticks"
            series, resident = found["series_bytes"] / ticks, found["resident_bytes"] / ticks
            outcome.compare("memory", f"{label}, series", "bytes a tick", [series], PLAIN, plain, wanted)
            wanted = "at most 3.5 bytes" if ticks >= 100_000_000 and source == "day" else ""
            outcome.compare("memory", f"{label}, resident", "bytes a tick", [resident], PLAIN, plain, wanted)


def fits(settings: Settings, outcome: Outcome, part: str, ticks: int) -> bool:
    if ticks * ROOM_BYTES < free_bytes():
        return True
    outcome.miss(part, f"{name(ticks)} ticks", f"needs {ticks * ROOM_BYTES / 1e9:.0f} GB of free memory")
    return False


def frames(settings: Settings, outcome: Outcome) -> None:
    """The part `frames`: 1280 columns of four symbols downsampled, and whole frames of 1280x720 pixels."""
    lengths = [ticks for ticks in settings.histories if fits(settings, outcome, "frames", ticks)]
    found: dict[int, list[dict[str, Any]]] = {ticks: [] for ticks in lengths}
    single: list[dict[str, Any]] = []
    for number in range(settings.history_rounds):
        for ticks in lengths:
            settings.say(f"frames: round {number + 1} of {settings.history_rounds}: {name(ticks)} ticks")
            found[ticks].append(history(settings, ticks))
        settings.say(f"frames: round {number + 1} of {settings.history_rounds}: one symbol")
        single.append(history(settings, POINTS, "--symbols", "1"))
    for key, what, wanted in (
        ("downsample_us", "downsampling, 4 x 1280 columns", "under 1 ms, ratio at most 1.5"),
        ("frame_us", "whole frame, 4 symbols", ""),
    ):
        for view, way in VIEWS:
            least = medians(found[lengths[0]], key, view)
            for ticks in lengths:
                label = f"{what}, {way}, {name(ticks)} ticks"
                asked = wanted if view != "elsewhere" else ""
                ours = medians(found[ticks], key, view)
                outcome.compare("frames", label, "ms", ours, f"the same at {name(lengths[0])}", least, asked)
    for view, way in VIEWS[:2]:
        ours = medians(single, "frame_us", view)
        label = f"whole frame, 1 symbol, {way}, {name(POINTS)} ticks"
        outcome.single("frames", label, "ms", middle(ours), "at most 2 ms")


def medians(found: list[dict[str, Any]], key: str, view: str) -> list[float]:
    """Milliseconds, one of each round."""
    return [float(figures[key][view]["p50"]) / 1e3 for figures in found]
