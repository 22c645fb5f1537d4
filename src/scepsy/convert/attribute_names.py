"""Names of span attributes with the same meaning, in order of preference."""

from __future__ import annotations

KINDS = (
    "openinference.span.kind",
    "langfuse.observation.type",
    "traceloop.span.kind",
    "mlflow.spanType",
    "langsmith.span.kind",
    "gen_ai.span.kind",  # Alibaba's and Volcengine's instrumentations
    "agentops.span.kind",
    "langtrace.service.type",
    "braintrust.span_attributes.type",
)
"""The kind of span, as the instrumentation states it."""
OPERATIONS = (
    "gen_ai.operation.name",
    "llm.request.type",
    "gen_ai.type",
    "gen_ai.request.type",
    "sentry.op",  # beside Vercel's names for whole agents, which it tells from calls
    "ai.operationId",
    "operation.name",
    "call_type",
)
LLM = (
    "gen_ai.request.model",
    "llm.request.model_name",
    "llm.model_name",
    "llm.request.model",
    "embedding.model_name",
    "reranker.model_name",
    "ai.model.id",
    "langfuse.observation.model.name",
    "gen_ai.response.model",
    "llm.response.model_name",
    "llm.response.model",
    "ai.response.model",
    "mlflow.llm.model",
    "ai.model_id",
    "vercel.ai.model.id",  # Sentry's SDK for JavaScript writes Vercel's names so
)
PROMPT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
    "llm.usage.input_tokens",
    "ai.usage.inputTokens",
    "ai.usage.promptTokens",
    "ai.usage.tokens",
    "gen_ai.usage.tokens",
    "ai.prompt_tokens.used",
    "ai.input_tokens.used",
    "llm.usage.promptTokens",
    "gen_ai.response.prompt_tokens",  # Semantic Kernel's model diagnostics
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
    "llm.usage.output_tokens",
    "ai.usage.outputTokens",
    "ai.usage.completionTokens",
    "ai.completion_tokens.used",
    "ai.output_tokens.used",
    "llm.usage.completionTokens",
    "gen_ai.response.completion_tokens",
)
CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "gen_ai.usage.input_tokens_cached",
    "gen_ai.usage.cached_tokens",
    "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "llm.token_count.prompt_details.cache_read",
    "ai.usage.cachedInputTokens",
    "ai.usage.inputTokenDetails.cacheReadTokens",
    "llm.usage.cache_read_input_tokens",
)
MAX_TOKENS = (
    "gen_ai.request.max_tokens",
    "gen_ai.request.max_completion_tokens",
    "llm.request.max_tokens",
    "ai.settings.maxOutputTokens",
    "ai.settings.maxTokens",
    "vercel.ai.settings.maxOutputTokens",
    "vercel.ai.settings.maxTokens",
)
STREAM = (
    "gen_ai.request.stream",
    "gen_ai.is_streaming",
    "gen_ai.request.is_stream",
    "gen_ai.response.streaming",
    "llm.is_streaming",
    "llm.request.stream",
    "vercel.ai.streaming",
)
USAGE = (
    "langfuse.observation.usage_details",
    "langfuse.observation.usageDetails",
    "langfuse.observation.usage",
    "mlflow.chat.tokenUsage",
    "braintrust.metrics",
    "gen_ai.usage",
)
"""Objects of usage, or their JSON text."""
PARAMETERS = (
    "llm.invocation_parameters",
    "embedding.invocation_parameters",
    "langfuse.observation.model.parameters",
    "braintrust.metadata",
)
"""Parameters of the request as JSON text: often all that is known of a failed call."""
WORKFLOW = (
    "scepsy.workflow",
    "gen_ai.workflow.name",
    "traceloop.workflow.name",
    "langfuse.trace.name",
    "crew_name",
)
