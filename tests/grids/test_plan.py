"""What a grid would take: rates of its own threads, hours added up by hand, what is left out."""

import math

import pytest
import torch

from compositional.cli.main import main
from compositional.grids.plan import side_by_side
from compositional.models import lending
from compositional.models.loading import LoadedModel
from compositional.models.model_config import ModelConfig
from compositional.plan import Rates
from tests.grids.grid_toy import RUNS, Write, writer


@pytest.fixture
def write(tmp_path, toy_model_folder, monkeypatch) -> Write:
    """Writes a grid file; data folders are made where the command runs."""
    monkeypatch.chdir(tmp_path)
    return writer(tmp_path, toy_model_folder)


def test_a_plan_adds_up_at_the_rates_of_the_grids_threads(write, capsys, monkeypatch) -> None:
    counts: list[int] = []

    def measured(_prepared: object, _config: object) -> Rates:
        counts.append(torch.get_num_threads())
        return Rates(math.inf, math.inf, seconds_per_batch_token=900.0)

    monkeypatch.setattr("compositional.grids.plan.measure_rates", measured)
    axes = {"orders": [[1, 2], [2, 1]], "threads": 2}
    threads = torch.get_num_threads()
    flags = ["--dry_run", "--workers", "3", "--price_per_hour", "2"]
    assert main(["grid", str(write(axes=axes)), *flags]) == 0
    assert (counts, torch.get_num_threads()) == ([2], threads)
    *lines, last = capsys.readouterr().out.splitlines()
    # Three rows of eight answers in batches of two, four tokens of a quarter of an hour: 12 hours.
    assert [line.partition(": ")[2] for line in lines] == ["about 720 minutes"] * 4
    # Three workers make three runs, then one makes the fourth.
    assert last == (
        "4 runs, 0 finished; about 48.0 hours of work, 24.0 hours with 3 side by side, 96.00 at "
        "the price given"
    )


def test_runs_side_by_side_take_as_long_as_the_worker_that_ends_last() -> None:
    assert side_by_side([3, 1, 2, 2], 2) == 5  # 3 and then 2; 1 and then 2
    assert side_by_side([3, 1, 2, 2], 1) == 8
    assert side_by_side([3, 1], 4) == 3
    assert side_by_side([], 2) == 0


def test_a_plan_names_what_it_leaves_out(write, capsys, monkeypatch) -> None:
    rates = Rates(math.inf, math.inf, seconds_per_batch_token=0.0)
    monkeypatch.setattr("compositional.grids.plan.measure_rates", lambda *_: rates)
    runs = {"icl": RUNS["icl"], "text": {"method": "text_lora"}}
    assert main(["grid", str(write(runs, {})), "--dry_run"]) == 0
    icl, text, last = capsys.readouterr().out.splitlines()
    assert icl.endswith("icl: about 0 seconds")
    assert text.endswith("text: about 0 seconds; learning tools as documents is not estimated")
    assert last.endswith("; learning tools as documents is not estimated")


def test_a_model_is_loaded_once_to_plan_or_check_all_runs(write, monkeypatch) -> None:
    loaded: list[str] = []
    load_model = lending.load_model

    def counting(config: ModelConfig) -> LoadedModel:
        loaded.append(config.name)
        return load_model(config)

    monkeypatch.setattr(lending, "load_model", counting)
    path = write({"icl": RUNS["icl"]})
    assert main(["grid", str(path), "--dry_run"]) == 0
    assert len(loaded) == 1
    assert main(["grid", str(path)]) == 0  # each run is a process of its own
    assert len(loaded) == 2
