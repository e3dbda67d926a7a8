#!/usr/bin/env bash
# Shows that preemption changes nothing: runs a grid as a job array whose tasks are requeued while they
# learn, then the same grid on this machine without interruption, and compares them file by file.
#
#   bash scripts/slurm/preempted_array.sh experiments/grids/quickstart.yaml 4
#
# The second word is how many requeues there are to be, each of a task whose log says that it learns.
# Needs a Slurm whose nodes see this folder (SLURM_CONF; scripts/slurm/single_node.sh starts one). Not
# compared: machines, times, and configs, which name other folders.
# Variables: WORKERS (2), runs side by side; SECONDS_BETWEEN (60), requeues at the least; EXPERIMENT
# (preempted_array), the folder of the results.
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

[ $# = 2 ] || refuse "usage: bash scripts/slurm/preempted_array.sh GRID_FILE NUM_REQUEUES"
GRID=$1 WANTED=$2 WORKERS=${WORKERS:-2} SECONDS_BETWEEN=${SECONDS_BETWEEN:-60}
EXPERIMENT=${EXPERIMENT:-preempted_array}
find_python
export PYTHON

# Prints a hash of all files of a run that are compared. Usage: digest FOLDER
digest() {
  (cd "$1" && find . -type f ! -name environment.json ! -name config.yaml ! -path './timings/*' \
    ! -path './wandb/*' ! -path '*/.*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
}
HERE=(--output.results_dir results/.uninterrupted --output.checkpoint_dir checkpoints/.uninterrupted)

printed=$("$PYTHON" -m compositional grid "$GRID" --experiment "$EXPERIMENT" --launcher slurm --workers "$WORKERS")
echo "$printed"
job=$(sed -n 's/.*job array \([0-9]*\).*/\1/p' <<<"$printed")
[ -n "$job" ] || refuse "nothing was submitted: remove the grid's results to run it again"

# Prints the task that has run longest of those that learn, so that each time another one is met.
learning() {
  local task
  for task in $(squeue --noheader --job "$job" --states RUNNING --sort -M --format %i); do
    if tail -n 1 "slurm-$task.log" 2>/dev/null | grep -q ': next: learn '; then
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
    echo "requeued $task"
  fi
done
[ "$requeued" -ge "$WANTED" ] ||
  refuse "$requeued of $WANTED requeues: the array was through before; lower SECONDS_BETWEEN"

"$PYTHON" -m compositional grid "$GRID" --experiment "$EXPERIMENT" --workers "$WORKERS" # all is finished: the report
"$PYTHON" -m compositional grid "$GRID" --experiment "$EXPERIMENT" --workers "$WORKERS" "${HERE[@]}" >/dev/null
diff -r -x environment.json -x timings -x wandb -x config.yaml -x '.*' -x report.html -x costs.md \
  "results/$EXPERIMENT" "results/.uninterrupted/$EXPERIMENT"
stops=$(cat slurm-"$job"_*.log | grep -c 'stopped by SIG' || true)
[ "$stops" -ge "$WANTED" ] || refuse "$stops stops in the logs of $requeued requeues"
for run in "results/$EXPERIMENT"/*/; do
  name=$(basename "$run")
  echo "$name $(digest "$run") $(digest "results/.uninterrupted/$EXPERIMENT/$name")"
done
echo "requeued $requeued times ($stops stops in the logs), then equal, file by file, to the grid that was not"
