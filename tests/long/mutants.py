#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""mutants.py [--jobs N] [--dir DIR] [FILE...]: do the unit tests notice when a decision is made otherwise?

Breaks the decisions of the core one at a time: a comparison, an `and`, a sign, a constant, a negation, a returned
truth. Each mutant is built, and the unit tests of its file are run until one fails. What no test notices survives. A
survivor is a missing test, or it behaves as the original does: those are in mutants.equivalent, each with the reason.
Ends with 1 if any other survives, or if an entry there is no survivor (any more).

A mutant from which the compiler, optimizing, makes the very code of the original is none, nor is one that does not compile.
"""
import argparse
import concurrent.futures
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time

CC = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-w", "-fPIC", "-pthread"]
LIBS = ["-lcheck", "-lsubunit", "-lm", "-lrt", "-pthread"]
CPU_S, TIMEOUT_S = 2, 180  # what does not end: of the processor's time, as others may be at work here; and of the clock's

GUARD = ["test_guard_edges", "test_guard_spill", "test_guard_challenge", "test_guard", "test_behind", "test_handover", "test_guard_wary", "test_guard_policy", "test_guard_rate"]
# What is mutated, and whose tests are asked, the quickest first.
# Left out: headers that have only sizes and limits, which tests too know by name, and what has no decision (outcome).
TESTS = {
    "include/synmoat/addr.h": ["test_addr", "test_packet", "test_cidr"],
    "include/synmoat/siphash.h": ["test_cookie", "test_cookie_shared"],
    "include/synmoat/packet.h": ["test_packet"],
    "include/synmoat/service.h": ["test_addr", "test_thresholds", "test_service", "test_behind", "test_guard"],
    "include/synmoat/source.h": ["test_thresholds", "test_source", "test_policy", "test_guard_policy"],
    "include/synmoat/tally.h": ["test_tally_edges", "test_thresholds", "test_tally"],
    "include/synmoat/character.h": ["test_thresholds", "test_character", "test_incident"],
    "include/synmoat/incident.h": ["test_incident", "test_thresholds"],
    "include/synmoat/cookie.h": ["test_cookie", "test_thresholds", "test_cookie_shared"],
    "daemon/core/pool.h": ["test_halfopen", "test_splice", "test_service_map", "test_no_memory", "test_source"],
    "daemon/core/guard_parts.h": GUARD,
    "include/synmoat/cookie_code.h": ["test_cookie", "test_thresholds", "test_cookie_shared"],
    "daemon/core/cookie.c": ["test_cookie", "test_thresholds", "test_cookie_shared"],
    "daemon/core/challenge.c": ["test_guard_edges", "test_guard_challenge", "test_guard", "test_behind", "test_guard_wary", "test_guard_policy"],
    "daemon/core/guard_challenge.c": GUARD,
    "daemon/core/guard.c": [*GUARD, "test_no_memory"],
    "daemon/core/handover.c": ["test_handover", "test_behind", "test_guard_edges", "test_guard_challenge", "test_guard", "test_guard_wary", "test_guard_policy", "test_guard_rate"],
    "daemon/core/splice.c": ["test_splice", "test_no_memory", "test_handover"],
    "daemon/core/account.c": ["test_account"],
    "daemon/core/cap.c": ["test_thresholds", "test_cap", "test_guard_wary", "test_guard_policy"],
    "daemon/core/halfopen.c": ["test_halfopen", "test_no_memory"],
    "daemon/core/source.c": ["test_no_memory", "test_source", "test_source_eviction"],
    "daemon/core/policy.c": ["test_thresholds", "test_policy", "test_policy_rate", "test_guard_rate"],
    "daemon/core/service.c": ["test_thresholds", "test_service", "test_behind", "test_guard_challenge", "test_guard", "test_guard_wary", "test_guard_policy"],
    "daemon/core/service_map.c": ["test_service", "test_no_memory", "test_service_map"],
    "daemon/core/cidr.c": ["test_thresholds", "test_cidr"],
    "daemon/core/tally.c": ["test_tally_edges", "test_thresholds", "test_tally"],
    "daemon/core/character.c": ["test_thresholds", "test_character"],
    "daemon/core/incident.c": ["test_incident", "test_thresholds"],
    "daemon/core/latency.c": ["test_latency", "test_thresholds"],
    "daemon/core/options.c": ["test_options", "test_packet"],
    "daemon/core/packet.c": ["test_packet"],
}
# Those that have the linker put something in the core's place cannot have the core in a shared library.
STATIC = {"test_no_memory": ["-Wl,--wrap=calloc"]}

# The first assertion that fails is enough, and those that hold need not be written down: Check does so with a file.
CHECK_IN_SHORT = """
#include <unistd.h>
_Noreturn void __wrap__ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...) { _exit(1); }
void __wrap__mark_point(const char *file, int line) {}
"""
IN_SHORT = ["-Wl,--wrap=_ck_assert_failed", "-Wl,--wrap=_mark_point"]

# ---- what can be broken

TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|0[xX][0-9a-fA-F]+[uUlL]*|\d+(?:\.\d+)?[uUlL]*|[A-Za-z_]\w*'
    r"|->|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%&|^]=|\S"
)
SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
    "+=": "-=", "-=": "+=", "++": "--", "--": "++", "<<": ">>", ">>": "<<", "|": "&", "&": "|", "+": "-", "-": "+",
}  # fmt: skip
ALWAYS_BINARY = {"|", "<", ">"}
UNARY_TOO = {"&", "+", "-"}


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
    text = re.sub(r"//[^\n]*", blank, text)
    text = re.sub(r"_Static_assert\(.*?\);", blank, text, flags=re.S)
    # How much memory is the address sanitizer's to see.
    text = re.sub(r"^.*\bcalloc\(.*$", blank, text, flags=re.M)
    # Of the preprocessor's lines only constants are decisions, and units are none.
    return re.sub(r"^[ \t]*#(?![ \t]*define[ \t]+(?!NSEC_PER_)\w+[ \t]+[\d(])[^\n]*", blank, text, flags=re.M)


def is_operand(token):
    return bool(token) and (token in (")", "]") or re.match(r"\w", token) is not None) and token not in ("return", "case")


def off_by_one(number):
    """A constant, one more and one less."""
    digits = re.match(r"0[xX][0-9a-fA-F]+|\d+", number).group()
    rest = number[len(digits):]
    for value in (int(digits, 0) + 1, int(digits, 0) - 1):
        if value >= 0:
            yield (hex(value) if digits[:2].lower() == "0x" else str(value)) + rest


def declares_array(before):
    """How many elements there is room for decides nothing, but for the address sanitizer."""
    return re.search(r"[\w*] *\b(?!return\b)\w+\[$", before[-80:].split(";")[-1]) is not None


def swaps_in(text):
    """(where, what stands there, what instead), in the order of the text."""
    previous = before_that = ""
    for match in TOKEN.finditer(text):
        token = match.group()
        after = text[match.end():match.end() + 1]
        cast = previous == ")" and before_that == "*"
        if token in SWAPS and (token not in UNARY_TOO or (is_operand(previous) and not cast)):
            yield match.start(), token, SWAPS[token]
        elif token == "!" and after != "=":
            yield match.start(), token, ""
        elif token in ("true", "false") and previous == "return":
            yield match.start(), token, "false" if token == "true" else "true"
        elif re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)[uUlL]*", token):
            if not declares_array(text[:match.start()]):
                for number in off_by_one(token):
                    yield match.start(), token, number
        before_that, previous = previous, token


class Mutant:
    def __init__(self, path, text, where, old, new, function):
        self.path, self.old, self.new, self.function = path, old, new, function
        self.text = text[:where] + new + text[where + len(old):]
        start = text.rfind("\n", 0, where) + 1
        end = text.find("\n", where)
        self.line = text[start:end].strip()
        self.number = text.count("\n", 0, where) + 1
        self.column = where - start
        self.nth = 1
        self.fate = None
        self.by = ""

    def key(self):
        return (self.path, self.function, self.line, f"{self.old} -> {self.new or 'nothing'}", self.nth)

    def any_of_line(self):
        return (self.path, self.function, self.line, "any", 1)

    def __str__(self):
        nth = f", {self.nth}." if self.nth > 1 else ""
        return f"{self.path} {self.function}: {self.old} -> {self.new or 'nothing'}{nth}\n\t{self.line}"


def mutants_of(path):
    text = open(path, encoding="utf-8").read()
    bare = without_comments(text)
    function, starts = "-", []
    for match in re.finditer(r"^(?:[a-z][\w \t*]*?[ *])?(\w+)\([^;{}]*?\)\n\{|^#define (\w+)|^(?:static )?const [^\n=]*?(\w+)\[", bare, re.M):
        starts.append((match.start(), match.group(1) or match.group(2) or match.group(3)))
    seen = {}
    for where, old, new in swaps_in(bare):
        function = "-"
        for start, name in starts:
            if start <= where:
                function = name
        mutant = Mutant(path, text, where, old, new, function)
        seen[mutant.key()[:4]] = seen.get(mutant.key()[:4], 0) + 1
        mutant.nth = seen[mutant.key()[:4]]
        yield mutant


# ---- building and asking


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options).returncode


class Bench:
    """The originals, built once: the core's objects, and the unit tests, which find the core in a shared library."""

    def __init__(self, top):
        self.top = top
        self.sources = sorted(f"daemon/core/{name}" for name in os.listdir("daemon/core") if name.endswith(".c"))
        os.makedirs(f"{top}/core", exist_ok=True)
        os.makedirs(f"{top}/unit", exist_ok=True)
        self.local = threading.local()
        self.fork = {}
        self.quick = {}
        self.codes = {}

    def object_of(self, source):
        return f"{self.top}/core/{os.path.basename(source)[:-2]}.o"

    def build(self, tests, jobs):
        flags = [*FLAGS, "-O0", "-Iinclude", "-Idaemon"]
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            codes = list(pool.map(lambda source: run(CC, *flags, "-c", "-o", self.object_of(source), source), self.sources))
        assert not any(codes), "the core does not compile"
        assert run(CC, "-shared", "-o", f"{self.top}/core/libcore.so", *map(self.object_of, self.sources), "-lm") == 0
        with open(f"{self.top}/short.c", "w", encoding="utf-8") as out:
            out.write(CHECK_IN_SHORT)
        assert run(CC, *FLAGS, "-c", "-o", f"{self.top}/short.o", f"{self.top}/short.c") == 0
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            codes = list(pool.map(lambda test: self.link_test(test, f"{self.top}/unit", []), tests))
        assert not any(codes), "a unit test does not compile"

    def link_test(self, test, into, shadow, objects=()):
        short = [f"{self.top}/short.o", *IN_SHORT]
        if test in STATIC:
            return run(CC, *FLAGS, "-O0", *shadow, "-Iinclude", "-Idaemon", "-o", f"{into}/{test}", f"tests/unit/{test}.c", *short,
                       *(objects or map(self.object_of, self.sources)), *STATIC[test], *LIBS)  # fmt: skip
        return run(CC, *FLAGS, "-O0", *shadow, "-Iinclude", "-Idaemon", "-o", f"{into}/{test}", f"tests/unit/{test}.c", *short,
                   f"-L{self.top}/core", "-lcore", "-Wl,--allow-shlib-undefined", *LIBS)  # fmt: skip

    def ask(self, program, library, cpu_s):
        """None if all passes."""
        name = os.path.basename(program)
        environment = {**os.environ, "LD_LIBRARY_PATH": library, "CK_FORK": self.fork.get(name, "no"), "CK_TIMEOUT_MULTIPLIER": "10",
                       "CK_EXCLUDE_TAGS": "long"}
        environment.pop("RESULTS", None)
        try:
            code = run("timeout", "-k", "2", str(TIMEOUT_S), "prlimit", f"--cpu={cpu_s}", program, env=environment)
        except OSError as error:
            sys.exit(f"{program}: {error}")
        return name if code else None

    def first_ask(self, tests):
        """The unbroken core passes; some programs can only one process per test."""
        for test in tests:
            for fork in ("no", "yes"):
                self.fork[test] = fork
                before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
                if self.ask(f"{self.top}/unit/{test}", f"{self.top}/core", 120) is None:
                    break
            else:
                sys.exit(f"{test} fails without any mutation")
            self.quick[test] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    def place(self):
        if not hasattr(self.local, "dir"):
            self.local.dir = f"{self.top}/at-{threading.get_ident()}"
            os.makedirs(f"{self.local.dir}/include/synmoat", exist_ok=True)
            os.makedirs(f"{self.local.dir}/daemon/core", exist_ok=True)
        return self.local.dir

    def judge(self, mutant):
        place = self.place()
        header = mutant.path.endswith(".h")
        shadow = [f"-I{place}/include", f"-I{place}/daemon"] if header else []
        flags = [*FLAGS, *shadow, "-Iinclude", "-Idaemon", "-Idaemon/core"]
        written = f"{place}/{mutant.path if header else os.path.basename(mutant.path)}"
        with open(written, "w", encoding="utf-8") as out:
            out.write(mutant.text)
        mutated = [s for s in self.sources if os.path.basename(mutant.path) in includes(s)] if header else [mutant.path]
        objects = {source: self.object_of(source) for source in self.sources}
        for source in mutated:
            objects[source] = f"{place}/{os.path.basename(source)[:-2]}.o"
            if run(CC, *flags, "-O0", "-c", "-o", objects[source], source if header else written):
                mutant.fate = "invalid"
                return mutant
        if run(CC, "-shared", "-o", f"{place}/libcore.so", *objects.values(), "-lm"):
            mutant.fate = "invalid"
            return mutant
        mutant.fate = "survived"
        for test in (t for t in TESTS[mutant.path] if t in self.quick):
            program = f"{self.top}/unit/{test}"
            if header or test in STATIC:
                if self.link_test(test, place, shadow, objects.values()):
                    continue
                program = f"{place}/{test}"
            mutant.by = self.ask(program, place, int(CPU_S + 2 * self.quick[test]))
            if mutant.by:
                mutant.fate = "killed"
                break
        if mutant.fate == "survived" and self.same_code(mutant, mutated, flags, written, place, header):
            mutant.fate = "same"
        if header:
            os.unlink(written)
        return mutant

    def same_code(self, mutant, mutated, flags, written, place, header):
        for source in mutated:
            one, other = f"{place}/one.o", f"{place}/other.o"
            own = [f for f in flags if not f.startswith(f"-I{place}")]
            if source not in self.codes:
                self.codes[source] = self.code_of(source, one, own)
            if self.codes[source] is None or self.codes[source] != self.code_of(source if header else written, other, flags):
                return False
        return True

    @staticmethod
    def code_of(source, name, flags):
        if run(CC, *flags, "-O2", "-g0", "-c", "-o", name, "-x", "c", source):
            return None
        if run("objcopy", "--strip-all", "-O", "binary", name, f"{name}.code"):
            return None
        with open(f"{name}.code", "rb") as code:
            return code.read()


def includes(path, known=None):
    """The names of all headers of ours it includes, directly or not."""
    known = set() if known is None else known
    for name in re.findall(r'^#include "([^"]+)"', open(path, encoding="utf-8").read(), re.M):
        if os.path.basename(name) in known:
            continue
        known.add(os.path.basename(name))
        for directory in ("include", "daemon"):
            if os.path.exists(f"{directory}/{name}"):
                includes(f"{directory}/{name}", known)
    return known


# ---- those that behave the same


def read_equivalent(path):
    """Entries of three lines or more: what `survived` says of a mutant (two lines; "any": whatever is changed in that
    line), then the reason, indented twice."""
    entries, key = {}, None
    lines = open(path, encoding="utf-8").read().split("\n") if os.path.exists(path) else []
    for at, line in enumerate(lines):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("\t\t"):
            entries[key] = (entries[key] + " " + line.strip()).strip()
        elif line.startswith("\t"):
            key = (*head, line.strip(), change, nth)
            entries[key] = ""
        else:
            match = re.fullmatch(r"(\S+) (\S+): (.*?)(?:, (\d+)\.)?", line)
            if not match:
                sys.exit(f"{path}:{at + 1}: what is '{line}'?")
            head, change, nth = (match[1], match[2]), match[3], int(match[4] or 1)
    for key, reason in entries.items():
        if not reason:
            sys.exit(f"{path}: no reason why '{key[3]}' in '{key[2]}' makes no difference")
    return entries


def told(fates, began):
    seconds = round(time.monotonic() - began)
    number = sum(fates[fate] for fate in ("killed", "survived", "equivalent"))
    return (f"{number} in {seconds // 60} min {seconds % 60} s: {fates['killed']} killed, {fates['survived']} survived, "
            f"{fates['equivalent']} equivalent")  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--dir", default="build/mutants")
    parser.add_argument("files", nargs="*")
    chosen = parser.parse_args()
    files = chosen.files or list(TESTS)
    here = os.path.dirname(os.path.abspath(__file__))
    os.chdir(f"{here}/../..")
    equivalent = read_equivalent(f"{here}/mutants.equivalent")

    shutil.rmtree(chosen.dir, ignore_errors=True)
    bench = Bench(os.path.abspath(chosen.dir))
    tests = sorted({t for f in files for t in TESTS[f] if os.path.exists(f"tests/unit/{t}.c")})
    bench.build(tests, chosen.jobs)
    bench.first_ask(tests)

    began = time.monotonic()
    counts = {}
    survivors, used = [], set()
    for path in files:
        file_began = time.monotonic()
        mutants = list(mutants_of(path))
        fates = {"killed": 0, "survived": 0, "equivalent": 0, "same": 0, "invalid": 0}
        with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
            for mutant in pool.map(bench.judge, mutants):
                entry = next((key for key in (mutant.key(), mutant.any_of_line()) if key in equivalent), None)
                if mutant.fate == "survived" and entry:
                    used.add(entry)
                    mutant.fate = "equivalent"
                elif mutant.fate == "survived":
                    survivors.append(mutant)
                    print(f"survived, line {mutant.number}: {mutant}", flush=True)
                fates[mutant.fate] += 1
        counts[path] = fates
        print(f"# {path}: {told(fates, file_began)}", flush=True)

    # What reads or writes past an end may be noticed or not.
    stale = [key for key in equivalent if key[0] in files and key not in used and "address sanitizer" not in equivalent[key]]
    for key in stale:
        print(f"listed as equivalent, but does not survive: {key[0]} {key[1]}: {key[3]}\n\t{key[2]}")
    total = {fate: sum(fates[fate] for fates in counts.values()) for fate in ("killed", "survived", "equivalent", "same", "invalid")}
    print(f"mutants: {told(total, began)} ({total['same']} more are the same code, {total['invalid']} no program)")
    return 1 if survivors or stale else 0


if __name__ == "__main__":
    sys.exit(main())
