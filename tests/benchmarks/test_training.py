import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from compositional.benchmarks import peers
from compositional.benchmarks.peer_settings import peer_settings, shown_settings
from compositional.benchmarks.peers import Peers
from compositional.benchmarks.training import race
from compositional.benchmarks.work import Work, rows_for_memory_tokens
from compositional.errors import CompositionalError
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from tests.rounds_toy import toy_benchmark


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Peers:
    """The peers' process in this environment, which has all of them but trl."""
    monkeypatch.setattr(peers, "peers_python", lambda: Path(sys.executable))
    return Peers()


def memory_rows(config: ModelConfig) -> Work:
    return rows_for_memory_tokens(load_model(config), "toy", toy_benchmark(1))


def test_both_ways_have_the_same_losses(toy_model_folder: Path, process: Peers) -> None:
    config = ModelConfig(name=str(toy_model_folder), device="cpu")
    work = memory_rows(config)
    threads = torch.get_num_threads()
    found = race(config, process, work, batch_size=2, epochs=3, repeats=2)
    process.close()
    assert found.num_samples == 12
    assert found.largest_gap < 1e-4
    assert len(found.ours.seconds) == len(found.peer.seconds) == 2
    assert min(found.ours.seconds + found.peer.seconds) > 0
    assert torch.get_num_threads() == threads


def test_settings_are_those_that_the_page_prints(toy_model_folder: Path) -> None:
    config = ModelConfig(name=str(toy_model_folder), device="cpu")
    asked = []

    class Noted:
        def train(self, request: dict[str, Any]) -> dict[str, Any]:
            asked.append(request)
            return {"seconds": 1.0, "losses": [0.0] * 3}

    race(config, cast(Peers, Noted()), memory_rows(config), batch_size=4, epochs=3, repeats=1)
    assert asked[0]["settings"] == peer_settings("memory_rows")
    assert asked[0]["dtype"] == "float32"
    shown = shown_settings("memory_rows")
    for name, value in asked[0]["settings"].items():
        assert f"{name}={value!r}" in shown
    assert "packing=False, completion_only_loss=True" in shown_settings("lora")
    assert "512 tokens a pass" in shown_settings("evaluation")
    assert shown_settings("steps_by_rows") == ""


def test_the_largest_gap_is_that_of_all_runs(toy_model_folder: Path) -> None:
    config = ModelConfig(name=str(toy_model_folder), device="cpu")
    work = memory_rows(config)

    class Replies(list[list[float]]):
        def train(self, _request: dict[str, Any]) -> dict[str, Any]:
            return {"seconds": 1.0, "losses": self.pop(0)}

    def gap(*losses: list[float]) -> float:
        replies = cast(Peers, Replies(losses))
        return race(config, replies, work, batch_size=4, epochs=3, repeats=len(losses)).largest_gap

    near, far = [5.0] * 3, [99.0] * 3
    assert gap(near) < gap(far) == gap(near, far) == gap(far, near)


def test_a_process_that_fails_is_one_line(process: Peers) -> None:
    with pytest.raises(CompositionalError, match="the peers' process failed: KeyError: 'threads'"):
        process.train({})
    process.close()


def test_rows_begin_with_their_descriptions(toy_model_folder: Path) -> None:
    work = memory_rows(ModelConfig(name=str(toy_model_folder), device="cpu"))
    assert work.initial is not None
    assert work.initial.shape == (2, 32)
    assert work.num_prompt_tokens == sum(len(row.prompt) for row in work.sequences)
    first = work.sequences[0].target[0]
    assert first == load_model(ModelConfig(name=str(toy_model_folder))).model.config.vocab_size
