#!/usr/bin/env bash
# The HTML pages in Chromium: of a run and of a load against a server whose every answer is hostile, and of a healthy run.
# Takes the binary. Says so and passes where Chromium cannot be had.
set -euo pipefail
binary=$(realpath "$1")
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2> /dev/null || true; done
    rm -rf "$work" || true
}
trap cleanup EXIT
skip() {
    echo "skipped: $1"
    exit 0
}

command -v python3 > /dev/null || skip 'no python3 here'
chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }
if [ -z "$(chromium)" ]; then
    [ "$(id -u)" = 0 ] || skip 'no Chromium here, and only root can install it'
    command -v apt-get > /dev/null || skip 'no Chromium here, and no apt-get to install it'
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends chromium; } > "$work/apt.log" 2>&1 \
        || skip 'Chromium could not be installed'
fi

wait_for() {
    for _ in $(seq 100); do [ -s "$1" ] && return; sleep 0.1; done
    echo "nothing in $1" >&2
    exit 1
}
cd "$work"
"$binary" serve --json --app chat > serve.json &
pids+=($!)
wait_for serve.json
upstream=$(sed 's/.*"base_url": *"http:..\([^/]*\).*/\1/' serve.json)
DIFY_API_KEY=$(sed 's/.*"chat": *"\([^"]*\)".*/\1/' serve.json)
export DIFY_API_KEY
python3 "$here/tests/browser/proxy.py" "$upstream" "$here/tests/data/hostile.json" > port &
pids+=($!)
wait_for port
url=http://127.0.0.1:$(cat port)/v1

# Red of course: what counts is that there are pages.
scenarios=("$here"/scenarios/conformance/chat-{three-turns,stream,conversation-list}.yaml)
"$binary" check "${scenarios[@]}" --base-url "$url" --reports hostile --quiet || [ $? -eq 1 ]
"$binary" load "$here/scenarios/load/chat-three-turns.yaml" --base-url "$url" --rate 10 --duration 2s --drain 5s --no-live \
    --reports hostile --name load --quiet || [ $? -le 5 ]
DIFY_API_KEY='' "$binary" check "$here/scenarios/conformance/auth-completion.yaml" --reports healthy --quiet

python3 "$here/tests/browser/pages.py" "$(chromium)" "$work" hostile/check.html hostile/load/report.html healthy/check.html
