#!/usr/bin/env bash
# One load as shards under real schedulers, on this machine: a Slurm array (deploy/slurm/load.sbatch) and mpirun, each
# against an emulator, each merged. Takes the binary; needs root to install and start Slurm. Says so and passes where
# that cannot be had.
set -euo pipefail
binary=$(realpath "$1")
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
pids=()
cleanup() {
    if [ -n "${SLURM_CONF:-}" ] && [ -f "$SLURM_CONF" ]; then
        scontrol shutdown > /dev/null 2>&1 || true
    fi
    # The daemons write in their folder until the end.
    if [ -f "$work/munge/m.pid" ]; then
        local munged
        munged=$(cat "$work/munge/m.pid")
        kill "$munged" 2> /dev/null || true
        for _ in $(seq 50); do kill -0 "$munged" 2> /dev/null || break; sleep 0.1; done
    fi
    for pid in "${pids[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2> /dev/null || true; done
    rm -rf "$work" || true
}
trap cleanup EXIT
skip() {
    echo "skipped: $1"
    exit 0
}

[ "$(id -u)" = 0 ] || skip 'only root can install and start Slurm'
if ! command -v slurmctld > /dev/null || ! command -v munged > /dev/null || ! command -v mpirun > /dev/null; then
    command -v apt-get > /dev/null || skip 'no Slurm here, and no apt-get to install it'
    export DEBIAN_FRONTEND=noninteractive
    packages=(slurm-wlm slurmctld slurmd munge openmpi-bin)
    { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } > "$work/apt.log" 2>&1 \
        || skip 'Slurm and Open MPI could not be installed'
fi

# --- the target ---
"$binary" serve --json --app chat > "$work/serve.json" &
pids+=($!)
for _ in $(seq 100); do [ -s "$work/serve.json" ] && break; sleep 0.1; done
DIFY_BASE_URL=$(sed 's/.*"base_url": *"\([^"]*\)".*/\1/' "$work/serve.json")
DIFY_API_KEY=$(sed 's/.*"chat": *"\([^"]*\)".*/\1/' "$work/serve.json")
export DIFY_BASE_URL DIFY_API_KEY
export DIFYPROBE=$binary DIFYPROBE_SHARED=$work/results
scenario=$here/scenarios/load/chat-three-turns.yaml
flags=("$scenario" --rate 20 --duration 4s --seed 7)

# Exit 4 of merge: the machine was too busy for the numbers to count, which is no matter here.
ran() { [ "$1" -eq 0 ] || [ "$1" -eq 4 ]; }

# The merged result holds every arrival of the schedule once: 20 per second for 4 s.
merged() {
    "$binary" merge "$work/results/$1" --quiet || ran $?
    local begun
    begun=$(python3 - "$work/results/$1/summary.json" <<'P'
import json, sys
s = json.load(open(sys.argv[1]))
print(sum(st["begun"] for st in s["stages"]), len(s["run"]["merged"]))
P
)
    [ "$begun" = "80 $2" ] || { echo "merged: begun and shards are $begun, not 80 $2" >&2; exit 1; }
    echo "$1: 80 arrivals from $2 shards"
}

# --- Slurm ---
host=$(hostname -s)
mkdir -p "$work"/{munge,state,spool}
chmod 755 "$work" "$work/munge"
head -c 1024 /dev/urandom > "$work/munge/key"
chmod 400 "$work/munge/key"
chown -R munge: "$work/munge"
su -s /bin/sh munge -c "munged --force --key-file=$work/munge/key --socket=$work/munge/m.sock \
    --pid-file=$work/munge/m.pid --log-file=$work/munge/m.log --seed-file=$work/munge/seed"
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
cat > "$work/slurm.conf" <<C
ClusterName=probe
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/m.sock
SlurmctldPort=$(port)
SlurmdPort=$(port)
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/ctld.pid
SlurmdPidFile=$work/d.pid
SlurmctldLogFile=$work/ctld.log
SlurmdLogFile=$work/d.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=10 State=UP OverSubscribe=FORCE:8
C
export SLURM_CONF=$work/slurm.conf
slurmctld
slurmd
up=no
for _ in $(seq 100); do
    if sinfo -h -o %t 2> /dev/null | grep -q idle; then up=yes; break; fi
    sleep 0.2
done
[ "$up" = yes ] || { cat "$work"/*.log; skip 'Slurm did not come up on this machine'; }
cd "$work"
job=$(sbatch --parsable --wait --array=0-3 "$here/deploy/slurm/load.sbatch" "${flags[@]}") || {
    cat "$work"/difyprobe-*.log
    exit 1
}
merged "$job" 4

# --- MPI ---
# Open MPI numbers its processes in OMPI_COMM_WORLD_RANK; no library of it is linked.
mpirun --allow-run-as-root --oversubscribe -np 3 "$binary" load "${flags[@]}" \
    --barrier "$work/results/mpi/barrier" --reports "$work/results" --name mpi --quiet
merged mpi 3
