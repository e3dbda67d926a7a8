"""Grids: one file, many runs, over methods, sources, seeds and orders of rounds.

`spec.py` reads the axes of a grid file, `variants.py` what is laid over which methods, `expand.py`
makes a config of every point and drops none silently, `plan.py` prints what would run and what it
would cost, `tasks.py` runs one point by its number, and `command.py` hands out the numbers: to
worker processes here, through `slurm.py` to a job array, through `submitit_launcher.py` to
submitit. A point is a run like any other: it has a folder of its own, is finished or not, and goes
on where it was. What a launcher knows it reads from these folders and, by `queued.py`, from Slurm,
so launchers can be mixed and repeated.
"""
