"""Uses a Redis's streams as plain redis-py programs do, and checks what comes back. Argument: the port on 127.0.0.1."""

import sys
import threading

import redis

client = redis.Redis(port=int(sys.argv[1]), socket_timeout=10, decode_responses=True)
client.flushall()

ids = [client.xadd("ticks", {"tick": str(index)}, maxlen=10_000, approximate=True) for index in range(500)]
assert ids == sorted(ids, key=lambda entry: tuple(map(int, entry.split("-"))))
assert client.xlen("ticks") == 500
assert client.type("ticks") == "stream" and client.keys("t*") == ["ticks"] and client.dbsize() == 1
assert list(client.scan_iter()) == ["ticks"]
assert client.xrange("ticks", count=2) == [(ids[0], {"tick": "0"}), (ids[1], {"tick": "1"})]
assert client.xrevrange("ticks", count=1) == [(ids[-1], {"tick": "499"})]
assert client.xread({"ticks": ids[-2]}) == [["ticks", [(ids[-1], {"tick": "499"})]]]
assert client.xread({"ticks": "$"}, block=20) == []
info = client.xinfo_stream("ticks")
assert info["length"] == 500 and info["last-generated-id"] == ids[-1] and info["first-entry"][0] == ids[0]

assert client.xgroup_create("ticks", "workers", id="0")
got = client.xreadgroup("workers", "one", {"ticks": ">"}, count=300)[0][1]
assert [entry for entry, _ in got] == ids[:300]
got = client.xreadgroup("workers", "two", {"ticks": ">"})[0][1]
assert [entry for entry, _ in got] == ids[300:]
assert client.xack("ticks", "workers", *ids[:300]) == 300
pending = client.xpending("ticks", "workers")
assert pending["pending"] == 200 and pending["consumers"] == [{"name": "two", "pending": 200}]
detail = client.xpending_range("ticks", "workers", min="-", max="+", count=1)
assert detail[0]["message_id"] == ids[300] and detail[0]["consumer"] == "two" and detail[0]["times_delivered"] == 1
claimed = client.xclaim("ticks", "workers", "three", min_idle_time=0, message_ids=[ids[300]])
assert claimed == [(ids[300], {"tick": "300"})]
assert client.xdel("ticks", ids[301]) == 1
claimed = client.execute_command("XAUTOCLAIM", "ticks", "workers", "three", 0, 0, "COUNT", 3)
assert claimed[0] == ids[303] and len(claimed[1]) == 2 and claimed[2] == [ids[301]], claimed
groups = client.xinfo_groups("ticks")
assert groups[0]["name"] == "workers" and groups[0]["consumers"] == 3 and groups[0]["lag"] == 0, groups
assert {consumer["name"] for consumer in client.xinfo_consumers("ticks", "workers")} == {"one", "two", "three"}

waited = []


def wait():
    other = redis.Redis(port=int(sys.argv[1]), socket_timeout=10, decode_responses=True)
    waited.append(other.xreadgroup("workers", "four", {"ticks": ">"}, block=0))


thread = threading.Thread(target=wait)
thread.start()
while client.info("clients")["blocked_clients"] == 0:
    pass
with client.pipeline(transaction=True) as pipeline:
    pipeline.xadd("ticks", {"tick": "a"})
    pipeline.publish("ticks", "a")
    pipeline.xadd("ticks", {"tick": "b"})
    first, receivers, second = pipeline.execute()
thread.join()
assert waited == [[["ticks", [(first, {"tick": "a"}), (second, {"tick": "b"})]]]] and receivers == 0, waited

with client.pipeline(transaction=False) as pipeline:
    for index in range(1000):
        pipeline.xadd("ticks", {"tick": str(index)}, maxlen=300, approximate=True)
        pipeline.publish("ticks", index)
    assert pipeline.execute()[1::2] == [0] * 1000
assert 300 <= client.xlen("ticks") < 500
assert client.xtrim("ticks", maxlen=10, approximate=False) > 0 and client.xlen("ticks") == 10

assert client.xgroup_destroy("ticks", "workers") == 1
try:
    client.xreadgroup("workers", "one", {"ticks": ">"})
    sys.exit("a group that is gone was read")
except redis.ResponseError as error:
    assert str(error).startswith("NOGROUP No such key 'ticks' or consumer group 'workers'"), error
assert client.delete("ticks") == 1 and client.exists("ticks") == 0

print("all well")
