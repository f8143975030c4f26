#!/usr/bin/env bash
# Makes docs/images/report.png anew: the HTML report of a check that found something, as Chromium shows it.
#   scripts/report-image.sh [BINARY]      (needs chromium, and pngquant for a smaller file where it is there)
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "${1:-target/release/difyprobe}")
work=$(mktemp -d)
trap 'kill "$(cat "$work/pid" 2> /dev/null)" 2> /dev/null; rm -rf "$work"' EXIT
"$binary" serve --env "$work/env" --mutant messages.has-more/full-page > /dev/null &
echo $! > "$work/pid"
while ! [ -f "$work/env" ]; do sleep 0.1; done
# shellcheck disable=SC1091 # written by serve
(
    set -a; . "$work/env"; set +a
    cd "$work"
    "$binary" check --no-config --quick --quiet --app "chat=$DIFY_CHAT_KEY" --app "completion=$DIFY_COMPLETION_KEY" || [ $? -eq 1 ]
)
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --disable-background-networking --disable-sync --no-first-run \
    --user-data-dir="$work/profile" --window-size=1100,900 --screenshot="$work/report.png" "file://$work/reports/check.html"
mkdir -p docs/images
if command -v pngquant > /dev/null; then pngquant --force --output docs/images/report.png 64 "$work/report.png"; else cp "$work/report.png" docs/images/report.png; fi
ls -l docs/images/report.png
