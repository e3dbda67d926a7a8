import yaml

from compositional.report.loading import Experiment
from compositional.report.provenance import (
    configs_text,
    environment_table,
    others_table,
    packages_text,
)
from tests.report.test_tables import texts


def test_runs_without_a_result(experiment: Experiment) -> None:
    table = others_table(experiment)
    assert table is not None
    (row,) = texts(table).values()
    assert row["status"] == "failed"
    assert row["reason"] == "ModelError: no <model> anywhere | at all"


def test_environment(experiment: Experiment) -> None:
    rows = texts(environment_table(experiment.finished))
    assert rows["lora"]["commit"] == "0123456789ab"
    assert rows["lora"]["tree clean"] == "yes"
    assert packages_text(experiment.finished) == [("all runs", "python 3.11.0, torch 2.0")]


def test_configs_say_what_is_shared_once(experiment: Experiment) -> None:
    parts = {name: yaml.safe_load(text) for name, text in configs_text(experiment.finished)}
    shared = parts.pop("shared by all runs")
    assert shared["seed"] == 42
    assert "method" not in shared
    assert set(parts["zero_shot"]) == {"run", "method"}
    for run in experiment.finished:
        assert {**shared, **parts[run.name]} == run.config


def test_one_run_stands_whole(experiment: Experiment) -> None:
    ((name, text),) = configs_text(experiment.finished[:1])
    assert name == "lora"
    assert yaml.safe_load(text) == experiment.finished[0].config
