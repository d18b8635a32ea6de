"""A live chart in the manner of tutorials: redis-py, a pandas DataFrame that grows by a row, matplotlib drawing it all.

    tutorial.py live PORT CHANNEL       every tick appended and drawn; reports when standard input ends
    tutorial.py redraw TICKS REPEATS    how long one more tick takes at a history of that length
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402  the backend is chosen first
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import redis  # noqa: E402


class Chart:
    """All ticks, and a figure of 1280x720 pixels that shows them."""

    def __init__(self, ticks: int = 0) -> None:
        start = 1_700_000_000.0
        prices = 187.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 1e-4, ticks)))
        times = start + np.arange(ticks) * 0.001
        self.frame = pd.DataFrame({"symbol": ["AAPL"] * ticks, "price": prices, "timestamp": times})
        self.figure, self.axes = plt.subplots(figsize=(12.8, 7.2), dpi=100)

    def add(self, tick: dict[str, Any]) -> None:
        """Appends a tick and draws everything."""
        row = pd.DataFrame([tick])
        self.frame = pd.concat([self.frame, row], ignore_index=True) if len(self.frame) else row
        self.axes.clear()
        for symbol, ticks in self.frame.groupby("symbol"):
            self.axes.plot(pd.to_datetime(ticks["timestamp"], unit="s"), ticks["price"], label=symbol)
        self.axes.legend(loc="upper left")
        self.figure.canvas.draw()


def live(port: int, channel: str) -> None:
    received = 0

    def report_at_the_end() -> None:
        sys.stdin.read()
        print(json.dumps({"received": received}), flush=True)
        os._exit(0)

    chart = Chart()
    pubsub = redis.Redis(port=port).pubsub()
    pubsub.subscribe(channel)
    threading.Thread(target=report_at_the_end).start()
    try:
        for message in pubsub.listen():
            if message["type"] == "message":
                chart.add(json.loads(message["data"]))
                received += 1
    except redis.ConnectionError:
        pass  # cut off; what came is reported


def redraw(ticks: int, repeats: int) -> None:
    chart = Chart(ticks)
    times = []
    for number in range(repeats):
        tick = {"symbol": "AAPL", "price": 187.2, "timestamp": 1_800_000_000.0 + number}
        started = time.perf_counter()
        chart.add(tick)
        times.append(time.perf_counter() - started)
    print(json.dumps({"ticks": ticks, "ms": statistics.median(times) * 1e3, "repeats": repeats}))


if sys.argv[1] == "live":
    live(int(sys.argv[2]), sys.argv[3])
else:
    redraw(int(sys.argv[2]), int(sys.argv[3]))
