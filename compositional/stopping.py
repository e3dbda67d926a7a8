"""Stopping a run between two passes of the model, where nothing is half done that is kept."""

from compositional.preemption import PreemptedError
from compositional.run_context import RunContext


def heed_stop(run: RunContext) -> None:
    """Stop here where a signal asks for it, all processes of the run together.

    Args:
        run: The run; all of its processes come by here equally often.

    Raises:
        PreemptedError: If a signal came to one of them.
    """
    signal = run.agreed_signal()
    if signal is not None:
        raise PreemptedError(signal)
