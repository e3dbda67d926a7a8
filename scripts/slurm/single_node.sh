#!/usr/bin/env bash
# A real Slurm on this one machine, for trying job arrays: Debian's slurm-wlm and munge, as root,
# on the loopback address, all of its files in one folder.
#
#   apt-get install -y slurm-wlm munge
#   bash scripts/slurm/single_node.sh start /tmp/slurm   # prints the variable to set
#   export SLURM_CONF=/tmp/slurm/slurm.conf
#   bash scripts/slurm/single_node.sh stop /tmp/slurm
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

[ $# = 2 ] || refuse "usage: bash scripts/slurm/single_node.sh start|stop FOLDER"
ACTION=$1
mkdir -p "$2"
FOLDER=$(cd "$2" && pwd)
NODE=$(hostname -s)

# Ends one daemon by the id that it wrote, and waits until it is gone. Usage: end NAME
end() {
  local file=$FOLDER/$1.pid id
  [ -s "$file" ] || return 0
  id=$(cat "$file")
  kill "$id" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 "$id" 2>/dev/null || break
    sleep 0.1
  done
  rm -f "$file"
}

# cred_expire: a requeued job waits that long, 120 s by default, before it starts again.
write_config() {
  cat >"$FOLDER/slurm.conf" <<EOF
ClusterName=single
SlurmctldHost=$NODE(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munge.socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=100000
SchedulerType=sched/builtin
MpiDefault=none
ReturnToService=2
KillWait=15
MinJobAge=3600
JobRequeue=1
SlurmctldPort=${SLURMCTLD_PORT:-16817}
SlurmdPort=${SLURMD_PORT:-16818}
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
NodeName=$NODE NodeAddr=127.0.0.1 CPUs=$(env -u OMP_NUM_THREADS nproc) State=UNKNOWN
PartitionName=all Nodes=$NODE Default=YES MaxTime=INFINITE State=UP
EOF
}

start() {
  command -v slurmctld >/dev/null || refuse "slurmctld is missing: apt-get install slurm-wlm munge"
  [ "$(id -u)" = 0 ] || refuse "must run as root"
  mkdir -p "$FOLDER/state" "$FOLDER/spool"
  chmod 711 "$FOLDER"
  if [ ! -s "$FOLDER/munge.key" ]; then
    (umask 077 && dd if=/dev/urandom of="$FOLDER/munge.key" bs=128 count=1 status=none)
  fi
  write_config
  export SLURM_CONF=$FOLDER/slurm.conf
  munged --force --key-file="$FOLDER/munge.key" --socket="$FOLDER/munge.socket" \
    --pid-file="$FOLDER/munged.pid" --log-file="$FOLDER/munged.log" --seed-file="$FOLDER/munge.seed"
  slurmctld -c
  slurmd
  for _ in $(seq 100); do
    if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
      echo "export SLURM_CONF=$SLURM_CONF"
      return
    fi
    sleep 0.2
  done
  tail -n 5 "$FOLDER"/slurm*.log >&2
  refuse "the node did not become idle; see the logs in $FOLDER"
}

case $ACTION in
  start) start ;;
  stop)
    end slurmd
    end slurmctld
    end munged
    ;;
  *) refuse "usage: bash scripts/slurm/single_node.sh start|stop FOLDER" ;;
esac
