#!/usr/bin/env bash
# What the scripts that run rounds share: the files of each round, and the flags that say the same
# to every entry point. Sourced by them after their variables, not run.
#
# Relative paths in the variables are those of the folder that a script is called from; what is not
# given lies in the project.
set -euo pipefail
PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Ends the script with one line. Usage: refuse TEXT
refuse() {
  echo "error: $1" >&2
  exit 2
}

# Refuses variables that are no whole number from 1. Usage: check_counts NAME...
check_counts() {
  local name
  for name in "$@"; do
    [[ ${!name} =~ ^[1-9][0-9]*$ ]] || refuse "$name is '${!name}'; it must be a whole number from 1"
  done
}

# Prints the value of round INDEX (from 0) of a list; the last one repeats. Usage: item NAME INDEX
item() {
  local values=() last value
  IFS=, read -r -a values <<<"${!1// /}"
  last=$((${#values[@]} - 1))
  value=${values[$(($2 < last ? $2 : last))]-}
  [[ $value =~ ^[1-9][0-9]*$ ]] || refuse "$1 is '${!1}'; it must be whole numbers from 1, such as 1,3"
  echo "$value"
}

# Prints a switch as a flag. Usage: switch NAME FLAG
switch() {
  case ${!1} in
    true | True) echo "--$2" ;;
    false | False) echo "--no_$2" ;;
    *) refuse "$1 is '${!1}'; it must be true or false" ;;
  esac
}

# Adds a flag to FLAGS where its variable is not empty. Usage: add_flag NAME FLAG
add_flag() {
  if [ -n "${!1}" ]; then FLAGS+=("--$2" "${!1}"); fi
}

# Adds a switch to FLAGS. Usage: add_switch NAME FLAG
add_switch() {
  local flag
  flag=$(switch "$1" "$2")
  FLAGS+=("$flag")
}

# Runs an entry point of the project. Usage: run_entry_point NAME FLAG...
run_entry_point() {
  local name=$1
  shift
  "$PYTHON" "$PROJECT/compositional/$name.py" "$@"
}

# The interpreter: PYTHON where it is given, else the project's own, made where it is missing.
find_python() {
  if [ -z "${PYTHON:-}" ]; then
    bash "$PROJECT/scripts/setup.sh"
    PYTHON=$PROJECT/.venv/bin/python
  fi
}

# Prints the folder of a source's files, as the entry points name it.
default_data_dir() {
  local name=$SOURCE folder
  case $SOURCE in
    *.json | *.jsonl | *.parquet)
      folder=$(cd "$(dirname "$SOURCE")" 2>/dev/null && pwd) || refuse "SOURCE is '$SOURCE': no such file"
      name=$(basename "$folder")-$(basename "${SOURCE%.*}")
      ;;
    *) name=${SOURCE//\//-} ;;
  esac
  echo "$PROJECT/data/$name-seed$SEED"
}

# Prints the ranges of the rounds with their epochs, such as 1-5:1,6-10:3.
rounds() {
  local round first epochs text=
  for ((round = 0; round < NUM_ROUNDS; round++)); do
    first=$((START_TOOL + round * TOOLS_PER_ROUND))
    epochs=$(item EPOCHS_PER_ROUND "$round") || exit
    text+=${text:+,}$first-$((first + TOOLS_PER_ROUND - 1)):$epochs
  done
  echo "$text"
}

# Refuses variables that make no sense, before anything is built, and starts FLAGS with what every
# entry point is told.
check_variables() {
  local round
  check_counts NUM_ROUNDS TOOLS_PER_ROUND START_TOOL TRAIN_SIZE TEST_SIZE
  check_counts TRAIN_MAX_CALLS TEST_MAX_CALLS
  if [ -n "$SAMPLES_PER_TOOL" ]; then check_counts SAMPLES_PER_TOOL; fi
  TRAIN_MAX_CALLS_PER_ROUND=${TRAIN_MAX_CALLS_PER_ROUND:-$TRAIN_MAX_CALLS}
  TEST_MAX_CALLS_PER_ROUND=${TEST_MAX_CALLS_PER_ROUND:-$TEST_MAX_CALLS}
  for ((round = 0; round < NUM_ROUNDS; round++)); do
    item TRAIN_MAX_CALLS_PER_ROUND "$round" >/dev/null
    item TEST_MAX_CALLS_PER_ROUND "$round" >/dev/null
  done
  ROUNDS=$(rounds)
  DATA_DIR=${DATA_DIR:-$(default_data_dir)}
  FLAGS=(
    --training_rounds "$ROUNDS" --source "$SOURCE" --data_dir "$DATA_DIR" --seed "$SEED"
    --train_size "$TRAIN_SIZE" --test_size "$TEST_SIZE"
    --train_max_function_calls_per_round "$TRAIN_MAX_CALLS_PER_ROUND"
    --test_max_function_calls_per_round "$TEST_MAX_CALLS_PER_ROUND"
    --model_name "$MODEL" --device "$DEVICE" --dtype "$DTYPE"
    --eval_batch_size "$EVAL_BATCH_SIZE" --max_new_tokens "$MAX_NEW_TOKENS"
    --experiment "$EXPERIMENT" --tracker "$TRACKER"
    --results_dir "${RESULTS_DIR:-$PROJECT/results}"
    --checkpoint_dir "${CHECKPOINT_DIR:-$PROJECT/checkpoints}"
  )
  add_flag SAMPLES_PER_TOOL samples_per_tool
  add_flag RUN run
  add_flag LOG_FILE log_file
  add_switch EVAL_ALL_PREVIOUS eval_all_previous
  add_switch SAVE_CHECKPOINTS save_checkpoints
  add_switch RESUME resume
}

# Builds the files of every round; those that are there already stay.
build_rounds() {
  local round first range train_calls test_calls flags
  for ((round = 0; round < NUM_ROUNDS; round++)); do
    first=$((START_TOOL + round * TOOLS_PER_ROUND))
    range=$first-$((first + TOOLS_PER_ROUND - 1))
    train_calls=$(item TRAIN_MAX_CALLS_PER_ROUND "$round")
    test_calls=$(item TEST_MAX_CALLS_PER_ROUND "$round")
    flags=(--top_k "$range" --source "$SOURCE" --output_dir "$DATA_DIR" --seed "$SEED")
    flags+=(--train_size "$TRAIN_SIZE" --train_max_function_calls "$train_calls")
    flags+=(--test_size "$TEST_SIZE" --test_max_function_calls "$test_calls")
    if [ -n "$SAMPLES_PER_TOOL" ]; then flags+=(--max_samples_per_tool "$SAMPLES_PER_TOOL"); fi
    echo "== step 1, round $((round + 1)) of $NUM_ROUNDS: the files of tools $range"
    run_entry_point xlam_datasets "${flags[@]}"
  done
}

# Both steps. Usage: run_rounds ENTRY_POINT FLAG...
run_rounds() {
  local entry_point=$1
  shift
  find_python
  build_rounds
  echo "== step 2: $entry_point on rounds $ROUNDS"
  run_entry_point "$entry_point" "${FLAGS[@]}" "$@"
}
