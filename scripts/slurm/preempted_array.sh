#!/usr/bin/env bash
# Shows that preemption changes nothing: runs a grid as a job array whose tasks are requeued while they
# learn, then the same grid on this machine without interruption, and compares them file by file.
#
#   bash scripts/slurm/preempted_array.sh experiments/grids/quickstart.yaml 4
#
# The second word is how many requeues there are to be, shared out evenly over the grid's methods, each
# of a task whose log says that it learns. Beside the array's results stand equal.md, a line a run, and
# equal.sha256, a hash a file, which `sha256sum --check` takes there.
# Needs a Slurm whose nodes see this folder (SLURM_CONF; scripts/slurm/single_node.sh starts one). Not
# compared: machines, times, and configs, which name other folders.
# Variables: WORKERS (2), runs side by side; SECONDS_BETWEEN (60), requeues at the least; EXPERIMENT
# (preempted_array), the folder of the results; UNINTERRUPTED, the results of the grid's uninterrupted
# runs (results/.uninterrupted/EXPERIMENT), which are made where they are missing.
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

[ $# = 2 ] || refuse "usage: bash scripts/slurm/preempted_array.sh GRID_FILE NUM_REQUEUES"
GRID=$1 WANTED=$2 WORKERS=${WORKERS:-2} SECONDS_BETWEEN=${SECONDS_BETWEEN:-60}
EXPERIMENT=${EXPERIMENT:-preempted_array}
check_counts WANTED WORKERS
find_python
export PYTHON
ARRAY=results/$EXPERIMENT
UNINTERRUPTED=${UNINTERRUPTED:-results/.uninterrupted/$EXPERIMENT}
[ "$(basename "$UNINTERRUPTED")" = "$EXPERIMENT" ] ||
  refuse "UNINTERRUPTED is '$UNINTERRUPTED'; its last part must be $EXPERIMENT, which stands in results"
grid=("$PYTHON" -m compositional grid "$GRID" --workers "$WORKERS")

printed=$("${grid[@]}" --experiment "$EXPERIMENT" --launcher slurm)
echo "$printed"
job=$(sed -n 's/.*job array \([0-9]*\).*/\1/p' <<<"$printed")
[ -n "$job" ] || refuse "nothing was submitted: remove the grid's results to run it again"

# Prints what runs of a grid are called, less order and seed, which are of one method. Usage: methods NAME...
methods() {
  printf '%s\n' "$@" | sed -E 's/(_order[0-9-]+)?(_seed[0-9]+)?$//'
}

# RUNS names the run of each task. TO_STOP counts the requeues that each method is still to have.
listing='import json, sys; print(*(run["name"] for run in json.load(open(sys.argv[1]))), sep="\n")'
mapfile -t RUNS < <("$PYTHON" -c "$listing" "$ARRAY/grid.json")
mapfile -t METHODS < <(methods "${RUNS[@]}" | awk '!seen[$0]++')
declare -A TO_STOP
for place in "${!METHODS[@]}"; do
  TO_STOP[${METHODS[$place]}]=$((WANTED * (place + 1) / ${#METHODS[@]} - WANTED * place / ${#METHODS[@]}))
done

# Prints the method of a task such as 7_0. Usage: method_of TASK
method_of() {
  methods "${RUNS[${1##*_}]}"
}

# Prints the task that has run longest of those that learn and whose method is still to be stopped.
learning() {
  local task
  for task in $(squeue --noheader --job "$job" --states RUNNING --sort -M --format %i); do
    if [ "${TO_STOP[$(method_of "$task")]}" -gt 0 ] &&
      tail -n 1 "slurm-$task.log" 2>/dev/null | grep -q ': next: learn '; then
      echo "$task"
      return
    fi
  done
}

requeued=0
while squeue --noheader --job "$job" 2>/dev/null | grep -q .; do
  sleep "$SECONDS_BETWEEN"
  [ "$requeued" -lt "$WANTED" ] || continue
  task=$(learning)
  if [ -n "$task" ] && scontrol requeue "$task"; then
    requeued=$((requeued + 1))
    method=$(method_of "$task")
    TO_STOP[$method]=$((TO_STOP[$method] - 1))
    echo "requeued $task"
  fi
done
[ "$requeued" -ge "$WANTED" ] ||
  refuse "$requeued of $WANTED requeues: the array was through before; lower SECONDS_BETWEEN"

# All is finished: the report.
"${grid[@]}" --experiment "$EXPERIMENT"
"${grid[@]}" --experiment "$EXPERIMENT" \
  --output.results_dir "$(dirname "$UNINTERRUPTED")" \
  --output.checkpoint_dir checkpoints/.uninterrupted >/dev/null
diff -r -x environment.json -x timings -x wandb -x config.yaml -x '.*' -x report.html -x costs.md \
  -x equal.md -x equal.sha256 "$ARRAY" "$UNINTERRUPTED"

# Prints how often a log says that its task was stopped. Usage: stops LOG...
stops() {
  cat "$@" 2>/dev/null | grep -c 'stopped by SIG' || true
}
total=$(stops slurm-"$job"_*.log)
[ "$total" -ge "$WANTED" ] || refuse "$total stops in the logs of $requeued requeues"

# Prints the hash of each file of a run that is compared. Usage: hashes FOLDER
hashes() {
  (cd "$1" && find . -type f ! -name environment.json ! -name config.yaml ! -path './timings/*' \
    ! -path './wandb/*' ! -path '*/.*' -print0 | sort -z | xargs -0 sha256sum)
}

# Prints one hash for those of all files. Usage: digest FOLDER
digest() {
  hashes "$1" | sha256sum | cut -c1-16
}

# Prints at which commits runs were made. Usage: commits FOLDER
commits() {
  grep -ho '"commit": "[0-9a-f]*"' "$1"/*/environment.json | cut -d'"' -f4 | cut -c1-7 | sort -u | paste -sd' '
}

{
  echo '# The preempted array and the grid that was not stopped'
  echo
  echo 'One hash over the files of each run that are compared: results, predictions, scores, losses of'
  echo "every step, drift; each file's own in equal.sha256. Commits: $(commits "$ARRAY") (array),"
  echo "$(commits "$UNINTERRUPTED") (not stopped). Stops: lines \"stopped by SIG...\" in the logs of the run's task."
  echo
  echo '| run | files | array | not stopped | stops |'
  echo '| --- | --- | --- | --- | --- |'
  for place in "${!RUNS[@]}"; do
    run=${RUNS[$place]}
    echo "| $run | $(hashes "$ARRAY/$run" | wc -l) | $(digest "$ARRAY/$run") |" \
      "$(digest "$UNINTERRUPTED/$run") | $(stops "slurm-${job}_$place.log") |"
  done
} >"$ARRAY/equal.md"
for run in "${RUNS[@]}"; do
  hashes "$ARRAY/$run" | sed "s|  \./|  $run/|"
done >"$ARRAY/equal.sha256"
cat "$ARRAY/equal.md"
echo "requeued $requeued times ($total stops in the logs), then equal, file by file, to the grid that was not"
