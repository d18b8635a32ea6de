"""How fast ticks are published: our producer, generating and serialising them, and redis-benchmark, repeating one."""

from __future__ import annotations

import re
import time

from ingest import FLOOD_S, benchmark_argv, producer_argv
from programs import BenchError, Program, Redis, as_json
from settings import Settings
from table import Outcome

PEER = "redis-benchmark -P 64"

# The frame around a payload: *3, PUBLISH, the channel, the payload's length; of a payload of two or three digits.
FRAME = "*3\r\n$7\r\nPUBLISH\r\n$12\r\nstock_prices\r\n$%d\r\n\r\n"


def payload_of(length: int) -> str:
    """A tick of exactly this length: its source's name is as long as it must be."""
    text = f'{{"symbol":"AAPL","price":187.23,"timestamp":{time.time():.9f},"seq":1234567,"source":"'
    return text + "b" * max(1, length - len(text) - 2) + '"}'


def mean_payload(redis: Redis, received_bytes: int) -> int:
    """Length of what was published on average, from what the server read off its sockets."""
    wire = received_bytes / redis.published()
    return round(wire - len(FRAME % round(wire - 60)))


def by_producer(settings: Settings, count: int) -> tuple[float, float, int]:
    """Ticks a second, microseconds of CPU a tick, and their mean length in bytes."""
    with Redis(settings.ports) as redis:
        before = int(redis.info("stats")["total_net_input_bytes"])
        with Program("producer", producer_argv(settings, redis, count)) as program:
            report = as_json("producer", program.finish(FLOOD_S))
        received = int(redis.info("stats")["total_net_input_bytes"]) - before
        sent = redis.published()
        if sent != count or report["sent"] != count or report["dropped"] != 0:
            raise BenchError(f"the producer reports {report['sent']} of {count} ticks sent, the server has {sent}")
        return float(report["rate"]), program.cpu_s / count * 1e6, mean_payload(redis, received)


def by_benchmark(settings: Settings, count: int, length: int) -> tuple[float, float]:
    """Messages a second, and microseconds of CPU a message."""
    with Redis(settings.ports) as redis:
        with Program("redis-benchmark", benchmark_argv(redis, count, payload_of(length))) as program:
            text = program.finish(FLOOD_S)
        found = re.findall(r"([0-9.]+) requests per second", text)
        if not found:
            raise BenchError("redis-benchmark told no rate")
        return float(found[-1]), program.cpu_s / redis.published() * 1e6


def measure(settings: Settings, outcome: Outcome) -> None:
    """The part `publish`."""
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    length = 0
    for number in range(settings.rounds):
        settings.say(f"publish: round {number + 1} of {settings.rounds}")
        try:
            rate, cpu_us, length = by_producer(settings, settings.messages)
            ours.append((rate, cpu_us))
            theirs.append(by_benchmark(settings, settings.messages, length))
        except BenchError as error:
            outcome.miss("publish", PEER, str(error))
            return
    outcome.compare(
        "publish", "published a second", "1/s", [o[0] for o in ours], PEER, [t[0] for t in theirs], "at least 1"
    )
    outcome.compare("publish", "CPU a message", "us", [o[1] for o in ours], PEER, [t[1] for t in theirs])
    outcome.notes.append(
        f"publish: payloads of {length} bytes on average; the producer makes each anew, its peer repeats one."
    )
