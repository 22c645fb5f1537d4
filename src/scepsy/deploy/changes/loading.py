"""The bytes of weights that have to be loaded to start a replica somewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.deploy.changes.observed import Observed
from scepsy.hardware.memory import weight_bytes

REREAD = 0.1
"""Cost of a byte that a GPU reads from its own node, relative to one that the node has to fetch
first: local disks and page caches are about ten times as fast as a network or an object store.
"""

START = 1e3
"""Bytes that every start counts in addition, so that a replica stays where it is even if its LLM
has no weights to speak of.
"""


@dataclass(frozen=True, slots=True)
class Loading:
    """What starts cost, in bytes that are fetched onto a node.

    Attributes:
        llms: the LLMs by name.
        on_node: (node, name of LLM) where the weights are on the node.
    """

    llms: Mapping[str, LlmSpec]
    on_node: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, llms: Mapping[str, LlmSpec], observed: Observed) -> Loading:
        """A node has the weights that `observed.weights` names. Running replicas do not count:
        they come and go during a change, and its choice of GPUs must not change with them.
        """
        return cls(llms, observed.weights)

    def bytes_of(self, llm: str, tp: int, nodes: Iterable[str]) -> float:
        """Bytes to start a replica whose `tp` GPUs are on these nodes (one entry for each GPU). Of
        two starts on one node that both lack the weights, both count them.
        """
        spec = self.llms.get(llm)
        each = 0.0 if spec is None else weight_bytes(spec, tp)
        return START + sum(
            each * (REREAD if (node, llm) in self.on_node else 1.0) for node in nodes
        )
