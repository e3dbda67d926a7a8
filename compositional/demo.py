"""A look at a finished run: some queries of each round, what was expected, what was answered."""

from compositional.columns import ROUND, columns_of
from compositional.config import RunConfig
from compositional.files import read_json_lines
from compositional.methods.prompts import call_lines
from compositional.results import RunFolder
from compositional.tasks.benchmark import prepare


def print_demo(config: RunConfig, count: int) -> None:
    """Print the first examples of each round with their answers after the last round.

    Args:
        config: The config of a finished run.
        count: Examples a round.
    """
    folder = RunFolder(config.results_folder)
    benchmark = prepare(config.data, config.seed)
    last = len(benchmark.rounds)
    for column in columns_of(benchmark, config.evaluation):
        path = folder.folder / "predictions" / f"row{last}_{column.name}.jsonl"
        if column.kind != ROUND or not path.exists():
            continue
        answers = [value for _, value in read_json_lines(path)]
        for example, answer in list(zip(column.examples, answers, strict=True))[:count]:
            print(f"\n{column.name}  {example.query}")
            print(f"  expected  {_indented(call_lines(example))}")
            print(f"  answered  {_indented(answer['raw'])}")


def _indented(text: str) -> str:
    return text.replace("\n", "\n            ") or "(nothing)"
