"""The verb that learns where the second MLPs of dual_mlp begin."""

from collections.abc import Sequence
from pathlib import Path

from compositional.cli.parser import Parser


def meta_train(argv: Sequence[str]) -> int:
    """Learn where the second MLPs of dual_mlp begin."""
    from compositional.config import resolve
    from compositional.files import check_new
    from compositional.meta_train import MetaTraining
    from compositional.meta_train import meta_train as train
    from compositional.methods.dual_mlp import DualMlpConfig
    from compositional.models.language_model import LanguageModel
    from compositional.models.loading import load_model
    from compositional.run_context import Progress, RunContext
    from compositional.streams import Streams

    parser = Parser(
        prog="compositional meta-train", allow_abbrev=False, description=meta_train.__doc__
    )
    parser.add_argument("output", type=Path, help="the file that --method.initial names")
    for name, kind in MetaTraining.__annotations__.items():
        parser.add_argument(f"--{name}", type=kind, default=getattr(MetaTraining, name))
    known, flags = parser.parse_known_args(argv)
    check_new(known.output)
    config = resolve({"method": "dual_mlp", "seed": known.seed}, flags)
    assert isinstance(config.method, DualMlpConfig)
    settings = {name: getattr(known, name) for name in MetaTraining.__annotations__}
    model = LanguageModel(load_model(config.model), max_length=config.model.max_length)
    run = RunContext(Streams(known.seed), "meta-train", progress=Progress(enabled=True))
    losses = train(model, config.method, MetaTraining(**settings), known.output, run)
    print(
        f"{known.output}: {len(losses) // 2} texts learned, loss of the first {losses[0]:.3f} to "
        f"{losses[1]:.3f}, of the last {losses[-2]:.3f} to {losses[-1]:.3f}"
    )
    return 0
