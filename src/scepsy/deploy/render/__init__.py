"""A plan as the configuration of other systems, and as text (pure)."""

from scepsy.deploy.render.dynamo import dynamo
from scepsy.deploy.render.keda_kueue import keda_kueue
from scepsy.deploy.render.kserve import kserve
from scepsy.deploy.render.ray_serve import ray_serve
from scepsy.deploy.render.translation import NotTranslated, Translation

__all__ = ["NotTranslated", "Translation", "dynamo", "keda_kueue", "kserve", "ray_serve"]
