"""What stands beside our way: the settings that serve it best on this work, and are printed."""

from typing import Any

# Of transformers' `TrainingArguments`; trl's `SFTConfig` takes them too.
TRAINER: dict[str, Any] = {
    "num_train_epochs": 1,
    "lr_scheduler_type": "constant",
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "optim": "adamw_torch_fused",
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
TRAINERS = {
    "memory_rows": "transformers' `Trainer` over peft's `TrainableTokensConfig`",
    "lora": "trl's `SFTTrainer` over peft's `LoraConfig` (all linear layers, rank and alpha ours)",
}


def peer_settings(training: str) -> dict[str, Any]:
    """Return what `memory_rows` or `lora` is trained with, beside batch size, rate and device."""
    return TRAINER | OWN[training]


DECODERS = {
    "evaluation": "The others: `generate`, greedy, on left-padded batches of 16 in file order; "
    "`generate_batch` with 16 requests side by side, 512 tokens a pass and 32 blocks of memory, "
    "beside which our way answers the same first prompts. Both run in the same process with the "
    "plain weights, eager, up to 128 new tokens.",
    "icl": "The other: `generate`, greedy, one prompt at a time without padding, in the same "
    "process with the plain weights, up to 32 new tokens; in padded batches it is slower.",
    "forced": "The other: each prompt by itself, the whole sequence read anew for every token, as "
    "the reference code does where tools are given; plain weights, up to 48 new tokens.",
}


def shown_settings(table: str) -> str:
    """Return the settings of what a table stands beside, in a sentence; "" where there is none."""
    if table not in TRAINERS:
        return DECODERS.get(table, "")
    chosen = ", ".join(f"{name}={value!r}" for name, value in peer_settings(table).items())
    return (
        f"The other: {TRAINERS[table]} with {chosen}; use_cpu on a CPU; number type, batch size, "
        "rate, first values and the order of the rows are ours, the rows of all epochs in a row."
    )
