"""The Kubernetes objects of a plan (pure)."""

from scepsy.deploy.kubernetes.objects.check import check
from scepsy.deploy.kubernetes.objects.names import plan_id
from scepsy.deploy.kubernetes.objects.options import LaunchIn, Object, RenderOptions
from scepsy.deploy.kubernetes.objects.rendering import NotCarried, Rendered, render

__all__ = [
    "LaunchIn",
    "NotCarried",
    "Object",
    "RenderOptions",
    "Rendered",
    "check",
    "plan_id",
    "render",
]
