"""The caches of Django and Flask."""

import os

import django
import flask
import flask_caching
from django.conf import settings

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


with_django()
with_flask()
print(f"django-redis on Django {django.__version__}, Flask-Caching {flask_caching.__version__}")
