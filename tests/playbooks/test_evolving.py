from compositional.playbooks.playbook import Playbook
from compositional.playbooks.roles import Question
from tests.playbooks.scripted import (
    QUESTION,
    TOO_LONG,
    Scripted,
    add,
    curated,
    evolver,
    generated,
    reflected,
)

BOOK = Playbook().add("facts", "Mills stand.", ["a"]).add("facts", "Ask Kor.", ["a"])


def test_entries_that_a_right_answer_used_have_helped() -> None:
    backend = Scripted(generated("Kor Alman", "str-00002", "str-00002"))
    steps = evolver(backend)
    assert steps.learn(BOOK, QUESTION) == BOOK.count([("str-00002", "helpful")])
    assert (steps.tally.questions, steps.tally.right, steps.tally.replies) == (1, 1, 1)
    assert "[str-00002] helpful=0 harmful=0 :: Ask Kor." in backend.prompt(0)
    assert QUESTION.passage not in backend.prompt(0)


def test_a_wrong_answer_is_reflected_on_tried_again_and_curated() -> None:
    backend = Scripted(
        generated("nobody", "str-00001", "str-00002"),
        reflected("Kor it was", _1="harmful", _2="helpful"),
        generated("Kor Alman"),
        curated(add("Kor Alman built the mill."), {"type": "DELETE", "id": "str-00001"}),
    )
    steps = evolver(backend, retries=3)
    learned = steps.learn(BOOK, QUESTION)
    assert [(e.id, e.helpful, e.harmful) for e in learned.entries] == [
        ("str-00002", 1, 0),
        ("str-00003", 0, 0),
    ]
    assert learned.entries[1].sources == ("mill.txt",)
    # The reflector sees the source, the answers and the entries used; the next try the reflection.
    for part in (QUESTION.passage, "nobody", "Kor Alman", "[str-00001]"):
        assert part in backend.prompt(1)
    assert "'nobody', and it is wrong. Advice: recall the builder Kor it was" in backend.prompt(2)
    # The curator sees the counters after the tags, and how the next try ended.
    assert "[str-00001] helpful=0 harmful=1" in backend.prompt(3)
    assert "then answered 'Kor Alman', which is right." in backend.prompt(3)
    tally = steps.tally
    assert (tally.added, tally.deleted, tally.right, tally.replies) == (1, 1, 0, 4)


def test_tries_end_with_their_number() -> None:
    for retries, calls in ((0, "GRC"), (1, "GRGC"), (2, "GRGRGC")):
        replies = {"G": generated("no"), "R": reflected(), "C": curated()}
        backend = Scripted(*(replies[call] for call in calls))
        assert evolver(backend, retries).learn(BOOK, QUESTION) == BOOK
        assert not backend.replies, retries


def test_tags_count_only_for_entries_that_the_answer_used() -> None:
    backend = Scripted(generated("no", "str-00001"), "x", "x")
    evolver(backend).learn(BOOK, QUESTION)
    allowed = backend.schemas[1]["properties"]["bullet_tags"]["items"]["properties"]["id"]["enum"]
    assert allowed == ["str-00001"]
    cited = backend.schemas[0]["properties"]["bullet_ids"]["items"]["enum"]
    assert cited == ["str-00001", "str-00002"]


def test_what_was_settled_before_a_reply_is_left_out_stays() -> None:
    tagged = BOOK.count([("str-00001", "harmful")])
    wrong, said = generated("no", "str-00001"), reflected(_1="harmful")
    for replies, expected in (
        (("x", "x"), BOOK),
        ((TOO_LONG,), BOOK),
        ((wrong, "x", "x"), BOOK),
        ((wrong, said, "x", "x", curated(add("Kor."))), tagged.add("facts", "Kor.", ["mill.txt"])),
        ((wrong, said, generated("no"), "x", "x"), tagged),
    ):
        steps = evolver(Scripted(*replies))
        assert steps.learn(BOOK, QUESTION) == expected
        assert steps.tally.skipped == 1


def test_what_is_added_is_folded_and_held_to_the_budget() -> None:
    def learned(budget: int, text: str) -> tuple[Playbook, object]:
        backend = Scripted(generated("no"), reflected(), generated("no"), curated(add(text)))
        steps = evolver(backend, budget=budget)
        return steps.learn(BOOK, QUESTION), steps.tally

    same, tally = learned(1000, "the mills stand")
    assert same.ids == BOOK.ids
    assert same.entries[0].sources == ("a", "mill.txt")
    assert (tally.added, tally.folded) == (1, 1)
    # Two words of a heading, four and the text a line: 2 + 6 + 6 and 5 for the new one.
    fits, _ = learned(19, "Kor.")
    assert fits.ids == ("str-00001", "str-00002", "str-00003")
    short, tally = learned(18, "Kor.")
    assert short.ids == ("str-00002", "str-00003")
    assert tally.evicted == 1


def test_the_score_is_the_mean_of_first_answers() -> None:
    steps = evolver(Scripted(generated("Kor Alman"), generated("Kor"), "x", "x"))
    # F1 of one word of two is 2/3; what is left out scores 0.
    assert steps.score(BOOK, [QUESTION] * 3) == (1 + 2 / 3 + 0) / 3
    assert steps.tally.questions == 0


def test_only_scores_are_greedy_whatever_the_temperature() -> None:
    heats = []

    class Heats(Scripted):
        def chat(self, messages, schema, *, max_tokens, temperature=0.0, seed=0):
            heats.append(temperature)
            return super().chat(messages, schema, max_tokens=max_tokens)

    steps = evolver(Heats(generated("Kor Alman"), generated("Kor Alman")))
    steps.roles.asker.temperature = 0.7
    steps.learn(BOOK, QUESTION)
    steps.score(BOOK, [QUESTION])
    assert heats == [0.7, 0.0]


def test_calls_are_right_where_all_are_the_same() -> None:
    call = '{"name": "play", "arguments": {"song": "x"}}'
    question = Question("Play x", call, "play plays", "play", "calls")
    assert question.score('```\n{"name": "play", "arguments": {"song": "x"}}\n```') == 1.0
    for wrong in ("", "play x", '{"name": "play", "arguments": {}}', f"{call}\n{call}"):
        assert question.score(wrong) == 0.0
