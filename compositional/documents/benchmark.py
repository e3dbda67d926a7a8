"""The benchmark of a run over documents: which are taught in which round, and what is asked.

Documents are drawn by the data seed. The rounds stand in their numbers' order unless the config
names another one; a column keeps its name wherever its round stands, so that orders compare.
"""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

from compositional.documents.asking import asked_questions, in_drawn_order
from compositional.documents.choices import Choices, choices_of
from compositional.documents.config import ENDS, SYNTHETIC, DocumentsConfig
from compositional.documents.left_out import not_read, without_questions
from compositional.documents.normalising import normalise
from compositional.documents.sources import open_documents, path_read
from compositional.documents.types import QuestionedDocument
from compositional.errors import DataError
from compositional.files import canonical_json, sha256_text
from compositional.streams import Streams
from compositional.tasks.benchmark import DOCUMENTS, Benchmark
from compositional.tasks.types import TEXT, Example, JsonObject, Round, Step

ANSWERS = "answers"


def prepare_documents(config: DocumentsConfig, seed: int) -> Benchmark:
    """Return the rounds of documents with their questions.

    Args:
        config: What is asked for; its source is named.
        seed: The run's seed, the data seed where the config has none.

    Raises:
        DataError: If the source cannot be had, has too few documents, or has one without questions
            among those that are asked about.
    """
    data_seed = seed if config.data_seed is None else config.data_seed
    streams = Streams(data_seed)
    everything = open_documents(config, data_seed)
    drawn = _drawn(everything, config, streams)
    size, num_taught = config.documents_per_round, config.num_rounds * config.documents_per_round
    choices = choices_of(everything, streams)

    def asked(documents: Sequence[QuestionedDocument], index: int | None) -> tuple[Example, ...]:
        return tuple(
            example
            for document in documents
            for example in _examples(document, index, config, choices, streams)
        )

    taught: dict[int, frozenset[str]] = {}
    rounds = []
    for index, number in enumerate(config.order or range(1, config.num_rounds + 1), start=1):
        own = drawn[(number - 1) * size : number * size]
        name = f"documents{(number - 1) * size + 1}-{number * size}"
        documents = tuple(document.document for document in own)
        test = asked(own, index)
        rounds.append(Round(index, name, config.epochs, (), (), (), test, documents))
        taught[index] = frozenset(normalise(text) for d in own for text in d.answers)
    manifest = _manifest(config, data_seed, drawn, rounds)
    return Benchmark(
        rounds=tuple(rounds),
        adaptation=None,
        mixed=(),
        unanswerable=(),
        skills={},
        manifest=manifest,
        manifest_sha256=sha256_text(canonical_json(manifest)),
        task=DOCUMENTS,
        untaught=asked(drawn[num_taught:], None),
        general=general_questions(streams) if config.general else (),
        taught_answers=taught,
        generates_at_ends=config.generation == ENDS,
        left_out=_left_out(config, everything),
    )


def _drawn(
    documents: Sequence[QuestionedDocument], config: DocumentsConfig, streams: Streams
) -> list[QuestionedDocument]:
    """Return the documents of a run in their order: those taught, then those that are not.

    Raises:
        DataError: If there are too few with a question.
    """
    questioned = [document for document in documents if document.questions]
    if len(questioned) < config.num_needed:
        raise DataError(
            f"{config.source} has {len(questioned)} documents with questions, and {config.skip} to "
            f"skip, {config.num_rounds} x {config.documents_per_round} to teach and "
            f"{config.untaught} not to teach make {config.num_needed}: ask for fewer"
        )
    # Synthetic documents are drawn already, and the first of them do not depend on their number.
    if config.source != SYNTHETIC:
        questioned = in_drawn_order(questioned, streams)
    return questioned[config.skip : config.num_needed]


def _left_out(config: DocumentsConfig, documents: Sequence[QuestionedDocument]) -> tuple[str, ...]:
    """Return lines on what of the source is not read, and on documents without a question."""
    path = path_read(config)
    return (*not_read([] if path is None else [path]), *without_questions(documents))


def _examples(
    document: QuestionedDocument,
    index: int | None,
    config: DocumentsConfig,
    choices: Mapping[str, Choices],
    streams: Streams,
) -> list[Example]:
    """Return the questions that are asked of a document."""
    rng = streams.generator("questions", document.document.name)
    return [
        Example(
            id=question.id,
            query=question.text,
            steps=(_step(question.answers),),
            round=index,
            base_ids=(question.id,),
            form=TEXT,
            choices=choices[question.id].texts if question.id in choices else (),
            kind=question.kind,
            document=document.document.name,
        )
        for question in asked_questions(document.questions, config.questions_per_document, rng)
    ]


def general_questions(streams: Streams) -> tuple[Example, ...]:
    """Return the questions of general knowledge that ship with the project, choices only."""
    resource = files("compositional.documents").joinpath("general_questions.json")
    rows: list[list[str]] = json.loads(resource.read_text(encoding="utf-8"))
    examples = []
    for number, (query, *texts) in enumerate(rows, start=1):
        order = streams.generator("general", number).permutation(len(texts))
        chosen = tuple(texts[place] for place in order)
        name = f"general-{number}"
        steps = (_step(texts[:1]),)
        examples.append(Example(name, query, steps, None, (name,), TEXT, chosen, generates=False))
    return tuple(examples)


def _step(answers: Sequence[str]) -> Step:
    """Return the one step of a question: the gold answer, and all that are right."""
    return Step(None, answers[0] if answers else "", {ANSWERS: list(answers)})


def _manifest(
    config: DocumentsConfig,
    data_seed: int,
    drawn: Sequence[QuestionedDocument],
    rounds: Sequence[Round],
) -> JsonObject:
    """Return what the rounds are made of, as hashes."""
    taught = [
        {
            "name": round_.name,
            "documents": [sha256_text(document.text) for document in round_.documents],
            "questions": _digest(round_.test),
        }
        for round_ in rounds
    ]
    everything = {document.document.name: sha256_text(document.document.text) for document in drawn}
    return {
        "source": str(config.source).rstrip("/").rpartition("/")[2],
        "data_seed": data_seed,
        "rounds": taught,
        "documents_sha256": sha256_text(canonical_json(everything)),
        "general": config.general,
        "generation": config.generation,
    }


def _digest(examples: Sequence[Example]) -> str:
    """Return a hash of what is asked: questions, choices and right answers."""
    return sha256_text(
        canonical_json(
            [[e.id, e.query, list(e.choices), (e.steps or ())[0].acceptable] for e in examples]
        )
    )
