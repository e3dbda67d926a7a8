import logging

import pytest

from compositional.playbooks.asking import Asker, read_reply
from compositional.playbooks.tally import Tally
from tests.playbooks.scripted import TOO_LONG, Scripted
from tests.rounds_toy import toy_context

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}},
    "required": ["n"],
    "additionalProperties": False,
}


def ask(backend: Scripted) -> tuple[object, Tally, dict[str, int]]:
    tally, run = Tally(), toy_context()
    reply = Asker(backend, 64, 0.0, tally, run).ask("How many?", SCHEMA, "counter")
    return reply, tally, run.budget.counters()


def test_a_reply_that_fits_is_taken_with_or_without_a_fence() -> None:
    for text in ('{"n": 2}', '```json\n{"n": 2}\n```', '  {"n": 2}\n'):
        reply, tally, budget = ask(Scripted(text))
        assert reply == {"n": 2}
        assert (tally.replies, tally.usable, tally.repaired, tally.skipped) == (1, 1, 0, 0)
        assert (budget["replies"], budget["skipped_replies"], budget["input_tokens"]) == (1, 0, 15)


def test_a_reply_that_does_not_fit_is_asked_for_once_more() -> None:
    backend = Scripted('{"n": 0}', '{"n": 3}')
    reply, tally, _ = ask(backend)
    assert reply == {"n": 3}
    assert (tally.replies, tally.usable, tally.repaired, tally.skipped) == (2, 1, 1, 0)
    roles = [message.role for message in backend.asked[1]]
    assert roles == ["user", "assistant", "user"]
    assert backend.asked[1][1].content == '{"n": 0}'
    assert "$.n: 0 is less than the minimum of 1" in backend.prompt(1)


@pytest.mark.parametrize("text", ["[]", "nonsense", '{"n": 1', '{"m": 1}', '{"n": 1} x', ""])
def test_two_that_do_not_fit_are_left_out_counted_and_logged(
    caplog: pytest.LogCaptureFixture, text: str
) -> None:
    with caplog.at_level(logging.INFO, "compositional"):
        reply, tally, budget = ask(Scripted(text, text))
    assert reply is None
    assert (tally.replies, tally.usable, tally.skipped) == (2, 0, 1)
    assert budget["skipped_replies"] == 1
    assert "a step of the counter is left out" in caplog.text


def test_a_prompt_over_the_window_is_left_out_and_counted() -> None:
    reply, tally, _ = ask(Scripted(TOO_LONG))
    assert reply is None
    assert (tally.replies, tally.skipped) == (0, 1)
    reply, tally, _ = ask(Scripted("x", TOO_LONG))  # to mend it takes more room than there is
    assert (reply, tally.replies, tally.skipped) == (None, 1, 1)


def test_what_is_wrong_is_said_with_its_place() -> None:
    assert read_reply('{"n": "x"}', SCHEMA) == (None, "$.n: 'x' is not of type 'integer'")
    assert read_reply("I think\nthat", SCHEMA)[1] == "it is no JSON object but 'I think that'"


def test_seeds_differ_from_reply_to_reply_and_are_the_same_again() -> None:
    class Seeds(Scripted):
        def chat(self, messages, schema, *, max_tokens, temperature=0.0, seed=0):
            seeds.append(seed)
            return super().chat(messages, schema, max_tokens=max_tokens)

    drawn = []
    for _ in range(2):
        seeds: list[int] = []
        ask(Seeds("x", "y"))
        drawn.append(seeds)
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]
