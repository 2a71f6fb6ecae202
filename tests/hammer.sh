#!/usr/bin/env bash
# Hammers the JSON API with requests made from its own reference, valid and invalid: no answer may be a fault of the
# service (5xx), and none may differ from what the reference says of it.
#
#   bash tests/hammer.sh                      a throw-away SQLite database
#   bash tests/hammer.sh postgres://…         a database of yours, which must be empty
#   EXAMPLES=200 bash tests/hammer.sh         longer
set -euo pipefail
cd "$(dirname "$0")/.."

# The version is fixed: what it generates must be the same for everybody.
version=4.32.5
tools=${HAMMER_TOOLS:-$PWD/target/hammer-$version}
install() {
    python3 -m venv "$tools" 2>/dev/null || {
        local sudo
        sudo=$([ "$(id -u)" = 0 ] || echo sudo)
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
        python3 -m venv "$tools"
    } && "$tools/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
}

if ! [ -x "$tools/bin/schemathesis" ] && ! install; then
    echo "hammer.sh: skipped, schemathesis $version cannot be installed here" >&2
    exit 0
fi

cargo build --quiet
bridge=${CARGO_TARGET_DIR:-target}/debug/commission-bridge
home=$(mktemp -d "${TMPDIR:-/tmp}/commission-bridge-hammer.XXXXXX")
export DATABASE_URL=${1:-sqlite://$home/hammer.db}
export LISTEN=127.0.0.1:0 STRIPE_WEBHOOK_SECRET=whsec_of_the_hammer API_RATE_LIMIT=0
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$home"
}
trap stop EXIT INT TERM

cat >"$home/program.toml" <<'TOML'
[[program]]
key = "saas"
[[program.rule]]
percent = "20"
[[partner]]
key = "acme"
programs = ["saas"]
codes = ["ACME20"]
payout = { method = "csv" }
TOML
"$bridge" apply "$home/program.toml" >/dev/null
key=$("$bridge" api-key create --name hammer --role admin --mode live 2>/dev/null)
FX_URL=off "$bridge" serve >"$home/said" 2>"$home/log" &
server=$!
url=
for _ in $(seq 200); do
    url=$(sed -n 's#^ *\(http://.*\)/webhooks/stripe/default$#\1#p' "$home/said" | head -n 1)
    [ -n "$url" ] && break
    kill -0 "$server" || { cat "$home/log" >&2; exit 1; }
    read -rt 0.1 <> <(:) || true
done

"$tools/bin/schemathesis" run openapi.json --url "$url" --header "Authorization: Bearer $key" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-15}" --generation-deterministic --workers 1 \
    --warnings off --no-color --continue-on-failure >"$home/report" 2>&1 ||
    { cat "$home/report"; grep -E "ERROR|panic" "$home/log" | head -20; exit 1; }
tail -n 25 "$home/report"
if grep -qE "panicked|a fault of the bridge" "$home/log"; then
    grep -E "panicked|a fault of the bridge" "$home/log" >&2
    exit 1
fi
