"""Bad input of the document verbs: one line, nothing lost, nothing dropped in silence."""

import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compositional.cli.main import INTERRUPTED, main
from compositional.document_memory import open_memory
from compositional.locks import hold
from compositional.memory_file import FILE, read_kept
from compositional.methods.dual_mlp import DualMlp
from tests.memories_toy import MEMORY, TEXTS, learn, on
from tests.runs_toy import error_line

LONG = "word " * 600  # 3,000 tokens of one byte; the toy's window is 2,048

# What a shell starts in the background ignores interrupts by hand, and so do its children.
HEEDING_INTERRUPTS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from compositional.cli.main import main
raise SystemExit(main())
"""


def learned() -> list[str]:
    return [document.name for document in read_kept(MEMORY).documents]


@pytest.mark.parametrize(
    ("files", "words", "message"),
    [
        ({"long.txt": LONG}, ["a.txt", "long.txt"], "document 'long.txt' takes 2999 tokens, over"),
        ({"x.txt": "x"}, ["a.txt", "x.txt"], "document 'x.txt' is 1 token long"),
        ({"sub/a.txt": "Other."}, ["a.txt", "sub/a.txt"], "two documents are named 'a.txt'"),
        ({}, ["a.txt", "a.txt"], "two documents are named 'a.txt'"),
        ({"notes/bad.txt": "\0"}, ["a.txt", "notes"], "notes/bad.txt: is binary, not a text"),
        ({"notes/bad.md": " "}, ["a.txt", "notes"], "notes/bad.md: is empty"),
        ({"notes/c.pdf": "%PDF"}, ["a.txt", "notes"], "notes: holds no .txt, .md, .jsonl"),
    ],
)
def test_all_are_looked_at_before_one_is_learned(
    at_home, toy_model_folder, capsys, files: dict[str, str], words: list[str], message: str
) -> None:
    for name, text in files.items():
        (at_home / name).parent.mkdir(exist_ok=True)
        (at_home / name).write_text(text)
    assert learn(toy_model_folder, *words) == 2
    assert message in error_line(capsys)
    assert not (at_home / "checkpoints").exists()


def test_what_of_a_folder_is_not_read_is_said(at_home, toy_model_folder, capsys) -> None:
    (at_home / "notes" / ".git").mkdir(parents=True)
    (at_home / "notes" / "good.TXT").write_text("Kor bakes.")
    (at_home / "notes" / ".git" / "x.json").write_text("{")
    for number in range(7):
        (at_home / "notes" / f"{number}.pdf").write_bytes(b"%PDF")
    assert learn(toy_model_folder, "notes", method="text_rag") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("learned good.TXT: 10 tokens")
    said = [line for line in printed.err.splitlines() if " not read" in line]
    shown = ", ".join(f"notes/{number}.pdf" for number in range(5))
    assert said == [f"7 not read, no .txt, .md, .jsonl, .json file: {shown} and 2 more"]


@pytest.mark.parametrize(("method", "num_steps"), [("text_lora", 8 * 3), ("text_rag", 0)])
def test_what_is_read_in_parts_may_be_long_and_is_read_whole(
    at_home, toy_model_folder, method: str, num_steps: int
) -> None:
    (at_home / "long.txt").write_text(LONG)
    assert learn(toy_model_folder, "long.txt", method=method) == 0
    (line,) = read_kept(MEMORY).history
    assert line.num_tokens == len(LONG.strip())
    assert line.num_steps == num_steps  # passes x batches of four rows of 256 tokens


def test_what_is_not_learned_of_a_long_document_is_said(at_home, toy_model_folder, capsys) -> None:
    sentences = [f"Kor {number} built mill {number + 500}." for number in range(60)]
    (at_home / "long.txt").write_text(" ".join(sentences))
    assert learn(toy_model_folder, "long.txt", method="jitrl") == 0
    assert ", 64 of its 240 gaps practised on, " in capsys.readouterr().out
    (line,) = read_kept(MEMORY).history
    assert line.note == "64 of its 240 gaps practised on"


def test_a_text_is_learned_in_place_of_files(at_home, toy_model_folder, capsys) -> None:
    words = ["--method", "text_rag", *on(toy_model_folder)]
    assert main(["learn", "--text", "Kor built the mill.\nIt is red.", *words]) == 0
    assert main(["learn", "--text=Ann sings.", "--name", "on Ann"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("learned text: 30 tokens")
    assert said[1].startswith("learned on Ann: 10 tokens")
    assert [document.text for document in read_kept(MEMORY).documents] == [
        "Kor built the mill.\nIt is red.", "Ann sings.",
    ]  # fmt: skip
    assert main(["forget", "text"]) == 0
    assert learned() == ["on Ann"]


def test_two_files_of_one_name_are_learned_under_two(at_home, toy_model_folder, capsys) -> None:
    (at_home / "sub").mkdir()
    (at_home / "sub" / "a.txt").write_text("Ann sings.")
    assert learn(toy_model_folder, "a.txt", method="text_rag") == 0
    assert main(["learn", "sub/a.txt"]) == 2
    assert "'a.txt' has been learned: forget it first, or --name the other" in error_line(capsys)
    assert main(["learn", "sub/a.txt", "--name", "Ann's"]) == 0
    assert learned() == ["a.txt", "Ann's"]
    assert main(["forget", "sub/a.txt"]) == 0
    assert learned() == ["a.txt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", " "], "the text named 'text': is empty"),
        (["--text", "Kor.", "--name", " "], "the text is named ' '"),
        (
            ["a.txt", "b.md", "--name", "b"],
            "--name 'b' is for one document, and a.txt b.md holds 2",
        ),
        (["a.txt", "--name", " "], "the text is named ' '"),
        (["a.txt", "--text", "Kor."], "learn was given both --text and 'a.txt'"),
        (["--text", "Kor.", "a.txt"], "learn was given both --text and 'a.txt'"),
        (["--text"], "expected one argument"),
        ([], "the following arguments are required: path"),
    ],
)
def test_a_text_that_cannot_be_learned_is_one_line(at_home, capsys, words, message) -> None:
    assert main(["learn", *words]) == 2
    assert message in error_line(capsys)
    assert not (at_home / "checkpoints").exists()


def test_documents_may_go_once_they_are_learned(at_home, toy_model_folder, capsys) -> None:
    (at_home / "notes").mkdir()
    (at_home / "a.txt").rename(at_home / "notes" / "a.txt")
    assert learn(toy_model_folder, "notes", method="text_rag") == 0
    shutil.rmtree(at_home / "notes")
    assert main(["ask", "Where is the mill?", "--evaluation.max_new_tokens", "3"]) == 0
    assert main(["learn", "b.md"]) == 0
    assert learned() == ["a.txt", "b.md"]


@pytest.mark.parametrize("method", ["zero_shot", "own_document", "lora", "memory_tokens", "oracle"])
def test_a_method_that_learns_no_document_is_refused(at_home, capsys, method: str) -> None:
    assert main(["learn", "a.txt", "--method", method]) == 2
    line = error_line(capsys)
    assert f"method '{method}' learns no document by itself" in line
    assert "dual_mlp" in line
    assert not (at_home / "checkpoints").exists()


@pytest.mark.parametrize("name", ["../x", ".x", "a/b", "", "..", "/tmp/x", "n" * 201])
@pytest.mark.parametrize("verb", ["learn a.txt", "ask Who?", "forget a.txt", "history", "info"])
def test_no_name_of_a_memory_leaves_its_folder(at_home, capsys, verb: str, name: str) -> None:
    assert main([*verb.split(), "--memory", name]) == 2
    assert "it must be a plain name" in error_line(capsys)
    assert sorted(path.name for path in at_home.iterdir()) == sorted(TEXTS)


def test_names_of_documents_are_names_only(at_home, toy_model_folder, capsys) -> None:
    (at_home / "d.jsonl").write_text('{"name": "../../x", "text": "Kor bakes bread."}')
    assert learn(toy_model_folder, "d.jsonl", method="sparse_memory") == 0
    assert main(["forget", "../../x"]) == 0
    files = [path for path in at_home.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == sorted([*TEXTS, "d.jsonl", FILE])


@pytest.mark.parametrize("method", ["dual_mlp", "knn_lm"])
def test_a_folder_is_forgotten_as_it_was_learned(at_home, toy_model_folder, capsys, method) -> None:
    (at_home / "notes").mkdir()
    (at_home / "notes" / "c.txt").write_text("Temba lies on the Ebbe.")
    (at_home / "b.md").rename(at_home / "notes" / "b.md")
    learn(toy_model_folder, "a.txt", "notes", method=method)
    assert learned() == ["a.txt", "b.md", "c.txt"]
    shutil.rmtree(at_home / "notes")
    capsys.readouterr()
    assert main(["forget", "notes/"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "forgot b.md, c.txt; 1 documents are left"
    assert learned() == ["a.txt"]
    assert main(["forget", "b.md"]) == 2
    assert "'b.md' has not been learned" in error_line(capsys)


DAMAGE = {
    "empty": lambda whole: b"",
    "text": lambda whole: b"not a state",
    "half": lambda whole: whole[: len(whole) // 2],
    "a flipped bit in a tensor": lambda whole: whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
}


@pytest.mark.parametrize("kind", list(DAMAGE))
def test_a_damaged_file_is_refused_and_stays(at_home, toy_model_folder, capsys, kind) -> None:
    learn(toy_model_folder, "a.txt")
    damaged = DAMAGE[kind]((MEMORY / FILE).read_bytes())
    (MEMORY / FILE).write_bytes(damaged)
    capsys.readouterr()
    for words in (["ask", "Who?"], ["learn", "b.md"], ["forget", "a.txt"], ["history"], ["info"]):
        assert main(words) == 2, words
        assert FILE in error_line(capsys)
    assert (MEMORY / FILE).read_bytes() == damaged


def test_a_full_disk_loses_the_document_under_way_only(at_home, toy_model_folder, capsys) -> None:
    learn(toy_model_folder, "a.txt")
    before = (MEMORY / FILE).read_bytes()
    capsys.readouterr()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert main(["learn", "b.md"]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    printed = capsys.readouterr()
    assert "cannot write" in printed.err.splitlines()[-1]
    assert "learned" not in printed.out
    assert (MEMORY / FILE).read_bytes() == before
    assert main(["learn", "b.md"]) == 0
    assert learned() == ["a.txt", "b.md"]


@pytest.mark.parametrize("file", ["checkpoints", "checkpoints/memories/default"])
def test_a_place_that_cannot_be_written_is_seen_before_the_model_is_loaded(
    at_home, capsys, file: str
) -> None:
    (at_home / file).parent.mkdir(parents=True, exist_ok=True)
    (at_home / file).touch()
    assert main(["learn", "a.txt", "--model.name", "nowhere"]) == 2
    assert "cannot write" in error_line(capsys)


def test_two_cannot_learn_into_one_memory_at_once(at_home, toy_model_folder, capsys) -> None:
    learn(toy_model_folder, "a.txt")
    capsys.readouterr()
    with hold(MEMORY):  # as another process would
        for words in (["learn", "b.md"], ["forget", "a.txt"]):
            assert main(words) == 2
            assert "wait for it, or name another --memory" in error_line(capsys)
        assert main(["history"]) == 0
    assert learned() == ["a.txt"]


def test_an_interrupted_lesson_keeps_what_was_learned_before(at_home, toy_model_folder) -> None:
    (at_home / "b.txt").write_text("Kor bakes bread in Temba. " * 40)
    words = ["a.txt", "b.txt", *on(toy_model_folder), "--documents.epochs", "100"]
    flags = ["--method.slice_tokens", "16"]
    with subprocess.Popen(
        [sys.executable, "-c", HEEDING_INTERRUPTS, "learn", *words, *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=_environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith("learned a.txt")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == INTERRUPTED, said
    told = "interrupted: documents that were said to be learned are kept"
    assert said.splitlines()[-1] == told
    assert "Traceback" not in said
    assert learned() == ["a.txt"]
    assert [path.name for path in MEMORY.parent.iterdir()] == ["default"]
    assert [path.name for path in MEMORY.iterdir()] == [FILE]


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_an_interrupted_forgetting_leaves_the_memory_as_it_was(
    at_home, toy_model_folder, capsys, monkeypatch
) -> None:
    """The others are taught again: an interruption after the first of them loses none."""
    (at_home / "c.txt").write_text("Temba lies on the Ebbe.")
    learn(toy_model_folder, "a.txt", "b.md", "c.txt")
    before = (MEMORY / FILE).read_bytes()
    taught: list[str] = []
    teach = DualMlp.learn

    def interrupted(method: DualMlp, round_: Any, run: Any) -> None:
        if taught:
            raise KeyboardInterrupt
        taught.append(round_.name)
        teach(method, round_, run)

    monkeypatch.setattr(DualMlp, "learn", interrupted)
    capsys.readouterr()
    assert main(["forget", "a.txt"]) == INTERRUPTED
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted: the memory is as it was"
    assert taught == ["b.md"]
    assert (MEMORY / FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([""], "the question is empty"),
        (["  "], "the question is empty"),
        (["word " * 600], "a prompt of"),
        (["Who?", "--method.share_of_blocks", "0.5"], "--method.share_of_blocks belongs to how"),
        (["Who?", "--model.name=other"], "--model.name belongs to how a memory was made"),
        (["Who?", "--evaluation.max_new_token", "3"], "did you mean"),
        (["Who?", "--evaluation.max_new_tokens", "0"], "it must be 1 or more"),
        (["Who?", "is", "it"], "is"),
    ],
)
def test_questions_that_cannot_be_asked(at_home, toy_model_folder, capsys, words, message) -> None:
    learn(toy_model_folder, "a.txt")
    capsys.readouterr()
    assert main(["ask", *words]) == 2
    assert message in error_line(capsys)


def test_the_history_needs_no_model_and_what_does_says_so(
    at_home, toy_model_folder, capsys
) -> None:
    shutil.copytree(toy_model_folder, at_home / "model")
    learn(at_home / "model", "a.txt")
    shutil.rmtree(at_home / "model")
    capsys.readouterr()
    assert main(["history"]) == 0
    assert "| a.txt" in capsys.readouterr().out
    assert main(["info"]) == 2
    assert "unknown model" in error_line(capsys)


def test_a_memory_without_documents_says_so(at_home, toy_model_folder, capsys) -> None:
    learn(toy_model_folder, "a.txt", method="text_rag")
    assert main(["forget", "a.txt"]) == 0
    capsys.readouterr()
    assert main(["ask", "Who?", "--evaluation.max_new_tokens", "2"]) == 0
    assert "memory 'default' holds no document any more" in capsys.readouterr().err
    assert learn(toy_model_folder, "b.md", method="knn_lm") == 0  # it may learn otherwise now
    assert learned() == ["b.md"]


@pytest.mark.parametrize(
    ("method", "facts"),
    [
        ("text_lora", ("adapter", "adapted layers", "trained parameters")),
        ("text_rag", ("passages", "retriever")),
        ("full_finetuning", ("trained parameters",)),
        ("knn_lm", ("states kept",)),
        ("sparse_memory", ("slots moved", "trained parameters", "slots that other text uses")),
    ],
)
def test_info_says_what_a_method_trains_or_keeps(
    at_home, toy_model_folder, capsys, method: str, facts: tuple[str, ...]
) -> None:
    learn(toy_model_folder, "a.txt", method=method)
    shown = open_memory(MEMORY).info()
    for name in (*facts, "documents", "bytes"):
        assert shown[name], name
