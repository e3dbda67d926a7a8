from pathlib import Path
from typing import Any

import pytest

from compositional.errors import ConfigError
from compositional.grids.expand import expand
from compositional.grids.spec import GridSpec, read_grid

RUNS = {"rows": {"method": "memory_tokens"}, "icl": {"method": {"name": "icl"}}}
EXPERIMENT = {
    "experiment": "g",
    "data": {
        "training_rounds": "1-2:1,3-4:2,5-6",
        "train_max_function_calls_per_round": [1, 2],
    },
    "runs": RUNS,
}


def grid(**axes: Any) -> GridSpec:
    return GridSpec(**{"experiment": EXPERIMENT, **axes})


def names(spec: GridSpec) -> list[str]:
    return [grid_run.config.run for grid_run in expand(spec)]


def refused(spec: GridSpec) -> str:
    with pytest.raises(ConfigError) as caught:
        expand(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_point_is_a_run_named_by_the_axes_that_are_stated_or_vary() -> None:
    assert names(grid()) == ["rows", "icl"]
    found = expand(grid(seeds=(1, 2), orders=((1, 2, 3), (3, 1, 2))))
    assert [run.config.run for run in found] == [
        *(f"{m}_order{o}_seed{s}" for m in RUNS for o in ("1-2-3", "3-1-2") for s in (1, 2))
    ]
    assert [run.index for run in found] == list(range(8))
    assert len({run.config.id for run in found}) == 8
    assert {run.config.seed for run in found} == {1, 2}
    assert not any(run.config.output.share_answers for run in found)


def test_further_orders_and_seeds_leave_the_names_of_the_points_before() -> None:
    first = grid(orders=((1, 2, 3),), seeds=(1,))
    assert names(first) == ["rows_order1-2-3_seed1", "icl_order1-2-3_seed1"]
    more = grid(orders=((1, 2, 3), (3, 1, 2)), seeds=(1, 2))
    ids = {run.config.run: run.config.id for run in expand(more)}
    assert all(ids[run.config.run] == run.config.id for run in expand(first))


def test_an_order_takes_along_what_is_said_of_each_round() -> None:
    (config,) = {run.config.data for run in expand(grid(orders=((3, 1, 2),)))}
    assert config.training_rounds == "5-6,1-2:1,3-4:2"
    assert config.train_max_function_calls_per_round == (2, 1, 2)  # the last value repeats


def test_sources_and_variants_are_laid_over() -> None:
    spec = grid(
        sources={"bfcl": {"source": "bfcl"}, "own": {"source": "x.jsonl"}},
        overrides={"plain": {}, "large": {"training.batch_size": 8}},
    )
    found = {run.config.run: run.config for run in expand(spec)}
    assert list(found)[:4] == [
        "rows_bfcl_plain",
        "rows_bfcl_large",
        "rows_own_plain",
        "rows_own_large",
    ]
    assert found["icl_own_large"].data.source == "x.jsonl"
    assert found["icl_own_large"].training.batch_size == 8
    assert found["icl_own_plain"].training.batch_size == 4


def test_a_variant_may_name_the_methods_that_it_is_for() -> None:
    spec = grid(
        overrides={
            "plain": {},
            "fast": {"methods": ["rows"], "method.lr": 0.1},
            "both": {"methods": ["rows"], "method.lr": 0.2, "training.batch_size": 2},
            "large": {"methods": ["icl", "rows"], "training.batch_size": 8},
        }
    )
    found = {run.config.run: run.config for run in expand(spec)}
    assert list(found) == [
        *("rows_plain", "rows_fast", "rows_both", "rows_large"),
        *("icl_plain", "icl_large"),
    ]
    assert found["rows_fast"].method.lr == 0.1
    assert found["rows_both"].method.lr == 0.2
    assert found["rows_both"].training.batch_size == 2
    assert found["icl_large"].training.batch_size == 8


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"x": {"training.batch_size": 2, "method.lr": 0.2}},
            "grid.overrides.x sets 'method.lr', which icl does not know: say methods: [rows]",
        ),
        (
            {"x": {"methods": ["icl"], "method.lr": 0.2}},
            "grid.overrides.x sets 'method.lr', which icl does not know: say methods: [rows]",
        ),
        (
            {"x": {"method.lr": 0.2, "method.demonstrations": 1}},
            "grid.overrides.x sets 'method.lr', which icl does not know: make a variant for each",
        ),
        (
            {"x": {"methods": ["rows"], "method.lr": 0.2}},
            "no variant of grid.overrides is for icl: add one, for example plain: {methods: [icl]}",
        ),
        (
            {"x": {"methods": ["row"]}},
            "grid.overrides.x.methods names 'row', which is no method of the grid; "
            "did you mean 'rows'? Choices: icl, rows",
        ),
        (
            {"x": {"methods": "rows"}},
            "grid.overrides.x.methods is 'rows'; it must be a list of methods of the grid, of "
            "rows, icl",
        ),
        (
            {"x": {"methods": []}},
            "grid.overrides.x.methods is []; it must be a list of methods of the grid, of "
            "rows, icl",
        ),
    ],
)
def test_a_variant_is_laid_over_a_method_whole_or_not_at_all(overrides, message) -> None:
    assert refused(grid(overrides=overrides)) == message


def test_a_bound_is_overridden_where_it_wraps_a_method() -> None:
    runs = {"joint": {"method": {"name": "joint", "of": {"name": "lora"}}}}
    spec = grid(experiment={**EXPERIMENT, "runs": runs}, overrides={"slow": {"method.of.lr": 1e-5}})
    (run,) = expand(spec)
    assert run.config.method.of.lr == 1e-5


def test_what_cannot_be_a_grid_is_one_line() -> None:
    message = refused(grid(overrides={"x": {"method.lrr": 1}}))
    assert "grid.overrides.x sets 'method.lrr', which no method of the grid knows" in message
    assert "did you mean 'method.lr'" in message
    message = refused(grid(overrides={"a": {}, "b": {"training.batch_size": 4}}))
    assert "the runs rows_a and rows_b of the grid are one: both have the id" in message
    message = refused(grid(orders=((1, 2),)))
    assert "an order names each of its 3 rounds once" in message


def test_flags_are_laid_over_every_run() -> None:
    found = expand(grid(), ["--training.batch_size", "16"])
    assert {run.config.training.batch_size for run in found} == {16}


def test_two_points_of_one_id_or_one_name_are_one_line() -> None:
    assert "are one: both have the id" in refused(grid(orders=((1, 2, 3), (1, 2, 3))))
    clash = {"a_b": {"training.batch_size": 3}, "b": {"training.batch_size": 5}}
    runs = {"icl": {"method": "icl"}, "icl_a": {"method": {"name": "icl", "demonstrations": 1}}}
    said = refused(grid(experiment={**EXPERIMENT, "runs": runs}, overrides=clash))
    assert "two runs of the grid are named icl_a_b (ids " in said


def test_a_seed_is_no_override() -> None:
    said = refused(grid(overrides={"x": {"seed": 99}, "y": {}}))
    assert said == "grid.overrides.x sets seed, which a grid sets for each run: use grid.seeds"


def test_the_grid_of_the_guide_is_one(tmp_path) -> None:
    guide = Path("docs/clusters.md").read_text()
    path = tmp_path / "g.yaml"
    path.write_text(guide.split("```yaml\n")[1].split("```")[0])
    runs = [run.config for run in expand(read_grid(path))]
    assert len(runs) == 5 * 2 * 5  # variants of the methods, orders, seeds
    (ratio,) = {run.method.replay_ratio for run in runs if "often" in run.run}
    assert ratio == 0.5
