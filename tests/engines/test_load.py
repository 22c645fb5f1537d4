"""The load that /metrics tells."""

from __future__ import annotations

from scepsy.engines.load import EngineLoad, read_load

TEXT = """# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{engine="0",model_name="a b"} 3.0
vllm:num_requests_running{engine="1",model_name="a b"} 1.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 7.0
vllm:num_requests_waiting{engine="0",model_name="a b"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="a b"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="a b"} 0.1
vllm:prefix_cache_queries_total{engine="0"} 1.2e+03
vllm:prefix_cache_hits_total{engine="0"} 900.0
"""


SGLANG = """sglang:num_running_reqs{model_name="m",tp_rank="0"} 5.0
sglang:num_queue_reqs{model_name="m",tp_rank="0"} 2.0
sglang:token_usage{model_name="m",tp_rank="0"} 0.28
sglang:cache_hit_rate{model_name="m"} 0.007
"""
LLAMACPP = """# TYPE llamacpp:prompt_seconds_total counter
llamacpp:prompt_seconds_total 3
llamacpp:requests_processing 2
llamacpp:requests_deferred 1
"""


def test_cores_are_added_and_what_is_missing_is_unknown() -> None:
    assert read_load(TEXT) == EngineLoad(
        running=4.0,
        waiting=2.0,
        kv_usage=0.3,
        prefix_queries=1200.0,
        prefix_hits=900.0,
    )


def test_other_engines_report_under_names_of_their_own() -> None:
    assert read_load(SGLANG) == EngineLoad(running=5.0, waiting=2.0, kv_usage=0.28)
    assert read_load(LLAMACPP) == EngineLoad(running=2.0, waiting=1.0)
    assert read_load(LLAMACPP).in_flight == 3.0


def test_an_engine_may_report_nothing() -> None:
    load = read_load("other_metric 3\n")
    assert load == EngineLoad()
    assert not load.reported
    assert load.in_flight == 0.0


def test_a_timestamp_is_no_value() -> None:
    text = (
        'vllm:num_requests_running{model_name="a b"} 3 1760000000000\nvllm:num_requests_waiting 2'
    )
    load = read_load(text)
    assert (load.running, load.waiting) == (3, 2)


def test_rubbish_and_values_that_no_load_can_have_are_passed_over() -> None:
    metrics = """<html>503</html>
vllm:num_requests_running NaN
vllm:num_requests_running 2
vllm:num_requests_waiting soon
vllm:kv_cache_usage_perc +Inf
sglang:token_usage -1
"""
    assert read_load(metrics) == EngineLoad(running=2.0)
