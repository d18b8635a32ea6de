"""How much is measured, and with which programs."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from programs import Ports

_STARTED = time.monotonic()


@dataclass
class Settings:
    """One run's plan. Counts are sent as they are; a part is measured in so many interleaved rounds."""

    # Messages a flood, and how often each subject takes one.
    messages: int
    rounds: int
    # Messages of the one long flood; 0 for none.
    long_messages: int
    # Lengths of history at which memory and frames are measured.
    histories: list[int]
    # Extractions and frames of each kind at each length, and how often all lengths are gone through.
    repeats: int
    history_rounds: int
    # How long the idle chart is watched, and the busy one.
    idle_s: float
    busy_s: float
    ports: Ports
    consumer: Path = field(default_factory=Path)
    producer: Path = field(default_factory=Path)
    compare: Path = field(default_factory=Path)
    # The interpreter that has the Python peers.
    python: Path = field(default_factory=Path)

    @staticmethod
    def say(text: str) -> None:
        """A line of progress."""
        print(f"[{time.monotonic() - _STARTED:5.0f} s] {text}", file=sys.stderr, flush=True)
