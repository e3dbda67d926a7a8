"""Answers of a model behind an address: generated, without likelihoods.

Neither OpenAI's protocol for conversations nor Ollama's gives the likelihood of a given answer. So
choices are not scored, and a run whose cells would stay empty is refused before it starts.
"""

from collections.abc import Sequence

from compositional.chat_backends.base import ChatBackend, Message
from compositional.errors import ConfigError
from compositional.processes import processes
from compositional.run_context import RunContext
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.parsing import parse_text_calls
from compositional.tasks.types import TEXT, Example, Prediction


def check_server_can_run(backend: ChatBackend, benchmark: Benchmark) -> None:
    """Refuse a run whose cells a server cannot fill, and one without a server.

    Raises:
        ConfigError: If choices alone are asked, or several processes would ask.
        BackendError: If the server is not there.
    """
    if not benchmark.rounds:
        return
    if benchmark.generates_at_ends:
        raise ConfigError(
            f"{backend.name} gives answers and no likelihoods of choices, so that cells between a "
            "round's own row and the last one would stay empty: set documents.generation everywhere"
        )
    if benchmark.general:
        raise ConfigError(
            f"{backend.name} gives no likelihoods, by which alone the questions of general "
            "knowledge are scored: set documents.general false"
        )
    count = processes().count
    if count > 1:
        raise ConfigError(f"{count} processes were started, but a server is asked by one")
    backend.check()


def answer_through(
    backend: ChatBackend,
    examples: Sequence[Example],
    texts: Sequence[str],
    run: RunContext,
) -> list[Prediction]:
    """Answer examples by a back end, greedily; one that asks for likelihoods only stays unanswered.

    Args:
        backend: Who answers.
        examples: As a method sees them.
        texts: What is said for each, one text an example.
        run: The limit of tokens, the progress line, and whether to stop.

    Raises:
        BackendError: If the back end does not answer.
        PreemptedError: If the run was asked to stop.
    """
    predictions = []
    with run.progress.bar("answers", len(examples)) as bar:
        for example, text in zip(examples, texts, strict=True):
            run.stop.check()
            predictions.append(_answer(backend, example, text, run))
            bar.update(1)
    return predictions


def _answer(backend: ChatBackend, example: Example, text: str, run: RunContext) -> Prediction:
    if not example.generates:
        return Prediction("", (), answered=False)
    limit = run.evaluation.max_new_tokens
    reply = backend.chat([Message("user", text)], None, max_tokens=limit)
    run.answering.prompt_tokens += reply.prompt_tokens
    run.answering.generated_tokens += reply.completion_tokens
    raw = reply.text.strip()
    if example.form == TEXT:
        return Prediction(raw, (), num_tokens=reply.completion_tokens)
    parsed = parse_text_calls(raw)
    return Prediction(raw, parsed.calls, parsed.tools, reply.completion_tokens, parsed.parts)
