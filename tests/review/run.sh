#!/usr/bin/env bash
# Drives `difyprobe review` with a real cargo-insta in a pseudo-terminal, in folders with and without a Cargo project.
# Takes cargo-insta from the path, else installs it. Where that is not possible, it says so and ends with 0: nothing was
# tested then.
#
#   tests/review/run.sh [PATH OF difyprobe [FOLDER TO INSTALL cargo-insta INTO]]        default: target/debug/difyprobe target/tools
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${1:-$root/target/debug/difyprobe}
tools=${2:-$root/target/tools}
if [ ! -x "$bin" ]; then
    echo "no executable $bin; build it first (cargo build)" >&2
    exit 2
fi
bin=$(cd "$(dirname "$bin")" && pwd)/$(basename "$bin")
# Of the minor version of insta that the snapshots are written by.
version=1.49.0

if ! command -v python3 > /dev/null; then
    echo 'SKIPPED review with cargo-insta: no python3 to drive a pseudo-terminal'
    exit 0
fi
insta=$(command -v cargo-insta || true)
if [ -z "$insta" ]; then
    mkdir -p "$tools"
    tools=$(cd "$tools" && pwd)
    insta=$tools/bin/cargo-insta
    if [ ! -x "$insta" ]; then
        echo "installing cargo-insta $version into $tools"
        if ! timeout 900 cargo install --quiet --locked --root "$tools" --version "=$version" cargo-insta > "$tools/install.log" 2>&1; then
            echo "SKIPPED review with cargo-insta: cargo cannot install it: $(tail -n 1 "$tools/install.log")"
            exit 0
        fi
    fi
fi
echo "cargo-insta: $("$insta" insta --version 2> /dev/null || "$insta" --version)"
exec python3 "$here/drive.py" "$bin" "$insta" "$root/scenarios/conformance/chat-parity.yaml"
