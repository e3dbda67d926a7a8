import json
from dataclasses import replace
from pathlib import Path

import pytest

from compositional.benchmarks import speed
from compositional.benchmarks.bench import Bench, Line, SpeedConfig
from compositional.benchmarks.growth import Curve
from compositional.benchmarks.profiles import operator_name
from compositional.benchmarks.speed import measure_speed
from compositional.benchmarks.speed_page import write_page
from compositional.benchmarks.timing import Timing
from compositional.cli.main import main
from compositional.errors import ConfigError, DataError
from compositional.files import read_json, write_json
from compositional.models.model_config import ModelConfig
from tests.tasks.toy_rows import record, source_file
from tests.toy import toy_model


@pytest.fixture
def config(toy_model_folder: Path, tmp_path: Path) -> SpeedConfig:
    model = ModelConfig(name=str(toy_model_folder), device="cpu")
    return SpeedConfig(source_file(tmp_path, [30] * 20), None, model, repeats=1)


def lines(bench: Bench) -> list[Line]:
    assert bench.machine.product_rate > 0
    timings = Timing((1.0, 2.0, 3.0)), Timing((3.0, 5.0, 4.0))
    return [
        Line("a", "b", *timings, "samples", 8, 1.7, "losses within 1e-6", is_same=True, roofline=1),
        Line("c", "d", *timings, "samples", 8, 2.5, "losses within 1", is_same=False),
    ]


def curve(_bench: Bench) -> Curve:
    timings = {1: Timing((1.0, 0.9, 1.1)), 100: Timing((1.4, 1.5, 2.0))}
    return Curve("A step", "rows", timings, "step", (1, 100, 1.2))


def test_the_page_is_written_from_what_is_kept(config, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(speed.COMPARISONS, "evaluation", lines)
    monkeypatch.setitem(speed.CURVES, "steps_by_rows", curve)
    measure_speed(config, tmp_path / "out", ["evaluation"])
    page = measure_speed(config, tmp_path / "out", ["steps_by_rows"]).read_text()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "evaluation.json", "steps_by_rows.json", "steps_by_rows.png",
    }  # fmt: skip
    assert (tmp_path / "out.md").read_text() == page
    assert "(out/steps_by_rows.png)" in page
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    figures = ["3", "4.00", "2.00", "2.00"]
    assert ["a", "b", *figures, "1.7, reached", "losses within 1e-6", "50 %"] in rows
    missed = ["c", "d", *figures, "2.5, missed", "losses within 1 (NOT the same)"]
    assert [*missed, "-"] in rows
    assert "On a GPU: not measured." in page
    assert ["100", "1.5", "1.4 to 2"] in rows
    assert "Medians of 3 runs." in page
    assert "100 against 1: 1.500 times as long; under 1.2: missed." in page
    assert "GFLOP/s in one large product" in page
    assert (
        json.loads((tmp_path / "out" / "evaluation.json").read_text())["lines"][0]["ratio"] == 2.0
    )


def test_tables_of_a_gpu_are_pages_too(config, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(speed.COMPARISONS, "lora", lines)
    both = replace(config, sgd=config.hwu64)
    measure_speed(both, tmp_path / "out", ["lora"])
    kept = tmp_path / "out" / "lora.json"
    write_json(tmp_path / "out" / "lora_cuda.json", read_json(kept))
    page = write_page(tmp_path / "out").read_text()
    assert "On a GPU" not in page
    assert page.count("trl's `SFTTrainer`") == 2
    assert "; float32; " in page


def test_evaluation_is_compared_on_real_rows(config, tmp_path, monkeypatch) -> None:
    for name, value in (("TAUGHT_STEPS", 3), ("NUM_ANSWERS", 20), ("NUM_CONTINUOUS", 16)):
        monkeypatch.setattr(f"compositional.benchmarks.comparisons.{name}", value)
    measure_speed(config, tmp_path / "out", ["evaluation"])
    lines = json.loads((tmp_path / "out" / "evaluation.json").read_text())["lines"]
    assert [line["against"].split(",")[0] for line in lines] == ["generate", "generate_batch"]
    assert [line["count"] for line in lines] == [20, 16]
    for line in lines:
        assert line["is_same"]
        assert line["fraction"] > 0


def test_steps_are_timed_with_more_and_more_rows(config, tmp_path) -> None:
    measure_speed(config, tmp_path / "out", ["steps_by_rows"])
    kept = json.loads((tmp_path / "out" / "steps_by_rows.json").read_text())["curve"]
    assert list(kept["seconds"]) == ["10", "50", "200", "1000", "10000"]


def test_samples_are_timed_with_longer_and_longer_prompts(config, tmp_path) -> None:
    measure_speed(config, tmp_path / "out", ["samples_by_prompt"])
    kept = json.loads((tmp_path / "out" / "samples_by_prompt.json").read_text())["curve"]
    assert list(kept["seconds"]) == ["32", "64", "128", "256", "512", "1024"]


def test_profiles_name_the_largest_costs(config, tmp_path) -> None:
    rows = [record(f"Ask {n} for {i}", f"tool_{n}", {"number": i}) for n in range(50) for i in "12"]
    (tmp_path / "sgd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = toy_model(tmp_path / "long")
    settings = read_json(model / "config.json") | {"max_position_embeddings": 1 << 15}
    write_json(model / "config.json", settings)
    config = replace(
        config,
        sgd=tmp_path / "sgd.jsonl",
        model=ModelConfig(name=str(model), device="cpu"),
    )
    page = measure_speed(config, tmp_path / "out", ["profiles"]).read_text()
    kept = json.loads((tmp_path / "out" / "profiles.json").read_text())["profiles"]
    assert len(kept) == 6
    for profile in kept:
        shares = list(profile["shares"].values())
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1
        assert profile["what"] in page


def test_a_product_is_called_by_its_second_matrix() -> None:
    assert operator_name("aten::mm", [[3, 4], [4, 5]]) == "products with 4 x 5 matrices"
    assert operator_name("aten::addmm", [[5], [3, 4], [4, 5]]) == "products with 4 x 5 matrices"
    assert operator_name("aten::mul", [[3, 4], [4, 5]]) == "aten::mul"


def test_a_table_without_its_data_is_one_line(config, tmp_path) -> None:
    with pytest.raises(ConfigError, match="the tables need --sgd FILE"):
        measure_speed(config, tmp_path / "out", ["steps_by_rows", "icl"])
    with pytest.raises(DataError, match=r"x\.jsonl: no such file"):
        measure_speed(replace(config, sgd=tmp_path / "x.jsonl"), tmp_path / "out", ["icl"])
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_before_it_measures(tmp_path, capsys) -> None:
    assert main(["speed", "--table", "lra"]) == 2
    assert "unknown table 'lra'; did you mean 'lora'" in capsys.readouterr().err
    assert main(["speed", "--repeats", "0"]) == 2
    assert "repeats is 0" in capsys.readouterr().err
