import signal

import pytest

from compositional.preemption import PreemptedError
from compositional.stopping import heed_stop
from tests.rounds_toy import toy_context


def test_a_run_stops_where_it_was_asked_to() -> None:
    run = toy_context()
    heed_stop(run)
    run.stop.number = signal.SIGUSR1
    with pytest.raises(PreemptedError, match="stopped by SIGUSR1"):
        heed_stop(run)
