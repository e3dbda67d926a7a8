from pathlib import Path
from typing import Any

import pytest

from compositional.config import (
    SECTIONS,
    OutputConfig,
    RunConfig,
    read_experiment,
    resolve,
)
from compositional.errors import ConfigError
from compositional.methods.registry import METHODS
from compositional.selection import select_runs
from tests.tasks.toy_rows import source_file

ROOT = Path(__file__).parent.parent
SHIPPED = sorted((ROOT / "experiments").glob("*.yaml"))
SETTINGS: dict[str, Any] = {
    "method": {"name": "rag", "k": 5, "dense_model": "a/b"},
    "data": {"training_rounds": "1-2:3,3-4", "source": "rows.jsonl"},
}
NESTED = {
    "of_lora": {"name": "joint", "of": {"name": "lora", "lr": 0.25, "adapter": {"rank": 3}}},
    "of_rows": {"name": "oracle", "of": {"name": "memory_tokens", "rehearsal": {"weight": 2.5}}},
    "of_bound": {"name": "oracle", "of": {"name": "joint", "of": "lora"}},
    "lists": {
        "name": "lora",
        "adapter": {"target_modules": "q_proj,v_proj", "layer_indices": [-1, 0]},
    },
}


def refused(settings: dict[str, Any], *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(settings, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("method", [*METHODS, *NESTED.values()], ids=[*METHODS, *NESTED])
def test_what_is_written_gives_the_same_config(method: Any) -> None:
    config = resolve({**SETTINGS, "method": method, "run": "x"})
    again = resolve(config.settings())
    assert again == config
    assert again.settings() == config.settings()
    assert again.sha256() == config.sha256()


def test_a_name_is_a_method_with_its_defaults() -> None:
    for name, kind in METHODS.items():
        config = resolve({"method": name})
        assert (config.method_name, config.run, config.seed) == (name, name, 42)
        assert type(config.method) is kind


def test_bounds_wrap_what_is_asked_for() -> None:
    assert resolve({"method": "joint"}).settings()["method"]["of"]["name"] == "lora"
    config = resolve({"method": NESTED["of_lora"]})
    of = config.settings()["method"]["of"]
    assert (of["lr"], of["adapter"]["rank"]) == (0.25, 3)


def test_overrides_stand_over_the_settings() -> None:
    settings = {"method": NESTED["lists"], "training": {"batch_size": 8}}
    plain = resolve(settings, ["--training.batch_size", "4", "--seed=7"]).settings()
    assert (plain["training"]["batch_size"], plain["seed"]) == (4, 7)
    adapter = resolve(settings, ["--method.adapter.target_modules", "k_proj,o_proj"])
    assert adapter.settings()["method"]["adapter"]["target_modules"] == ["k_proj", "o_proj"]
    for form in (["--training.curriculum_learning"], ["--training.curriculum_learning", "True"]):
        assert resolve(settings, form).training.curriculum_learning
    assert resolve(settings, ["--no_evaluation.drift"]).evaluation.drift is False
    of = resolve({"method": "joint"}, ["--method.of.lr", "0.125"]).settings()["method"]["of"]
    assert of["lr"] == 0.125
    assert resolve({"method": "lora"}, ["--method.lr=2e-2"]).settings()["method"]["lr"] == 0.02


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no method is named"),
        ({"method": {"lr": 1}}, "no method is named"),
        ({"method": 5}, "no method is named"),
        ({"method": "loar"}, "unknown method 'loar'; did you mean 'lora'?"),
        ({"method": {"name": "lora", "rl": 1}}, "unknown setting method.rl; did you mean 'lr'?"),
        (
            {"method": {"name": "zero_shot", "lr": 1}},
            "unknown setting method.lr",
        ),
        (
            {"method": {"name": "lora", "adapter": {"rnk": 1}}},
            "unknown setting method.adapter.rnk; did you mean 'rank'?",
        ),
        ({"method": {"name": "lora", "adapter": 1}}, "method.adapter is 1; it must be a mapping"),
        ({"method": {"name": "lora", "lr": None}}, "method.lr is null; it must be a number"),
        ({"method": {"name": "lora", "lr": "x"}}, "method.lr is x; it must be a number"),
        ({"method": {"name": "joint", "off": "lora"}}, "unknown setting method.off; did you mean"),
        ({"method": {"name": "joint", "of": "lorra"}}, "unknown method 'lorra'; did you mean"),
        (
            {"method": {"name": "joint", "of": {"name": "lora", "rl": 1}}},
            "unknown setting method.of.rl; did you mean 'lr'?",
        ),
        ({"modle": {}}, "unknown setting modle; did you mean 'model'?"),
        ({"model": {"nmae": 1}}, "unknown setting model.nmae; did you mean 'name'?"),
        ({"model": 5}, "model is 5; it must be a mapping"),
        ({"training": {"batch_size": 4.5}}, "training.batch_size is 4.5; it must be a whole"),
        ({"training": {"batch_size": 0}}, "training.batch_size is 0; it must be 1 or more"),
        ({"training": {"max_grad_norm": -1}}, "max_grad_norm is -1.0; it must be 0 or more"),
        ({"training": {"scheduler": "liner"}}, "unknown scheduler 'liner'; did you mean 'linear'"),
        ({"evaluation": {"batch_size": 0}}, "evaluation.batch_size is 0; it must be 1 or more"),
        ({"evaluation": {"split": "tset"}}, "unknown split 'tset'; did you mean 'test'"),
        ({"evaluation": {"drift": 1}}, "evaluation.drift is 1; it must be true or false"),
        ({"model": {"dtype": "float8"}}, "model.dtype is float8; it must be one of auto, float32"),
        ({"output": {"tracker": "wand"}}, "unknown tracker 'wand'; did you mean 'wandb'"),
        ({"output": {"tracker": None}}, "output.tracker is null; it must be a text"),
        ({"output": {"results_dir": "a", "checkpoint_dir": "b/../a"}}, "are both a: name two"),
        ({"seed": 1.5}, "seed is 1.5; it must be a whole number"),
        ({"seed": None}, "seed is null; it must be a whole number"),
        ({"experiment": "a/b"}, "the experiment is named 'a/b'; it must be a plain folder name"),
        ({"experiment": None}, "experiment is null; it must be a text"),
        ({"run": ".."}, "the run is named '..'"),
        ({"run": ".answers"}, "the run is named '.answers'"),
        ({"data": {"training_rounds": "1-3,3-4"}}, "ranges 1-3 and 3-4 overlap"),
        ({"data": {"training_rounds": ["1-3"]}}, "data.training_rounds is ['1-3']; it must be"),
    ],
)
def test_what_is_wrong_is_one_line(settings: dict[str, Any], words: str) -> None:
    base: dict[str, Any] = {} if set(settings) <= {"method"} else {"method": "lora"}
    assert words in refused({**base, **settings})


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (["--training.batch_sise", "4"], "did you mean 'training.batch_size'?"),
        (["--training.batch", "4"], "unknown flag --training.batch"),
        (["--method.k", "4"], "unknown flag --method.k"),
        (["--method.lr", "x"], "method.lr is x; it must be a number"),
        (["--method.lr", "null"], "method.lr is null; it must be a number"),
        (["--method.lr"], "--method.lr: expected one argument"),
        (["4"], "unexpected argument '4'"),
    ],
)
def test_wrong_overrides_are_one_line(override: list[str], words: str) -> None:
    assert words in refused({"method": "lora"}, *override)


def test_empty_sections_are_defaults() -> None:
    sections = dict.fromkeys(SECTIONS)
    assert resolve({**sections, "method": "lora"}) == resolve({"method": "lora"})


OTHER: dict[str, Any] = {
    "method.instruction": "Call tools.",
    "seed": 43,
    "model.name": "owner/name",
    "model.revision": "main",
    "model.dtype": "bfloat16",
    "model.device": "cpu",
    "model.system_message": "Hello",
    "model.max_length": 512,
    "data.source": "others.jsonl",
    "data.revision": "main",
    "data.training_rounds": "1-2:3,3-5",
    "data.adaptation_tools": "7-8",
    "data.train_multi_tool_ratios": [1.0],
    "data.test_multi_tool_ratios": [1.0],
    "data.train_max_function_calls_per_round": [2],
    "data.test_max_function_calls_per_round": [2],
    "training.scheduler": "constant",
    "training.cross_entropy": "liger",
    "evaluation.split": "validation",
    "method.retriever": "dense",
    "method.dense_model": "c/d",
    "method.tool_format": "full",
}
SINGLE_ROUND = ("train_file", "test_file", "tool_descriptions", "epochs")


def changed(config: RunConfig, name: str, value: Any) -> RunConfig:
    settings = config.settings()
    *sections, key = name.split(".")
    below = settings
    for section in sections:
        below = below[section]
    below[key] = value
    if name == "model.revision":
        settings["model"]["name"] = "owner/name"
    if name == "data.revision":
        settings["data"]["source"] = "owner/rows"
    if key in SINGLE_ROUND:
        settings["data"]["training_rounds"] = None
    return resolve(settings)


NO_RESULT_DEPENDS_ON = ("training.checkpoint_seconds", "model.shards")


def leaves(config: RunConfig) -> list[tuple[str, Any]]:
    plain = config.settings()
    nested = [(f"{s}.{k}", v) for s in (*SECTIONS, "method") for k, v in plain[s].items()]
    kept = [leaf for leaf in nested if not leaf[0].startswith("documents.")]  # a run of tools
    return [("seed", config.seed), *kept]


def test_the_hash_changes_with_everything_that_results_depend_on() -> None:
    config = resolve(SETTINGS)
    seen = {config.sha256()}
    for name, value in leaves(config):
        if name in ("method.name", "data.data_dir", *NO_RESULT_DEPENDS_ON):
            continue
        if name.startswith("output."):
            continue
        other = OTHER.get(name)
        if other is None:
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            other = not value if isinstance(value, bool) else (value + 1 if is_number else 5)
        if name == "training.warmup_ratio":
            other = 0.5
        if name.removeprefix("data.") in SINGLE_ROUND[:3]:
            other = "file.json"
        digest = changed(config, name, other).sha256()
        assert digest not in seen, name
        seen.add(digest)


def test_the_hash_ignores_names_and_places(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    model = tmp_path / "model"
    model.mkdir()
    source_file(tmp_path, (1,))
    files = {"train_file": tmp_path / "a.json", "test_file": "b.json"}
    one = resolve(
        {
            "method": {"name": "rag", "dense_model": str(model)},
            "experiment": "a",
            "run": "b",
            "model": {"name": str(model), "shards": 2},
            "data": {
                "source": str(tmp_path / "toy.jsonl"),
                **{k: str(v) for k, v in files.items()},
            },
            "output": {"results_dir": "y", "save_checkpoints": True, "tracker": "wandb"},
            "training": {"checkpoint_seconds": 3},
        }
    )
    two = resolve(
        {
            "method": {"name": "rag", "dense_model": "model"},
            "model": {"name": str(tmp_path / "sub" / ".." / "model")},
            "data": {
                "source": str(tmp_path / "sub" / "toy.jsonl"),  # need not be there
                "train_file": "a.json",
                "test_file": str(tmp_path / "b.json"),
            },
        }
    )
    assert one.sha256() == two.sha256()


def test_an_experiment_is_named_by_its_file_or_itself(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("method: lora\n")
    assert read_experiment(path)["experiment"] == "mine"
    path.write_text("experiment: other\nmethod: lora\n")
    assert read_experiment(path)["experiment"] == "other"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_experiment_resolves(path: Path, tmp_path: Path) -> None:
    source = source_file(tmp_path, (3,))
    runs = select_runs(read_experiment(path))
    assert len({settings["run"] for settings in runs}) == len(runs)
    for settings in runs:
        own = settings.get("data", {}).get("source")
        overrides = [] if own else ["--data.source", str(source)]
        config = resolve(settings, overrides)
        assert resolve(config.settings()) == config
        assert "/" not in str(own or "")  # no folder of one machine


def test_results_and_states_have_folders_of_their_own() -> None:
    assert OutputConfig().results_dir != OutputConfig().checkpoint_dir
