"""Receives ticks the way a short script does: collect_ticks.py URL COUNT [CHANNEL] [--pattern] [--seconds S]

Prints `subscribed` when the server has confirmed it, so that a test knows when to publish; then, after COUNT ticks (or
S seconds, with exit status 1), one line of JSON: symbol to count, first and last price, first and last timestamp.
"""
import argparse
import json
import sys
import time

import redis


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("channel", nargs="?", default="stock_prices")
    parser.add_argument("--pattern", action="store_true", help="the channel is a glob")
    parser.add_argument("--seconds", type=float, default=30)
    args = parser.parse_args()

    pubsub = redis.Redis.from_url(args.url).pubsub()
    (pubsub.psubscribe if args.pattern else pubsub.subscribe)(args.channel)
    deadline = time.monotonic() + args.seconds
    received, summary = 0, {}
    while received < args.count and time.monotonic() < deadline:
        message = pubsub.get_message(timeout=0.2)
        if message is None:
            continue
        if message["type"] in ("subscribe", "psubscribe"):
            print("subscribed", flush=True)
        elif message["type"] in ("message", "pmessage"):
            ticks = json.loads(message["data"])
            for tick in ticks if isinstance(ticks, list) else [ticks]:
                received += 1
                price, timestamp = tick["price"], tick["timestamp"]
                seen = summary.setdefault(tick["symbol"], {"count": 0, "first": price, "first_timestamp": timestamp})
                seen.update(count=seen["count"] + 1, last=price, last_timestamp=timestamp)
    print(json.dumps(summary))
    sys.exit(received < args.count)


main()
