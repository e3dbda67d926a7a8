import logging
from pathlib import Path

import pytest
import torch

from compositional.cli.main import main
from compositional.documents.names import TEST, TRAIN
from compositional.documents.synthetic import synthetic_documents
from compositional.errors import ModelError
from compositional.methods.dual_mlp import DualMlpConfig, load_initial
from compositional.models.language_model import LanguageModel
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.models.second_mlp import SecondMlps
from compositional.states import load_state, save_state
from compositional.training.meta_learning import meta_learn
from compositional.training.text_lesson import TextTraining, learn_text
from tests.documents_toy import toy_documents
from tests.rounds_toy import toy_context
from tests.toy import toy_model

INNER = TextTraining(0.2, slice_tokens=128)


def texts(split: str, count: int) -> list[str]:
    return [each.document.text for each in synthetic_documents(count, 4, 0, split)]


def adapted_loss(model: LanguageModel, second: SecondMlps, text: str) -> float:
    """The loss of a text after one pass over it, from where the second MLPs are."""
    before = second.state_dict()
    parameters = list(second.named_parameters().values())
    learn_text("text", model, text, 1, parameters, INNER, toy_context())
    with torch.no_grad():
        ids = torch.tensor([model.chat.text_ids(text)])
        loss = float(model.backbone(input_ids=ids, labels=ids).loss)
    second.load_state_dict(before)
    return loss


def test_it_lowers_the_loss_after_adaptation_on_documents_it_has_not_seen(toy) -> None:
    model = LanguageModel(toy)
    second = SecondMlps(toy.model, 2)
    second.attach()
    unseen = texts(TEST, 3)
    before = [adapted_loss(model, second, text) for text in unseen]
    losses = meta_learn(model, second, texts(TRAIN, 6), 4, 1, INNER, 1.0, toy_context())
    assert len(losses) == 2 * 4 * 6
    after = [adapted_loss(model, second, text) for text in unseen]
    assert all(now < then - 0.1 for now, then in zip(after, before, strict=True))


def test_a_step_goes_a_share_of_the_way(toy) -> None:
    model = LanguageModel(toy)
    second = SecondMlps(toy.model, 1)
    second.attach()
    (text,) = texts(TRAIN, 1)
    parameters = list(second.named_parameters().values())
    learn_text("text", model, text, 2, parameters, INNER, toy_context())
    learned = second.state_dict()
    second.load_state_dict(second.initial)
    meta_learn(model, second, [text], 1, 2, INNER, 0.25, toy_context())
    for name, tensor in second.state_dict().items():
        expected = second.initial[name].lerp(learned[name], 0.25)
        assert torch.allclose(tensor, expected, atol=1e-6), name


def test_the_command_writes_what_the_method_begins_with(
    tmp_path: Path, toy_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "initial.safetensors"
    flags = ["--num_documents", "2", "--num_facts", "4", "--epochs", "1", "--passes", "2",
             "--model.name", str(toy_model_folder), "--model.device", "cpu"]  # fmt: skip
    assert main(["meta-train", str(path), *flags]) == 0
    assert "2 texts learned, loss of the first " in capsys.readouterr().out

    def model(folder: Path) -> LanguageModel:
        return LanguageModel(load_model(ModelConfig(name=str(folder), device="cpu")))

    config = DualMlpConfig(initial=str(path))
    method = config.build(model(toy_model_folder), toy_documents(1))
    named = method.second.named_parameters()
    assert any(parameter.abs().sum() > 0 for name, parameter in named.items() if "down" in name)
    other = toy_model(tmp_path / "other", seed=3)
    expected = f"was learned for another model: {toy_model_folder} .*, and this is {other} "
    with pytest.raises(ModelError, match=expected):
        config.build(model(other), toy_documents(1))
    kept = load_state(path)
    del kept.metadata["model"]
    save_state(tmp_path / "unnamed.safetensors", kept)
    unnamed = DualMlpConfig(initial=str(tmp_path / "unnamed.safetensors"))
    with pytest.raises(ModelError, match=r"another model: unnamed model \(weights \w{12}\), and"):
        unnamed.build(model(other), toy_documents(1))
    fewer = model(toy_model_folder)
    with pytest.raises(ModelError, match="is of other blocks"):
        load_initial(path, SecondMlps(fewer.backbone, 2), fewer)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--outer_rate", "0"], "outer_rate is 0"),
        (["--epochs", "0"], "epochs is 0"),
        (["--source", "no.txt"], "no.txt"),
        (
            ["--source", "one.txt"],
            "document 'one.txt' is 1 token long; to predict a token, one must",
        ),
        (
            ["--source", "long.txt"],
            "document 'long.txt' takes 3000 tokens, over the window of 2048",
        ),
        (["--method.rate", "1"], "rate"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path, toy_model_folder, capsys, monkeypatch, flags, message
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("x\n")
    (tmp_path / "long.txt").write_text("x" * 3000)
    path = tmp_path / "initial.safetensors"
    where = ["--model.name", str(toy_model_folder), "--model.device", "cpu"]
    assert main(["meta-train", str(path), *where, *flags]) != 0
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not path.exists()


def test_a_file_that_is_there_or_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path, capsys
) -> None:
    (tmp_path / "there").write_text("kept")
    messages = {
        "there": "there exists: remove it, or name another file",
        "there/below": "cannot write",
    }
    for name, message in messages.items():
        assert main(["meta-train", str(tmp_path / name), "--source", "no.txt"]) != 0
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    assert (tmp_path / "there").read_text() == "kept"


def test_what_of_a_source_is_not_taken_is_said(tmp_path, toy_model_folder, caplog) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text("The mill is red.")
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    flags = ["--source", str(tmp_path), "--num_documents", "2", "--epochs", "1", "--passes", "1"]
    where = ["--model.name", str(toy_model_folder), "--model.device", "cpu"]
    with caplog.at_level(logging.WARNING, "compositional"):
        assert main(["meta-train", str(tmp_path / "i.safetensors"), *flags, *where]) == 0
    assert caplog.messages == [
        f"1 not read, no .txt, .md, .jsonl, .json file: {tmp_path}/x.pdf",
        "1 of 3 documents not taken: num_documents is 2",
    ]
