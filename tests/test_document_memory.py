"""Documents learned, asked about and forgotten from the shell."""

from dataclasses import replace

import pytest

from compositional.cli.main import main
from compositional.document_memory import open_memory
from compositional.memory_file import FILE, read_kept, write_kept
from compositional.methods import sparse_memory
from compositional.methods.dual_mlp import save_initial
from compositional.models.second_mlp import SecondMlps
from compositional.states import load_state
from tests.hypernetwork_toy import toy_hypernetwork
from tests.memories_toy import MEMORY, learn
from tests.methods_toy import fresh_model
from tests.toy import toy_model

FEW_SLOTS = (
    "--method.slots_per_token", "4", "--method.background_batches", "3",
    "--method.num_slots", "16", "--method.product_keys.sub_keys", "8",
)  # fmt: skip


def test_learns_asks_and_lists_between_commands(at_home, toy_model_folder, capsys) -> None:
    assert learn(toy_model_folder, "a.txt") == 0
    assert main(["learn", "b.md"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("learned a.txt: 37 tokens, loss ")
    assert said[1].startswith("learned b.md: 25 tokens, loss ")
    assert main(["ask", "Where is the mill?", "--evaluation.max_new_tokens", "4"]) == 0
    assert main(["history"]) == 0
    table = capsys.readouterr().out
    assert "| a.txt    |" in table
    assert "| b.md     |" in table
    assert main(["info"]) == 0
    facts = capsys.readouterr().out
    for name in ("second MLPs in blocks", "trained parameters", "alpha", "documents", "bytes"):
        assert name in facts


def test_what_was_learned_is_the_same_after_it_was_read(at_home, toy_model_folder) -> None:
    learn(toy_model_folder, "a.txt")
    kept = load_state(MEMORY / FILE)
    memory = open_memory(MEMORY)
    memory.save()
    again = load_state(MEMORY / FILE)
    assert again.metadata == kept.metadata
    assert all(again.tensors[name].equal(tensor) for name, tensor in kept.tensors.items())
    assert memory.model.attached_state()


@pytest.mark.parametrize(
    ("method", "flags"),
    [
        ("knn_lm", ()),
        ("text_rag", ()),
        ("jitrl", ()),
        ("sparse_memory", FEW_SLOTS),
        ("sparse_memory", (*FEW_SLOTS, "--method.slots", "second_mlp")),
        ("sparse_memory", (*FEW_SLOTS, "--method.slots", "product_keys")),
    ],
)
@pytest.mark.parametrize("gone", ["b.md", "a.txt"])
def test_what_is_forgotten_is_gone_exactly(
    at_home, toy_model_folder, capsys, method, flags, gone
) -> None:
    """Whichever it was: the memory is as one that never learned it."""
    (left,) = {"a.txt", "b.md"} - {gone}
    learn(toy_model_folder, left, "--memory", "never", method=method, flags=flags)
    expected = load_state(MEMORY.with_name("never") / FILE)
    learn(toy_model_folder, "b.md", "a.txt", method=method, flags=flags)
    capsys.readouterr()
    assert main(["forget", gone]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == f"forgot {gone}; 1 documents are left"
    is_around = method == "sparse_memory" and gone == "b.md"  # the other was learned around it
    assert ("cannot take a document out exactly" in said) == is_around
    found = load_state(MEMORY / FILE)
    assert set(found.tensors) == set(expected.tensors)
    assert all(found.tensors[n].equal(tensor) for n, tensor in expected.tensors.items())
    for part in ("documents", "method"):
        assert found.metadata[part] == expected.metadata[part]


def test_the_last_ones_learned_are_forgotten_together(at_home, toy_model_folder, capsys) -> None:
    (at_home / "c.txt").write_text("Temba lies on the Ebbe.")
    learn(toy_model_folder, "c.txt", method="sparse_memory", flags=FEW_SLOTS)
    expected = load_state(MEMORY / FILE)
    assert main(["learn", "a.txt", "b.md"]) == 0
    assert main(["forget", "a.txt", "b.md"]) == 0
    assert "taught again" not in capsys.readouterr().out
    found = load_state(MEMORY / FILE)
    assert set(found.tensors) == set(expected.tensors)
    assert all(found.tensors[n].equal(tensor) for n, tensor in expected.tensors.items())


def test_others_are_taught_again_where_it_cannot(at_home, toy_model_folder, capsys) -> None:
    learn(toy_model_folder, "b.md")
    expected = load_state(MEMORY / FILE)
    main(["learn", "a.txt"])
    assert main(["forget", "a.txt"]) == 0
    assert "dual_mlp cannot take a document out exactly" in capsys.readouterr().out
    found = load_state(MEMORY / FILE)
    for name, tensor in expected.tensors.items():
        assert found.tensors[name].equal(tensor), name
    assert main(["ask", "Who?", "--evaluation.max_new_tokens", "2"]) == 0


@pytest.mark.parametrize("slots", ["neurons", "product_keys"])
def test_what_was_counted_for_the_model_is_not_counted_again(
    at_home, toy_model_folder, monkeypatch, capsys, slots
) -> None:
    few = (*FEW_SLOTS, "--method.slots", slots)
    learn(toy_model_folder, "b.md", method="sparse_memory", flags=few)
    expected = load_state(MEMORY / FILE)
    assert main(["forget", "b.md"]) == 0
    assert main(["learn", "a.txt", "b.md"]) == 0
    counted: list[int] = []
    monkeypatch.setattr(sparse_memory, "background_batches", lambda *_: counted.append(1))
    assert main(["forget", "a.txt"]) == 0
    assert "taught again" in capsys.readouterr().out
    assert not counted
    found = load_state(MEMORY / FILE)
    assert set(found.tensors) == set(expected.tensors)
    assert all(found.tensors[n].equal(tensor) for n, tensor in expected.tensors.items())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ask", "Who?"], "holds nothing learned yet"),
        (["learn", "nothing.txt"], "nothing.txt"),
        (["learn", "empty.txt"], "empty.txt: is empty"),
        (["learn", "binary.txt"], "binary.txt"),
        (["learn", "a.txt", "--memory", "../x"], "must be a plain name"),
        (["learn", "a.txt", "--method", "dual_mpl"], "did you mean 'dual_mlp'"),
        (["learn", "a.txt", "--method.rate", "1"], "rate"),
        (["forget", "a.txt"], "holds nothing learned yet"),
        (["feedback", "Who?", "Kor", "1"], "holds nothing learned yet"),
        (["feedback", "Who?", "Kor", "good"], "invalid float value: 'good'"),
    ],
)
def test_bad_input_is_one_line(at_home, capsys, words, message) -> None:
    (at_home / "empty.txt").write_text(" \n")
    (at_home / "binary.txt").write_bytes(b"\x00\xff\xfe")
    assert main(words) == 2 or "holds nothing" in message
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (MEMORY / FILE).exists()


def test_a_document_over_the_limit_is_refused_whole(at_home, toy_model_folder, capsys) -> None:
    (at_home / "long.txt").write_text("word " * 600)
    assert learn(toy_model_folder, "a.txt", "long.txt") != 0
    assert "document 'long.txt'" in capsys.readouterr().err
    assert not MEMORY.exists()  # nor was the one before it learned


def test_twice_the_same_and_another_method_are_refused(at_home, toy_model_folder, capsys) -> None:
    learn(toy_model_folder, "a.txt")
    assert main(["learn", "a.txt"]) != 0
    assert "has been learned: forget it first" in capsys.readouterr().err
    assert main(["learn", "b.md", "--method", "knn_lm"]) != 0
    assert "learns by dual_mlp" in capsys.readouterr().err
    assert main(["forget", "c.txt"]) != 0
    assert "'c.txt' has not been learned" in capsys.readouterr().err


def test_a_memory_of_another_model_is_refused_by_name(at_home, toy_model_folder, capsys) -> None:
    learn(toy_model_folder, "a.txt")
    other = toy_model(at_home / "other", seed=5)
    kept = read_kept(MEMORY)
    kept.settings["model"]["name"] = str(other)
    write_kept(MEMORY, kept)
    assert main(["ask", "Who?"]) != 0
    said = capsys.readouterr().err
    learned_by = f"another model: {toy_model_folder} (weights {kept.model_sha256[:12]})"
    assert f"was learned by {learned_by}, and this is {other} (weights " in said
    write_kept(MEMORY, replace(kept, model_name=""))
    assert main(["ask", "Who?"]) != 0
    assert f"another model: unnamed model (weights {kept.model_sha256[:12]})" in (
        capsys.readouterr().err
    )


SURE = ("--method.kl_weight", "0.001")


def asked(capsys, question: str) -> str:
    capsys.readouterr()
    assert main(["ask", question, "--evaluation.max_new_tokens", "4"]) == 0
    return capsys.readouterr().out.removesuffix("\n")


def test_feedback_changes_the_answer_until_it_is_forgotten(
    at_home, toy_model_folder, capsys
) -> None:
    learn(toy_model_folder, "a.txt", method="jitrl", flags=SURE)
    before = load_state(MEMORY / FILE)
    question = "Who sold 400 loaves?"
    own = asked(capsys, question)
    assert main(["feedback", question, "Ann Temba", "1"]) == 0
    assert capsys.readouterr().out == f"learned feedback: {question}\n"
    assert asked(capsys, question) == "Ann Temba"
    assert main(["feedback", question, "Ann Temba", "-1"]) == 0
    assert main(["feedback", question, "Ann Temba", "-0.5"]) == 0
    assert asked(capsys, question) != "Ann Temba"
    assert main(["history"]) == 0
    assert capsys.readouterr().out.count(f"| feedback: {question} |") == 3
    assert main(["info"]) == 0
    assert "returns remembered" in capsys.readouterr().out
    assert main(["forget", f"feedback: {question}"]) == 0
    assert load_state(MEMORY / FILE).metadata == before.metadata
    assert asked(capsys, question) == own


def test_feedback_without_documents_is_kept(at_home, toy_model_folder, capsys) -> None:
    assert learn(toy_model_folder, "a.txt", method="jitrl") == 0
    assert main(["feedback", "Who?", "Kor", "1"]) == 0
    assert main(["forget", "a.txt"]) == 0
    assert learn(toy_model_folder, "b.md", method="jitrl") == 2
    assert "learns by jitrl with the settings it was made with" in capsys.readouterr().err
    assert main(["learn", "b.md"]) == 0
    assert [line.name for line in read_kept(MEMORY).history] == ["feedback: Who?", "b.md"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Who?", "Kor", "1.5"], "the reward is 1.5; it must be from -1 (wrong) to 1 (right)"),
        (["Who?", "Kor", "nan"], "the reward is nan"),
        ([" ", "Kor", "1"], "the question is ' '; it must hold a word"),
        (["Who?", "", "1"], "the answer is ''; it must hold a word"),
    ],
)
def test_feedback_that_is_none_is_refused(
    at_home, toy_model_folder, capsys, words, message
) -> None:
    learn(toy_model_folder, "a.txt", method="jitrl")
    before = (MEMORY / FILE).read_bytes()
    assert main(["feedback", *words]) == 2
    assert message in capsys.readouterr().err
    assert (MEMORY / FILE).read_bytes() == before


def test_a_method_without_rewards_takes_no_feedback(at_home, toy_model_folder, capsys) -> None:
    learn(toy_model_folder, "a.txt", method="text_rag")
    assert main(["feedback", "Who?", "Kor", "1"]) == 2
    assert "text_rag takes no feedback" in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["initial", "hypernetwork"])
def test_a_memory_keeps_the_file_that_its_method_began_with(
    at_home, toy_model_folder, capsys, setting
) -> None:
    path, model = at_home / "began.safetensors", fresh_model(toy_model_folder)
    if setting == "initial":
        method = "dual_mlp"
        save_initial(path, SecondMlps(model.backbone, 1), model, {})
    else:
        method = "doc2lora"
        toy_hypernetwork(path, model)
    given = path.read_bytes()
    flags = (f"--method.{setting}", "began.safetensors")
    assert learn(toy_model_folder, "a.txt", method=method, flags=flags) == 0
    path.unlink()
    assert main(["learn", "b.md"]) == 0
    assert main(["ask", "Where is the mill?", "--evaluation.max_new_tokens", "2"]) == 0
    assert main(["forget", "a.txt"]) == 0
    assert [document.name for document in open_memory(MEMORY).documents] == ["b.md"]
    assert (MEMORY / f"{setting}.safetensors").read_bytes() == given
