import re

import pytest

from tests.flags_page import PAGE, SECTIONS, expected, tables
from tests.test_scripts import ENTRY_POINTS, variables

# The reference code's own defaults; flags that it does not have stand with a dash.
SEED = {
    "Flags of all three": {
        "model_name": "`meta-llama/Llama-3.2-3B-Instruct`; ICL: 1B",
        "device": "`cuda`",
        "dtype": "`bfloat16`",
        "max_length": "`512`, unused",
        "data_dir": "`./data`",
        "training_rounds": "required",
        "train_max_function_calls": "`4`",
        "test_max_function_calls": "`4`",
        "train_max_function_calls_per_round": "none",
        "test_max_function_calls_per_round": "none",
        "tool_descriptions": "ICL: required",
        "eval_after_each_round": "off",
        "eval_all_previous": "off",
        "eval_batch_size": "`32`",
        "seed": "`42`",
        "save_checkpoints": "off",
        "checkpoint_dir": "`checkpoints`; LoRA: `checkpoints_lora`",
        "log_file": "`log/sequential_training_<time>.log`",
        "demo": "none",
    },
    "`main_sequential`": {
        "batch_size": "`4`",
        "lr": "`0.005`",
        "decouple_embeddings": "off",
        "renorm_active_tools": "off",
        "use_lora": "off",
        "freeze_lora_after_first": "off",
        "lora_lr": "`0.0005`",
        "lora_r": "`8`",
        "lora_alpha": "`32`",
        "lora_dropout": "`0.1`",
        "lora_target_modules": "`o_proj`",
        "lora_layer_indices": "none",
        "curriculum_learning": "off",
        "use_ground_truth_tools": "off",
    },
    "`lora_sequential`": {
        "batch_size": "`4`",
        "lr": "`0.0005`",
        "lora_r": "`8`",
        "lora_alpha": "`32`",
        "lora_dropout": "`0.1`",
        "lora_target_modules": "`q_proj,v_proj`",
        "reinit_lora_after_each_round": "off",
        "freeze_lora_after_first": "off",
        "use_replay_buffer": "off",
        "replay_buffer_size": "`1000`",
        "replay_ratio": "`0.2`",
    },
    "`icl_baseline`": {
        "test_data": "required",
        "batch_size": "`4`",
        "max_samples": "none",
        "use_rag": "off",
        "retrieval_k": "`10`",
        "output": "`icl_results.json`",
    },
    "`xlam_datasets`": {
        "train_size": "`5000`",
        "test_size": "`500`",
        "top_k": "`20`",
        "max_samples_per_tool": "none",
        "train_multi_tool_ratios": "`0.5,0.5`",
        "test_multi_tool_ratios": "`0.5,0.5`",
        "train_max_function_calls": "`4`",
        "test_max_function_calls": "`4`",
        "output_dir": "`.`",
    },
}


def test_the_page_has_a_table_for_each() -> None:
    assert list(tables()) == list(SECTIONS)


@pytest.mark.parametrize("heading", list(SECTIONS))
def test_the_table_is_what_the_program_takes(heading: str) -> None:
    rows = tables()[heading]
    assert [(r.flag, r.ours, r.meaning) for r in rows] == expected(SECTIONS[heading])
    known = SEED[heading]
    assert {r.flag: r.seeds for r in rows if r.seeds != "-"} == known


def test_flags_in_the_text_exist() -> None:
    flags = {row.flag for rows in tables().values() for row in rows} | {"config", "help"}
    for name in re.findall(r"--(?:no_)?([a-z_]+)(?![\w.])", PAGE.read_text(encoding="utf-8")):
        assert name in flags, name


def test_every_variable_of_the_scripts_stands_with_its_defaults() -> None:
    lines = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    found = dict(lines)
    defaults: dict[str, list[str]] = {}
    for script in ENTRY_POINTS:
        for name, value in variables(script).items():
            text = f"`{value}`" if value else "none"
            if text not in defaults.setdefault(name, []):
                defaults[name].append(text)
    assert found == {name: "; LoRA: ".join(values) for name, values in defaults.items()}
    assert len(lines) == len(found)
