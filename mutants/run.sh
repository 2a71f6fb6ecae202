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
# (at_once.py), where one costs the time of the tests; each of the others is built by itself. cargo-mutants says what there is.
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

# Says what the files of the crate are for which find's CONDITIONS hold.
hash_of() {
    # shellcheck disable=SC2086 # conditions are words
    (cd "$crate" && set -f && find ./src ./tests -type f $1 -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}

# The crate with all mutants, and the program that asks them.
build() {
    sync
    mkdir -p "$once/src"
    (cd "$crate" && find . -path ./target -prune -o -type f -print0) | while IFS= read -r -d '' file; do
        [ "$file" = ./src/lib.rs ] && continue
        [[ $file = ./src/domain/* || $file = ./src/stripe/* ]] && [[ $file != *tests.rs ]] && [ -e "$once/$file" ] && continue
        mkdir -p "$(dirname "$once/$file")"
        cmp -s "$crate/$file" "$once/$file" || cat "$crate/$file" >"$once/$file"
    done
    cat "$crate/src/lib.rs" mutants/chosen.rs >"$once/lib.rs"
    cmp -s "$once/lib.rs" "$once/src/lib.rs" || cp "$once/lib.rs" "$once/src/lib.rs"
    (cd "$crate" && cargo mutants --list --json) >"$once/listed"
    # What was left out, and what was answered, is true for this code alone; where only tests were added or changed, what
    # survived is asked again.
    local code tests
    code=$(hash_of '! -path */tests.rs ! -path *_tests.rs ! -path ./tests/*')
    tests=$(hash_of '')
    if [ "$code" != "$(cat "$once/code.sha256" 2>/dev/null)" ]; then
        rm -f "$once/left_out" "$answers"
        cp -r "$crate/src/domain" "$crate/src/stripe" "$once/src/"
    elif [ "$tests" != "$(cat "$once/tests.sha256" 2>/dev/null)" ] && [ -e "$answers" ]; then
        grep -v '^missed' "$answers" >"$answers.kept" || true
        mv "$answers.kept" "$answers"
    fi
    echo "$code" >"$once/code.sha256"
    echo "$tests" >"$once/tests.sha256"
    (cd "$crate" && python3 "$OLDPWD/mutants/at_once.py" "$once" <"$once/listed")
    (cd "$once" && tests_of) >"$once/program"
}

# Whether the tests in PROGRAM pass with the mutant NUMBER, 0 for none; the quick ones first. What loops is ended by the
# processor time it takes, so that a busy machine proves nothing.
passes() {
    ulimit -t 60
    local tests
    for tests in 'domain:: stripe:: program:: imports::' golden_cases oracle; do
        # shellcheck disable=SC2086 # names are words
        MUTANT=$1 "$2" -q --test-threads 1 --skip a_larger_business $tests >/dev/null 2>&1 || return 1
    done
}

ask() {
    if passes "$1" "$2"; then answer "$1" missed; else answer "$1" caught; fi
}

answer() {
    awk -F'\t' -v number="$1" -v said="$2" '$1 == number { print said "\t" $3 }' "$once/numbers.tsv" >>"$answers"
}
export -f passes ask answer
export once answers

# Builds the tests of the crate in the current folder; prints where the program is.
tests_of() {
    cargo test --lib --no-run --message-format=json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1
}

# Numbers of KIND that have no answer yet.
open() {
    touch "$answers"
    awk -F'\t' -v kind="$1" 'FILENAME == ARGV[1] { known[$2] = 1; next } $2 == kind && !($3 in known) { print $1 }' \
        "$answers" "$once/numbers.tsv"
}

# What one program cannot choose between: the code itself is changed, one mutant at a time.
alone() {
    local number program
    while IFS= read -r number; do
        sync
        cd "$crate"
        python3 "$OLDPWD/mutants/at_once.py" "$once" "$number" <"$once/listed"
        if program=$(tests_of 2>>"$home/log") && [ -n "$program" ]; then
            (INSTA_WORKSPACE_ROOT=$crate ask "$number" "$program")
        else
            answer "$number" unviable
        fi
        cd "$OLDPWD"
    done < <(open alone)
    sync
}

summary() {
    cut -f1 "$answers" | sort | uniq -c
    echo "not asked yet: $(($(open own | wc -l) + $(open alone | wc -l)))"
}

# Survivors that nobody has explained. A mutant is named without its place, which moves whenever something is written
# above it.
missed() {
    grep '^missed' "$answers" | cut -f2 | sort -u | while IFS= read -r mutant; do
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
# Where they fail anyway, they say nothing of a mutant.
(passes 0 "$(cat program)") || { echo "run.sh: the tests fail without any mutant: see $(cat program)" >&2 && exit 1; }
open own | xargs -P "$(nproc)" -I{} bash -c 'ask {} "$(cat program)"'
cd "$OLDPWD"
alone
summary
