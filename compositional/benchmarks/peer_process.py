"""Peers, in a process of their own: reads one JSON request a line, answers one JSON line.

Runs in the peers' environment, which has torch, transformers, peft and trl, but not this project.
A request names the training, the model's folder, the rows in the order of the steps, and the
settings; the answer holds the seconds of the steps and their losses.
"""

import json
import os
import sys
import time
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

IGNORED = -100


class Clock(TrainerCallback):
    """Notes when the steps begin and end."""

    def on_train_begin(self, *_args: Any, **_kwargs: Any) -> None:
        """Note the beginning."""
        self.began = time.perf_counter()

    def on_train_end(self, *_args: Any, **_kwargs: Any) -> None:
        """Note the end."""
        self.seconds = time.perf_counter() - self.began


def settings_of(request: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a training: those of `peer_settings.py`, and those of the work."""
    return {
        "output_dir": request["folder"],
        "per_device_train_batch_size": request["batch_size"],
        "learning_rate": request["lr"],
        "use_cpu": request["device"] == "cpu",
        **request["settings"],
    }


def train_memory_rows(request: dict[str, Any]) -> Trainer:
    """Prepare peft's trainable tokens under transformers' Trainer."""
    from peft import TrainableTokensConfig, get_peft_model

    model = load(request)
    initial = load_file(request["initial"])["rows"]
    first = model.get_input_embeddings().weight.shape[0]
    model.resize_token_embeddings(first + len(initial), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight[first:] = initial
    ids = list(range(first, first + len(initial)))
    peft_model = get_peft_model(model, TrainableTokensConfig(token_indices=ids))
    rows = [
        {
            "input_ids": [*prompt, *target],
            "attention_mask": [1] * (len(prompt) + len(target)),
            "labels": [*[IGNORED] * len(prompt), *target],
        }
        for prompt, target in request["rows"]
    ]
    return Trainer(
        model=peft_model,
        args=TrainingArguments(**settings_of(request)),
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer(request), label_pad_token_id=IGNORED),
    )


def train_lora(request: dict[str, Any]) -> Trainer:
    """Prepare LoRA under trl's SFTTrainer."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer  # type: ignore[import-not-found]  # the peers' own

    rows = Dataset.from_list(
        [
            {
                "input_ids": [*prompt, *target],
                "completion_mask": [*[0] * len(prompt), *[1] * len(target)],
            }
            for prompt, target in request["rows"]
        ]
    )
    trainer: Trainer = SFTTrainer(
        model=load(request),
        args=SFTConfig(**settings_of(request)),
        train_dataset=rows,
        processing_class=tokenizer(request),
        peft_config=LoraConfig(
            r=request["rank"],
            lora_alpha=request["alpha"],
            lora_dropout=0.0,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    initial = load_file(request["initial"])
    named = dict(trainer.model.named_parameters())  # type: ignore[union-attr]
    with torch.no_grad():
        for name, tensor in initial.items():
            named[name].copy_(tensor)
    return trainer


def load(request: dict[str, Any]) -> Any:
    """Load the model in the number type asked for."""
    dtype = getattr(torch, request["dtype"])
    model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=dtype)
    model.generation_config.eos_token_id = model.config.eos_token_id
    return model


def tokenizer(request: dict[str, Any]) -> Any:
    """Load the tokenizer; some token must pad."""
    loaded = AutoTokenizer.from_pretrained(request["model"])
    loaded.pad_token = loaded.pad_token or loaded.eos_token
    return loaded


def warm_up(trainer: Trainer) -> None:
    """Compute the gradients of one row and drop them: what a model does once is done."""
    model: Any = trainer.model
    model.train()
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    inputs = {name: value[:1] for name, value in batch.items()}
    loss: Any = trainer.compute_loss(model, inputs)
    loss.backward()
    model.zero_grad()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one training and return its seconds and losses."""
    torch.set_num_threads(request["threads"])
    prepare = {"memory_rows": train_memory_rows, "lora": train_lora}[request["training"]]
    trainer = prepare(request)
    warm_up(trainer)
    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"seconds": clock.seconds, "losses": losses}


def main() -> None:
    """Answer requests until there are no more."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand among the replies
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
