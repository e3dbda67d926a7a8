"""LoRA over disjoint tool ranges, round by round.

`python -m compositional.lora_sequential`, or as a file. Flag names are the seed's;
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
from compositional.errors import ConfigError


@dataclass(frozen=True)
class LoraSequentialFlags(CommonFlags):
    """Flags of `lora_sequential`, beside the common ones.

    Attributes:
        batch_size: New training rows an optimiser step.
        lr: Peak learning rate of the adapter.
        lora_r: Rank of the adapter.
        lora_alpha: The update is scaled by alpha / rank.
        lora_dropout: Dropout of the adapter.
        lora_target_modules: `all-linear`, or names such as `q_proj,v_proj`.
        lora_layer_indices: Layers to adapt, negative ones from the end; empty: all.
        reinit_lora_after_each_round: Whether each round trains a new adapter.
        merge_lora: Whether the previous adapter is then merged into the backbone, or dropped.
        freeze_lora_after_first: Whether the adapter trains in round 1 only.
        use_replay_buffer: Whether past rows are replayed from round 2 on.
        replay_buffer_size: Examples in the reservoir.
        replay_ratio: Share of replayed rows among all rows.
        curriculum_learning: Whether rows come by number of calls in place of a shuffle.
    """

    batch_size: int = 4
    lr: float = 5e-4
    lora_r: int = 8
    lora_alpha: float = 16.0
    lora_dropout: float = 0.0
    lora_target_modules: tuple[str, ...] = ("all-linear",)
    lora_layer_indices: tuple[int, ...] = ()
    reinit_lora_after_each_round: bool = False
    merge_lora: bool = True
    freeze_lora_after_first: bool = False
    use_replay_buffer: bool = False
    replay_buffer_size: int = 1000
    replay_ratio: float = 0.2
    curriculum_learning: bool = False

    @property
    def between_rounds(self) -> str:
        """What happens to the adapter between rounds, as the method names it."""
        if self.freeze_lora_after_first and self.reinit_lora_after_each_round:
            raise ConfigError(
                "--freeze_lora_after_first and --reinit_lora_after_each_round exclude each other"
            )
        if self.freeze_lora_after_first:
            return "freeze"
        if not self.reinit_lora_after_each_round:
            return "continue"
        return "merge" if self.merge_lora else "drop"


def lora_sequential(flags: LoraSequentialFlags) -> int:
    """Train LoRA round by round and score every past round."""
    method = {
        "name": "lora",
        "lr": flags.lr,
        "between_rounds": flags.between_rounds,
        "adapter": {
            "rank": flags.lora_r,
            "alpha": flags.lora_alpha,
            "dropout": flags.lora_dropout,
            "target_modules": list(flags.lora_target_modules),
            "layer_indices": list(flags.lora_layer_indices),
        },
        "use_replay_buffer": flags.use_replay_buffer,
        "replay_buffer_size": flags.replay_buffer_size,
        "replay_ratio": flags.replay_ratio,
    }
    training = {
        "batch_size": flags.batch_size,
        "curriculum_learning": flags.curriculum_learning,
    }
    return run_flags(flags, run_config(flags, method, training))


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the flags and run."""
    with noting(argv):
        return guarded(
            lambda: lora_sequential(
                parse_flags(
                    LoraSequentialFlags,
                    argv,
                    "lora_sequential",
                    "Train LoRA round by round and score every past round.",
                )
            )
        )


if __name__ == "__main__":
    raise SystemExit(main())
