"""One training on examples: the plan of its steps, the loss of each, replay and counting."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from compositional.models.language_model import LanguageModel
from compositional.run_context import RunContext
from compositional.stopping import heed_stop
from compositional.training.batching import TokenSequence
from compositional.training.fit import ParameterGroup, fit
from compositional.training.frozen_prompts import FrozenPrompts, can_freeze_prompts
from compositional.training.losses import summed_cross_entropy
from compositional.training.replay import draw_replayed, num_replayed
from compositional.training.schedule import plan_steps
from compositional.training.targets import logits_by_pack


@dataclass(frozen=True)
class Replay:
    """Past rows to mix into a training.

    Attributes:
        sequences: The buffer's rows.
        ratio: Their share of all rows, exact.
    """

    sequences: Sequence[TokenSequence]
    ratio: Fraction


class Lesson:
    """A training on token sequences for a number of epochs.

    Args:
        key: Names it within the run.
        model: The model that trains.
        sequences: The new rows.
        epochs: Passes over them.
        run: Settings, streams and counters.
        replay: Past rows to add to each step; None for none.
        extra_loss: Returns a further loss of a step, added to that of the rows.
        prompts_are_frozen: Whether nothing that trains reaches the prompts.
    """

    def __init__(
        self,
        key: str,
        model: LanguageModel,
        sequences: Sequence[TokenSequence],
        epochs: int,
        run: RunContext,
        replay: Replay | None = None,
        extra_loss: Callable[[int], Tensor] | None = None,
        *,
        prompts_are_frozen: bool = False,
    ) -> None:
        self.key = key
        self.model = model
        self.sequences = sequences
        self.run = run
        self.replay = replay
        self.extra_loss = extra_loss
        self.prompts: FrozenPrompts | None = None
        if prompts_are_frozen:
            if model.freezes_prompts is None:
                model.freezes_prompts = can_freeze_prompts(model)
            if model.freezes_prompts:
                max_bytes = run.training.prompt_cache_mib * 2**20
                self.prompts = FrozenPrompts(
                    model, sequences, max_bytes, before_pack=lambda: heed_stop(run)
                )
        size = run.training.batch_size
        ranks = [s.num_calls for s in sequences] if run.training.curriculum_learning else None
        self.steps = plan_steps(len(sequences), epochs, size, run.streams, key, ranks)

    def fit(
        self, groups: list[ParameterGroup], after_step: Callable[[], None] | None = None
    ) -> None:
        """Train the groups' parameters; the losses go to the run, the new values to its budget."""
        self.run.budget.trained_parameters += sum(
            parameter.numel()
            for group in groups
            if group.is_new
            for parameter in group.parameters.values()
        )
        self.run.losses[self.key] = fit(
            self.key, len(self.steps), self._losses_at, groups, self.run, after_step
        )

    def _losses_at(self, step: int) -> Iterator[Tensor]:
        """Yield this process's parts of a step's loss; all add up to the mean over target tokens.

        A part is one pack of the step's new and replayed rows; the extra loss comes last, in the
        first process.
        """
        replayed = self._replayed_rows(step)
        rows = [self.sequences[index] for index in self.steps[step]] + replayed
        num_targets = sum(len(row.target) for row in rows)
        budget = self.run.budget
        budget.steps += 1
        budget.rows += len(rows)
        budget.replayed_rows += len(replayed)
        budget.input_tokens += num_targets + sum(len(row.prompt) for row in rows)
        budget.target_tokens += num_targets
        together = self.run.processes
        own = [rows[n] for n in together.share([len(r.prompt) + len(r.target) for r in rows])]
        if self.prompts is None:
            packs = logits_by_pack(self.model, own)
        else:
            packs = self.prompts.logits_by_pack(own)
        kernel = self.run.training.cross_entropy
        for logits, targets in packs if own else ():
            yield summed_cross_entropy(logits, targets, kernel) / num_targets
        if self.extra_loss is not None and together.is_first:
            yield self.extra_loss(step)

    def _replayed_rows(self, step: int) -> list[TokenSequence]:
        """Return the buffer's rows that this step adds, so that the ratio is exact so far."""
        if self.replay is None or not self.replay.sequences:
            return []
        before = sum(len(rows) for rows in self.steps[:step])
        after = before + len(self.steps[step])
        due = num_replayed(after, self.replay.ratio) - num_replayed(before, self.replay.ratio)
        rng = self.run.streams.generator("replay", self.key, step)
        chosen = draw_replayed(len(self.replay.sequences), due, rng)
        return [self.replay.sequences[place] for place in chosen]
