"""A hypernetwork trained from the shell, on a tiny model in seconds."""

import json
import logging
import signal
from pathlib import Path
from typing import Any

import pytest

from compositional.cli.main import main
from compositional.files import read_json
from compositional.methods.doc2lora import Doc2LoraConfig
from compositional.models.hypernetwork_file import load_hypernetwork
from compositional.run_context import Progress
from compositional.states import load_state
from compositional.training.distillation_evaluation import CONTROLS
from tests.documents_toy import toy_documents
from tests.hypernetwork_toy import toy_hypernetwork
from tests.methods_toy import fresh_model
from tests.toy import toy_model

SMALL = ["--digits", "2", "--wordings", "1", "--contexts", "12", "--held_out", "4",
         "--num_blocks", "1", "--rank", "2", "--bias_rank", "1", "--width", "16", "--depth", "1",
         "--heads", "2", "--top_k", "8", "--steps", "6", "--training.batch_size", "4"]  # fmt: skip


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a cache of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPOSITIONAL_CACHE", str(tmp_path / "cache"))
    return tmp_path


def train(model: Path, *flags: str, output: str = "h.safetensors") -> int:
    where = ["--model.name", str(model), "--device", "cpu"]
    return main(["train-hypernetwork", output, *where, *flags])


def test_a_small_one_beats_every_control_on_numbers_it_has_not_seen(
    toy_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--digits", "3", "--wordings", "1", "--contexts", "300", "--held_out", "40",
             "--num_blocks", "1", "--rank", "4", "--bias_rank", "4", "--width", "32",
             "--depth", "1", "--steps", "1000", "--kl", "0", "--ce", "1", "--lr", "7e-3",
             "--evaluate_every", "500", "--training.batch_size", "8",
             "--answer_form", "number"]  # fmt: skip
    assert train(toy_model_folder, *flags) == 0
    record = read_json(Path("h.json"))
    scores = record["scores"]["held_out"]
    assert scores["hypernetwork"]["exact_match"]["value"] >= 0.2
    for control in CONTROLS:
        assert scores[control]["exact_match"]["value"] <= 0.05
        assert scores["above"][control]["interval"][0] > 0.05, control
        for measure, sign in (("token_accuracy", 1), ("cross_entropy", -1)):
            own, other = (scores[name][measure]["value"] for name in ("hypernetwork", control))
            assert sign * own > sign * other
    assert [point["step"] for point in record["curve"]] == [500, 1000]
    assert len(record["losses"]) == 1000
    said = capsys.readouterr().out
    assert "held out: 40 contexts, 40 questions" in said
    assert Path("h.md").read_text() in said
    # What was trained is what the method uses, from text to answer.
    model = fresh_model(toy_model_folder)
    method = Doc2LoraConfig("h.safetensors").build(model, toy_documents(1))
    assert method.trained.network.num_parameters() == record["parameters"]


@pytest.mark.parametrize(
    ("flags", "sets"),
    [
        (["--haystack_tokens", "600", "--haystack_needles", "2", "--filler_tokens", "60"], 2 + 9),
        (["--source", "synthetic", "--num_facts", "4", "--questions", "2"], 1),
        (["--source", "tasks", "--mode", "text", "--questions", "2"], 2),
        (["--named", "--distractors", "1", "--chunk_tokens", "9", "--bias_rank", "0"], 2),
        (["--answer_form", "number", "--ce", "0.5"], 2),
        (["--answers", "teacher", "--evaluation.max_new_tokens", "3", "--l1", "0.1"], 2),
    ],
)
def test_every_source_mode_and_option_trains(toy_model_folder, capsys, flags, sets) -> None:
    assert train(toy_model_folder, *SMALL, *flags) == 0
    record = read_json(Path("h.json"))
    assert len(record["scores"]) == sets
    assert set(record["sets"]) == {"training", *record["scores"]}
    network = load_hypernetwork(Path("h.safetensors"), fresh_model(toy_model_folder))
    assert network.mode == record["training"]["mode"]
    assert record["environment"]["threads"] >= 1
    assert "train-hypernetwork" in record["command"]


def test_a_file_of_documents_is_a_source(toy_model_folder, tmp_path, capsys, caplog) -> None:
    lines = [
        {"name": f"d{n}", "text": f"The mill {n} is red.",
         "questions": [{"question": "Which colour?", "answers": ["red"]}]}
        for n in range(8)
    ] + [{"name": "bare", "text": "Nothing is asked."}]  # fmt: skip
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    size = ["--contexts", "6", "--held_out", "2"]
    with caplog.at_level(logging.WARNING, "compositional"):
        assert train(toy_model_folder, *SMALL, "--source", "d.jsonl", *size) == 0
    assert caplog.messages == ["1 of 9 documents have no question and are left out: bare"]
    assert set(read_json(Path("h.json"))["scores"]) == {"held_out"}
    more = ["--contexts", "7", "--held_out", "2"]
    assert train(toy_model_folder, *SMALL, "--source", "d.jsonl", *more, output="i") != 0
    assert "d.jsonl has 8 documents with questions" in capsys.readouterr().err


def stopping(monkeypatch: pytest.MonkeyPatch, at_update: int) -> None:
    """Send this process a signal when the training's bar is updated for the n-th time."""
    plain, seen = Progress.bar, 0

    def bar(self: Progress, what: str, total: int, initial: int = 0) -> Any:
        nonlocal seen
        made = plain(self, what, total, initial)
        if what.startswith("hypernetwork"):

            class Counting:
                def __enter__(self) -> Any:
                    self.bar = made.__enter__()
                    return self

                def __exit__(self, *raised: Any) -> Any:
                    return made.__exit__(*raised)

                def update(self, count: int) -> None:
                    nonlocal seen
                    seen += count
                    if seen == at_update:
                        signal.raise_signal(signal.SIGTERM)
                    self.bar.update(count)

            return Counting()
        return made

    monkeypatch.setattr(Progress, "bar", bar)


def test_one_that_was_stopped_goes_on_and_ends_as_one_that_was_not(
    toy_model_folder, monkeypatch, capsys
) -> None:
    flags = [*SMALL, "--evaluate_every", "2"]
    assert train(toy_model_folder, *flags, output="whole.safetensors") == 0
    with monkeypatch.context() as patched:
        stopping(patched, at_update=3)
        assert train(toy_model_folder, *flags) == 128 + signal.SIGTERM
    assert "--resume goes on" in capsys.readouterr().err
    assert not Path("h.safetensors").exists()
    assert train(toy_model_folder, *flags) != 0
    assert "a training of h.safetensors is under way" in capsys.readouterr().err
    assert train(toy_model_folder, *flags, "--lr", "1e-4", "--resume") != 0
    assert "other settings: resume it as it was started" in capsys.readouterr().err
    assert train(toy_model_folder, *flags, "--resume") == 0
    found, expected = (load_state(Path(n)).tensors for n in ("h.safetensors", "whole.safetensors"))
    assert all(found[name].equal(tensor) for name, tensor in expected.items())
    records = [read_json(Path(name)) for name in ("h.json", "whole.json")]
    assert records[0]["losses"] == records[1]["losses"]
    assert records[0]["scores"] == records[1]["scores"]
    steps = [[point["step"] for point in record["curve"]] for record in records]
    assert steps == [[2, 4, 6], [2, 4, 6]]
    left = {path.name for path in Path().glob("h*")}
    assert left == {"h.safetensors", "h.json", "h.md"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--source", "none.json"], "none.json"),
        (["--mode", "text"], "mode 'text' does not go with source 'needles'"),
        (["--source", "tasks"], "mode 'doc' does not go with source 'tasks'"),
        (["--mode", "txt"], "did you mean 'text'"),
        (["--num_blocks", "3"], "num_blocks is 3; the model has 2 blocks"),
        (["--steps", "0"], "steps is 0"),
        (["--kl", "0"], "kl and ce are both 0"),
        (["--digits", "9"], "digits is 9"),
        (["--contexts", "90"], "90 needles are wanted"),
        (["--cache_mib", "0"], "over cache_mib 0"),
        (["--width", "20", "--heads", "4"], "width is 20 and heads 4"),
        (["--rnak", "2"], "did you mean 'rank'"),
        (["--source", "synthetic", "--haystack_tokens", "9"], "haystack_tokens is 9"),
        (["--haystack_tokens", "60"], "haystack_tokens is 60: 15 tokens of other facts are 0"),
        (["--answer_form", "word"], "unknown answer_form 'word'"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_spent(
    toy_model_folder, capsys, flags, message
) -> None:
    assert train(toy_model_folder, *SMALL, *flags) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not list(Path().glob("h*"))
    assert not (Path("cache") / "distillation").exists()


def test_nothing_is_written_over(toy_model_folder, capsys) -> None:
    toy_hypernetwork(Path("h.safetensors"), fresh_model(toy_model_folder))
    assert train(toy_model_folder, *SMALL) != 0
    assert "h.safetensors exists: remove it, or name another file" in capsys.readouterr().err


def test_another_models_is_refused_where_the_method_is_built(
    toy_model_folder, tmp_path, capsys
) -> None:
    toy_hypernetwork(Path("h.safetensors"), fresh_model(toy_model_folder))
    Path("a.txt").write_text("The mill.")
    other = toy_model(tmp_path / "other", seed=3)
    flags = ["--method", "doc2lora", "--method.hypernetwork", "h.safetensors",
             "--model.device", "cpu", "--model.name"]  # fmt: skip
    assert main(["learn", "a.txt", *flags, str(other)]) != 0
    assert "h.safetensors was trained for another model" in capsys.readouterr().err
