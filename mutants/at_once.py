"""Builds every mutant of the small crate into one test program and asks each in seconds: see run.sh.

Reads what `cargo mutants --list --json` says (standard input) and rewrites the sources of the crate in the current
folder: the body of a function becomes a choice between its mutants and itself, made by the number in the variable MUTANT.

    at_once.py FOLDER          writes that form into FOLDER/src and leaves out what does not compile, which FOLDER/left_out
                               keeps
    at_once.py FOLDER NUMBER   changes the crate in the current folder itself as that mutant does

FOLDER/numbers.tsv gets a line for each mutant: its number; `own` if it is built in, `alone` if only the code itself can be
changed so (a choice cannot be made in a const function, nor between two types of one `impl Trait`), `unviable` if no
compiler takes the value it puts in place of a body; its name.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(?P<hash>\#*)".*?"(?P=hash)|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^u]|\\u\{[0-9a-fA-F]+\}|\\x..|[^'\\])'|[{}]""",
    re.DOTALL,
)


def body(text, start, end):
    """The places of the braces around the body of the function text[start:end]."""
    stack, pairs = [], {}
    for token in TOKEN.finditer(text, start, end):
        if token.group() == "{":
            stack.append(token.start())
        elif token.group() == "}":
            pairs[token.start()] = stack.pop()
    close = max(pairs)
    return pairs[close], close


class File:
    def __init__(self, path):
        self.text = pathlib.Path(path).read_text()
        self.lines = [0]
        for line in self.text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def at(self, place):
        return self.lines[place["line"] - 1] + place["column"] - 1

    def span(self, span):
        return self.at(span["start"]), self.at(span["end"])


def changed(file, functions, function, mutants):
    """The text of a function whose body chooses."""
    start, end = function
    opening, closing = body(file.text, start, end)
    inside = [f for f in functions if f != function and opening < f[0] and f[1] <= closing]
    inside = [f for f in inside if not any(g != f and g[0] <= f[0] and f[1] <= g[1] for g in inside)]
    own, at = "", opening + 1
    for inner in sorted(inside):
        own += file.text[at : inner[0]] + changed(file, functions, inner, mutants)
        at = inner[1]
    own += file.text[at:closing]
    arms = ""
    for number, (first, last), replacement in mutants[function]:
        arms += f"\n{number}u32 => {{ /*MUTANT {number}*/ {file.text[opening + 1 : first]}{replacement}{file.text[last:closing]}\n/*END*/ }}"
    if not arms:
        return file.text[start : opening + 1] + own + file.text[closing:end]
    return f"{file.text[start : opening + 1]} match crate::mutant() {{{arms}\n_ => {{{own}}} }} {file.text[closing:end]}"


def must_be_alone(mutant):
    """Whether the form with the choice may be what does not compile."""
    if mutant["genre"] != "FnValue":
        return True
    start, end = File(mutant["file"]).span(mutant["function"]["span"])
    return "impl " in mutant["function"]["return_type"] or "const fn" in File(mutant["file"]).text[start:end].split("{")[0]


def write(folder, listed, left_out):
    numbers = ""
    by_file = collections.defaultdict(list)
    for number, mutant in enumerate(listed, 1):
        kind = "own"
        if mutant["function"] is None:
            kind = "alone"
        elif number in left_out:
            kind = "alone" if must_be_alone(mutant) else "unviable"
        else:
            by_file[mutant["file"]].append((number, mutant))
        numbers += f"{number}\t{kind}\t{mutant['name']}\n"
    (folder / "numbers.tsv").write_text(numbers)
    for path, those in by_file.items():
        file = File(path)
        mutants = collections.defaultdict(list)
        for number, mutant in those:
            function = file.span(mutant["function"]["span"])
            mutants[function].append((number, file.span(mutant["span"]), mutant["replacement"]))
        functions = sorted(mutants)
        outer = [f for f in functions if not any(g != f and g[0] <= f[0] and f[1] <= g[1] for g in functions)]
        text, at = "", 0
        for function in outer:
            text += file.text[at : function[0]] + changed(file, functions, function, mutants)
            at = function[1]
        text += file.text[at:]
        target = folder / path
        if not target.exists() or target.read_text() != text:
            target.write_text(text)


def mutant_at(text, line):
    """The mutant that line (from 1) of the chosen form belongs to."""
    lines = text.split("\n")
    for place in range(line - 1, -1, -1):
        ends = lines[place].rfind("/*END*/")
        if ends >= 0 and place != line - 1:
            return None
        begins = re.findall(r"/\*MUTANT (\d+)\*/", lines[place])
        if begins:
            return int(begins[-1])
    return None


def check(folder, listed):
    kept = folder / "left_out"
    left_out = {int(n) for n in kept.read_text().split()} if kept.exists() else set()
    for _ in range(40):
        write(folder, listed, left_out)
        run = subprocess.run(
            ["cargo", "check", "--lib", "--tests", "--message-format=json"], cwd=folder, capture_output=True, text=True
        )
        if run.returncode == 0:
            print(f"{len(listed) - len(left_out)} of {len(listed)} are built")
            return
        more, unknown = set(), []
        for line in run.stdout.splitlines():
            said = json.loads(line)
            message = said.get("message") or {}
            if message.get("level") != "error" or not message.get("spans"):
                continue
            found = set()
            for span in message["spans"]:
                path = folder / span["file_name"]
                if path.exists():
                    number = mutant_at(path.read_text(), span["line_start"])
                    if number:
                        found.add(number)
            more |= found
            if not found:
                unknown.append(message["rendered"])
        more -= left_out
        print(f"{len(more)} do not compile", flush=True)
        if not more:
            print("\n".join(unknown[:5]) or run.stderr[-3000:])
            sys.exit(1)
        left_out |= more
        kept.write_text(" ".join(map(str, sorted(left_out))))
    sys.exit("at_once.py: does not settle")


def change(mutant):
    file = File(mutant["file"])
    start, end = file.span(mutant["span"])
    pathlib.Path(mutant["file"]).write_text(file.text[:start] + mutant["replacement"] + file.text[end:])


if __name__ == "__main__":
    mutants = json.load(sys.stdin)
    if len(sys.argv) > 2:
        change(mutants[int(sys.argv[2]) - 1])
    else:
        check(pathlib.Path(sys.argv[1]), mutants)
