"""A look at a finished run: some queries of each round, what was expected, what was answered."""

from compositional.config import RunConfig
from compositional.files import read_json_lines
from compositional.methods.prompts import call_lines
from compositional.results import RunFolder
from compositional.tasks.benchmark import prepare


def print_demo(folder: RunFolder, config: RunConfig, count: int) -> None:
    """Print the first examples of each round with their answers after the last round.

    Args:
        folder: A finished run.
        config: Its config.
        count: Examples a round.
    """
    benchmark = prepare(config.data, config.seed)
    last = len(benchmark.rounds)
    for round_ in benchmark.rounds:
        path = folder.folder / "predictions" / f"row{last}_{round_.name}.jsonl"
        if not path.exists():
            continue
        answers = [value for _, value in read_json_lines(path)]
        for example, answer in list(zip(round_.test, answers, strict=True))[:count]:
            print(f"\n{round_.name}  {example.query}")
            print(f"  expected  {_indented(call_lines(example))}")
            print(f"  answered  {_indented(answer['raw'])}")


def _indented(text: str) -> str:
    return text.replace("\n", "\n            ") or "(nothing)"
