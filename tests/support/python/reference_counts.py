"""Reads trades from a CSV file (gzip or plain) on its own: what the programs count is compared with this.

Prints symbol to count, first, last, min and max price as one line of JSON: reference_counts.py FILE
"""
import csv
import gzip
import json
import sys


def main(path):
    summary = {}
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            price = float(row["price"])
            seen = summary.setdefault(row["symbol"], {"count": 0, "first": price, "min": price, "max": price})
            seen.update(
                count=seen["count"] + 1, last=price, min=min(seen["min"], price), max=max(seen["max"], price)
            )
    print(json.dumps(summary))


main(sys.argv[1])
