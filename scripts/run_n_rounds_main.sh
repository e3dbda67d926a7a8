#!/usr/bin/env bash
# Memory tokens over rounds of tools: builds each round's files, then trains and scores round by
# round. Every variable is also taken from the environment, for example:
#   NUM_ROUNDS=5 bash scripts/run_n_rounds_main.sh
# Arguments go to main_sequential, for example --dry_run, and count more than the variables.
set -euo pipefail

NUM_ROUNDS=${NUM_ROUNDS:-3}                                  # 1 for a single round
TOOLS_PER_ROUND=${TOOLS_PER_ROUND:-5}                        # by rank in the source
START_TOOL=${START_TOOL:-1}                                  # rank of the first tool
EPOCHS_PER_ROUND=${EPOCHS_PER_ROUND:-2}                      # a list such as 1,3; the last repeats
SAMPLES_PER_TOOL=${SAMPLES_PER_TOOL-10}                      # training rows of each; empty: all
TRAIN_SIZE=${TRAIN_SIZE:-80}                                 # training examples a round
TEST_SIZE=${TEST_SIZE:-30}                                   # test examples a round
TRAIN_MAX_CALLS=${TRAIN_MAX_CALLS:-2}                        # calls of an example at most
TEST_MAX_CALLS=${TEST_MAX_CALLS:-2}
TRAIN_MAX_CALLS_PER_ROUND=${TRAIN_MAX_CALLS_PER_ROUND:-}     # lists in place of these two
TEST_MAX_CALLS_PER_ROUND=${TEST_MAX_CALLS_PER_ROUND:-}
SOURCE=${SOURCE:-bfcl}                                       # bfcl, a file of rows, or a Hub id
MODEL=${MODEL:-smollm2}                                      # smollm2, a folder, a GGUF, a Hub id
DEVICE=${DEVICE:-auto}
DTYPE=${DTYPE:-auto}

BATCH_SIZE=${BATCH_SIZE:-2}                                  # training rows an optimiser step
LR=${LR:-2e-2}                                               # of the memory rows
USE_LORA=${USE_LORA:-true}                                   # adapt the backbone with LoRA
LORA_LR=${LORA_LR:-2e-3}                                     # of the adapter
FREEZE_LORA_AFTER_FIRST=${FREEZE_LORA_AFTER_FIRST:-true}     # adapt in round 1 only
CURRICULUM_LEARNING=${CURRICULUM_LEARNING:-false}            # examples of few calls first
RENORM_ACTIVE_TOOLS=${RENORM_ACTIVE_TOOLS:-true}             # new rows get the old ones' mean norm

EVAL_BATCH_SIZE=${EVAL_BATCH_SIZE:-12}                       # answers generated side by side
MAX_NEW_TOKENS=${MAX_NEW_TOKENS:-96}                         # longest answer
EVAL_ALL_PREVIOUS=${EVAL_ALL_PREVIOUS:-true}                 # score all earlier rounds as well
SAVE_CHECKPOINTS=${SAVE_CHECKPOINTS:-false}                  # keep each round's trained tensors
SEED=${SEED:-42}
EXPERIMENT=${EXPERIMENT:-rounds}                             # folder of the results
RUN=${RUN:-}                                                 # folder in it; empty: the method
RESUME=${RESUME:-false}                                      # go on with a run that was started
TRACKER=${TRACKER:-none}                                     # none or wandb
LOG_FILE=${LOG_FILE:-}
DATA_DIR=${DATA_DIR:-}                                       # empty: data/<source>-seed<SEED>
RESULTS_DIR=${RESULTS_DIR:-}                                 # empty: results
CHECKPOINT_DIR=${CHECKPOINT_DIR:-}                           # empty: checkpoints

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
check_variables
add_flag BATCH_SIZE batch_size
add_flag LR lr
add_flag LORA_LR lora_lr
add_switch USE_LORA use_lora
add_switch FREEZE_LORA_AFTER_FIRST freeze_lora_after_first
add_switch CURRICULUM_LEARNING curriculum_learning
add_switch RENORM_ACTIVE_TOOLS renorm_active_tools
run_rounds main_sequential "$@"
