"""examples/traces.py as it stands, against a receiver of OTLP that decodes what the application and the server send."""

import http.server
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

COLLECTOR = int(os.environ["COLLECTOR"])
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "traces.py"
PATIENCE_S = 60

arrivals = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    arrivals.put((names["service.name"], span))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def attribute(span, name):
    for pair in span.attributes:
        if pair.key == name:
            return getattr(pair.value, pair.value.WhichOneof("value"))
    return None


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", COLLECTOR), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{COLLECTOR}"}
    shown = subprocess.run(
        [sys.executable, str(EXAMPLE)], env={**os.environ, **endpoint}, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == "stock -1, queued 1, taken ('orders', 'lamp')\n", shown.stdout

    # The application has sent its spans when it ends, the server sends its own a little later.
    ours, theirs = {}, {}
    wanted = {"set", "exec", "blpop"}
    deadline = time.monotonic() + PATIENCE_S
    while not wanted <= ours.keys() or not {"order", "SET", "MULTI", "BLPOP"} <= theirs.keys():
        service, span = arrivals.get(timeout=max(0.0, deadline - time.monotonic()))
        if service == "shop":
            theirs[span.name] = span
        elif span.kind == Span.SPAN_KIND_SERVER and span.name in wanted:
            assert service == "glasswing", service
            ours[span.name] = span
    trace_ids = {span.trace_id for span in [*ours.values(), *theirs.values()]}
    assert len(trace_ids) == 1, "one trace across the application and the server"
    for mine, caller in [("set", "SET"), ("exec", "MULTI"), ("blpop", "BLPOP")]:
        assert ours[mine].parent_span_id == theirs[caller].span_id, mine
        assert theirs[caller].kind == Span.SPAN_KIND_CLIENT
        assert theirs[caller].parent_span_id == theirs["order"].span_id
        assert attribute(ours[mine], "db.operation.name") == mine
    # CLIENT TRACEPARENT is one of the transaction's commands.
    assert attribute(ours["exec"], "db.operation.batch.size") == 3
    server.shutdown()


main()
