"""One trace across an application and Glasswing, with redis-py and OpenTelemetry.

    pip install redis opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
    export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318
    glasswing &
    python examples/traces.py

The application and the server send their spans to the same receiver. What joins them is one command before each
other: CLIENT TRACEPARENT says to which span the next command, or transaction, of the connection belongs. It goes in
the same write, as a pipeline, so it costs no round trip.
"""

import os

import redis
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

tracer = trace.get_tracer("examples.traces")


def say_caller(pipeline):
    """Says to which span of this process the next command belongs, in the words of W3C Trace Context."""
    carrier = {}
    propagate.inject(carrier)
    if "traceparent" in carrier:
        words = [carrier[name] for name in ("traceparent", "tracestate") if name in carrier]
        pipeline.execute_command("CLIENT", "TRACEPARENT", *words)
        return True
    return False


def traced(client, command, *arguments, **options):
    """Calls a method of the client, in a span of its own whose child the server's becomes."""
    attributes = {"db.system.name": "redis", "db.operation.name": command.upper()}
    with tracer.start_as_current_span(command.upper(), kind=trace.SpanKind.CLIENT, attributes=attributes):
        with client.pipeline(transaction=False) as pipeline:
            say_caller(pipeline)
            getattr(pipeline, command)(*arguments, **options)
            return pipeline.execute()[-1]


def traced_transaction(client, fill):
    """Runs MULTI and EXEC around the commands that `fill` puts into a pipeline, in one span."""
    attributes = {"db.system.name": "redis", "db.operation.name": "MULTI"}
    with tracer.start_as_current_span("MULTI", kind=trace.SpanKind.CLIENT, attributes=attributes):
        with client.pipeline(transaction=True) as pipeline:
            said = say_caller(pipeline)
            fill(pipeline)
            return pipeline.execute()[1 if said else 0 :]


def order(client, item):
    """What an application would do: some commands that belong to one request."""
    with tracer.start_as_current_span("order", attributes={"item": item}):
        traced(client, "set", f"order:{item}", "open", ex=3600)
        stock, queued = traced_transaction(
            client, lambda pipeline: pipeline.decr(f"stock:{item}").rpush("orders", item)
        )
        taken = traced(client, "blpop", ["orders"], timeout=1)
        return stock, queued, taken


def main():
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    client = redis.Redis(port=int(os.environ.get("PORT", "6379")), decode_responses=True)
    stock, queued, taken = order(client, "lamp")
    print(f"stock {stock}, queued {queued}, taken {taken}")
    provider.shutdown()


if __name__ == "__main__":
    main()
