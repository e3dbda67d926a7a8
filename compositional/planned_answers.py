"""What a run would read and write to answer its cells: tokens of prompts, batches of answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from compositional.columns import columns_of, due, is_generated
from compositional.config import RunConfig
from compositional.generation.shared_prefix import shared_prefix
from compositional.methods.base import Method
from compositional.methods.bounds import Joint, Oracle
from compositional.methods.dual_mlp import DualMlp
from compositional.methods.full_finetuning import FullFinetuning
from compositional.methods.icl import Icl
from compositional.methods.knn_lm import KnnLm
from compositional.methods.lora import Lora
from compositional.methods.memory_tokens import MemoryTokens
from compositional.methods.own_document import OwnDocument
from compositional.methods.questions import prompt_ids
from compositional.methods.rag import Rag
from compositional.methods.sparse_memory import SparseMemory
from compositional.methods.text_lora import TextLora
from compositional.methods.text_rag import TextRag
from compositional.methods.zero_shot import ZeroShot
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.runner import Prepared
from compositional.streams import Streams
from compositional.tasks.types import Example

FROM_THE_QUERY = (Lora, MemoryTokens)
FROM_THE_QUESTION = (DualMlp, FullFinetuning, KnnLm, SparseMemory, TextLora)
SHOWING = (Icl, OwnDocument, Rag, TextRag, ZeroShot)
"""They train nothing: they learn at once, and what they ask again is not answered again."""


@dataclass(frozen=True)
class PlannedAnswers:
    """The work of answering all cells of a run.

    Attributes:
        num_cells: Cells.
        num_answers: Answers in them.
        prompt_tokens: Tokens of prompts, and of choices behind them, that are read.
        num_batches: Batches in which answers are generated.
        knows_prompts: Whether the prompts are the method's own; else the question alone is counted.
    """

    num_cells: int
    num_answers: int
    prompt_tokens: int
    num_batches: int
    knows_prompts: bool


def planned_answers(
    prepared: Prepared, config: RunConfig, *, reads_prefix_once: bool = True
) -> PlannedAnswers:
    """Count what a run would read and write, row by row.

    Args:
        prepared: Its rounds and its method, which has learned nothing and will be so again.
        config: The run.
        reads_prefix_once: Whether what all prompts of a row begin with is computed once.
    """
    benchmark, method, evaluation = prepared.benchmark, prepared.method, config.evaluation
    columns, num_rounds = columns_of(benchmark, evaluation), len(benchmark.rounds)
    shows = isinstance(inner(method), SHOWING)
    before = method.state_dict() if shows else None
    run = RunContext(Streams(config.seed))
    num_cells = num_answers = prompt_tokens = num_batches = 0
    knows_prompts = True
    answered: set[tuple[int, ...]] = set()
    for row in range(0 if method.traits.has_first_row else 1, num_rounds + 1):
        if shows and row:
            method.learn(benchmark.rounds[row - 1], run)
        if not shows:
            answered.clear()  # by another model
        cells = due(columns, row, num_rounds, evaluation)
        examples = [
            example.hidden(
                method.traits.sees,
                generates=example.generates
                and is_generated(column, row, num_rounds, at_ends=benchmark.generates_at_ends),
            )
            for column in cells
            for example in column.examples
        ]
        prompts = prompts_of(method, examples, prepared.model, row)
        knows_prompts = knows_prompts and prompts is not None
        if prompts is None:
            prompts = [prompt_ids(prepared.model, example) for example in examples]
        asked = list(zip(examples, prompts, strict=False))  # none before the first memory row
        wanted = {tuple(prompt) for example, prompt in asked if example.generates} - answered
        answered |= wanted
        num_cells += len(cells)
        num_answers += len(examples)
        prompt_tokens += tokens_read(sorted(wanted), once=reads_prefix_once)
        prompt_tokens += sum(_choice_tokens(prepared.model, *each) for each in asked)
        num_batches += -(-len(wanted) // evaluation.batch_size)
    if before is not None:
        method.load_state_dict(before)
    return PlannedAnswers(num_cells, num_answers, prompt_tokens, num_batches, knows_prompts)


def prompts_of(
    method: Method, examples: Sequence[Example], model: LanguageModel, row: int
) -> list[list[int]] | None:
    """Return the prompts that a method asks; None where only a run knows them.

    Args:
        method: A method; one that shows what it was taught has learned the rounds so far.
        examples: What is asked, as the method sees it.
        model: The method's.
        row: Rounds learned.

    Returns:
        A prompt an example; none at all where a method answers without its model.
    """
    own = inner(method)
    if isinstance(own, MemoryTokens) and row == 0:
        return []
    if isinstance(own, FROM_THE_QUERY):
        return [model.chat.prompt_ids(example.query) for example in examples]
    if isinstance(own, FROM_THE_QUESTION):
        return [prompt_ids(model, example) for example in examples]
    if isinstance(method, Oracle) and not isinstance(own, ZeroShot):
        return None  # each example is asked of the state of its own round
    if isinstance(own, Icl | OwnDocument | ZeroShot):
        return [own.prompt(example) for example in examples]
    return own.prompts(examples) if isinstance(own, Rag | TextRag) else None


def inner(method: Method) -> Method:
    """Return what a bound wraps, or the method itself."""
    return method.method if isinstance(method, Joint | Oracle) else method


def tokens_read(prompts: Sequence[Sequence[int]], *, once: bool) -> int:
    """Return how many tokens are computed to read prompts.

    Args:
        prompts: Token ids of each.
        once: Whether what all of them begin with is computed once.
    """
    num_shared = len(shared_prefix(prompts)) if once else 0
    return num_shared + sum(len(prompt) - num_shared for prompt in prompts)


def _choice_tokens(model: LanguageModel, example: Example, prompt: Sequence[int]) -> int:
    """Return the tokens that are read to give choices their likelihoods; 0 where there are none."""
    if not example.choices:
        return 0
    return len(prompt) + sum(len(model.chat.target_ids(text)) for text in example.choices)
