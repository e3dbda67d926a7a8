"""A hundred rounds and ten thousand memory rows on a tiny model: what each round takes.

The rows are made up, and the model is random, with the tokenizer of a real one: nothing is learned
here, and the program does all that it does in a real run.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from compositional.benchmarks.throwaway import throwaway_config
from compositional.files import read_json
from compositional.models.loading import load_model
from compositional.models.model_config import ModelConfig
from compositional.models.quiet import quiet_transformers
from compositional.runner import run

ROWS_A_TOOL = 4
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu")


@dataclass(frozen=True)
class RoundCost:
    """What one round took.

    Attributes:
        round: From 1.
        seconds_learning: Of its lesson.
        seconds_answering: Of all test sets that were due after it.
        num_answers: How many answers that were.
        peak_memory_bytes: The most that the process had held by then.
        state_bytes: Of the state after it.
        result_bytes: Of the files that it left in the results, those of its lesson included.
        num_files: How many files that were.
    """

    round: int
    seconds_learning: float
    seconds_answering: float
    num_answers: int
    peak_memory_bytes: int
    state_bytes: int
    result_bytes: int
    num_files: int


@dataclass(frozen=True)
class LongSequence:
    """A run of many rounds.

    Attributes:
        num_tools: Memory rows in all.
        seconds: Of the whole run.
        result_bytes: Of all files that it left in the results.
        num_files: How many files that were.
        rounds: What each took.
    """

    num_tools: int
    seconds: float
    result_bytes: int
    num_files: int
    rounds: list[RoundCost]


def long_sequence(
    model: ModelConfig, num_rounds: int, tools_a_round: int, num_tests: int
) -> LongSequence:
    """Run memory tokens over many rounds of made-up tools on a tiny random model.

    Args:
        model: The model whose tokenizer is taken.
        num_rounds: How many rounds; all past ones are asked after each.
        tools_a_round: New memory rows of each.
        num_tests: Test examples of each.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        _save_tiny(model, folder / "model")
        source = folder / "rows.jsonl"
        num_tools = num_rounds * tools_a_round
        with source.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in made_up_rows(num_tools))
        config = throwaway_config(
            folder,
            source,
            num_rounds,
            tools_a_round,
            model={"name": str(folder / "model"), "device": "cpu"},
            data={
                "samples_per_tool": 1,
                "train_size": tools_a_round,
                "test_size": num_tests,
                "train_max_function_calls": 1,
                "num_mixed": 0,
            },
            training={"batch_size": 16},
            evaluation={"max_new_tokens": 4, "batch_size": 64, "next_round": False},
            output={"save_checkpoints": True},
            method={"name": "memory_tokens", "adaptation": "none"},
        )
        started = time.monotonic()
        results = run(config, progress=False).folder
        seconds = time.monotonic() - started
        rounds = [_cost(results, config.states_folder, index) for index in range(1, num_rounds + 1)]
        sizes = [path.stat().st_size for path in results.rglob("*") if path.is_file()]
        return LongSequence(num_tools, seconds, sum(sizes), len(sizes), rounds)


def made_up_rows(num_tools: int) -> Iterator[dict[str, Any]]:
    """Yield rows in the xLAM schema, the first tool's first, each tool as often as another."""
    for tool in range(num_tools):
        word = "".join(SYLLABLES[int(digit)] for digit in str(tool))
        described = {
            "name": f"set_{word}",
            "description": f"Sets the level of {word}.",
            "parameters": {"level": {"type": "int", "description": "How much"}},
        }
        for level in range(ROWS_A_TOOL):
            yield {
                "query": f"Please set {word} to {level}",
                "tools": [described],
                "answers": [{"name": described["name"], "arguments": {"level": level}}],
            }


def _save_tiny(model: ModelConfig, folder: Path) -> None:
    """Save a random model of two small layers with a real tokenizer."""
    tokenizer = load_model(model).tokenizer
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with quiet_transformers():
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _cost(results: Path, states: Path, index: int) -> RoundCost:
    """Read what a round took from what it left."""
    lesson = sorted(
        (results / "timings").glob("lesson_*.json"), key=lambda path: path.stat().st_mtime_ns
    )[index - 1]
    cells = [read_json(path) for path in (results / "timings").glob(f"row{index}_*.json")]
    left = [
        path
        for name in (f"row{index}_*", f"answers_row{index}.json", lesson.name)
        for path in results.glob(f"*/{name}")
    ]
    return RoundCost(
        round=index,
        seconds_learning=read_json(lesson)["seconds"],
        seconds_answering=sum(cell["seconds"] for cell in cells),
        num_answers=sum(cell["num_examples"] for cell in cells),
        peak_memory_bytes=max(cell["peak_memory_bytes"] for cell in cells),
        state_bytes=(states / f"lesson_{index}.safetensors").stat().st_size,
        result_bytes=sum(path.stat().st_size for path in left),
        num_files=len(left),
    )
