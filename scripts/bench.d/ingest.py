"""Who takes in a flood of messages, at what cost, and how many of them: our consumer and its peers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from programs import BenchError, Ports, Program, Redis, run
from settings import Settings
from table import Outcome

CHANNEL = "stock_prices"

# For one flood and for what a slow reader still has to read afterwards.
FLOOD_S = 240.0

# The other floods only have to show that the first one's verdict holds for a patient server and other payloads.
SECOND_ROUNDS = 3

DRAIN = "raw socket drain"
ASYNC = "redis-rs PubSub, async"
BLOCKING = "redis-rs PubSub, blocking"


@dataclass(frozen=True)
class Subject:
    """A program that subscribes, counts what comes and says so in JSON when it ends."""

    name: str
    argv: Callable[[Redis], list[str]]
    # How it is told to end: by SIGTERM, or by the end of its standard input.
    by_signal: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Taken:
    """One flood as one subject took it."""

    sent: int
    received: int
    rate: float
    cpu_us: float
    peak_mb: float
    cut_off: bool
    report: dict[str, object]

    @property
    def share(self) -> float:
        return 100.0 * self.received / self.sent


def consumer(programs: Settings, window_env: Mapping[str, str] | None = None) -> Subject:
    """Ours, with or without a window."""
    name = "consumer" if window_env is None else "consumer with a window"
    shape = ["--headless"] if window_env is None else []

    def argv(redis: Redis) -> list[str]:
        return [str(programs.consumer), *shape, "--stats", "json", "--quiet", "--redis", redis.url]

    return Subject(name, argv, True, window_env or {})


def peer(name: str, compare: Path, command: str) -> Subject:
    return Subject(name, lambda redis: [str(compare), command, "--port", str(redis.port), "--channel", CHANNEL])


def tick() -> str:
    """What ten lines of Python publish."""
    return json.dumps({"symbol": "AAPL", "price": 187.2, "timestamp": int(time.time())})


def benchmark_argv(redis: Redis, count: int, payload: str) -> list[str]:
    load = ["-h", "127.0.0.1", "-p", str(redis.port), "-P", "64", "-c", "50", "-n", str(count), "-q"]
    return ["redis-benchmark", *load, "PUBLISH", CHANNEL, payload]


def producer_argv(settings: Settings, redis: Redis, count: int) -> list[str]:
    what = ["--interval", "0", "--count", str(count), "--stats", "json", "--quiet"]
    return [str(settings.producer), *what, "--redis", redis.url]


Flood = Callable[[Redis, int], None]


def flood_by_benchmark(redis: Redis, count: int) -> None:
    run("redis-benchmark", benchmark_argv(redis, count, tick()), FLOOD_S)


def patiently(flood: Flood) -> Flood:
    """The same flood over a server that never cuts a subscriber off, however much waits for it."""

    def patient(redis: Redis, count: int) -> None:
        redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
        flood(redis, count)

    return patient


def flood_by_producer(settings: Settings) -> Flood:
    def flood(redis: Redis, count: int) -> None:
        run("producer", producer_argv(settings, redis, count), FLOOD_S)

    return flood


def take(subject: Subject, flood: Flood, count: int, ports: Ports) -> Taken:
    """Lets one subject take one flood, over a redis-server of its own."""
    with Redis(ports) as redis, Program(subject.name, subject.argv(redis), subject.env) as program:
        redis.wait_subscribed(CHANNEL, program)
        program.wait_idle(FLOOD_S)
        known = redis.subscriber_id()
        cpu_before, started = program.cpu(), time.monotonic()
        flood(redis, count)
        flooded = time.monotonic()
        redis.wait_read(FLOOD_S)
        ended = max(program.wait_idle(FLOOD_S), flooded)
        # The looks before the end overlap the flood's own end; a reader that kept up was done with it.
        cpu, peak_mb = program.cpu() - cpu_before, program.peak_mb()
        sent, cut_off = redis.published(), redis.subscriber_id() != known
        report = program.stop(subject.by_signal)
    received = int(report["received"])
    if received == 0:
        raise BenchError(f"{subject.name} received nothing")
    return Taken(sent, received, received / (ended - started), cpu / received * 1e6, peak_mb, cut_off, report)


def rounds(
    subjects: Sequence[Subject],
    flood: Flood,
    settings: Settings,
    outcome: Outcome,
    part: str,
    plan: tuple[int, int],
) -> dict[str, list[Taken]]:
    """Interleaved: every subject once, then every subject again. One that fails is named and left out."""
    count, repeats = plan
    taken: dict[str, list[Taken]] = {subject.name: [] for subject in subjects}
    failed: set[str] = set()
    for number in range(repeats):
        for subject in subjects:
            if subject.name in failed:
                continue
            settings.say(f"{part}: round {number + 1} of {repeats}: {subject.name}")
            try:
                taken[subject.name].append(take(subject, flood, count, settings.ports))
            except BenchError as error:
                failed.add(subject.name)
                outcome.miss(part, subject.name, str(error))
    return {name: found for name, found in taken.items() if name not in failed}


def report_rows(
    outcome: Outcome, part: str, taken: dict[str, list[Taken]], ours: str, cpu_wanted: str = "at most 2"
) -> None:
    """Ours beside each peer: cost, rate, completeness, memory."""
    mine = taken.pop(ours, None)
    if mine is None:
        return
    figures: list[tuple[str, str, Callable[[Taken], float], str]] = [
        ("CPU a message", "us", lambda t: t.cpu_us, cpu_wanted),
        ("received a second", "1/s", lambda t: t.rate, "at least 0.95"),
        ("received of sent", "%", lambda t: t.share, "100 %"),
        ("peak memory", "MB", lambda t: t.peak_mb, "at most 64 MB"),
    ]
    for name, theirs in taken.items():
        for what, unit, figure, wanted in figures:
            wanted = wanted if name == DRAIN else ""
            outcome.compare(part, what, unit, list(map(figure, mine)), name, list(map(figure, theirs)), wanted)
    for name, found in {ours: mine, **taken}.items():
        cut_off = sum(t.cut_off for t in found)
        lost = sum(t.sent - t.received for t in found)
        sent = sum(t.sent for t in found)
        cut = f", cut off by Redis in {cut_off} of {len(found)} rounds" if cut_off else ""
        outcome.notes.append(f"{part}: {name}: {sent - lost:,} of {sent:,} messages{cut}.")


def measure(settings: Settings, outcome: Outcome) -> None:
    """The part `ingest`."""
    ours = consumer(settings)
    peers = [
        peer(DRAIN, settings.compare, "drain"),
        peer(ASYNC, settings.compare, "pubsub-async"),
        peer(BLOCKING, settings.compare, "pubsub-sync"),
    ]
    part = "ingest"
    plan = (settings.messages, settings.rounds)
    found = rounds([ours, *peers], flood_by_benchmark, settings, outcome, part, plan)
    report_rows(outcome, part, found, ours.name)

    part = "ingest, patient server"
    plan = (settings.messages, min(settings.rounds, SECOND_ROUNDS))
    found = rounds([ours, *peers], patiently(flood_by_benchmark), settings, outcome, part, plan)
    report_rows(outcome, part, found, ours.name)

    part = "ingest, producer"
    plan = (settings.messages, min(settings.rounds, SECOND_ROUNDS))
    found = rounds([ours, *peers], flood_by_producer(settings), settings, outcome, part, plan)
    report_rows(outcome, part, found, ours.name)

    part = "ingest, long"
    if settings.long_messages == 0:
        return
    found = rounds([ours], patiently(flood_by_benchmark), settings, outcome, part, (settings.long_messages, 1))
    for taken in found.get(ours.name, []):
        outcome.single(part, "messages sent", "", taken.sent)
        outcome.single(part, "received of sent", "%", taken.share, "100 %")
        outcome.single(part, "peak memory", "MB", taken.peak_mb, "at most 64")
