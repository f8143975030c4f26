#!/usr/bin/env bash
# Measures what docs/performance.md reports. Needs bash, awk, taskset; peers (wrk, oha, k6) from PATH, skipped where missing.
#
#   scripts/bench/run.sh [--quick] [cpu] [events] [memory] [streams] [stop] [rate] [stall] [clocks]
#
# Client and server get a core each. CPU is user + system time of the whole process (getrusage). Ours is the slope between a
# short and a long run, so that start and report do not count; theirs is that of one run.
set -euo pipefail
cd "$(dirname "$0")/../.."

QUICK=0
PARTS=()
for word in "$@"; do
  case $word in
    --quick) QUICK=1 ;;
    cpu | events | memory | streams | stop | rate | stall | clocks) PARTS+=("$word") ;;
    *) echo "unknown: $word" >&2; exit 2 ;;
  esac
done
[ ${#PARTS[@]} -gt 0 ] || PARTS=(cpu events memory streams stop rate stall clocks)

# DIFYPROBE, SERVER and CLOCKS name programs that are built already
if [ -z "${DIFYPROBE:-}" ]; then
  cargo build --release --locked --quiet --bin difyprobe --example fast_server --example clocks
  bin=${CARGO_TARGET_DIR:-target}/release
  DIFYPROBE=$bin/difyprobe SERVER=$bin/examples/fast_server CLOCKS=$bin/examples/clocks
fi
DIFYPROBE=$(realpath "$DIFYPROBE") SERVER=$(realpath "$SERVER") CLOCKS=$(realpath "$CLOCKS")
HERE=$(realpath scripts/bench)
WORK=$(mktemp -d)
PIDS=()
finish() { for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$WORK"; }
trap finish EXIT
cd "$WORK"
KEY=app-bench-key-0000000000
ulimit -n "$(ulimit -Hn)" || true

have() { command -v "$1" >/dev/null || { echo "  $1: skipped: not found"; return 1; }; }

# serve ARGS..: starts the fast server on core 0 and sets URL
serve() {
  [ ${#PIDS[@]} -eq 0 ] || { kill "${PIDS[@]}" 2>/dev/null || true; PIDS=(); }
  rm -f url
  taskset -c 0 "$SERVER" --mode completion "$@" >url &
  PIDS=($!)
  until [ -s url ]; do sleep 0.05; done
  URL=$(cat url)
}

# cpu COMMAND..: its user + system seconds, in CPU
TIMEFORMAT='%3U %3S'
cpu() { CPU=$({ time taskset -c 1 "$@" >out 2>err; } 2>&1 | awk '{print $1 + $2}'); }

load() { cpu "$DIFYPROBE" load "$HERE/scenarios/$1.yaml" --base-url "$URL" --app "completion=$KEY" --color never "${@:2}"; }
judged() { grep -o 'judged [0-9]* of [0-9]*' out | head -1; }

# slope SCENARIO SHORT LONG: microseconds of CPU per request of 32 users, in SLOPE
slope() {
  load "$1" --users 32 --iterations "$2"; local short=$CPU
  load "$1" --users 32 --iterations "$3"
  SLOPE=$(awk -v a="$short" -v b="$CPU" -v n=$(($3 - $2)) 'BEGIN { printf "%.2f", (b - a) * 1e6 / n / 32 }')
}

# wrk_cpu SCRIPT: microseconds of CPU per request, in WRK
wrk_cpu() {
  cpu wrk -t1 -c32 -d$((QUICK ? 1 : 4)) -s "$HERE/$1.lua" "$URL/completion-messages"
  WRK=$(awk -v cpu="$CPU" '/requests in/ { printf "%.2f", cpu * 1e6 / $1 }' out)
}

part_cpu() {
  echo "CPU per blocking request, microseconds (three rounds)"
  local short=1000 long=6000; [ $QUICK -eq 0 ] || { short=300; long=1000; }
  # a server that sleeps is woken by its clients, and the kernel bills them for it
  for how in --spin ""; do
    serve $how
    if [ -n "$how" ]; then echo " server never sleeps"; else echo " server sleeps when it has nothing to do"; fi
    for _ in 1 2 3; do round_of_cpu; done
  done
}

round_of_cpu() {
  if have wrk; then wrk_cpu blocking; echo "  wrk, raw: $WRK"; fi
  if have oha; then
    cpu oha --no-tui -n 200000 -c 32 -m POST -d '{"inputs":{},"query":"hi","response_mode":"blocking","user":"u"}' \
      -H 'Content-Type: application/json' -H "Authorization: Bearer $KEY" "$URL/completion-messages"
    awk -v cpu="$CPU" 'BEGIN { printf "  oha, raw: %.2f\n", cpu * 1e6 / 200000 }'
  fi
  slope blocking $short $long
  echo "  difyprobe, validated: $SLOPE ($(judged)${WRK:+; $(awk -v a="$SLOPE" -v b="$WRK" 'BEGIN { printf "%.1f x wrk", a / b }')})"
  if have k6; then
    cpu k6 run --quiet -e BASE_URL="$URL" -e REQUESTS=50000 "$HERE/k6.js"
    awk -v cpu="$CPU" -v own="$SLOPE" 'BEGIN { us = cpu * 1e6 / 50000; printf "  k6, JSON checks: %.2f (%.1f x difyprobe)\n", us, us / own }'
  fi
}

part_events() {
  echo "CPU per SSE event of a stream of 50, microseconds (parse, schema, grammar; three rounds)"
  local short=300 long=2000; [ $QUICK -eq 0 ] || { short=100; long=400; }
  for how in "" --single; do
    serve --spin --events 49 $how
    if [ -n "$how" ]; then echo " every event in a write of its own"; else echo " the whole stream in one write"; fi
    for _ in 1 2 3; do
      if have wrk; then wrk_cpu streaming; awk -v s="$WRK" 'BEGIN { printf "  wrk, raw: %.2f\n", s / 50 }'; fi
      slope streaming $short $long
      echo "  difyprobe, validated: $(awk -v s="$SLOPE" 'BEGIN { printf "%.2f", s / 50 }') ($(judged))"
    done
  done
}

# rss_after REQUESTS: peak RSS of a load in MiB
rss_after() {
  cpu /usr/bin/time -f '%M' -o rss "$DIFYPROBE" load "$HERE/scenarios/blocking.yaml" --base-url "$URL" --app "completion=$KEY" \
    --users 32 --iterations $(($1 / 32))
  awk '{ printf "%.1f", $1 / 1024 }' rss
}

part_memory() {
  echo "Peak RSS of a whole run, MiB"
  have /usr/bin/time || return 0
  serve --spin
  local few=1000000 many=5000000; [ $QUICK -eq 0 ] || { few=50000; many=250000; }
  echo "  $few requests: $(rss_after $few)"
  echo "  $many requests: $(rss_after $many)"
}

# peak_of USERS: peak RSS in KiB of a load that keeps so many streams open, in PEAK
peak_of() {
  serve --events 4 --gap 2000
  taskset -c 1 /usr/bin/time -f '%M' -o rss "$DIFYPROBE" load "$HERE/scenarios/streaming.yaml" --base-url "$URL" \
    --app "completion=$KEY" --users "$1" --iterations 2 >out 2>err || true
  tail -1 out | sed "s/^/  $1 users: /"
  PEAK=$(tail -1 rss)
}

part_streams() {
  local users=10000; [ $QUICK -eq 0 ] || users=2000
  echo "Memory of an open stream: peak RSS of runs with 100 and with $users users, a stream each"
  have /usr/bin/time || return 0
  peak_of 100; local few=$PEAK
  peak_of $users
  awk -v a="$few" -v b="$PEAK" -v n=$((users - 100)) \
    'BEGIN { printf "  RSS %.1f and %.1f MiB: %.1f KiB for each stream\n", a / 1024, b / 1024, (b - a) / n }'
}

part_stop() {
  local users=1000
  echo "Ctrl-C with $users open streams"
  serve --events 4 --gap 60000
  taskset -c 1 "$DIFYPROBE" load "$HERE/scenarios/streaming.yaml" --base-url "$URL" --app "completion=$KEY" --color never \
    --users $users --duration 10m >out 2>err &
  local pid=$! began code=0
  PIDS+=("$pid")
  until [ "$(ls /proc/$pid/fd | wc -l)" -ge $users ]; do sleep 0.05; done
  sleep 0.5
  began=$(date +%s%N)
  kill -INT $pid
  wait $pid || code=$?
  echo "  exit $code after $((($(date +%s%N) - began) / 1000000)) ms, with $(ls reports/*/summary.json reports/*/report.html | wc -l) of 2 reports"
  tail -1 out | sed 's/^/  /'
}

part_rate() {
  local seconds=10
  echo "Delivered rate, 5000/s for $seconds s asked (blocking completions, all judged)"
  serve
  load blocking --rate 5000 --duration ${seconds}s || true
  awk -F: '/"begun"|"dropped"|"planned"/ { print "  " $0 }' reports/*/summary.json | head -3
  awk -F, -v n=$seconds 'NR > 1 && NR <= n + 1' reports/*/timeseries.csv >seconds.csv
  grep -E 'sched_lag|requests in|judged' out | sed 's/^/  /'
}

part_stall() {
  echo "A server that stalls 500 ms in every 5 s, 2000/s for 20 s: corrected p99 (450 ms by analysis)"
  serve --stall 500/5000
  load blocking --rate 2000 --duration 20s --max-in-flight 4000 -v || true
  grep -E 'metric|e2e|requests in|judged' out | sed 's/^/  /'
}

part_clocks() {
  echo "Client's times against those of a server that knows its own, microseconds apart (serve --record)"
  rm -f clock.jsonl
  taskset -c 0 "$DIFYPROBE" serve --app completion-noquery --record clock.jsonl --first-chunk 40ms --gap 10ms --json >serve.json &
  PIDS+=($!)
  until [ -s serve.json ]; do sleep 0.05; done
  URL=$(sed 's/.*"base_url":"\([^"]*\)".*/\1/' serve.json)
  local key; key=$(sed 's/.*"completion-noquery":"\([^"]*\)".*/\1/' serve.json)
  taskset -c 1 "$CLOCKS" "$URL" "$key" clock.jsonl
}

echo "$(uname -sr), $(nproc) cores, $(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo), load $(cut -d' ' -f1-3 /proc/loadavg)"
for part in "${PARTS[@]}"; do "part_$part"; done
