"""Memory tokens (TokMem, Wu et al. 2026, arXiv 2510.00444): one trainable row a tool.

A row is a token beyond the vocabulary. The training text is `query, row, arguments, row,
arguments, end` and the loss covers all that follows the query (equation 3). Only the current
round's rows train. Adaptation trains LoRA on the backbone together with the first rows, after
which the backbone is frozen or merged for good (algorithm 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from compositional.errors import ConfigError, check_at_least, check_choice
from compositional.generation.generate import generate
from compositional.methods.base import Traits
from compositional.methods.initial_rows import INITS, initial_rows
from compositional.methods.prompts import trained_or_asked
from compositional.methods.rehearsal import RehearsalSettings, RoutingMemory
from compositional.methods.row_text import (
    END_OF_CALL,
    expected_rows,
    read_answer,
    row_sequence,
)
from compositional.models.adapters import LoraSettings
from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.states import State
from compositional.tasks.benchmark import TOOLS, Benchmark
from compositional.tasks.types import Example, Prediction, Round, Skill
from compositional.training.batching import TokenSequence
from compositional.training.fit import ParameterGroup
from compositional.training.lesson import Lesson

ADAPTATIONS = ("none", "first_round", "every_round", "own_range")
AFTER_ADAPTATION = ("freeze", "merge")


@dataclass(frozen=True)
class MemoryTokensConfig:
    """Memory tokens over the rounds.

    Attributes:
        lr: Peak learning rate of the rows.
        init: First value of a row: the mean embedding of its tool's name and `description`, the
            `mean` of all embeddings, or `orthogonal` unit rows.
        decouple_embeddings: Whether the head has rows of its own.
        renorm_active_tools: Whether new rows are scaled to the mean norm of the finished ones
            after every step (equations 5 and 6).
        end_of_call: Whether a row that the first lesson teaches ends each call.
        adaptation: When LoRA trains with the rows: `none`, `first_round`, `every_round`, or
            `own_range` (on the data's adaptation_tools before round 1; their rows are discarded).
        after_adaptation: Whether the adapter is then left frozen (`freeze`) or merged (`merge`).
        adapter: Shape of the adapter.
        lora_lr: Peak learning rate of the adapter.
        lora_weight_decay: Weight decay of the adapter.
        rehearsal: Routing rehearsal; off by default.
        use_ground_truth_tools: Whether the expected tools are forced while decoding.
    """

    tasks: ClassVar[tuple[str, ...]] = (TOOLS,)
    lr: float = 5e-3
    init: str = "description"
    decouple_embeddings: bool = False
    renorm_active_tools: bool = False
    end_of_call: bool = False
    adaptation: str = "first_round"
    after_adaptation: str = "freeze"
    adapter: LoraSettings = field(default_factory=LoraSettings)
    lora_lr: float = 5e-4
    lora_weight_decay: float = 0.01
    rehearsal: RehearsalSettings = field(default_factory=RehearsalSettings)
    use_ground_truth_tools: bool = False

    def build(self, model: LanguageModel, benchmark: Benchmark) -> "MemoryTokens":
        """Build the method; every training row must fit the model's window."""
        for name in ("lr", "lora_lr", "lora_weight_decay"):
            check_at_least(name, getattr(self, name), 0)
        for name, choices in (
            ("init", INITS),
            ("adaptation", ADAPTATIONS),
            ("after_adaptation", AFTER_ADAPTATION),
        ):
            check_choice(name, getattr(self, name), choices)
        if self.rehearsal.vectors_per_round and self.adaptation == "every_round":
            raise ConfigError(
                "routing rehearsal needs a backbone that no longer changes, but adaptation is "
                "'every_round': use first_round, own_range or none"
            )
        if (self.adaptation == "own_range") != (benchmark.adaptation is not None):
            raise ConfigError(
                f"adaptation is {self.adaptation!r}, but the data has "
                f"{'no ' if benchmark.adaptation is None else ''}adaptation_tools: "
                "own_range needs a range there, and nothing else takes one"
            )
        if self.end_of_call and END_OF_CALL in benchmark.skills:
            raise ConfigError(
                f"a tool is named {END_OF_CALL!r}, as the row that ends calls is: rename the "
                "tool, or leave end_of_call off"
            )
        if self.adaptation != "none" and self.after_adaptation == "merge":
            model.check_can_merge()
        method = MemoryTokens(self, model)
        end = [END_OF_CALL] if self.end_of_call else []
        for example in trained_or_asked(benchmark):
            names = [*(str(step.skill) for step in example.steps or ()), *end]
            row = row_sequence(model, example, dict.fromkeys(names, 0))
            model.check_fits(len(row.prompt), len(row.target), f"example {example.id}")
        return method


class MemoryTokens:
    """The method; see `MemoryTokensConfig`."""

    def __init__(self, config: MemoryTokensConfig, model: LanguageModel) -> None:
        self.config = config
        self.model = model
        self.rows = model.add_rows(decoupled=config.decouple_embeddings)
        self.lora = model.add_lora(config.adapter)
        self.memory = RoutingMemory(config.rehearsal)
        self.traits = Traits(
            sees=frozenset({"tools"} if config.use_ground_truth_tools else ()),
            learns_adaptation=config.adaptation == "own_range",
        )
        self.num_learned = 0

    def learn(self, round_: Round, run: RunContext) -> None:
        """Add the round's rows and train them; adapt the backbone where this lesson does so."""
        key = f"round {round_.index}"
        adapts = self._adapts()
        skills = list(round_.skills)
        names = [skill.name for skill in skills]
        if self.config.end_of_call and END_OF_CALL not in self.rows.names:
            names.append(END_OF_CALL)
            skills.append(Skill(END_OF_CALL, "end of the call", {}))
        rng = run.streams.generator("orthogonal rows", key)
        self.rows.begin(names, initial_rows(self.config.init, self.model, skills, rng))
        ids = self._row_ids()
        sequences = [row_sequence(self.model, example, ids) for example in round_.train]
        groups = [ParameterGroup(self.rows.named_current(), self.config.lr)]
        if adapts:
            is_new = not self.lora.attached
            if is_new:
                self.lora.attach(run.streams.integer("lora", key))
            self.lora.train()
            adapter = self.lora.named_parameters()
            groups.append(
                ParameterGroup(adapter, self.config.lora_lr, self.config.lora_weight_decay, is_new)
            )
        rehearse = len(self.memory.targets) > 0
        lesson = Lesson(
            key,
            self.model,
            sequences,
            round_.epochs,
            run,
            extra_loss=(lambda step: self.memory.loss(self.model, key, step, run))
            if rehearse
            else None,
            prompts_are_frozen=not adapts,
        )
        lesson.fit(
            groups, self.rows.renormalise_current if self.config.renorm_active_tools else None
        )
        self._finish(adapts, sequences, key, run)

    def _adapts(self) -> bool:
        """Whether the lesson now due trains the adapter."""
        when = self.config.adaptation
        return when == "every_round" or (when != "none" and self.num_learned == 0)

    def _finish(
        self, adapts: bool, sequences: list[TokenSequence], key: str, run: RunContext
    ) -> None:
        """Freeze what was trained; keep vectors for rehearsal, drop temporary rows."""
        self.rows.finish()
        if adapts:
            self.lora.freeze()
            if self.config.after_adaptation == "merge":
                self.lora.merge()
        self.num_learned += 1
        if self.traits.learns_adaptation and self.num_learned == 1:
            self.rows.drop()
        elif self.config.rehearsal.vectors_per_round:
            self.memory.keep(self.model, sequences, key, run)

    def _row_ids(self) -> dict[str, int]:
        """Return the token id of every row by its name."""
        first = self.model.num_text_ids
        return {name: first + index for index, name in enumerate(self.rows.names)}

    def answer(self, examples: Sequence[Example], run: RunContext) -> list[Prediction]:
        """Answer from the query alone; before the first row exists, no call throughout."""
        if not self.rows.names:
            return [Prediction(raw="", calls=()) for _ in examples]
        prompts = [self.model.chat.prompt_ids(example.query) for example in examples]
        forced = None
        if self.config.use_ground_truth_tools:
            ids = self._row_ids()
            forced = [expected_rows(example, ids) for example in examples]
        answers = generate(self.model, prompts, run, "answers", forced)
        return [read_answer(self.model, self.rows.names, answer) for answer in answers]

    def state_dict(self) -> State:
        """Return the rows, the adapters and the rehearsal's vectors."""
        tensors = dict(self.model.attached_state())
        if len(self.memory.targets):
            tensors["rehearsal.vectors"] = self.memory.vectors
            tensors["rehearsal.targets"] = self.memory.targets
        return State(
            {name: tensor.clone() for name, tensor in tensors.items()},
            {"names": list(self.rows.names), "num_learned": self.num_learned},
        )

    def load_state_dict(self, state: State) -> None:
        """Restore the rows, the adapters and the rehearsal's vectors."""
        tensors = state.tensors
        self.lora.load_state_dict(tensors)
        head = tensors.get("rows.head", tensors["rows.input"])
        self.rows.load(state.metadata["names"], tensors["rows.input"], head)
        self.memory = RoutingMemory(self.config.rehearsal)
        if "rehearsal.targets" in tensors:
            self.memory.vectors = tensors["rehearsal.vectors"].clone()
            self.memory.targets = tensors["rehearsal.targets"].clone()
        self.num_learned = state.metadata["num_learned"]
