"""Names of objects: DNS labels of a plan's names, and a digest that names the plan (pure)."""

from __future__ import annotations

import hashlib
import re

import msgspec

from scepsy.core.plan import Plan

NAME_MAX = 46
"""Characters of an object's name. Kubernetes adds up to twelve to those of a StatefulSet and puts
the result into a label of 63. To those of a Deployment it adds twelve as well, cuts the result to
58, and adds five: what is cut could not be told from another workload's pod.
"""
LABEL_MAX = 63
_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def dns_label(text: str, limit: int = NAME_MAX) -> str:
    """`text` as a DNS label of at most `limit` characters. Where characters had to be changed, a
    digest is added, so that two texts never share a name.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if plain == text and len(text) <= limit and text[0].isalpha():
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    head = plain[: limit - 7].strip("-")
    return f"{head}-{digest}" if head and head[0].isalpha() else f"x{head[: limit - 8]}-{digest}"


def label_value(text: str) -> str:
    """`text` as the value of a label; with a digest, as in `dns_label`, where it cannot be one."""
    if len(text) <= LABEL_MAX and _VALUE.fullmatch(text):
        return text
    return dns_label(text, LABEL_MAX)


def plan_id(plan: Plan) -> str:
    """A name for what the plan deploys: the same for plans that place the same replicas of the same
    LLMs on the same cluster, whatever they predict.
    """
    parts = (plan.cluster, plan.llms, plan.placement, plan.time_scale)
    return "p-" + hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:10]
