"""Prompts and answers that serve questions about documents and requests for tool calls alike.

A question stands behind a short instruction, and behind the texts that a method puts there. A
request for calls stands as in zero-shot, its texts being tool descriptions.
"""

from collections.abc import Iterator, Sequence

from compositional.errors import DataError, ModelError, check_at_least
from compositional.generation.generate import generate
from compositional.generation.likelihoods import Likelihoods, choice_likelihoods
from compositional.generation.token_bias import Biases
from compositional.methods.prompts import INSTRUCTION, asked, describe_tool, text_predictions
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.tasks.benchmark import Benchmark
from compositional.tasks.types import TEXT, Document, Example, Prediction, Round
from compositional.training.batching import TokenSequence

QUESTION_INSTRUCTION = "Answer the question in a few words. Say unknown if you do not know."
# Methods for documents that are longer than the window, as errors name them.
READ_IN_PARTS = ("text_rag", "text_lora", "doc2lora")
LEARN_FROM_SOME = ("jitrl", "ace")


def documents_of(round_: Round) -> list[Document]:
    """Return what a round teaches as texts: its documents, and each tool's description."""
    tools = [Document(skill.name, describe_tool(skill, "full")) for skill in round_.skills]
    return [*round_.documents, *tools]


def keyed_documents(round_: Round) -> Iterator[tuple[str, Document]]:
    """Yield a round's documents, each with the key of its lesson."""
    for number, document in enumerate(documents_of(round_), start=1):
        yield f"round {round_.index}, document {number}", document


def question_text(query: str, texts: Sequence[str] = ()) -> str:
    """Return what a user asks: the instruction, the texts, the question."""
    return "\n\n".join([QUESTION_INSTRUCTION, *texts, f"Question: {query}"])


def prompt_ids(model: LanguageModel, example: Example, texts: Sequence[str] = ()) -> list[int]:
    """Return the prompt of an example.

    Args:
        model: Its chat template is used.
        example: A question, or a request for calls.
        texts: What stands before it, in order.
    """
    return model.chat.prompt_ids(asked_text(example, texts))


def asked_text(example: Example, texts: Sequence[str] = ()) -> str:
    """Return what a user asks: a question, or a request for calls, behind its instruction."""
    if example.form == TEXT:
        return question_text(example.query, texts)
    return "\n\n".join([INSTRUCTION, *texts, example.query])


def check_prompts_fit(model: LanguageModel, benchmark: Benchmark) -> None:
    """Refuse questions that do not fit the window by themselves.

    Raises:
        ModelError: With the example.
    """
    for example in asked(benchmark):
        model.check_fits(len(prompt_ids(model, example)), 0, f"the prompt of example {example.id}")


def check_documents(model: LanguageModel, documents: Sequence[Document], *, whole: bool) -> None:
    """Refuse documents that cannot be learned, before any is.

    Args:
        model: Its tokenizer and its window count.
        documents: The texts.
        whole: Whether each must fit the window, since it is read at once; no room is kept for an
            answer.

    Raises:
        DataError: If one is too short to learn anything from.
        ModelError: If one is over the window; nothing of it is dropped.
    """
    for document in documents:
        num_tokens = len(model.chat.text_ids(document.text))
        if num_tokens < 2:
            raise DataError(
                f"document {document.name!r} is {num_tokens} token long; to predict a token, one "
                "must stand before it"
            )
        if whole and num_tokens > model.window_tokens:
            raise ModelError(
                f"document {document.name!r} takes {num_tokens} tokens, over the window of "
                f"{model.window_tokens}: take a method that reads in parts "
                f"({', '.join(READ_IN_PARTS)}) or learns from some of its sentences "
                f"({', '.join(LEARN_FROM_SOME)}), or a model with a longer window"
            )


def check_documents_fit(model: LanguageModel, benchmark: Benchmark) -> None:
    """Refuse documents that cannot be learned, or do not fit the window whole.

    Raises:
        CompositionalError: As `check_documents`.
    """
    for round_ in benchmark.rounds:
        check_documents(model, documents_of(round_), whole=True)


def answer_prompts(
    model: LanguageModel,
    examples: Sequence[Example],
    prompts: Sequence[Sequence[int]],
    run: RunContext,
    biases: Biases | None = None,
) -> list[Prediction]:
    """Answer examples from their prompts, and score their choices.

    Args:
        model: The model with all that is attached to it.
        examples: As a method sees them; some may ask for likelihoods only.
        prompts: Token ids, one prompt an example.
        run: As every verb is handed it.
        biases: For each example what is added to logits in choices and answers; None for none.
    """
    scored = [place for place, example in enumerate(examples) if example.choices]
    choices = [
        [model.chat.target_ids(text) for text in examples[place].choices] for place in scored
    ]

    def chosen(places: Sequence[int]) -> Biases | None:
        return None if biases is None else [biases[place] for place in places]

    likelihoods: dict[int, Likelihoods] = {}
    if scored:
        found = choice_likelihoods(
            model, [prompts[n] for n in scored], choices, run, "choices", chosen(scored)
        )
        likelihoods = dict(zip(scored, found, strict=True))
    generated = [place for place, example in enumerate(examples) if example.generates]
    wanted = [prompts[place] for place in generated]
    answers = generate(model, wanted, run, "answers", biases=chosen(generated)) if wanted else []
    by_place = dict(zip(generated, answers, strict=True))
    predictions = []
    for place, example in enumerate(examples):
        if example.form != TEXT:
            predictions += text_predictions(model, [by_place[place]])
            continue
        answer = by_place.get(place)
        given = likelihoods.get(place)
        predictions.append(
            Prediction(
                raw="" if answer is None else model.text(list(answer.ids)).strip(),
                calls=(),
                num_tokens=0 if answer is None else len(answer.ids),
                reused=answer is not None and answer.reused,
                likelihoods=() if given is None else given.sums,
                choice_tokens=() if given is None else given.num_tokens,
                answered=answer is not None,
            )
        )
    return predictions


def answer_alone(
    model: LanguageModel, examples: Sequence[Example], run: RunContext
) -> list[Prediction]:
    """Answer examples with nothing before them: what a model knows by itself."""
    return answer_prompts(model, examples, [prompt_ids(model, e) for e in examples], run)


def check_rows_fit(
    model: LanguageModel, benchmark: Benchmark, slice_tokens: int, context_tokens: int
) -> None:
    """Refuse rows of text, and questions, that do not fit the window.

    Raises:
        ConfigError: If a length is below 1.
        ModelError: If a row or a question is too long.
    """
    check_at_least("slice_tokens", slice_tokens, 1)
    check_at_least("context_tokens", context_tokens, 1)
    model.check_fits(context_tokens, slice_tokens, "a row of text")
    check_prompts_fit(model, benchmark)


def document_rows(
    model: LanguageModel, documents: Sequence[Document], slice_tokens: int, context_tokens: int
) -> list[TokenSequence]:
    """Return the rows of several documents; see `text_rows`."""
    return [
        row
        for document in documents
        for row in text_rows(model, document.text, slice_tokens, context_tokens)
    ]


def text_rows(
    model: LanguageModel, text: str, slice_tokens: int, context_tokens: int
) -> list[TokenSequence]:
    """Return a text as rows for next-token training, none of it left out.

    Args:
        model: Its tokenizer is used.
        text: The document.
        slice_tokens: Tokens with a loss in a row, at the most.
        context_tokens: Tokens before them that the row sees, at the most; one or more.
    """
    ids = model.chat.text_ids(text)
    return [
        TokenSequence(
            tuple(ids[max(0, start - context_tokens) : start]),
            tuple(ids[start : start + slice_tokens]),
        )
        for start in range(1, len(ids), slice_tokens)
    ]
