"""What a refusal of the API server means for whoever deploys, and what to do about it (pure)."""

from __future__ import annotations

from scepsy.deploy.kubernetes.api import ApiRefusal
from scepsy.errors import BadInput, Conflict, NotFound, ScepsyError, Unreachable

RIGHTS = "docs/guides/deploy-on-kubernetes.md lists the rights that a deployer needs"


def explained(refusal: ApiRefusal, what: str) -> ScepsyError:
    """The error for a refusal; `what` names the object: "Deployment llm/default-a-0"."""
    match refusal.status:
        case 401:
            return BadInput(
                f"{what}: the cluster does not accept the credentials of the kubeconfig; log in "
                "again, or choose another context with --context"
            )
        case 403 if "exceeded quota" in refusal.message:
            return BadInput(
                f"{what}: a ResourceQuota of the namespace does not allow it: "
                f"{refusal.message}; ask for more, or make a plan for fewer GPUs"
            )
        case 403:
            return BadInput(f"{what}: a right is missing: {refusal.message}; {RIGHTS}")
        case 404 if "namespaces" in refusal.message:
            return NotFound(f"{what}: {refusal.message}; create the namespace first")
        case 404:
            return NotFound(f"{what}: {refusal.message}")
        case 409 if any(reason == "FieldManagerConflict" for reason, _, _ in refusal.causes):
            return Conflict(f"{what}: {_owners(refusal)}; nothing of it was changed")
        case 409:
            return Conflict(f"{what} was changed by somebody else meanwhile; try again")
        case 400 | 422:
            return BadInput(f"{what}: the API server refuses it: {refusal.message}")
        case _:
            return Unreachable(
                f"{what}: the API server answers {refusal.status}: {refusal.message}"
            )


def _owners(refusal: ApiRefusal) -> str:
    """The fields that another field manager owns, as the server tells: `conflict with "kubectl"
    using apps/v1`.
    """
    fields = [
        f"field {field} is managed by {message.removeprefix('conflict with ')}"
        for reason, field, message in refusal.causes
        if reason == "FieldManagerConflict"
    ]
    return "; ".join(fields)
