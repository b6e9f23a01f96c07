"""A worker as somebody writes it with nats-py and the SDK of OpenTelemetry: takes each message, logs, publishes on, and acks."""

import asyncio
import logging
import sys

import nats
from nats.errors import TimeoutError as NothingCame
from opentelemetry import propagate, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

RESOURCE = Resource.create({"service.name": "billing"})


def set_up(endpoint):
    spans = TracerProvider(resource=RESOURCE)
    spans.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(spans)
    logs = LoggerProvider(resource=RESOURCE)
    logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    set_logger_provider(logs)
    logging.getLogger("billing").addHandler(LoggingHandler(logger_provider=logs))
    logging.getLogger("billing").setLevel(logging.INFO)


def about(message, operation):
    return {
        "messaging.system": "nats",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": message.subject,
    }


async def main(url, endpoint):
    set_up(endpoint)
    connection = await nats.connect(url)
    jetstream = connection.jetstream()
    subscription = await jetstream.pull_subscribe_bind(durable="billing", stream="PINGS")
    print("at work", flush=True)
    while True:
        try:
            messages = await subscription.fetch(1, timeout=1)
        except NothingCame:
            continue
        for message in messages:
            await handle(jetstream, message)


async def handle(jetstream, message):
    tracer, kind = trace.get_tracer("billing"), trace.SpanKind
    came = propagate.extract(message.headers or {})
    with tracer.start_as_current_span("process pings.*", came, kind.CONSUMER, about(message, "process")) as span:
        meta = message.metadata
        span.set_attribute("messaging.nats.stream", meta.stream)
        span.set_attribute("messaging.nats.consumer", meta.consumer)
        span.set_attribute("messaging.nats.stream_sequence", meta.sequence.stream)
        logging.getLogger("billing").warning("billed with token=%s", "abcdef")
        with tracer.start_as_current_span("send pongs.*", None, kind.PRODUCER, about(message, "send")):
            headers = {}
            propagate.inject(headers)
            await jetstream.publish("pongs.x", message.data, headers=headers)
        await message.ack()


asyncio.run(main(*sys.argv[1:]))
