#!/usr/bin/env bash
# Mutation testing of src/domain and src/stripe: does a test fail when the code is changed? Needs cargo-mutants
# (`cargo install cargo-mutants --locked`) and Python 3. Interrupt it whenever you like: what was answered is not asked
# again as long as the code is the same.
#
#   bash mutants/run.sh             asks every mutant
#   bash mutants/run.sh --missed    what is open: survived, and not explained in mutants/EXPLAINED.md
#   bash mutants/run.sh --summary   figures
#
# The plain rooms and their tests are copied into a small crate. All mutants that can be are built into one test program
# (at_once.py), where one costs the time of the tests; the others are left to cargo-mutants, which builds each by itself.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$PWD/target/mutants
crate=$home/crate
once=$home/once
answers=$home/answers.tsv
mkdir -p "$crate" "$once"

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

# The crate with all mutants, and the program that asks them.
build() {
    sync
    mkdir -p "$once/src"
    (cd "$crate" && find . -path ./target -prune -o -type f -print0) | while IFS= read -r -d '' file; do
        [ "$file" = ./src/lib.rs ] && continue
        [[ $file = ./src/domain/* || $file = ./src/stripe/* ]] && [ -e "$once/$file" ] && continue
        mkdir -p "$(dirname "$once/$file")"
        cmp -s "$crate/$file" "$once/$file" || cat "$crate/$file" >"$once/$file"
    done
    cat "$crate/src/lib.rs" mutants/chosen.rs >"$once/lib.rs"
    cmp -s "$once/lib.rs" "$once/src/lib.rs" || cp "$once/lib.rs" "$once/src/lib.rs"
    (cd "$crate" && cargo mutants --list --json) >"$once/listed"
    # What was left out, and what was answered, is true for this code alone.
    local code
    code=$(cd "$crate" && find src tests -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    if [ "$code" != "$(cat "$once/code" 2>/dev/null)" ]; then
        rm -f "$once/left_out" "$answers"
        cp -r "$crate/src/domain" "$crate/src/stripe" "$once/src/"
        echo "$code" >"$once/code"
    fi
    (cd "$crate" && python3 "$OLDPWD/mutants/at_once.py" "$once" <"$once/listed")
    (cd "$once" && cargo test --lib --no-run --message-format=json) |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1 >"$once/program"
}

# The tests of the small crate, with one mutant, the quick ones first. What loops is ended by the processor time it takes,
# so that a busy machine proves nothing.
ask() {
    ulimit -t 60
    local said=missed tests program
    program=$(cat "$once/program")
    for tests in 'domain:: stripe:: program:: imports::' golden_cases oracle; do
        # shellcheck disable=SC2086 # names are words
        if ! MUTANT=$1 "$program" -q --test-threads 1 --skip a_larger_business $tests >/dev/null 2>&1; then
            said=caught && break
        fi
    done
    awk -F'\t' -v number="$1" -v said=$said '$1 == number { print said "\t" $3 }' "$once/numbers.tsv" >>"$answers"
}
export -f ask
export once answers

# Numbers of KIND that have no answer yet.
open() {
    touch "$answers"
    awk -F'\t' -v kind="$1" 'FILENAME == ARGV[1] { known[$2] = 1; next } $2 == kind && !($3 in known) { print $1 }' \
        "$answers" "$once/numbers.tsv"
}

# What one program cannot choose between: cargo-mutants changes the code itself.
alone() {
    local name said out=$home/alone
    while IFS= read -r number; do
        name=$(awk -F'\t' -v number="$number" '$1 == number { print $3 }' "$once/numbers.tsv")
        (cd "$crate" && ulimit -t 300 && cargo mutants --in-place --baseline skip --timeout 3600 --build-timeout 3600 \
            --colors never --no-times --output "$out" --re "^$(sed 's/[][(){}.*+?^$|\\]/\\&/g' <<<"$name")\$") >>"$home/log" 2>&1 || [ $? -le 3 ]
        said=$(cd "$out/mutants.out" && grep -lxF -- "$name" caught.txt missed.txt timeout.txt unviable.txt | head -1)
        printf '%s\t%s\n' "${said%.txt}" "$name" >>"$answers"
    done < <(open alone)
}

summary() {
    cut -f1 "$answers" | sort | uniq -c
    echo "not asked yet: $(($(open own | wc -l) + $(open alone | wc -l)))"
}

# Survivors that nobody has explained. A mutant is named without its place, which moves whenever something is written
# above it.
missed() {
    grep -E '^(missed|timeout)' "$answers" | cut -f2 | sort -u | while IFS= read -r mutant; do
        grep -qF -- "$(sed -E 's/:[0-9]+:[0-9]+: /: /' <<<"$mutant")" mutants/EXPLAINED.md || echo "$mutant"
    done
}

case "${1:-}" in
--summary) summary && exit ;;
--missed) missed && exit ;;
esac

export PROPTEST_CASES=${PROPTEST_CASES:-4} INSTA_UPDATE=no INSTA_WORKSPACE_ROOT=$once
build
cd "$once"
open own | xargs -P "$(nproc)" -I{} bash -c 'ask {}'
cd "$OLDPWD"
alone
summary
