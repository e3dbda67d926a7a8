#!/usr/bin/env bash
# LoRA over rounds of tools, with or without replay: builds each round's files, then trains and
# scores round by round. Every variable is also taken from the environment, for example:
#   USE_REPLAY_BUFFER=true bash scripts/run_n_rounds_lora.sh
# Arguments go to lora_sequential, for example --dry_run, and count more than the variables.
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

BATCH_SIZE=${BATCH_SIZE:-2}                                  # new training rows an optimiser step
LR=${LR:-4e-3}                                               # of the adapter
REINIT_LORA=${REINIT_LORA:-false}                            # a new adapter each round
FREEZE_LORA_AFTER_FIRST=${FREEZE_LORA_AFTER_FIRST:-false}    # train in round 1 only
CURRICULUM_LEARNING=${CURRICULUM_LEARNING:-false}            # examples of few calls first
USE_REPLAY_BUFFER=${USE_REPLAY_BUFFER:-false}                # mix in rows of earlier rounds
REPLAY_BUFFER_SIZE=${REPLAY_BUFFER_SIZE:-1000}               # examples kept of them
REPLAY_RATIO=${REPLAY_RATIO:-0.2}                            # their share of all rows

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
add_flag REPLAY_BUFFER_SIZE replay_buffer_size
add_flag REPLAY_RATIO replay_ratio
add_switch REINIT_LORA reinit_lora_after_each_round
add_switch FREEZE_LORA_AFTER_FIRST freeze_lora_after_first
add_switch CURRICULUM_LEARNING curriculum_learning
add_switch USE_REPLAY_BUFFER use_replay_buffer
run_rounds lora_sequential "$@"
