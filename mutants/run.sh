#!/usr/bin/env bash
# Mutation testing of src/domain and src/stripe: does a test fail when the code is changed? Needs cargo-mutants
# (`cargo install cargo-mutants --locked`). Interrupt it whenever you like: what was answered is not asked again.
#
#   bash mutants/run.sh                       everything, the most valuable files first
#   bash mutants/run.sh src/domain/money.rs … only these
#   bash mutants/run.sh --missed              what is open: survived, and not explained in mutants/EXPLAINED.md
#   bash mutants/run.sh --summary             figures
#
# The plain rooms and their tests are copied into a small crate, where a mutant costs seconds instead of minutes.
# Answers are kept in target/mutants/out, one folder for each source file.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$PWD/target/mutants
crate=$home/crate
mkdir -p "$crate" "$home/out"

first=(
    src/domain/money.rs src/domain/base.rs src/domain/pricing.rs src/domain/taken.rs src/domain/booking.rs
    src/domain/attribution.rs src/domain/calendar.rs src/domain/netting.rs src/domain/deciding
    src/domain/deciding.rs src/domain/history src/stripe/signature.rs src/stripe/invoice.rs src/stripe/refund.rs
    src/stripe/dispute.rs src/stripe/credit_note.rs src/stripe/charge.rs src/stripe/invoice_line.rs
    src/domain/standing.rs src/domain/joining.rs src/domain/second_level.rs src/domain/tiers.rs
    src/domain/evidence.rs src/domain/terms src/domain/currency.rs src/domain/fx.rs
)

# Copies what changed, with a new time, so that a mutant that was left behind is built over.
copy() {
    (cd "$1" && find . -type f -print0) | while IFS= read -r -d '' file; do
        if ! cmp -s "$1/$file" "$crate/$2/$file"; then
            mkdir -p "$(dirname "$crate/$2/$file")"
            cat "$1/$file" >"$crate/$2/$file"
        fi
    done
    (cd "$crate/$2" && find . -type f -print0) | while IFS= read -r -d '' file; do
        [ -e "$1/$file" ] || rm "$crate/$2/$file"
    done
}

sync() {
    for room in domain stripe program imports sample; do
        mkdir -p "$crate/src/$room"
        copy "src/$room" "src/$room"
    done
    for folder in golden fixtures/stripe support; do
        mkdir -p "$crate/tests/$folder"
        copy "tests/$folder" "tests/$folder"
    done
    mkdir -p "$crate/.cargo"
    local name
    for name in Cargo.toml lib.rs; do
        local to=$crate/$name
        [ "$name" = lib.rs ] && to=$crate/src/lib.rs
        cmp -s "mutants/$name" "$to" || cat "mutants/$name" >"$to"
    done
    cp mutants/config.toml "$crate/.cargo/mutants.toml"
    [ -e "$crate/Cargo.lock" ] || cp Cargo.lock "$crate/Cargo.lock"
    cp tests/golden.rs "$crate/tests/golden.rs"
    # The part that holds fetched objects against the books needs an imitation of Stripe, and that the rest.
    sed -e '/^#\[path = "support\/fake_stripe/,/^mod sources;/d' tests/oracle.rs >"$crate/tests/oracle.rs"
}

# Every source file, the first ones first.
sources() {
    local path
    {
        for path in "${first[@]}"; do find "$path" -name '*.rs' | sort; done
        find src/domain src/stripe -name '*.rs' | sort
    } | awk '!seen[$0]++' | grep -v -e 'tests\.rs$' -e '/tests/' -e 'testing\.rs$' -e 'story\.rs$'
}

slug() { echo "${1#src/}" | tr '/' '-' | sed 's/\.rs$//'; }

# The lines of one kind of answer (caught, missed, timeout, unviable) over all files.
answers() { cat "$home"/out/*/mutants.out/"$1".txt "$home"/out/*/before/"$1".txt 2>/dev/null | sort -u || true; }

# A mutant without its line and column, which move whenever something is written above it.
plain() { sed -E 's/:[0-9]+:[0-9]+: /: /'; }

summary() {
    local kind
    for kind in caught missed timeout unviable; do echo "$kind: $(answers $kind | wc -l)"; done
    echo "not asked yet: $(comm -23 <(sync >&2; cd "$crate" && cargo mutants --list 2>/dev/null | sort -u) \
        <(for kind in caught missed timeout unviable; do answers $kind; done | sort -u) | wc -l)"
}

# Survivors that nobody has explained.
missed() {
    { answers missed; answers timeout; } | while IFS= read -r mutant; do
        grep -qF -- "$(plain <<<"$mutant")" mutants/EXPLAINED.md || echo "$mutant"
    done
}

case "${1:-}" in
--summary) summary && exit ;;
--missed) missed && exit ;;
esac

files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(sources)
export PROPTEST_CASES=${PROPTEST_CASES:-4} INSTA_UPDATE=no CARGO_INCREMENTAL=1
for file in "${files[@]}"; do
    sync
    out=$home/out/$(slug "$file")
    mkdir -p "$out/before"
    echo "$(date -u +%H:%M:%S) $file" >>"$home/log"
    start=$(date +%s)
    # What loops is ended by the CPU time it takes, so that a busy machine proves nothing. 2: some were missed; 3: some
    # timed out.
    (cd "$crate" && ulimit -t 120 && cargo mutants --in-place --iterate --baseline skip --timeout 3600 \
        --build-timeout 3600 --colors never --no-times --output "$out" --file "$file") >>"$home/log" 2>&1 || [ $? -le 3 ]
    echo "$file $(($(date +%s) - start)) s" >>"$home/times"
done
summary
