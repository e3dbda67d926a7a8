"""A playbook from the shell: learned through servers, kept, loaded, and untouched by a bad one."""

import re
from pathlib import Path
from typing import Any

import pytest

from compositional.cli.main import main
from compositional.document_memory import open_memory
from compositional.files import read_json
from compositional.memory_file import FILE, read_kept, write_kept
from compositional.methods.ace import Ace
from tests.playbooks.scripted import wrong_at_first
from tests.servers_toy import always, hang, openai_like, serving

MEMORY = Path("checkpoints") / "memories" / "default"
TEXTS = {"a.txt": "The mill of Alba stands at the Vunda.", "b.md": "Kor bakes bread in Temba."}
SMALL = {
    "questions": 1, "held_out": 0.0, "retries": 0, "playbook_tokens": 160,
    "reply_tokens": 384, "field_chars": 24,
}  # fmt: skip


def learn(folder: Path, *words: str, **backend: Any) -> int:
    settings = {**SMALL, **{f"backend.{name}": value for name, value in backend.items()}}
    flags = [word for n, v in settings.items() for word in (f"--method.{n}", str(v))]
    return main(
        ["learn", *words, "--method", "ace", "--model.name", str(folder), "--model.device", "cpu",
         *flags]
    )  # fmt: skip


def teacher(body: Any) -> str:
    """A server that is wrong at first and then adds what the source says, entry by entry."""

    def note(said: str) -> str:
        word = next(word for word in ("Vunda", "bread") if word in said.rpartition("Source:")[2])
        return f"The {word}."

    asks = "Write one question" in body["messages"][-1]["content"]
    return wrong_at_first(body, note, "What of it?" if asks else "It is so.")


def test_learns_asks_and_shows_through_a_server(
    at_home: Path, toy_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(openai_like(teacher)) as server:
        place = {"kind": "openai", "url": f"{server.url}/v1", "model": "m"}
        assert learn(toy_model_folder, "a.txt", **place) == 0
        assert main(["learn", "b.md"]) == 0
        assert main(["ask", "Where is the mill?"]) == 0
        said = capsys.readouterr().out.splitlines()
        came_to = "1 questions, 0 right at once, 1 entries added and 1 kept, 1 in the playbook"
        assert said[0].startswith(f"learned a.txt: 37 tokens, {came_to}, ")
        assert said[-1] == "It is so."
        asked = server.seen[-1][1]["messages"][0]["content"]
        assert "The Vunda." in asked
        assert "The bread." in asked
    assert main(["playbook"]) == 0  # none of these needs the server
    assert main(["history"]) == 0
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "[str-00002] helpful=0 harmful=0 :: The bread." in said
    assert re.search(r"^playbook entries +2$", said, re.MULTILINE)
    assert re.search(rf"^back end +{server.url}/v1$", said, re.MULTILINE)


def test_a_document_is_forgotten_by_teaching_the_others_again(
    at_home: Path, toy_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is left is what would be there had the document never been learned."""
    with serving(openai_like(teacher)) as server:
        place = {"kind": "openai", "url": f"{server.url}/v1", "model": "m"}
        assert learn(toy_model_folder, "b.md", "--memory", "alone", **place) == 0
        assert learn(toy_model_folder, "a.txt", "b.md", **place) == 0
        before = (MEMORY / FILE).read_bytes()
        capsys.readouterr()
        assert main(["forget", "a.txt"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "ace cannot take a document out exactly: the 1 others are taught again from the start",
            "forgot a.txt; 1 documents are left",
        ]
        alone, left = (read_kept(MEMORY.parent / name) for name in ("alone", "default"))
        assert left.state.metadata == alone.state.metadata
        assert left.documents == alone.documents
        (MEMORY / FILE).write_bytes(before)
    assert main(["forget", "a.txt"]) == 2  # now that nobody answers
    assert "no server can be reached" in capsys.readouterr().err
    assert (MEMORY / FILE).read_bytes() == before
    assert main(["forget", "a.txt", "b.md"]) == 0  # nothing is left to be taught
    assert capsys.readouterr().out == "forgot a.txt, b.md; 0 documents are left\n"
    assert main(["playbook"]) == 0
    assert capsys.readouterr().out == "the playbook is empty\n"


def test_a_real_llama_cpp_server_and_the_protocol_of_ollama_teach(
    at_home: Path, toy_model_folder: Path, llama_url: str, ollama_url: str
) -> None:
    """The mechanics, with a tiny random model: its replies fit the schemas and say nothing."""
    for kind, url in (("openai", f"{llama_url}/v1"), ("ollama", ollama_url)):
        memory = ("--memory", kind)
        number = "2048" if kind == "ollama" else "8192"
        place = {"kind": kind, "url": url, "num_ctx": number}
        assert learn(toy_model_folder, "a.txt", *memory, **place) == 0
        method = open_memory(MEMORY.parent / kind).method
        assert isinstance(method, Ace)
        assert method.tally.questions == 1
        assert method.tally.usable > 0
        assert main(["ask", "Where?", *memory, "--evaluation.max_new_tokens", "4"]) == 0


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        (always(b"<html>hello</html>"), "answered no JSON but '<html>hello</html>'"),
        (always(b"{}"), "answered no chat completion but {}"),
        (always(b"gone", 404), "answered HTTP 404: gone"),
        (hang, "did not answer within 0.5 s"),
        (openai_like(lambda _: "nonsense"), "can be used, so the playbook stays as it was"),
        (openai_like(lambda _: '{"rule": 1}'), "can be used, so the playbook stays as it was"),
        (openai_like(lambda _: ""), "answered 1 prompts with nothing"),
    ],
    ids=["html", "other", "404", "hangs", "nonsense", "schema", "empty"],
)
def test_a_bad_server_is_one_line_and_the_playbook_is_untouched(
    at_home: Path, toy_model_folder: Path, capsys: pytest.CaptureFixture[str], handle, message: str
) -> None:
    with serving(openai_like(teacher)) as server:
        place = {"kind": "openai", "url": f"{server.url}/v1", "model": "m", "timeout_seconds": 20}
        assert learn(toy_model_folder, "a.txt", **place) == 0
    capsys.readouterr()
    with serving(handle) as server:
        memory = read_kept(MEMORY)
        memory.settings["method"]["backend"] |= {"url": f"{server.url}/v1", "timeout_seconds": 0.5}
        write_kept(MEMORY, memory)
        kept = (MEMORY / FILE).read_bytes()
        assert main(["learn", "b.md"]) == 2
    said = capsys.readouterr().err
    line = [text for text in said.splitlines() if text.startswith("error: ")]
    assert len(line) == 1
    assert message in line[0]
    assert f"{server.url}/v1" in line[0]
    assert "left out" not in said
    assert (MEMORY / FILE).read_bytes() == kept


def test_nobody_at_the_address_is_one_line(
    at_home: Path, toy_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"kind": "openai", "url": "http://127.0.0.1:1/v1", "model": "m", "retries": 0}
    assert learn(toy_model_folder, "a.txt", **place) == 2
    said = capsys.readouterr().err
    assert "error: no server can be reached at http://127.0.0.1:1/v1/chat/completions" in said
    assert not (MEMORY / FILE).exists()


def test_a_playbook_is_kept_as_json_and_begins_another_memory(
    at_home: Path, toy_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(openai_like(teacher)) as server:
        place = {"kind": "openai", "url": f"{server.url}/v1", "model": "m"}
        assert learn(toy_model_folder, "a.txt", **place) == 0
    assert main(["playbook", "--save", "mill"]) == 0
    path = Path("checkpoints") / "playbooks" / "mill.json"
    assert capsys.readouterr().out.splitlines()[-1] == f"{path}: 1 entries"
    assert read_json(path)["documents"] == [{"name": "a.txt", "text": TEXTS["a.txt"]}]
    model = ["--model.name", str(toy_model_folder), "--model.device", "cpu"]
    small = [word for n, v in SMALL.items() for word in (f"--method.{n}", str(v))]
    load = ["playbook", "--load", "mill", "--memory", "other", *model, *small]
    assert main(load) == 0
    assert capsys.readouterr().out == "other begins with 1 documents of mill\n"
    found, first = open_memory(MEMORY.parent / "other").method, open_memory(MEMORY).method
    assert isinstance(found, Ace)
    assert isinstance(first, Ace)
    assert (found.playbook, found.documents) == (first.playbook, first.documents)
    assert main(["ask", "Where?", "--memory", "other", "--evaluation.max_new_tokens", "2"]) == 0
    assert main(["forget", "a.txt", "--memory", "other"]) == 0
    assert main(load) == 0  # all of it was forgotten
    for words, message in (
        (load, "'other' has learned already: forget that first, or name another --memory"),
        (["playbook", "--load", "../mill", "--memory", "new"], "must be a plain name"),
        (["playbook", "--save", "../mill"], "must be a plain name"),
        (["playbook", "--load", "none", "--memory", "new"], "no such file"),
        ([*load[:4], "new", *load[5:], "--method.playbook_tokens", "9"], "over method.playbook_"),
        (["playbook", "--memory", "none"], "holds nothing learned yet"),
    ):
        capsys.readouterr()
        assert main(words) == 2
        said = capsys.readouterr().err
        assert message in said, said
        assert said.count("\n") == 1


def test_another_method_has_no_playbook(
    at_home: Path, toy_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model.name", str(toy_model_folder), "--model.device", "cpu"]
    assert main(["learn", "a.txt", "--method", "text_rag", *model]) == 0
    assert main(["playbook"]) == 2
    assert "learns by text_rag, which keeps no playbook" in capsys.readouterr().err
