"""redis-py as applications use it: sync and async, both protocols, pipelines, pub/sub, locks, scripts."""

import asyncio
import os
import threading
import time

import redis
import redis.asyncio

PORT = int(os.environ["PORT"])

RATE_LIMITER = """
local used = redis.call('INCR', KEYS[1])
if used == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if used > tonumber(ARGV[1]) then return {0, redis.call('PTTL', KEYS[1])} end
return {1, tonumber(ARGV[1]) - used}
"""

RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end
"""


def check(got, wanted):
    assert got == wanted, f"{got!r} instead of {wanted!r}"


def types(client):
    """Each type once, as the client's own conversions show it."""
    client.flushall()
    check(client.set("s", "v", ex=100), True)
    check(client.get("s"), "v")
    assert 0 < client.ttl("s") <= 100
    check(client.incrby("n", 5), 5)
    check(client.incrbyfloat("f", 1.5), 1.5)
    check(client.rpush("l", "a", "b", "c"), 3)
    check(client.lrange("l", 0, -1), ["a", "b", "c"])
    check(client.lmove("l", "l2", "LEFT", "RIGHT"), "a")
    check(client.hset("h", mapping={"a": 1, "b": 2}), 2)
    check(client.hgetall("h"), {"a": "1", "b": "2"})
    check(client.sadd("e", "x", "y"), 2)
    check(client.smembers("e"), {"x", "y"})
    check(client.zadd("z", {"a": 1, "b": 2.5}), 2)
    check([tuple(pair) for pair in client.zrange("z", 0, -1, withscores=True)], [("a", 1.0), ("b", 2.5)])
    check(client.zscore("z", "b"), 2.5)
    check(client.geoadd("g", (13.361389, 38.115556, "Palermo")), 1)
    check(client.geosearch("g", longitude=15, latitude=37, radius=200, unit="km"), ["Palermo"])
    check(client.pfadd("p", "a", "b", "c"), 1)
    check(client.pfcount("p"), 3)
    check(client.setbit("bits", 7, 1), 0)
    check(client.bitcount("bits"), 1)
    entry = client.xadd("x", {"field": "value"})
    check(client.xgroup_create("x", "group", id="0"), True)
    read = client.xreadgroup("group", "me", {"x": ">"})
    assert entry in repr(read), read
    check(client.xack("x", "group", entry), 1)
    check(client.xinfo_stream("x")["length"], 1)
    check(sorted(client.scan_iter(match="[sn]", count=100)), ["n", "s"])
    check(dict(client.hscan_iter("h")), {"a": "1", "b": "2"})
    check(client.type("z"), "zset")
    check(client.object("encoding", "n"), "int")
    assert client.info()["redis_version"].startswith("7.")
    assert client.client_info()["db"] == 0
    assert client.config_get("maxmemory")["maxmemory"] == "0"
    assert "get" in client.command()
    try:
        client.lpush("s", "x")
        raise AssertionError("no error")
    except redis.ResponseError as error:
        assert "wrong kind of value" in str(error)


def pipelines(client):
    pipe = client.pipeline(transaction=False)
    for number in range(1000):
        pipe.set(f"key:{number}", number)
    assert all(pipe.execute())
    with client.pipeline() as pipe:
        pipe.incr("count").incr("count").get("count")
        check(pipe.execute(), [1, 2, "2"])
    # Optimistic locking: another client is faster once.
    with client.pipeline() as pipe:
        pipe.watch("count")
        client.set("count", 10)
        pipe.multi()
        pipe.incr("count")
        try:
            pipe.execute()
            raise AssertionError("no WatchError")
        except redis.WatchError:
            pass
    check(client.transaction(lambda pipe: pipe.multi() or pipe.incr("count"), "count"), [11])


def pub_sub(client):
    listener = client.pubsub()
    listener.subscribe("news")
    listener.psubscribe("n*")
    check([listener.get_message(timeout=5)["type"] for _ in range(2)], ["subscribe", "psubscribe"])
    check(client.publish("news", "hello"), 2)
    got = sorted((message["type"], message["data"]) for message in (listener.get_message(timeout=5) for _ in range(2)))
    check(got, [("message", "hello"), ("pmessage", "hello")])
    listener.close()


def locks(client):
    held, most = [], []

    def work():
        for _ in range(10):
            with client.lock("lock", timeout=10, blocking_timeout=20, sleep=0.001):
                held.append(1)
                most.append(len(held))
                held.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check((max(most), len(most)), (1, 40))
    first = client.lock("other", timeout=0.05)
    assert first.acquire(blocking=False)
    assert not client.lock("other").acquire(blocking=False)
    assert client.lock("other", timeout=10).acquire(blocking_timeout=5)
    try:
        first.release()
        raise AssertionError("a lock that was lost is not released")
    except redis.exceptions.LockError:
        pass


def scripts(client):
    limit = client.register_script(RATE_LIMITER)
    answers = [limit(keys=["rate"], args=[3, 60_000]) for _ in range(4)]
    check([answer[0] for answer in answers], [1, 1, 1, 0])
    client.set("mine", "token")
    check(client.eval(RELEASE, 1, "mine", "other"), 0)
    check(client.eval(RELEASE, 1, "mine", "token"), 1)
    client.script_flush()
    # The client loads it again when the server has forgotten it.
    check(limit(keys=["rate"], args=[3, 60_000])[0], 0)
    client.function_load("#!lua name=mylib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)", replace=True)
    check(client.fcall("twice", 0, 21), 42)


async def in_async(protocol):
    client = redis.asyncio.Redis(port=PORT, decode_responses=True, protocol=protocol)
    await client.flushall()
    await asyncio.gather(*(client.incr("n") for _ in range(50)))
    check(await client.get("n"), "50")
    async with client.pipeline(transaction=True) as pipe:
        check(await pipe.set("a", 1).get("a").execute(), [True, "1"])
    async with client.pubsub() as listener:
        await listener.subscribe("channel")
        await listener.get_message(timeout=5)
        await client.publish("channel", "hi")
        message = await listener.get_message(timeout=5, ignore_subscribe_messages=True)
        check(message["data"], "hi")
    waiting = asyncio.create_task(client.blpop("queue", timeout=10))
    while int((await client.info("clients"))["blocked_clients"]) == 0:
        await asyncio.sleep(0)
    await client.rpush("queue", "job")
    check(tuple(await waiting), ("queue", "job"))
    async with client.lock("alock", timeout=5):
        pass
    check([key async for key in client.scan_iter("a")], ["a"])
    await client.aclose()


began = time.monotonic()
for protocol in (2, 3):
    client = redis.Redis(port=PORT, decode_responses=True, protocol=protocol, client_name="ecosystem")
    for test in (types, pipelines, pub_sub, locks, scripts):
        client.flushall()
        test(client)
    check(client.client_getname(), "ecosystem")
    asyncio.run(in_async(protocol))
binary = redis.Redis(port=PORT)
binary.set(b"\xff\x00", b"\r\n\x00")
check(binary.get(b"\xff\x00"), b"\r\n\x00")
print(f"redis-py {redis.__version__}: both protocols, sync and async, in {time.monotonic() - began:.1f} s")
