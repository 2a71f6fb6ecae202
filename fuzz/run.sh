#!/usr/bin/env bash
# Fuzzing, target by target. Needs cargo-fuzz (`cargo install cargo-fuzz --locked`); no nightly: what is compared is
# meaning, and the product has no unsafe code, so that no sanitizer is asked for.
#
#   bash fuzz/run.sh [TARGET…] --hours 1     until each target had an hour of CPU time in all, over all runs
#   bash fuzz/run.sh [TARGET…] --seconds 10  that long each, from the corpus alone, whatever was done before
#   bash fuzz/run.sh [TARGET…] --keep        makes the corpus of what was found to be new, as few files as say it all
#   bash fuzz/run.sh --summary               what was done, as a table
#
# It may be interrupted at any time and goes on where it was: fuzz/log.tsv has a line for each ten minutes, fuzz/work what
# was found to be new. An input that fails is kept in fuzz/found, where the product's own tests see it, and ends the run.
# Stands for libFuzzer's options: FUZZ_OPTIONS.
set -euo pipefail
cd "$(dirname "$0")"

all=(signature event program imports archive decide)
slice=${FUZZ_SLICE:-600}
goal=0 seconds=0 keep=no targets=()
while [ $# -gt 0 ]; do
    case "$1" in
    --hours) goal=$(awk "BEGIN { print int($2 * 3600) }") && shift ;;
    --seconds) seconds=$2 && shift ;;
    --keep) keep=yes ;;
    --summary) keep=summary ;;
    -*) sed -n '2,13s/^# \{0,1\}//p' run.sh >&2 && exit 2 ;;
    *) targets+=("$1") ;;
    esac
    shift
done
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")

log=log.tsv
[ -e "$log" ] || printf 'target\tfrom\tto\tcpu_seconds\texecutions\tedges\tfeatures\tfindings\n' >"$log"

# How much of a column a target has in all; the largest of a figure that only grows.
sum() { awk -F'\t' -v target="$1" -v column="$2" '$1 == target { sum += $column } END { print sum + 0 }' "$log"; }
largest() { awk -F'\t' -v t="$1" -v c="$2" '$1 == t && $c > max { max = $c } END { print max + 0 }' "$log"; }

summary() {
    echo '| target | CPU time | executions | edges | findings |'
    echo '|---|---|---|---|---|'
    for target in "${all[@]}"; do
        printf '| `%s` | %d min | %d | %d | %d |\n' "$target" $(($(sum "$target" 4) / 60)) "$(sum "$target" 5)" \
            "$(largest "$target" 6)" "$(sum "$target" 8)"
    done
}
[ $keep = summary ] && summary && exit

binaries=target/$(rustc -vV | sed -n 's/^host: //p')/release
cargo fuzz build --fuzz-dir . --sanitizer none --codegen-units "${FUZZ_CODEGEN_UNITS:-16}" >&2

# One run of libFuzzer over TARGET with OPTIONS…; its line goes to the log TO.
fuzz() {
    local target=$1 to=$2 said status=0 from cpu
    shift 2
    mkdir -p "work/$target" "found/$target" work/said
    said=work/said/$target
    from=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    TIMEFORMAT='%U %S'
    # shellcheck disable=SC2086 # options are words
    cpu=$({ time "$binaries/$target" "$@" -print_final_stats=1 -timeout=20 -report_slow_units=20 -rss_limit_mb=1500 \
        -artifact_prefix="found/$target/" ${FUZZ_OPTIONS:-} >"$said" 2>&1; } 2>&1) || status=$?
    awk -v target="$target" -v from="$from" -v to="$(date -u +%Y-%m-%dT%H:%M:%SZ)" -v cpu="$cpu" -v status="$status" '
        /number_of_executed_units/ { runs = $2 }
        /^#[0-9]+/ { if (!runs) seen = substr($1, 2); for (i = 1; i < NF; i++) { if ($i == "cov:") edges = $(i + 1); if ($i == "ft:") features = $(i + 1) } }
        END { split(cpu, used, " "); printf "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", target, from, to, used[1] + used[2], runs ? runs : seen, edges, features, status != 0 }' \
        "$said" >>"$to"
    rmdir "found/$target" 2>/dev/null || true
    rmdir found 2>/dev/null || true
    if [ "$status" != 0 ]; then
        grep -A3 -e 'panicked at' -e 'ERROR: libFuzzer' "$said" | head -20 >&2 || true
        echo "run.sh: $target failed; the input is in fuzz/found/$target, all that was said in fuzz/$said" >&2
        return 1
    fi
}

failed=()
for target in "${targets[@]}"; do
    mkdir -p "work/$target" "corpus/$target"
    if [ $keep = yes ]; then
        rm -rf work/kept && mkdir work/kept
        "$binaries/$target" -set_cover_merge=1 work/kept "corpus/$target" "work/$target" >/dev/null 2>&1
        rm -rf "corpus/$target" && mv work/kept "corpus/$target"
        echo "$target: $(find "corpus/$target" -type f | wc -l) files, $(du -sb "corpus/$target" | cut -f1) bytes"
    elif [ "$seconds" -gt 0 ]; then
        rm -rf work/shortly && mkdir -p work/shortly
        fuzz "$target" /dev/null -max_total_time="$seconds" work/shortly "corpus/$target" || failed+=("$target")
    fi
done

# In turns, so that each has its part whenever the run is cut short.
while :; do
    open=0
    for target in "${targets[@]}"; do
        left=$((goal - $(sum "$target" 4)))
        if [ "$left" -gt 0 ] && [[ " ${failed[*]} " != *" $target "* ]]; then
            open=1
            fuzz "$target" "$log" -max_total_time=$((left < slice ? left + 1 : slice)) "work/$target" "corpus/$target" ||
                failed+=("$target")
        fi
    done
    [ $open = 1 ] || break
done
[ "$goal" = 0 ] || summary
[ ${#failed[@]} = 0 ] || { echo "run.sh: failed: ${failed[*]}" >&2 && exit 1; }
