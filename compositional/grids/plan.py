"""What a grid would run, how long that takes and what it costs."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from compositional.errors import check_at_least
from compositional.files import canonical_json
from compositional.grids.expand import GridRun
from compositional.grids.tasks import pending
from compositional.plan import Rates, measure_rates, minutes, plan_lines, without_traces
from compositional.runner import prepare_run


def print_grid_plan(
    runs: Sequence[GridRun], workers: int, price_per_hour: float | None = None
) -> None:
    """Print every run with its id and time, and the sum; everything is checked on the way.

    The time is measured on this machine and is the most that a run takes: every answer at the
    longest. Nothing is left behind.

    Args:
        runs: The grid's runs.
        workers: How many would run side by side.
        price_per_hour: Of one of them; None for no price.
    """
    if price_per_hour is not None:
        check_at_least("price_per_hour", price_per_hour, 0)
    left = {grid_run.index for grid_run in pending(runs)}
    rates: dict[str, Rates] = {}
    left_out: dict[str, None] = {}
    total = 0.0
    with TemporaryDirectory() as folder:
        for grid_run in runs:
            start = f"{grid_run.index:>4}  {grid_run.config.id}  {grid_run.config.run}"
            if grid_run.index not in left:
                print(f"{start}: finished")
                continue
            config = without_traces(grid_run.config, Path(folder))
            prepared = prepare_run(config)
            left_out |= dict.fromkeys(prepared.benchmark.left_out)
            kind = canonical_json([str(config.model), config.evaluation.batch_size])
            if kind not in rates:
                rates[kind] = measure_rates(prepared, config)
            _, seconds = plan_lines(prepared, config, rates[kind])
            total += seconds
            print(f"{start}: about {minutes(seconds)} at the most")
    for line in left_out:
        print(line)
    hours = total / 3600
    print(
        f"{len(runs)} runs, {len(runs) - len(left)} finished; {hours:.1f} hours of work at the "
        f"most, {hours / workers:.1f} hours with {workers} side by side"
        + ("" if price_per_hour is None else f", {hours * price_per_hour:.2f} at the price given")
    )
