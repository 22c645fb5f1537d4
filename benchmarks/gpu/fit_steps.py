"""Fits the constants of a GPU type (`scepsy.hardware.gpus`) to measured step times. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from benchmarks.gpu.shapes import Shape
from benchmarks.gpu.solve import Vector, levenberg

from scepsy.core.llm import LlmSpec
from scepsy.hardware.gpus import GpuConstants
from scepsy.hardware.step_time import StepLoad, StepTimer

BOUNDS = {
    "weight_efficiency": (0.05, 1.0),
    "gemm_efficiency": (0.05, 1.0),
    "kv_efficiency": (0.05, 1.0),
    "attention_efficiency": (0.01, 1.0),
    "activation_passes": (0.01, 200.0),
    "layer_overhead": (1e-7, 5e-3),
    "prefill_overhead": (1e-7, 5e-3),
    "overlap": (1.0, 8.0),
    "token_ramp": (0.1, 500.0),
}
"""What is fitted, and between what. Peaks are the hardware's; an all-reduce needs two GPUs."""


@dataclass(frozen=True, slots=True)
class MeasuredStep:
    """A step of `shape` alone on a whole GPU, and its seconds. Tokens as in `jobs.Point`."""

    shape: Shape
    prefill: int
    prefix: int
    decodes: int
    context: int
    seconds: float

    @property
    def load(self) -> StepLoad:
        return StepLoad(
            prefill_tokens=self.prefill,
            attended=self.prefill * (self.prefix + self.prefill / 2),
            decodes=self.decodes,
            decode_kv=self.decodes * self.context,
        )

    @property
    def group(self) -> str:
        if self.prefill and self.decodes:
            return "mixed"
        return "prefill" if self.prefill else "decode"


def spec(shape: Shape) -> LlmSpec:
    table = float(shape.vocab * shape.hidden)
    return LlmSpec(
        name=shape.name,
        parameters=float(shape.parameters),
        lookup_parameters=0.0 if shape.tied else table,
        head_parameters=table,
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
    )


def fit_constants(steps: Sequence[MeasuredStep], start: GpuConstants) -> GpuConstants:
    """`start` with its efficiencies, overhead, overlap and ramp fitted to `steps`.

    Least squares of the logarithm of predicted over measured, so that each step counts alike,
    long or short, from `start` and from two other beginnings.
    """
    names = list(BOUNDS)
    bounds = np.log(np.array([BOUNDS[name] for name in names])).T
    measured = np.log([step.seconds for step in steps])

    def constants(point: Vector) -> GpuConstants:
        return replace(start, **dict(zip(names, np.exp(point).tolist(), strict=True)))

    def residual(point: Vector) -> Vector:
        return np.log(predicted(steps, constants(point))) - measured

    given = np.log([max(getattr(start, name), BOUNDS[name][0]) for name in names])
    middle = bounds.mean(axis=0)
    found = [levenberg(residual, begin, bounds) for begin in (given, middle, (given + middle) / 2)]
    return constants(min(found, key=lambda point: float(residual(point) @ residual(point))))


def predicted(steps: Sequence[MeasuredStep], constants: GpuConstants) -> Vector:
    """Seconds of each step by the simulator's own formula."""
    timers = {step.shape: StepTimer(spec(step.shape), constants) for step in steps}
    return np.array([timers[step.shape].seconds(step.load) for step in steps])


def step_errors(steps: Sequence[MeasuredStep], constants: GpuConstants) -> dict[str, float]:
    """Mean absolute relative error over all steps and per group, and the 95th percentile."""
    measured = np.array([step.seconds for step in steps])
    errors = np.abs(predicted(steps, constants) / measured - 1)
    found = {"mean": float(errors.mean()), "p95": float(np.quantile(errors, 0.95))}
    for group in sorted({step.group for step in steps}):
        members = np.array([step.group == group for step in steps])
        found[group] = float(errors[members].mean())
    return found


def worst(steps: Sequence[MeasuredStep], constants: GpuConstants) -> MeasuredStep:
    """The step that the constants get most wrong."""
    errors = np.abs(np.log(predicted(steps, constants) / [step.seconds for step in steps]))
    return steps[int(errors.argmax())]
