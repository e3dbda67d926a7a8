"""What the milestone of doc2lora rests on: a small hypernetwork, and what it makes recalled."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from compositional.documents.needles import NUMBER
from compositional.hypernetworks.data import (
    HELD_OUT,
    HypernetworkData,
    distillation_set,
    documents_of,
)
from compositional.hypernetworks.settings import HypernetworkTraining
from compositional.hypernetworks.train import state_path, train_hypernetwork
from compositional.methods.base import MethodConfig
from compositional.methods.doc2lora import Doc2Lora, Doc2LoraConfig
from compositional.models.last_blocks import LastBlocks
from compositional.states import Slot
from compositional.training.distillation_cache import DistillationCache
from compositional.training.distillation_evaluation import CONTROLS, OWN, evaluate
from compositional.validation.checks import MIN_GAIN, Check, Outcome, above
from compositional.validation.trial import Bench, Trial

DATA = HypernetworkData(contexts=300, held_out=40, digits=3, wordings=1, answer_form=NUMBER)
TRAINING = HypernetworkTraining(num_blocks=2, steps=120, kl=0.0, ce=1.0, evaluate_every=0)
BATCH_SIZE = 16


def with_hypernetwork(
    config: MethodConfig,
    bench: Bench,
    data: HypernetworkData = DATA,
    training: HypernetworkTraining = TRAINING,
) -> MethodConfig:
    """Return settings with a hypernetwork; where they name none a small one is trained.

    Args:
        config: Of doc2lora.
        bench: Its model is what the hypernetwork is for, its folder takes the file.
        data: What it is trained on.
        training: How.
    """
    assert isinstance(config, Doc2LoraConfig)
    if config.hypernetwork:
        return config
    path = bench.folder / "hypernetwork.safetensors"
    run = bench.context("hypernetwork")
    run.training = replace(run.training, batch_size=BATCH_SIZE)
    run.slot = Slot(state_path(path))
    said = {"model": bench.config.model.name, "command": "compositional validate"}
    train_hypernetwork(bench.load(), data, training, path, run, said)
    return replace(config, hypernetwork=str(path))


def _recalled(trial: Trial) -> Outcome:
    """Hold the answers with a context's own LoRA against the best of the controls."""
    method = trial.method
    assert isinstance(method, Doc2Lora)
    model, trained = trial.model, method.trained
    # A file that does not say how its needles are answered was trained on numbers alone.
    data = HypernetworkData(**{"answer_form": NUMBER, **trained.how["data"]})
    network = trained.network
    documents = documents_of(data, model)[HELD_OUT]
    asked = distillation_set(
        model, documents, trained.mode, trained.chunk_tokens, data.questions, data.seed
    )
    blocks = LastBlocks(model.backbone, network.shape.num_blocks)
    with TemporaryDirectory() as folder:
        cache = DistillationCache(Path(folder), model, blocks, asked, 0)
        cache.fill(trial.run)
        scores = evaluate(network, blocks, cache, (OWN, *CONTROLS))
    losses = {name: np.array([s.cross_entropy for s in own]) for name, own in scores.items()}
    best = min(CONTROLS, key=lambda name: float(losses[name].mean()))
    groups = [(str(item.context),) for item in asked.items]
    unit = f"nats a token over {best}, {len(groups)} questions"
    return above(trial, losses[best] - losses[OWN], groups, MIN_GAIN, unit)


RECALLED = Check("contexts kept apart are recalled better than by any control", _recalled)
