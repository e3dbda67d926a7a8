"""What a grid would run, how long that takes and what it costs."""

import heapq
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from compositional.errors import check_at_least
from compositional.files import canonical_json
from compositional.grids.expand import GridRun
from compositional.grids.tasks import pending
from compositional.models.lending import Lender
from compositional.plan import Rates, measure_rates, plan_of, without_traces
from compositional.runner import computing_with, prepare_run


def print_grid_plan(
    runs: Sequence[GridRun], workers: int, threads: int, price_per_hour: float | None = None
) -> None:
    """Print every run with its id and time, and the sum; everything is checked on the way.

    Rates are measured on this machine with the runs' number of threads, nothing else running.
    Nothing is left behind.

    Args:
        runs: The grid's runs.
        workers: How many would run side by side.
        threads: Threads of each run.
        price_per_hour: Of one of them; None for no price.
    """
    if price_per_hour is not None:
        check_at_least("price_per_hour", price_per_hour, 0)
    left = {grid_run.index for grid_run in pending(runs)}
    rates: dict[str, Rates] = {}
    seconds: list[float] = []
    not_estimated: set[str] = set()
    left_out: dict[str, None] = {}
    models = Lender()
    with TemporaryDirectory() as folder, computing_with(threads):
        for grid_run in runs:
            start = f"{grid_run.index:>4}  {grid_run.config.id}  {grid_run.config.run}"
            if grid_run.index not in left:
                print(f"{start}: finished")
                continue
            config = without_traces(grid_run.config, Path(folder))
            prepared = prepare_run(config, models.lend)
            left_out |= dict.fromkeys(prepared.benchmark.left_out)
            sizes = [config.training.batch_size, config.evaluation.batch_size]
            kind = canonical_json([str(config.model), *sizes])
            if kind not in rates:
                rates[kind] = measure_rates(prepared, config)
            plan = plan_of(prepared, config, rates[kind])
            seconds.append(plan.seconds)
            not_estimated |= set(plan.not_estimated)
            print(f"{start}: {plan.time}")
    for line in left_out:
        print(line)
    hours = sum(seconds) / 3600
    print(
        f"{len(runs)} runs, {len(runs) - len(left)} finished; about {hours:.1f} hours of work, "
        f"{side_by_side(seconds, workers) / 3600:.1f} hours with {workers} side by side"
        + ("" if price_per_hour is None else f", {hours * price_per_hour:.2f} at the price given")
        + "".join(f"; {part}" for part in sorted(not_estimated))
    )


def side_by_side(seconds: Sequence[float], workers: int) -> float:
    """Return how long runs take where each worker takes the next one, and none slows another.

    Args:
        seconds: Of each run, in their order.
        workers: How many work, one or more.
    """
    ends = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)
