"""Uses a Redis as plain redis-py programs do, and checks what comes back. Argument: the port on 127.0.0.1."""

import sys

import redis

client = redis.Redis(port=int(sys.argv[1]), socket_timeout=10, client_name="plain", decode_responses=True)
assert client.ping()
assert client.client_getname() == "plain"
assert client.info("server")["redis_version"].startswith("7.")
assert any(entry["name"] == "plain" for entry in client.client_list())

pubsub = client.pubsub()
pubsub.subscribe("stock_prices")
pubsub.psubscribe("ticks.*")


def next_message():
    return pubsub.get_message(timeout=10)


assert next_message() == {"type": "subscribe", "pattern": None, "channel": "stock_prices", "data": 1}
assert next_message() == {"type": "psubscribe", "pattern": None, "channel": "ticks.*", "data": 2}

assert client.publish("stock_prices", '{"symbol": "AAPL"}') == 1
assert next_message()["data"] == '{"symbol": "AAPL"}'
assert client.publish("ticks.AAPL", "x") == 1
assert next_message() == {"type": "pmessage", "pattern": "ticks.*", "channel": "ticks.AAPL", "data": "x"}
assert client.pubsub_channels() == ["stock_prices"]
assert client.pubsub_numsub("stock_prices", "none") == [("stock_prices", 1), ("none", 0)]
assert client.pubsub_numpat() == 1

for transaction in (True, False):
    with client.pipeline(transaction=transaction) as pipeline:
        for index in range(1000):
            pipeline.publish("stock_prices", index)
        assert pipeline.execute() == [1] * 1000
    for index in range(1000):
        assert next_message()["data"] == str(index)

pubsub.ping("still there")
assert next_message()["data"] == "still there"
pubsub.unsubscribe()
pubsub.punsubscribe()
assert {next_message()["type"], next_message()["type"]} == {"unsubscribe", "punsubscribe"}
assert client.publish("stock_prices", "nobody") == 0

try:
    client.execute_command("NOSUCH", "a")
    sys.exit("an unknown command was accepted")
except redis.ResponseError as error:
    assert str(error).startswith("unknown command 'NOSUCH'"), error

print("all well")
