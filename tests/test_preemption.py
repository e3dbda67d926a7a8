import os
import signal
import threading
from contextlib import suppress

import pytest

from compositional import icl_baseline, lora_sequential, main_sequential
from compositional.cli.main import guarded
from compositional.files import read_json
from compositional.preemption import (
    PreemptedError,
    StopRequest,
    heeding_only,
    noting_early,
    noting_signals,
)
from tests.runs_toy import toy_flags


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_signal_is_noted_and_heeded_when_asked(number) -> None:
    before = signal.getsignal(number)
    with noting_signals() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        assert stop.number == number
        with pytest.raises(PreemptedError, match=f"stopped by {number.name}"):
            stop.check()
    assert signal.getsignal(number) is before


def test_no_handler_of_errors_takes_it() -> None:
    assert not issubclass(PreemptedError, Exception)
    with pytest.raises(PreemptedError), suppress(Exception):
        StopRequest(signal.SIGUSR1).check()


def test_the_exit_code_is_128_and_the_signals_number(capsys) -> None:
    def stopped() -> int:
        raise PreemptedError(signal.SIGTERM)

    assert guarded(stopped) == 128 + 15
    assert capsys.readouterr().err == (
        "stopped by SIGTERM: what was computed is saved, --resume goes on from here\n"
    )


def test_outside_the_main_thread_nothing_is_noted() -> None:
    noted: list[object] = []

    def work() -> None:
        with noting_signals() as stop:
            noted.append(stop.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert noted == [None]


def test_a_signal_that_comes_while_modules_load_is_heeded_later() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with noting_early():
        os.kill(os.getpid(), signal.SIGUSR1)
        with noting_signals() as stop, pytest.raises(PreemptedError):
            stop.check()
    assert signal.getsignal(signal.SIGUSR1) is before
    with noting_signals() as stop:
        stop.check()


@pytest.mark.parametrize("module", [main_sequential, lora_sequential, icl_baseline])
def test_a_signal_while_an_entry_point_loads_its_modules_is_heeded_by_the_run(
    module, tmp_path, toy_model_folder, monkeypatch, capsys
) -> None:
    run_config = module.run_config

    def signalled(*arguments, **settings):
        os.kill(os.getpid(), signal.SIGUSR1)
        return run_config(*arguments, **settings)  # it imports the model libraries

    monkeypatch.setattr(module, "run_config", signalled)
    missed: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: missed.append(number))
    flags = toy_flags(tmp_path, toy_model_folder, "--run", "r")
    try:
        assert module.main(flags) == 128 + signal.SIGUSR1
        assert missed == []
        assert module.main([*flags, "--resume", "--dry_run"]) == 0
        assert missed == [signal.SIGUSR1]  # a plan is no run: it dies of the signal
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (
        "stopped by SIGUSR1: what was computed is saved, --resume goes" in capsys.readouterr().err
    )
    result = tmp_path / "results" / "e" / "r" / "result.json"
    assert read_json(result)["status"] == "started"
    monkeypatch.undo()
    assert module.main([*flags, "--resume"]) == 0
    assert read_json(result)["status"] == "finished"


def test_a_launcher_keeps_the_signals_that_are_its_own() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with heeding_only(signal.SIGUSR1), noting_signals() as stop:
        assert signal.getsignal(signal.SIGTERM) is before
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.number == signal.SIGUSR1
