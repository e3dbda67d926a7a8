#!/usr/bin/env bash
# The frozen model with tools in its prompt, all of them or those that a retriever finds, on the
# rounds of the other scripts. Every variable is also taken from the environment, for example:
#   USE_RAG=false bash scripts/icl_baseline.sh
# Arguments go to icl_baseline, for example --dry_run, and count more than the variables.
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

USE_RAG=${USE_RAG:-true}                                     # false: all tools in the prompt
RETRIEVAL_K=${RETRIEVAL_K:-3}                                # tools that the retriever finds
RETRIEVER=${RETRIEVER:-bm25}                                 # bm25, tfidf or dense
DEMONSTRATIONS=${DEMONSTRATIONS:-0}                          # training rows of each tool shown
TOOL_FORMAT=${TOOL_FORMAT:-compact}                          # compact or full
MAX_SAMPLES=${MAX_SAMPLES:-}                                 # test examples at most; empty: all
OUTPUT=${OUTPUT:-}                                           # JSON file of all answers

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
add_switch USE_RAG use_rag
if [ "$(switch USE_RAG use_rag)" = --use_rag ]; then
  add_flag RETRIEVAL_K retrieval_k
  add_flag RETRIEVER retriever
fi
add_flag DEMONSTRATIONS demonstrations
add_flag TOOL_FORMAT tool_format
add_flag MAX_SAMPLES max_samples
add_flag OUTPUT output
run_rounds icl_baseline "$@"
