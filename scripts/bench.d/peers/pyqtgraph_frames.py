"""Frames of pyqtgraph: a line of many points, all in view, in a plot of 1280x720 pixels, drawn anew after each tick.

    pyqtgraph_frames.py POINTS REPEATS peak|none    with its peak downsampling and clipping, or without
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import numpy as np
import pyqtgraph
from pyqtgraph.Qt import QtWidgets


def main() -> None:
    points, repeats, downsampling = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    app = QtWidgets.QApplication([])
    x = np.arange(points, dtype=float)
    y = 187.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 1e-4, points)))
    widget = pyqtgraph.PlotWidget()
    widget.resize(1280, 720)
    line = widget.plot(x, y, pen=pyqtgraph.mkPen("y", width=1))
    if downsampling == "peak":
        line.setDownsampling(auto=True, method="peak")
        line.setClipToView(True)
    widget.show()
    app.processEvents()
    times = []
    for number in range(repeats):
        y[number % points] += 0.001
        started = time.perf_counter()
        line.setData(x, y)
        widget.grab()  # the widget's pixels, whole and at once
        times.append(time.perf_counter() - started)
    print(json.dumps({"points": points, "ms": statistics.median(times) * 1e3, "repeats": repeats}))


main()
