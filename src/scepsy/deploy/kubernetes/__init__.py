"""Kubernetes as a backend: the objects of a plan, and what applies them."""
