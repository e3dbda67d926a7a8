"""What the peers train with: the settings that serve them best on this work, and are printed."""

from typing import Any

# Of transformers' `TrainingArguments`; trl's `SFTConfig` takes them too.
TRAINER: dict[str, Any] = {
    "num_train_epochs": 1,
    "lr_scheduler_type": "constant",
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "optim": "adamw_torch",
    "bf16": False,
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "logging_strategy": "steps",
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
    "dataloader_num_workers": 0,
    "train_sampling_strategy": "sequential",
}
# Of one trainer each, beside those.
OWN: dict[str, dict[str, Any]] = {
    "memory_rows": {"remove_unused_columns": False},
    "lora": {"packing": False, "completion_only_loss": True, "max_length": None},
}
NAMES = {
    "memory_rows": "transformers' `Trainer` over peft's `TrainableTokensConfig`",
    "lora": "trl's `SFTTrainer` over peft's `LoraConfig`",
}


def peer_settings(training: str) -> dict[str, Any]:
    """Return what `memory_rows` or `lora` is trained with, beside batch size, rate and device."""
    return TRAINER | OWN[training]


def shown_settings(training: str) -> str:
    """Return the settings as a sentence of the page; "" for a table without a trainer."""
    if training not in OWN:
        return ""
    chosen = ", ".join(f"{name}={value!r}" for name, value in peer_settings(training).items())
    return (
        f"The other: {NAMES[training]} with {chosen}; batch size, rate, first values and the order "
        "of the rows are ours."
    )
