"""
Ended calls as histograms, by OpenTelemetry's semantic conventions for generative AI, with the conventions' own buckets.

`gen_ai.client.*` is the exchange with Copilot, `gen_ai.server.*` the call as its caller sees it, waiting included.
Attributes are of closed lists but for the model, and that is Copilot's id of it: no caller can make new series.
"""

from typing import Final

from opentelemetry.metrics import Histogram, Meter
from opentelemetry.util.types import AttributeValue

from copilot_api.observability.events import CallEnded, EndedCall
from copilot_api.observability.otel_spans import OK, PROVIDER, bounded, is_usage_known, operation_of

TOKEN_BUCKETS: Final = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip
DURATION_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_TOKEN_BUCKETS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
TOKEN_TIME_BUCKETS: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
NO_MODEL: Final = "none"
"""The model of a call that did not go upstream."""

Attributes = dict[str, AttributeValue]


class CallMetrics:
    """Counts ended calls."""

    def __init__(self, meter: Meter) -> None:
        def histogram(name: str, unit: str, description: str, buckets: tuple[float, ...]) -> Histogram:
            return meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=buckets)

        self._tokens = histogram(
            "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", TOKEN_BUCKETS
        )
        self._exchanges = histogram(
            "gen_ai.client.operation.duration", "s", "GenAI operation duration.", DURATION_BUCKETS
        )
        self._first_chunks = histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time from the request to the first chunk of a streamed answer.",
            DURATION_BUCKETS,
        )
        self._calls = histogram(
            "gen_ai.server.request.duration", "s", "Time from the request to the end of the answer.", DURATION_BUCKETS
        )
        self._first_tokens = histogram(
            "gen_ai.server.time_to_first_token",
            "s",
            "Time to the first token, for successful answers.",
            FIRST_TOKEN_BUCKETS,
        )
        self._token_times = histogram(
            "gen_ai.server.time_per_output_token",
            "s",
            "Time for each output token after the first, for successful answers.",
            TOKEN_TIME_BUCKETS,
        )

    def record(self, ended: CallEnded) -> None:
        """Count one."""
        call = ended.call
        attributes: Attributes = {
            "gen_ai.operation.name": operation_of(call.endpoint),
            "gen_ai.provider.name": PROVIDER,
            "gen_ai.request.model": call.upstream_model or NO_MODEL,
        }
        outcome = attributes if call.cause == OK else {**attributes, "error.type": str(call.cause)}
        self._calls.record(max(0.0, call.duration), outcome)
        if call.upstream_model is None or ended.dispatched_after is None:
            return
        self._exchanges.record(max(0.0, call.duration - ended.dispatched_after), outcome)
        if is_usage_known(call):
            self._record_tokens("input", call.input_tokens, attributes)
            self._record_tokens("output", call.output_tokens, attributes)
        if call.stream and call.time_to_first_token is not None:
            self._record_stream(call, call.time_to_first_token, ended.dispatched_after, attributes)

    def _record_tokens(self, kind: str, count: int, attributes: Attributes) -> None:
        if count > 0:
            self._tokens.record(bounded(count), {**attributes, "gen_ai.token.type": kind})

    def _record_stream(self, call: EndedCall, first: float, dispatched_after: float, attributes: Attributes) -> None:
        self._first_chunks.record(max(0.0, first - dispatched_after), attributes)
        if call.cause != OK:
            return
        self._first_tokens.record(max(0.0, first), attributes)
        if call.output_tokens > 1:
            self._token_times.record(max(0.0, call.duration - first) / (call.output_tokens - 1), attributes)
