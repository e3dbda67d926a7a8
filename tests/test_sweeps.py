"""The files of W&B sweeps: as W&B reads them, and as its agent turns them into commands."""

import json
import math
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import wandb
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from compositional import lora_sequential, main_sequential
from compositional.config import RunConfig
from compositional.files import read_json
from tests.runs_toy import toy_flags

FILES = sorted(Path("experiments/sweeps").glob("*.yaml"))
MODULES = {
    "compositional.lora_sequential": lora_sequential,
    "compositional.main_sequential": main_sequential,
}
FORMS = ("args", "args_no_equals", "args_no_boolean_flags")
# Keys that W&B documents and that the published schema, of 2022, does not know yet.
NEWER_KEYS = ("run_cap",)


def settings_of(path: Path) -> dict[str, Any]:
    settings = yaml.safe_load(path.read_text())
    return {key: value for key, value in settings.items() if key not in NEWER_KEYS}


def drawn(path: Path, place: float) -> dict[str, dict[str, Any]]:
    """Values as a sweep draws them: the first or last of a list, a number of a distribution."""
    values = {}
    for name, given in settings_of(path)["parameters"].items():
        if "value" in given:
            value = given["value"]
        elif "values" in given:
            value = given["values"][round(place * (len(given["values"]) - 1))]
        else:
            low, high = math.log(given["min"]), math.log(given["max"])
            value = math.exp(low + place * (high - low))
        values[name] = {"value": value}
    return values


def test_there_is_one_of_each_kind() -> None:
    assert {settings_of(path)["method"] for path in FILES} == {"grid", "random", "bayes"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_valid_by_the_published_schema(path) -> None:
    (schema_file,) = [file for file in files("sweeps") or [] if file.name == "schema.json"]
    schema = json.loads(schema_file.read_text())
    jsonschema.validate(settings_of(path), schema)
    assert settings_of(path)["program"] in MODULES


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", [0.0, 1.0])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_commands_are_parsed(path, place, form, monkeypatch) -> None:
    words = create_sweep_command_args({"args": drawn(path, place)})[form]
    module = MODULES[settings_of(path)["program"]]
    configs: list[RunConfig] = []
    monkeypatch.setattr(module, "run_flags", lambda _flags, config: configs.append(config))
    assert module.main(words) == 0
    (config,) = configs
    assert config.run.startswith(f"{config.method_name}-{config.id}")
    assert config.output.tracker == "wandb"
    for name in ("lr", "lora_lr"):
        if name in drawn(path, place):
            assert getattr(config.method, name) == pytest.approx(drawn(path, place)[name]["value"])


@pytest.fixture
def in_a_sweep(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment that W&B's agent gives; W&B reads it once a process, so it ends after."""
    wandb.teardown()
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    yield
    wandb.teardown()


@pytest.mark.usefixtures("in_a_sweep")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_commands_run(tmp_path, toy_model_folder, path, form) -> None:
    toy = toy_flags(tmp_path, toy_model_folder)
    given = {word.removeprefix("--").partition("=")[0] for word in toy if word.startswith("--")}
    kept = {name: value for name, value in drawn(path, 0.0).items() if name not in given}
    words = create_sweep_command_args({"args": kept})[form]
    assert MODULES[settings_of(path)["program"]].main([*words, *toy]) == 0
    (result,) = (tmp_path / "results" / "e").glob("*/result.json")
    assert read_json(result)["status"] == "finished"
    settings = read_json(result)["method"]
    for name in ("lr", "lora_lr", "use_replay_buffer", "renorm_active_tools"):
        if name in kept:
            assert settings[name] == pytest.approx(kept[name]["value"])
