"""What a playbook learns a round from: questions that a model makes of documents, or training rows.

Never a test question: of documents, what the model asks itself sentence by sentence; of tools, rows
of the training set with one call, whose answers are known.
"""

from collections.abc import Sequence

from compositional.chat_backends.base import ChatBackend, Message
from compositional.errors import BackendError
from compositional.methods.prompts import call_lines, describe_tool
from compositional.methods.questions import asked_text, question_text
from compositional.methods.self_study import MAX_NEW_TOKENS, Say, first_line, study_questions
from compositional.playbooks.roles import Question
from compositional.run_context import RunContext
from compositional.tasks.types import CALLS, TEXT, Round


def lesson_questions(round_: Round, most: int, say: Say, run: RunContext) -> list[Question]:
    """Return the questions of a round.

    Args:
        round_: What is taught.
        most: Questions of a document, or of a tool, at the most.
        say: The model that asks itself.
        run: Its streams draw the rows of tools.
    """
    studied = study_questions(round_.documents, most, say) if round_.documents else []
    asked = [
        Question(question_text(q.text), q.answer, q.sentence, q.document, TEXT) for q in studied
    ]
    return [*asked, *_of_rows(round_, most, run)]


def split_held_out(
    questions: Sequence[Question], share: float, key: str, run: RunContext
) -> tuple[list[Question], list[Question]]:
    """Draw the questions by which the playbook is chosen.

    Args:
        questions: All of a round.
        share: Of them, rounded down; where it is above 0, one at the least of two or more.
        key: Of the round.
        run: Its streams draw.

    Returns:
        What is learned from, and what is held out, both in order.
    """
    count = int(len(questions) * share)
    if share > 0 and len(questions) > 1:
        count = max(1, count)
    drawn = run.streams.generator("held out", key).permutation(len(questions))[:count]
    held_out = {int(place) for place in drawn}
    kept = [question for place, question in enumerate(questions) if place not in held_out]
    return kept, [questions[place] for place in sorted(held_out)]


def say_through(backend: ChatBackend, run: RunContext) -> Say:
    """Return a function that answers prompts by a back end, a line each, greedily."""

    def say(prompts: Sequence[str]) -> list[str]:
        lines = []
        for prompt in prompts:
            run.stop.check()
            reply = backend.chat([Message("user", prompt)], None, max_tokens=MAX_NEW_TOKENS)
            run.budget.input_tokens += reply.prompt_tokens + reply.completion_tokens
            lines.append(first_line(reply.text))
        if prompts and not any(lines):
            raise BackendError(f"{backend.name} answered {len(prompts)} prompts with nothing")
        return lines

    return say


def _of_rows(round_: Round, most: int, run: RunContext) -> list[Question]:
    """Return training rows with one call of a tool, drawn by the run's seed."""
    tools = {skill.name: describe_tool(skill, "full") for skill in round_.skills}
    questions = []
    for name, described in tools.items():
        rows = [row for row in round_.train if [step.skill for step in row.steps or ()] == [name]]
        order = run.streams.generator("lesson rows", round_.index, name).permutation(len(rows))
        questions += [
            Question(asked_text(row), call_lines(row), described, name, CALLS)
            for row in (rows[place] for place in order[:most])
        ]
    return questions
