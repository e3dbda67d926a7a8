"""LoRA on the rounds in order: sequential, re-initialised, frozen, with or without replay.

Hu et al. 2022 (arXiv 2106.09685), trained by peft. The prompt is the query alone and the target
one JSON object a call; the loss covers the target only. With replay this is the strong simple
baseline of continual learning: a reservoir of past rows, an exact share of every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from compositional.errors import check_at_least, check_choice
from compositional.generation.generate import generate
from compositional.methods.base import Traits
from compositional.methods.prompts import text_predictions, text_sequence, trained_or_asked
from compositional.methods.stored import example_from_json, example_to_json, stored_bytes
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import TOOLS, Benchmark
from compositional.tasks.types import Example, Prediction, Round
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson, Replay
from compositional.training.replay import ReplayBuffer, exact_ratio

BETWEEN_ROUNDS = ("continue", "merge", "drop", "freeze")


@dataclass(frozen=True)
class LoraConfig:
    """LoRA over the rounds.

    Attributes:
        lr: Peak learning rate.
        weight_decay: Weight decay of the adapter.
        between_rounds: `continue` trains one adapter through all rounds; `merge` and `drop` start
            a new one each round and keep or lose the old one; `freeze` trains in round 1 only.
        adapter: Shape of the adapter.
        use_replay_buffer: Whether past rows are replayed from round 2 on.
        replay_buffer_size: Examples in the reservoir.
        replay_ratio: Share of replayed rows among all rows, at least 0 and below 1.
    """

    tasks: ClassVar[tuple[str, ...]] = (TOOLS,)
    lr: float = 5e-4
    weight_decay: float = 0.01
    between_rounds: str = "continue"
    adapter: LoraSettings = field(default_factory=LoraSettings)
    use_replay_buffer: bool = False
    replay_buffer_size: int = 1000
    replay_ratio: float = 0.2

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "Lora":
        """Build the method; every training row must fit the model's window."""
        for name in ("lr", "weight_decay"):
            check_at_least(name, getattr(self, name), 0)
        check_choice("between_rounds", self.between_rounds, BETWEEN_ROUNDS)
        exact_ratio(self.replay_ratio)
        if self.between_rounds == "merge":
            model.check_can_merge()
        for example in trained_or_asked(benchmark):
            row = text_sequence(model, example)
            model.check_fits(len(row.prompt), len(row.target), f"example {example.id}")
        return Lora(self, model)


class Lora:
    """The method; see `LoraConfig`."""

    traits = Traits()

    def __init__(self, config: LoraConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.lora = model.add_lora(config.adapter)
        self.buffer = ReplayBuffer(config.replay_buffer_size)
        self.num_learned = 0

    def learn(self, round_: Round, run: RunContext) -> None:
        """Train an adapter on the round's rows, then offer them to the reservoir."""
        key = f"round {round_.index}"
        if self.num_learned == 0 or self.config.between_rounds != "freeze":
            is_new = self._begin_adapter(key, run)
            self._train(key, round_, run, is_new)
        if self.config.use_replay_buffer:
            self.buffer.offer(round_.train, run.streams.generator("reservoir", key))
            kept = stored_bytes(self.buffer.examples)
            run.budget.buffer_bytes = max(run.budget.buffer_bytes, kept)
        self.num_learned += 1

    def _begin_adapter(self, key: str, run: RunContext) -> bool:
        """Attach what this round trains: the adapter so far, or a new one (then true)."""
        if self.lora.attached and self.config.between_rounds == "merge":
            self.lora.merge()
        if self.lora.attached and self.config.between_rounds == "drop":
            self.lora.drop()
        if self.lora.attached:
            return False
        self.lora.attach(run.streams.integer("lora", key))
        return True

    def _train(self, key: str, round_: Round, run: RunContext, is_new: bool) -> None:
        rows = [text_sequence(self.model, example) for example in round_.train]
        replay = None
        if self.buffer.examples:
            past = [text_sequence(self.model, example) for example in self.buffer.examples]
            replay = Replay(past, exact_ratio(self.config.replay_ratio))
        lesson = Lesson(key, self.model, rows, round_.epochs, run, replay)
        self.lora.train()
        adapter = self.lora.named_parameters()
        lesson.fit([ParameterGroup(adapter, self.config.lr, self.config.weight_decay, is_new)])
        self.lora.freeze()

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the query alone."""
        prompts = [self.model.chat.prompt_ids(example.query) for example in examples]
        return text_predictions(self.model, generate(self.model, prompts, run, "answers"))

    def state_dict(self) -> State:
        """Return the adapters and the reservoir."""
        return State(
            {name: tensor.clone() for name, tensor in self.lora.state_dict().items()},
            {
                "num_learned": self.num_learned,
                "num_offered": self.buffer.num_offered,
                "buffer": [example_to_json(example) for example in self.buffer.examples],
            },
        )

    def load_state_dict(self, state: State) -> None:
        """Restore the adapters and the reservoir."""
        self.lora.load_state_dict(state.tensors)
        self.num_learned = state.metadata["num_learned"]
        self.buffer.num_offered = state.metadata["num_offered"]
        self.buffer.examples = [example_from_json(value) for value in state.metadata["buffer"]]
