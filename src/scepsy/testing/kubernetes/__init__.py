"""A real Kubernetes control plane on this machine, and nodes that run pods as processes."""
