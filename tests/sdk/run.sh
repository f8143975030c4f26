#!/usr/bin/env bash
# Drives the emulator and the echo model with the official clients: dify-client of PyPI and of npm, and openai of PyPI.
# Installs them into a temporary folder. Where that is not possible, it says so and ends with 0: nothing was tested then.
#
#   tests/sdk/run.sh [PATH OF difyprobe]        default: target/release/difyprobe
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${1:-$here/../../target/release/difyprobe}
if [ ! -x "$bin" ]; then
    echo "no executable $bin; build it first (cargo build --release)" >&2
    exit 2
fi
bin=$(cd "$(dirname "$bin")" && pwd)/$(basename "$bin")

work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

# The same on every run; newer ones are tried by hand.
python_packages=(dify-client==0.1.10 openai==3.54.0)
node_packages=(dify-client@2.3.2)
ran=0
skipped=0
skip() {
    echo "SKIPPED $1: $2"
    skipped=$((skipped + 1))
}

# `serve NAME ARGS..` starts a server and waits for its line of JSON.
serve() {
    local name=$1
    shift
    "$bin" serve --json "$@" > "$work/$name.json" 2> "$work/$name.log" &
    pids+=($!)
    for _ in $(seq 200); do
        if [ -s "$work/$name.json" ]; then return 0; fi
        sleep 0.05
    done
    echo "serve $* did not start:" >&2
    cat "$work/$name.log" >&2
    exit 1
}
serve emulator
serve model --model --model-key model-key

if ! command -v python3 > /dev/null; then
    skip python 'no python3'
elif ! python3 -m venv "$work/venv" > "$work/install.log" 2>&1; then
    skip python 'python3 -m venv does not work here'
elif ! timeout 300 "$work/venv/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}" > "$work/install.log" 2>&1; then
    skip python "pip cannot install ${python_packages[*]}"
else
    "$work/venv/bin/python" "$here/dify_python.py" "$work/emulator.json"
    "$work/venv/bin/python" "$here/openai_python.py" "$work/model.json"
    ran=$((ran + 2))
fi

if ! command -v node > /dev/null || ! command -v npm > /dev/null; then
    skip node 'no node and npm'
else
    mkdir "$work/node"
    cp "$here/dify_node.mjs" "$work/node/"
    if ! (cd "$work/node" && timeout 300 npm install --silent --no-audit --no-fund "${node_packages[@]}" > "$work/install.log" 2>&1); then
        skip node "npm cannot install ${node_packages[*]}"
    else
        node "$work/node/dify_node.mjs" "$work/emulator.json"
        ran=$((ran + 1))
    fi
fi
echo "official clients: $ran ran, $skipped skipped"
