from pathlib import Path

import pytest
import yaml

from compositional.errors import ConfigError
from compositional.grids.spec import GridSpec, keep_copy, read_grid


def written(folder: Path, **axes: object) -> Path:
    path = folder / "g.yaml"
    path.write_text(yaml.safe_dump({"runs": {"a": {"method": "icl"}}, "grid": axes}))
    return path


def test_axes_are_read_and_the_rest_is_an_experiment(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        seeds=[1, 5],
        orders=[[2, 1], "1,2"],
        sources={"bfcl": {"source": "bfcl"}, "own": None},
        overrides={"long": {"training.batch_size": 8}},
        threads=2,
    )
    assert read_grid(path) == GridSpec(
        experiment={"experiment": "g", "runs": {"a": {"method": "icl"}}},
        seeds=(1, 5),
        orders=((2, 1), (1, 2)),
        sources={"bfcl": {"source": "bfcl"}, "own": {}},
        overrides={"long": {"training.batch_size": 8}},
        threads=2,
    )
    assert read_grid(path, "other").experiment["experiment"] == "other"


def test_a_copy_is_the_same_grid_whatever_its_file_is_called(tmp_path: Path) -> None:
    overrides = {"long": {"methods": ["a"], "training.batch_size": 8}}
    path = written(
        tmp_path, seeds=[1, 5], orders=["2,1"], sources={"own": None}, overrides=overrides
    )
    spec = read_grid(path)
    copy = keep_copy(spec, tmp_path / "results")
    assert copy.parent == tmp_path / "results" / ".grids"
    assert read_grid(copy) == spec
    assert keep_copy(spec, tmp_path / "results") == copy
    bare = read_grid(written(tmp_path))
    assert read_grid(keep_copy(bare, tmp_path)) == bare


def test_axes_that_are_not_named_hold_nothing(tmp_path: Path) -> None:
    spec = read_grid(written(tmp_path))
    assert (spec.seeds, spec.orders, spec.sources, spec.threads) == ((), (), {}, 1)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"seed": [1]}, "unknown axis grid.seed; did you mean 'seeds'"),
        ({"seeds": 3}, "grid.seeds is 3; it must be a list such as"),
        ({"seeds": []}, "grid.seeds is []; it must be a list"),
        ({"seeds": [1, True]}, "it must be a list such as"),
        ({"seeds": [1, 1]}, "a seed stands twice"),
        ({"orders": [[1, 3]]}, "an order names each round from 1 once"),
        ({"orders": ["a,b"]}, "an order is a list of rounds"),
        ({"orders": [[2, 1], "2,1"]}, "grid.orders holds [2, 1] twice"),
        ({"orders": 2}, "grid.orders is 2; it must be a list"),
        ({"sources": ["bfcl"]}, "it must map names to mappings of settings"),
        ({"overrides": {"x": 3}}, "it must map names to mappings of settings"),
        ({"threads": 0}, "grid.threads is 0; it must be 1 or more"),
        ({"threads": "two"}, "it must be a whole number"),
        ({"threads": True}, "it must be a whole number"),
    ],
)
def test_a_malformed_axis_is_one_line(tmp_path: Path, axes, message) -> None:
    with pytest.raises(ConfigError) as caught:
        read_grid(written(tmp_path, **axes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_a_grid_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("runs: {a: {method: icl}}")
    with pytest.raises(ConfigError, match="has no mapping `grid` of axes"):
        read_grid(path)
    path.write_text("{seed: 3, grid: {seeds: [1]}}")
    with pytest.raises(ConfigError, match=r"sets seed, which a grid sets for each run"):
        read_grid(path)
