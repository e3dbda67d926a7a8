"""The verb that runs a milestone a strategy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from compositional.cli.parser import Parser


def validate(argv: Sequence[str]) -> int:
    """Check that each strategy does what it says: a milestone each, every one able to fail."""
    from compositional.config import resolve
    from compositional.methods.doc2lora import Doc2LoraConfig
    from compositional.validation.facts import invented_facts
    from compositional.validation.milestones import MILESTONES
    from compositional.validation.trial import Bench
    from compositional.validation.validate import validate as run_milestones

    parser = Parser(prog="compositional validate", allow_abbrev=False, description=validate.__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--strategy", nargs="+", action="extend", default=[], metavar="NAME",
        help=f"all by default: {', '.join(MILESTONES)}",
    )  # fmt: skip
    parser.add_argument("--model", default="smollm2", help="as in --model.name")
    parser.add_argument("--seed", type=int, default=42, help="of facts, choices and training")
    parser.add_argument("--output", type=Path, help="JSON file of the record; a table beside it")
    parser.add_argument(
        "--hypernetwork", default="", metavar="FILE",
        help="of doc2lora, from train-hypernetwork; a small one is trained where none is named",
    )  # fmt: skip
    known = parser.parse_args(argv)
    # fp32 everywhere: what is the same sum is then the same number on a GPU as well.
    model = {"name": known.model, "device": known.device, "dtype": "float32"}
    settings = {"method": "zero_shot", "seed": known.seed, "model": model}
    milestones = dict(MILESTONES)
    if known.hypernetwork:
        given = Doc2LoraConfig(hypernetwork=known.hypernetwork)
        milestones["doc2lora"] = replace(milestones["doc2lora"], config=given)
    with TemporaryDirectory() as folder:
        facts = invented_facts(known.seed)
        bench = Bench(resolve(settings), facts, Path(folder), progress=True)
        return run_milestones(bench, known.strategy, known.output, milestones=milestones)
