"""How fast training and decoding are, beside what a user would take instead, in one run.

A table is a comparison of pairs: the same examples, model, order and optimiser, in turn, medians
after a warm-up, and losses or answers checked for equality in the same run. Peers from the package
index run in an environment and a process of their own (`peers.py`, `peer_process.py`).
"""
