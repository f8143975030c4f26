#!/usr/bin/env bash
# Reports of real runs read by the tools of others: JUnit by xmllint and the schema of Jenkins' xUnit plugin, TAP by
# npm's tap-parser. Takes the binary. Says so and goes on where a tool cannot be had.
set -euo pipefail
binary=$(realpath "$1")
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    rm -rf "$work" || true
}
trap cleanup EXIT
cd "$work"

"$binary" serve --json --app chat --mutant messages.has-more/full-page > serve.json &
server=$!
for _ in $(seq 100); do [ -s serve.json ] && break; sleep 0.1; done
url=$(sed 's/.*"base_url": *"\([^"]*\)".*/\1/' serve.json)
key=$(sed 's/.*"chat": *"\([^"]*\)".*/\1/' serve.json)
export DIFY_API_KEY=$key
formats() { for f in junit tap; do printf -- '--report\n%s=%s.%s\n' "$f" "$1" "$f"; done; }
mapfile -t flags < <(formats failing)
"$binary" check "$here/scenarios/conformance/chat-three-turns.yaml" --base-url "$url" --quiet "${flags[@]}" || [ $? -eq 1 ]
mapfile -t flags < <(formats load)
"$binary" load "$here/scenarios/load/chat-three-turns.yaml" --base-url "$url" --users 2 --duration 2s --no-live --quiet \
    --slo 'e2e p(95) < 1ms' "${flags[@]}" || [ $? -le 5 ]
mapfile -t flags < <(formats unreachable)
"$binary" check --base-url http://127.0.0.1:1/v1 --quiet "${flags[@]}" || [ $? -eq 3 ]
grep -q '<failure ' failing.junit || { echo 'no <failure> in a run that fails' >&2; exit 1; }

if ! command -v xmllint > /dev/null && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends libxml2-utils; } > apt.log 2>&1 || true
fi
if command -v xmllint > /dev/null; then
    xmllint --noout --schema "$here/tests/data/junit-10.xsd" ./*.junit
else
    echo 'skipped: JUnit against its schema: no xmllint here, and it could not be installed'
fi

if command -v npm > /dev/null && npm install --silent --no-fund --no-audit --prefix tap tap-parser@18 > npm.log 2>&1; then
    for file in ./*.tap; do
        # Its exit code is the verdict of the file: all three runs are red.
        tap/node_modules/.bin/tap-parser -t < "$file" > parsed && { echo "$file is read as green" >&2; exit 1; }
        # Lines that are not TAP come back as `extra`.
        node -e '
            const { Parser } = require(process.argv[1]);
            const parser = new Parser({ strict: true }, (results) => {
                const bad = results.failures.filter((f) => f.tapError);
                if (bad.length > 0) { console.error(JSON.stringify(bad, null, 1)); process.exit(1); }
                console.log(`${process.argv[2]}: ${results.count} points, ${results.fail} not ok, ${results.todo} todo, ${results.skip} skipped`);
            });
            require("fs").createReadStream(process.argv[2]).pipe(parser);
        ' "$work/tap/node_modules/tap-parser" "$file"
    done
else
    echo 'skipped: TAP by tap-parser: no npm here, or its registry cannot be reached'
fi
