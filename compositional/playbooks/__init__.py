"""Playbooks: strategies that a model writes down for itself, counts, mends and drops."""
