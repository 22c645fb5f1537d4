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


def test_cores_are_added_and_what_is_missing_is_nought() -> None:
    assert read_load(TEXT) == EngineLoad(
        running=4.0,
        waiting=2.0,
        kv_usage=0.3,
        prefix_queries=1200.0,
        prefix_hits=900.0,
        preemptions=0.0,
    )


def test_nothing_told() -> None:
    assert read_load("") == EngineLoad(0, 0, 0, 0, 0, 0)


def test_a_timestamp_is_no_value() -> None:
    text = (
        'vllm:num_requests_running{model_name="a b"} 3 1760000000000\nvllm:num_requests_waiting 2'
    )
    load = read_load(text)
    assert (load.running, load.waiting) == (3, 2)
