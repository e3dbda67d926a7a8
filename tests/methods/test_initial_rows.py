from dataclasses import replace

import pytest
import torch

from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import Example, Round, Skill, Step
from tests.methods_toy import ROWS_ALONE, fresh_model, learned
from tests.rounds_toy import toy_context


def test_init_from_the_description(model) -> None:
    rows = learned(replace(ROWS_ALONE, lr=0.0), model).rows.matrix("input")
    ids = model.chat.target_ids("get_time: get time. More words.")
    torch.testing.assert_close(rows[0], model.embedding[ids].mean(dim=0))
    assert not torch.equal(rows[0], rows[1])


def test_init_from_the_mean_of_all_embeddings(model) -> None:
    rows = learned(replace(ROWS_ALONE, lr=0.0, init="mean"), model, 2).rows.matrix("input")
    torch.testing.assert_close(rows, model.embedding.mean(dim=0).expand(4, -1))


def test_init_by_orthogonal_unit_rows(toy_model_folder, model) -> None:
    config = replace(ROWS_ALONE, lr=0.0, init="orthogonal")
    rows = learned(config, model, 2).rows.matrix("input")
    for own in (rows[:2], rows[2:]):
        torch.testing.assert_close(own @ own.T, torch.eye(2), atol=1e-6, rtol=0)
    assert not torch.equal(rows[:2], rows[2:])  # each round draws its own
    again = learned(config, fresh_model(toy_model_folder), 2).rows.matrix("input")
    assert torch.equal(again, rows)


@pytest.mark.parametrize("init", ["description", "mean", "orthogonal"])
def test_more_tools_than_the_hidden_size(model, init) -> None:
    """No limit of 248 rows, nor of the model's width (32 here)."""
    names = [f"tool_{number}" for number in range(300)]
    skills = tuple(Skill(name, name, {"type": "object", "properties": {}}) for name in names)
    examples = tuple(Example(n, n, (Step(n, "{}"),)) for n in (names[0], names[299]))
    round_ = Round(1, "tools1-300", 1, skills, examples, (), examples)
    benchmark = Benchmark((round_,), None, (), (), {s.name: s for s in skills}, {}, "")
    method = replace(ROWS_ALONE, init=init, lr=0.0).build(model, benchmark)
    method.learn(round_, toy_context())
    rows = method.rows.matrix("input")
    assert rows.shape == (300, 32)
    if init == "orthogonal":
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(300))
        torch.testing.assert_close(rows[32:64] @ rows[32:64].T, torch.eye(32), atol=1e-5, rtol=0)
    assert len(method.answer(examples, toy_context())) == 2
