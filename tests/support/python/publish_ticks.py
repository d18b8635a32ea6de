"""Publishes ticks the way a short script does: publish_ticks.py URL COUNT [CHANNEL] [--batch N] [--pipeline] [--floats]

--batch N    N ticks in one message, as a JSON array
--pipeline   messages without waiting for each reply
--floats     timestamps with a fraction of a second
Prints how many ticks it sent, and how many clients received its last message, as one line of JSON.
"""
import argparse
import json
import random
import time

import redis

SYMBOLS = ["AAPL", "GOOG", "MSFT"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("channel", nargs="?", default="stock_prices")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--pipeline", action="store_true")
    parser.add_argument("--floats", action="store_true")
    args = parser.parse_args()

    client = redis.Redis.from_url(args.url)
    sink = client.pipeline(transaction=False) if args.pipeline else client
    receivers, batch = 0, []
    for i in range(args.count):
        tick = {
            "symbol": SYMBOLS[i % len(SYMBOLS)],
            "price": round(random.uniform(90, 110), 2),
            "timestamp": time.time() if args.floats else int(time.time()),
        }
        batch.append(tick)
        if len(batch) < args.batch and i + 1 < args.count:
            continue
        reply = sink.publish(args.channel, json.dumps(batch if args.batch else tick))
        batch.clear()
        if args.pipeline and (len(sink) >= 500 or i + 1 == args.count):
            reply = sink.execute()[-1]
        receivers = reply if isinstance(reply, int) else receivers
    print(json.dumps({"sent": args.count, "receivers": receivers}))


main()
