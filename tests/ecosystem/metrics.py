"""/metrics in OpenMetrics, read by prometheus_client's own parser, which refuses what the specification does not allow."""

import os
import re
import time
import urllib.request

import redis
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

PORT, ADMIN = int(os.environ["PORT"]), int(os.environ["ADMIN"])
# As Prometheus 2.42 and 3.1 ask.
ASKS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
)
DURATION = "glasswing_command_duration_seconds"


def scrape(accept):
    request = urllib.request.Request(f"http://127.0.0.1:{ADMIN}/metrics", headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def names(families, text):
    """The series of a page. Its parser of the plain format gives every counter a name in _total, also one without."""
    def written(name):
        return name if re.search(rf"^{name}[ {{]", text, re.M) else name.removesuffix("_total")

    known = {sample.name: None for family in families for sample in family.samples}
    known = {name: written(name) for name in known}
    return {(known[sample.name], frozenset(sample.labels.items())) for family in families for sample in family.samples}


def without_bounds(series):
    """A bound is `1` in one format and `1.0` in the other."""
    return {(name, frozenset((key, str(float(text)) if key == "le" else text) for key, text in labels)) for name, labels in series}


def work(client):
    client.set("k", "v")
    for _ in range(100):
        client.get("k")
    client.hset("hash", "f", "v")
    try:
        client.incr("k")
    except redis.ResponseError:
        pass
    # Codes and names of a script's and a client's own making.
    for code in ('"quoted"', "back\\slash", "tab\tand\x01", "äöü"):
        try:
            client.eval("return redis.error_reply(ARGV[1] .. ' text')", 0, code)
        except redis.ResponseError:
            pass
    client.client_setname('a"b\\c{d}')
    client.save()


def main():
    client = redis.Redis(port=PORT)
    work(client)
    for accept in ASKS:
        kind, page = scrape(accept)
        assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8", kind
        assert page.endswith("# EOF\n")
        families = {family.name: family for family in openmetrics(page)}
        assert len(families) > 150, len(families)
    kind, text = scrape(None)
    assert kind == "text/plain; version=0.0.4; charset=utf-8", kind
    assert "# EOF" not in text and " # {" not in text
    # No label has a value that changes by itself, so both pages have the same series.
    ours, theirs = without_bounds(names(families.values(), page)), without_bounds(names(list(plain(text)), text))
    assert ours == theirs, sorted(map(str, ours ^ theirs))[:20]

    assert families["redis_commands"].type == "counter"
    assert families["glasswing_stage_duration_seconds"].type == "histogram"
    assert families["glasswing_stage_duration_seconds"].unit == "seconds"
    unknown = sorted(name for name, family in families.items() if family.type == "unknown")
    assert len(unknown) == 10 and all(name.startswith("redis_") for name in unknown), unknown

    # All commands are traced here; a command's trace is told when its replies have been written.
    deadline = time.monotonic() + 20
    while True:
        families = {family.name: family for family in openmetrics(scrape(ASKS[0])[1])}
        spoken = [sample for family in families.values() for sample in family.samples if sample.exemplar]
        if any(sample.labels["cmd"] == "get" for sample in spoken):
            break
        assert time.monotonic() < deadline, "no exemplar of GET comes"
        time.sleep(0.05)
    for sample in spoken:
        assert sample.name == f"{DURATION}_bucket", sample
        ids = sample.exemplar.labels
        assert re.fullmatch("[0-9a-f]{32}", ids["trace_id"]) and re.fullmatch("[0-9a-f]{16}", ids["span_id"]), sample
        assert 0 < sample.exemplar.value <= float(sample.labels["le"]), sample
        assert abs(float(sample.exemplar.timestamp) - time.time()) < 60, sample
        assert sample.value >= 1, sample
    print(f"{len(families)} families, {len(ours)} series alike in both formats, {len(spoken)} exemplars")


if __name__ == "__main__":
    main()
