"""The map of the cluster: nodes, GPUs, and the replicas on them."""
