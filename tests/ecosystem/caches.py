"""The caches of Django and Flask, and redis-py's own."""

import os
import time

import django
import flask
import flask_caching
import redis
from django.conf import settings
from redis.cache import CacheConfig

URL = f"redis://127.0.0.1:{os.environ['PORT']}"


def with_django():
    options = {"CLIENT_CLASS": "django_redis.client.DefaultClient"}
    settings.configure(
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"{URL}/1", "OPTIONS": options}},
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        INSTALLED_APPS=["django.contrib.sessions"],
    )
    django.setup()
    from django.contrib.sessions.backends.cache import SessionStore
    from django.core.cache import cache

    cache.set("key", {"a": [1, 2]}, timeout=100)
    assert cache.get("key") == {"a": [1, 2]}
    assert 0 < cache.ttl("key") <= 100
    assert cache.add("key", 1) is False
    assert cache.get_or_set("other", lambda: 5) == 5
    cache.set_many({f"many:{number}": number for number in range(100)})
    assert cache.get_many(["many:1", "many:99"]) == {"many:1": 1, "many:99": 99}
    assert sorted(cache.iter_keys("many:1?")) == [f"many:1{number}" for number in range(10)]
    assert cache.delete_pattern("many:*") == 100
    cache.set("count", 1)
    assert cache.incr("count", 4) == 5
    with cache.lock("lock", timeout=5):
        pass
    session = SessionStore()
    session["user"] = "somebody"
    session.save()
    assert SessionStore(session.session_key)["user"] == "somebody"
    cache.clear()
    assert cache.get("key") is None


def with_flask():
    app = flask.Flask("ecosystem")
    app.config.update(CACHE_TYPE="RedisCache", CACHE_REDIS_URL=f"{URL}/2", CACHE_DEFAULT_TIMEOUT=100)
    cache = flask_caching.Cache(app)
    calls = []

    @app.route("/")
    @cache.cached()
    def index():
        calls.append(1)
        return "hello"

    @cache.memoize()
    def squared(number):
        calls.append(number)
        return number * number

    with app.app_context():
        asks = app.test_client()
        assert [asks.get("/").data for _ in range(3)] == [b"hello"] * 3
        assert [squared(7) for _ in range(3)] == [49] * 3
        assert calls == [1, 7], calls
        cache.delete_memoized(squared)
        assert squared(7) == 49
        assert calls == [1, 7, 7], calls
        cache.set_many({"a": 1, "b": 2})
        assert cache.get_many("a", "b") == [1, 2]
        cache.clear()
        assert cache.get("a") is None


def with_redis_py():
    # It wants a Redis 7.4, and so refuses a Redis 7.0 as well, although nothing it asks for is newer.
    redis.connection.CacheProxyConnection.MIN_ALLOWED_VERSION = "7.0.0"
    client = redis.Redis.from_url(URL, protocol=3, cache_config=CacheConfig(max_size=100))
    writer = redis.Redis.from_url(URL)
    writer.mset({f"cached:{number}": 0 for number in range(50)})
    for round in range(1, 20):
        keys = [f"cached:{number}" for number in range(50)]
        before = [client.get(key) for key in keys]
        assert client.get_cache().size == 50, client.get_cache().size
        assert [client.get(key) for key in keys] == before == [b"%d" % (round - 1)] * 50
        writer.mset({key: round for key in keys})
        # The messages are on their way when the writer has its reply.
        began = time.monotonic()
        while [client.get(key) for key in keys] != [b"%d" % round] * 50:
            assert time.monotonic() - began < 5, "what was cached stays stale"
    writer.flushall()
    began = time.monotonic()
    while client.get("cached:1") is not None:
        assert time.monotonic() - began < 5, "what was cached outlives FLUSHALL"


with_django()
with_flask()
with_redis_py()
print(
    f"django-redis on Django {django.__version__}, Flask-Caching {flask_caching.__version__}, "
    f"redis-py {redis.__version__} with its own cache"
)
