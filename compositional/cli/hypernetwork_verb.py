"""The verb that trains a hypernetwork for doc2lora."""

import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from compositional.cli.parser import Parser, spell_switches

BATCH_SIZE = 16


def train_hypernetwork(argv: Sequence[str]) -> int:
    """Train a hypernetwork for doc2lora."""
    from compositional.config import resolve
    from compositional.hypernetworks.data import HypernetworkData
    from compositional.hypernetworks.record import page_of
    from compositional.hypernetworks.settings import HypernetworkTraining
    from compositional.hypernetworks.train import state_path
    from compositional.hypernetworks.train import train_hypernetwork as train
    from compositional.locks import hold
    from compositional.models.language_model import LanguageModel
    from compositional.models.loading import load_model
    from compositional.preemption import noting_signals
    from compositional.run_context import Progress, RunContext
    from compositional.states import Slot
    from compositional.streams import Streams

    parser = Parser(
        prog="compositional train-hypernetwork",
        allow_abbrev=False,
        description="Train a hypernetwork for doc2lora by context distillation, evaluate it beside "
        "its controls, and write it with its record. Settings of the model and of training are "
        "flags as well, for example --model.name or --training.batch_size; docs/settings.md says "
        "what each of them is.",
    )
    parser.add_argument("output", type=Path, help="the file that --method.hypernetwork names")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--resume", action="store_true", help="go on with a training under way")
    for kind in (HypernetworkData, HypernetworkTraining):
        add_settings(parser, kind)
    known, flags = parser.parse_known_args(spell_switches(argv, "resume", "named"))
    parser.check_dotted(flags, ())
    output = known.output if known.output.suffix else known.output.with_suffix(".safetensors")
    data = HypernetworkData(**taken(known, HypernetworkData))
    training = HypernetworkTraining(**taken(known, HypernetworkTraining))
    base = {
        "method": "zero_shot",
        "seed": data.seed,
        "model": {"device": known.device},
        "training": {"batch_size": BATCH_SIZE},
    }
    config = resolve(base, flags)
    with hold(output), noting_signals() as stop:
        model = LanguageModel(
            load_model(config.model), config.model.system_message, config.model.max_length
        )
        run = RunContext(
            Streams(data.seed),
            "train-hypernetwork",
            training=config.training,
            evaluation=config.evaluation,
            slot=Slot(state_path(output)),
            progress=Progress(enabled=True),
            stop=stop,
        )
        said = {
            "model": config.model.name,
            "command": shlex.join(["compositional", "train-hypernetwork", *argv]),
        }
        record = train(model, data, training, output, run, said, resume=known.resume)
    print(page_of(record))
    return 0


def add_settings(parser: Parser, kind: Any) -> None:
    """Add the settings of a dataclass as flags."""
    for field in fields(kind):
        if field.type is bool:
            parser.add_argument(f"--{field.name}", action="store_true", default=field.default)
        else:
            parser.add_argument(f"--{field.name}", type=field.type, default=field.default)


def taken(known: Any, kind: Any) -> dict[str, Any]:
    """Return what was given for the settings of a dataclass."""
    return {field.name: getattr(known, field.name) for field in fields(kind)}
