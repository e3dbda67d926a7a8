from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compositional.answering import Answering
from compositional.chat_backends.settings import BackendSettings
from compositional.documents.benchmark import prepare_documents
from compositional.documents.config import DocumentsConfig
from compositional.errors import BackendError, ConfigError, ModelError
from compositional.methods.ace import HEAD, Ace, AceConfig
from compositional.methods.questions import prompt_ids, question_text
from compositional.methods.self_study import ANSWER, ASK
from compositional.models.language_model import LanguageModel
from compositional.playbooks.playbook import Playbook
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tasks.types import TEXT, Document, Example, Round
from tests.documents_toy import toy_documents
from tests.playbooks.scripted import Scripted, add, curated, generated, reflected
from tests.rounds_toy import toy_benchmark, toy_context
from tests.servers_toy import always, openai_like, serving

NOTHING = Benchmark((), None, (), (), {}, {"rounds": []}, "", task=DOCUMENTS)
QUESTION = Example("q", "Who built the mill?", None, form=TEXT)
MILL = Document("mill.txt", "Kor Alman built the mill. It makes paper.")
SMALL = AceConfig(
    questions=2, held_out=0.0, retries=0, playbook_tokens=160, reply_tokens=384, field_chars=12
)
STUDY = ["Who built it?", "What does it make?", "Kor Alman", "paper"]
WRONG = generated("nobody")


def round_of(*documents: Document, index: int = 1) -> Round:
    return Round(index, f"r{index}", 1, (), (), (), (), documents)


def scripted(model: LanguageModel, *replies: Any, **settings: Any) -> tuple[Ace, Scripted]:
    """The method with a back end of written replies, which writes the questions as well."""
    server = BackendSettings("openai", "http://127.0.0.1:1", "m")
    config = replace(SMALL, backend=server, field_chars=80, **settings)
    method = config.build(model, NOTHING)
    method.backend = script = Scripted(*replies)
    return method, script


def teach(text: str) -> list[Any]:
    """The replies to one question that was answered wrongly, after which an entry is added."""
    return [WRONG, reflected(), curated(add(text))]


def test_a_document_is_learned_by_questions_of_its_own(toy) -> None:
    model, run = LanguageModel(toy), toy_context()
    method, script = scripted(
        model, *STUDY, *teach("Kor."), generated("Kor Alman paper", "str-00001")
    )
    method.learn(round_of(MILL), run)
    assert [script.prompt(n) for n in range(4)] == [
        ASK.format(sentence="Kor Alman built the mill."),
        ASK.format(sentence="It makes paper."),
        ANSWER.format(sentence="Kor Alman built the mill.", question="Who built it?"),
        ANSWER.format(sentence="It makes paper.", question="What does it make?"),
    ]
    (entry,) = method.playbook.entries
    assert (entry.text, entry.sources, entry.helpful) == ("Kor.", ("mill.txt",), 1)
    assert (method.tally.questions, method.tally.right, method.tally.added) == (2, 1, 1)
    assert run.budget.replies == 4
    assert run.budget.buffer_bytes > len(MILL.text)
    first = script.prompt(4)
    assert question_text("Who built it?") in first or question_text("What does it make?") in first


def test_the_playbook_stands_before_the_question_and_nothing_else(toy) -> None:
    model = LanguageModel(toy)
    method = SMALL.build(model, toy_documents(1))
    assert method.model is model
    assert method.texts() == []
    before = method.answer([QUESTION], toy_context())[0]
    assert before.raw == model.text(list(model_answer(model, prompt_ids(model, QUESTION)))).strip()
    method.playbook = Playbook().add("facts", "Kor built it.", ["mill.txt"])
    method.documents = [MILL]
    text = f"{HEAD}\n## facts\n[str-00001] helpful=0 harmful=0 :: Kor built it."
    assert method.texts() == [text]
    (prediction,) = method.answer([replace(QUESTION, choices=("Kor", "Bread"))], toy_context())
    expected = model_answer(model, prompt_ids(model, QUESTION, [text]))
    assert prediction.raw == model.text(list(expected)).strip()
    assert len(prediction.likelihoods) == 2


def model_answer(model: LanguageModel, prompt: list[int]) -> tuple[int, ...]:
    from compositional.generation.uncached import greedy

    return greedy(model, prompt, 8).ids


def test_documents_stand_in_the_prompt_only_where_that_is_set(toy) -> None:
    model = LanguageModel(toy)
    documents = [Document("a", "a" * 50), Document("b", "b" * 30), Document("c", "c" * 40)]
    for tokens, expected in ((0, ""), (39, ""), (40, "c"), (70, "bc"), (119, "bc"), (120, "abc")):
        method = replace(SMALL, document_tokens=tokens).build(model, NOTHING)
        method.documents = documents
        assert [text[0] for text in method.texts()] == list(expected), tokens


def test_rows_of_tools_are_questions_whose_calls_are_known(toy) -> None:
    benchmark = toy_benchmark(1)
    right = '{"name": "get_time", "arguments": {"what": "x0"}}'
    learned = [right, right.replace("x0", "x3"), right.replace("get_time", "set_alarm")]
    learned[2] = learned[2].replace("x0", "x1")
    method, _ = scripted(LanguageModel(toy))

    class Knows(Scripted):
        def chat(self, messages, schema, *, max_tokens, temperature=0.0, seed=0):
            asked.append(messages[-1].content.rpartition("\n")[2])
            known = {"get time x0": 0, "get time x3": 1, "set alarm x1": 2}
            self.replies = [generated(learned[known[asked[-1]]])]
            return super().chat(messages, schema, max_tokens=max_tokens)

    asked: list[str] = []
    method.backend = Knows()
    method.learn(benchmark.rounds[0], toy_context())
    # Of four training rows three have one call: two of get_time, one of set_alarm.
    assert sorted(asked) == ["get time x0", "get time x3", "set alarm x1"]
    assert (method.tally.questions, method.tally.right) == (3, 3)
    assert [document.name for document in method.documents] == ["get_time", "set_alarm"]


def test_online_takes_each_question_once_and_holds_none_out(toy) -> None:
    replies = [*STUDY, *teach("One."), *teach("Two.")]
    method, script = scripted(LanguageModel(toy), *replies, mode="online", epochs=3, held_out=0.5)
    method.learn(round_of(MILL), toy_context())
    assert not script.replies
    assert [entry.text for entry in method.playbook.entries] == ["One.", "Two."]


def test_offline_holds_questions_out_and_keeps_the_best(toy) -> None:
    # One question is learned from and one held out, which is right before the lesson only.
    replies = [*STUDY, generated("Kor Alman paper"), *teach("Bad."), generated("nothing")]
    method, script = scripted(LanguageModel(toy), *replies, held_out=0.5)
    method.learn(round_of(MILL), toy_context())
    assert not script.replies
    assert method.playbook == Playbook()
    assert method.tally.added == 1


def test_near_entries_are_one_where_embeddings_are_asked_for(toy, monkeypatch) -> None:
    asked = []

    def embedder(name: str) -> Any:
        asked.append(name)
        return lambda texts: np.ones((len(texts), 1))

    monkeypatch.setattr("compositional.methods.ace.sentence_embedder", embedder)
    for duplicates, left in (("text", 2), ("dense", 1)):
        replies = [*STUDY, *teach("One."), *teach("Two.")]
        settings = {"duplicates": duplicates, "dense_model": "here"}
        method, _ = scripted(LanguageModel(toy), *replies, **settings)
        method.learn(round_of(MILL), toy_context())
        assert len(method.playbook.entries) == left
    assert asked == ["here"]


def test_the_playbook_stays_where_no_reply_can_be_used(toy) -> None:
    method, _ = scripted(LanguageModel(toy), *STUDY, *["nonsense"] * 4)
    method.playbook = known = Playbook().add("facts", "Old.", ["a"])
    with pytest.raises(BackendError, match="the script: none of 4 replies in round 1 can be used"):
        method.learn(round_of(MILL), toy_context())
    assert (method.playbook, method.documents, method.tally.questions) == (known, [], 0)


def test_it_takes_no_document_out_by_itself(toy) -> None:
    """Its lesson moved counters and texts of other entries, which nothing can tell apart."""
    assert not hasattr(SMALL.build(LanguageModel(toy), NOTHING), "forget")


def test_a_model_that_asks_nothing_teaches_nothing(toy, monkeypatch) -> None:
    """In process, where no line of a server says so."""
    said: list[str] = []

    def silent(model: Any, run: Any, prompts: Any) -> list[str]:
        return [said[0] if "Write one question" in prompt else "" for prompt in prompts]

    monkeypatch.setattr("compositional.methods.ace.say_alone", silent)
    for question in ("", "Who built it?"):  # one that it cannot answer is none
        said[:] = [question]
        method = SMALL.build(LanguageModel(toy), NOTHING)
        message = r"nothing can be learned from .r1.: the model in this process asked itself no"
        with pytest.raises(BackendError, match=message):
            method.learn(round_of(MILL), toy_context())
        assert (method.documents, method.playbook) == ([], Playbook())


def test_a_lesson_says_what_it_came_to(toy) -> None:
    method, _ = scripted(LanguageModel(toy), *STUDY, *teach("Kor."), *teach("Paper."))
    run = toy_context()
    method.learn(round_of(MILL), run)
    two = "2 questions, 0 right at once, 2 entries added and 2 kept, 2 in the playbook"
    assert run.notes == [two]
    replies = ["Who?", "Ann", generated("Ann")]
    method, _ = scripted(LanguageModel(toy), *replies, held_out=0.25)
    method.playbook = Playbook().add("facts", "Old.", ["old"])
    run = toy_context()
    method.learn(round_of(Document("b", "Ann sings.")), run)
    one = "1 questions, 1 right at once, 0 entries added and 0 kept, 1 in the playbook"
    assert run.notes == [f"{one}, none held out to choose the playbook by"]


def test_sentences_that_nothing_is_asked_about_are_counted(toy) -> None:
    method, _ = scripted(LanguageModel(toy), *STUDY, *teach("Kor."), *teach("Paper."), questions=2)
    run = toy_context()
    longer = Document(MILL.name, MILL.text + " It is red. It is old.")
    method.learn(round_of(longer), run)
    assert run.notes[0].endswith(", 2 of 4 sentences asked about")


def test_of_two_questions_one_is_held_out(toy) -> None:
    """A quarter of two is none by rounding; validation would be off without a word."""
    replies = [*STUDY, generated("nobody"), *teach("Good."), generated("Kor Alman paper")]
    method, script = scripted(LanguageModel(toy), *replies, held_out=0.25)
    run = toy_context()
    method.learn(round_of(MILL), run)
    assert not script.replies
    assert [entry.text for entry in method.playbook.entries] == ["Good."]
    assert run.notes[0].startswith("2 questions, 1 of them held out, 0 right at once, 1 entries")


def test_a_document_may_be_longer_than_the_window_and_a_sentence_may_not(toy) -> None:
    model = LanguageModel(toy)
    method = SMALL.build(model, NOTHING)
    assert not method.traits.reads_whole
    method.check_document(Document("a", "Kor built the mill. " * 200))
    sentence = Document("b", "word " * 600)
    with pytest.raises(ModelError, match=r"document .b. has a sentence that takes 3\d\d\d tokens"):
        method.check_document(sentence)
    benchmark = replace(toy_documents(1), rounds=(round_of(sentence),))
    with pytest.raises(ModelError, match="has a sentence that takes"):
        SMALL.build(model, benchmark)
    scripted(model)[0].check_document(sentence)  # a server knows its own window


def test_a_state_holds_playbook_documents_and_counters(toy) -> None:
    model = LanguageModel(toy)
    method, _ = scripted(model, *STUDY, *teach("Kor."), *teach("Paper."))
    method.learn(round_of(MILL), toy_context())
    other = SMALL.build(model, NOTHING)
    other.load_state_dict(method.state_dict())
    assert (other.playbook, other.documents) == (method.playbook, method.documents)
    assert other.tally == method.tally
    assert method.state_dict().tensors == {}
    assert method.describe()["playbook entries"] == 2


def test_a_server_answers_without_likelihoods(toy) -> None:
    with serving(openai_like(lambda body: f" {len(body['messages'])} said\n")) as server:
        settings = BackendSettings("openai", f"{server.url}/v1")
        method = replace(SMALL, backend=settings).build(LanguageModel(toy), NOTHING)
        assert method.model is None
        method.playbook = Playbook().add("facts", "Kor built it.", ["a"])
        examples = [
            replace(QUESTION, choices=("Kor", "Bread")),
            replace(QUESTION, choices=("Kor", "Bread"), generates=False),
            Example("c", "What time is it?", None),
        ]
        run = toy_context()
        said, silent, call = method.answer(examples, run)
    assert run.answering == Answering(prompt_tokens=2 * 7, generated_tokens=2 * 3)
    assert (said.raw, said.likelihoods, said.answered, said.num_tokens) == ("1 said", (), True, 3)
    assert (silent.raw, silent.answered) == ("", False)
    assert (call.raw, call.calls) == ("1 said", ())
    body = server.seen[1][1]
    assert "Kor built it." in body["messages"][0]["content"]
    assert (body["temperature"], body["max_tokens"]) == (0.0, 8)
    assert "response_format" not in body


def test_a_server_that_cannot_fill_the_cells_is_refused_before_it_is_asked(toy) -> None:
    model = LanguageModel(toy)
    method = replace(SMALL, backend=BackendSettings("openai", "http://127.0.0.1:1/v1", retries=0))
    at_ends = toy_documents(2)
    with pytest.raises(ConfigError, match=r"set documents\.generation everywhere"):
        method.build(model, at_ends)
    config = DocumentsConfig(
        source="synthetic", num_rounds=2, documents_per_round=1, num_facts=4, untaught=1,
        generation="everywhere", general=True,
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"set documents\.general false"):
        method.build(model, prepare_documents(config, 0))
    with pytest.raises(BackendError, match=r"no server can be reached at http://127\.0\.0\.1:1/v1"):
        method.build(model, prepare_documents(replace(config, general=False), 0))


def test_a_server_that_writes_no_questions_is_an_error(toy) -> None:
    with serving(openai_like(lambda _: " \n")) as server:
        settings = BackendSettings("openai", server.url, "m")
        method = replace(SMALL, backend=settings).build(LanguageModel(toy), NOTHING)
        with pytest.raises(BackendError, match="answered 2 prompts with nothing"):
            method.learn(round_of(MILL), toy_context())
    with serving(always(b"<html>")) as server:
        settings = BackendSettings("openai", server.url, "m")
        method = replace(SMALL, backend=settings).build(LanguageModel(toy), NOTHING)
        with pytest.raises(BackendError, match="answered no JSON but '<html>'"):
            method.learn(round_of(MILL), toy_context())


def test_prompts_with_a_full_playbook_must_fit(toy) -> None:
    model = LanguageModel(toy)
    with pytest.raises(ModelError, match="with a full playbook takes"):
        replace(SMALL, playbook_tokens=2000).build(model, toy_documents(1))
    with pytest.raises(ModelError, match="a role's prompt with a full playbook and a reply"):
        replace(SMALL, reply_tokens=1000).build(model, toy_documents(1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "ofline"}, "did you mean 'offline'"),
        ({"duplicates": "words"}, "unknown duplicates 'words'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"questions": 0}, "questions is 0"),
        ({"retries": -1}, "retries is -1"),
        ({"held_out": 1.0}, r"held_out is 1\.0"),
        ({"right_at": 0.0}, r"right_at is 0\.0"),
        ({"similarity": 1.5}, r"similarity is 1\.5"),
        ({"temperature": -1.0}, r"temperature is -1\.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(toy, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AceConfig(**settings).build(LanguageModel(toy), toy_documents(1))
