"""Rows of the comparison, and the table that they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

HEAD = ("part", "what", "unit", "ours", "peer", "the peer's", "ours / peer", "range", "wanted")


@dataclass
class Row:
    """One figure of ours beside one of a peer's; medians of interleaved rounds."""

    part: str
    what: str
    unit: str
    ours: float | None
    peer: str
    theirs: float | None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    wanted: str = ""


@dataclass
class Outcome:
    """What a run has found, and what it could not."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def compare(
        self,
        part: str,
        what: str,
        unit: str,
        ours: Sequence[float],
        peer: str,
        theirs: Sequence[float],
        wanted: str = "",
    ) -> None:
        """A row of paired rounds: the ratio is taken within each round, then the median of the rounds."""
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True) if other > 0]
        row = Row(part, what, unit, middle(ours), peer, middle(theirs), wanted=wanted)
        if ratios:
            row.ratio = median(ratios)
        if len(ratios) > 1:
            row.low, row.high = min(ratios), max(ratios)
        self.rows.append(row)

    def single(self, part: str, what: str, unit: str, ours: float | None, wanted: str = "") -> None:
        """A row of ours alone."""
        self.rows.append(Row(part, what, unit, ours, "", None, wanted=wanted))

    def miss(self, part: str, what: str, why: str) -> None:
        """Something could not be measured: a row says so, and the run fails."""
        self.rows.append(Row(part, what, "", None, "NOT MEASURED", None, wanted=""))
        self.missing.append(f"{part}: {what}: {why}")


def middle(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def shown(value: float | None) -> str:
    """Three digits that matter; thousands set apart."""
    if value is None:
        return "-"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 6)}f}"


def markdown(rows: Sequence[Row]) -> str:
    """The table; every line stands in the file as it is."""
    cells = [HEAD, tuple("-" * 3 for _ in HEAD)]
    for row in rows:
        spread = "" if row.low is None else f"{shown(row.low)} to {shown(row.high)}"
        theirs = "" if row.theirs is None else shown(row.theirs)
        ratio = "" if row.ratio is None else shown(row.ratio)
        cells.append((row.part, row.what, row.unit, shown(row.ours), row.peer, theirs, ratio, spread, row.wanted))
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)
