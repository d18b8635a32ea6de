"""A subscriber as redis-py's users write it: listen, json.loads, count. Reports when standard input ends."""

from __future__ import annotations

import json
import os
import sys
import threading

import redis

received = 0


def report_at_the_end() -> None:
    sys.stdin.read()
    print(json.dumps({"received": received}), flush=True)
    os._exit(0)


def main() -> None:
    global received
    pubsub = redis.Redis(port=int(sys.argv[1])).pubsub()
    pubsub.subscribe(sys.argv[2])
    threading.Thread(target=report_at_the_end).start()
    try:
        for message in pubsub.listen():
            if message["type"] == "message":
                json.loads(message["data"])
                received += 1
    except redis.ConnectionError:
        pass  # cut off; what came is reported


main()
