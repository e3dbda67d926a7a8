"""Memory tokens over disjoint tool ranges, round by round.

`python -m compositional.main_sequential`, or as a file. Flag names are the seed's;
docs/flags.md lists both defaults.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a file: the package is found above this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from compositional.cli.entry_points import CommonFlags, run_config, run_flags
from compositional.cli.flags import parse_flags
from compositional.cli.main import guarded, noting


@dataclass(frozen=True)
class MainSequentialFlags(CommonFlags):
    """Flags of `main_sequential`, beside the common ones.

    Attributes:
        batch_size: Training rows an optimiser step.
        lr: Peak learning rate of the memory rows.
        init: First value of a row: `description`, `mean` or `orthogonal`.
        decouple_embeddings: Whether the head has rows of its own.
        renorm_active_tools: Whether new rows are scaled to the mean norm of the finished ones.
        end_of_call: Whether a row of its own ends each call.
        use_lora: Whether LoRA adapts the backbone together with the rows.
        freeze_lora_after_first: Whether it does so in round 1 only.
        merge_lora: Whether the adapter is merged into the backbone after its last lesson.
        adaptation_tools: A range of its own to adapt on before round 1, for example `51-60:1`.
        lora_lr: Peak learning rate of the adapter.
        lora_r: Rank of the adapter.
        lora_alpha: The update is scaled by alpha / rank.
        lora_dropout: Dropout of the adapter.
        lora_target_modules: `all-linear`, or names such as `q_proj,v_proj`.
        lora_layer_indices: Layers to adapt, negative ones from the end; empty: all.
        rehearsal_vectors: Routing vectors kept of each round; 0 for no rehearsal.
        rehearsal_vectors_per_step: Vectors drawn for each step.
        rehearsal_weight: Factor on their loss.
        curriculum_learning: Whether rows come by number of calls in place of a shuffle.
        use_ground_truth_tools: Whether the expected tools are forced while decoding.
    """

    batch_size: int = 4
    lr: float = 5e-3
    init: str = "description"
    decouple_embeddings: bool = False
    renorm_active_tools: bool = False
    end_of_call: bool = False
    use_lora: bool = True
    freeze_lora_after_first: bool = True
    merge_lora: bool = False
    adaptation_tools: str | None = None
    lora_lr: float = 5e-4
    lora_r: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.0
    lora_target_modules: tuple[str, ...] = ("all-linear",)
    lora_layer_indices: tuple[int, ...] = ()
    rehearsal_vectors: int = 0
    rehearsal_vectors_per_step: int = 48
    rehearsal_weight: float = 1.0
    curriculum_learning: bool = False
    use_ground_truth_tools: bool = False

    @property
    def adaptation(self) -> str:
        """When LoRA trains with the rows, as the method names it."""
        if not self.use_lora:
            return "none"
        if self.adaptation_tools:
            return "own_range"
        return "first_round" if self.freeze_lora_after_first else "every_round"


def main_sequential(flags: MainSequentialFlags) -> int:
    """Teach memory tokens round by round and score every past round."""
    method = {
        "name": "memory_tokens",
        "lr": flags.lr,
        "init": flags.init,
        "decouple_embeddings": flags.decouple_embeddings,
        "renorm_active_tools": flags.renorm_active_tools,
        "end_of_call": flags.end_of_call,
        "adaptation": flags.adaptation,
        "after_adaptation": "merge" if flags.merge_lora else "freeze",
        "lora_lr": flags.lora_lr,
        "adapter": {
            "rank": flags.lora_r,
            "alpha": flags.lora_alpha,
            "dropout": flags.lora_dropout,
            "target_modules": list(flags.lora_target_modules),
            "layer_indices": list(flags.lora_layer_indices),
        },
        "rehearsal": {
            "vectors_per_round": flags.rehearsal_vectors,
            "vectors_per_step": flags.rehearsal_vectors_per_step,
            "weight": flags.rehearsal_weight,
        },
        "use_ground_truth_tools": flags.use_ground_truth_tools,
    }
    training = {
        "batch_size": flags.batch_size,
        "curriculum_learning": flags.curriculum_learning,
    }
    data = {"adaptation_tools": flags.adaptation_tools}
    return run_flags(flags, run_config(flags, method, training, data))


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the flags and run."""
    with noting(argv):
        return guarded(
            lambda: main_sequential(
                parse_flags(
                    MainSequentialFlags,
                    argv,
                    "main_sequential",
                    "Teach memory tokens round by round and score every past round.",
                )
            )
        )


if __name__ == "__main__":
    raise SystemExit(main())
