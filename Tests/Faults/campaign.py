#!/usr/bin/env python3
"""Makes every system call of a conversion fail in turn, ends the program at every one, and looks at what is on the disk afterwards.

    campaign.py PROGRAM [--quick] [--scenario NAME]
    campaign.py PROGRAM --kills COUNT [--seed SEED] [--scenario NAME]

For each scenario (a file, a split file, a folder, a run that is resumed, each of them over an old output), each kind of call and each
error, the first call fails, then the second, and so on until the run makes no more of them. The same for the end of the program
("kill"), and for a power cut, which takes back what was not synced ("cut"). What must hold each time:

- the program ends by itself, in time, with one line that says what happened; an interrupted call or half a write changes nothing;
- under the final name is nothing, the complete old output, or the complete new one, byte for byte;
- nothing else is left behind that the message does not name;
- the same command line then succeeds, gives the same bytes as without a fault, and leaves nothing else, even if the output is moved away
  in between.

With --kills, runs are killed at random moments instead, up to three times before one may end, until COUNT of them were; the same must
hold. SEED repeats the choice of moments, as far as the machine's speed repeats itself.

One line for each scenario and kind; the last is "N faults, N failed". --quick tries a selection in less than a minute. Needs Linux, a C
compiler (CC) and only the standard library.
"""
import argparse
import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
INPUTS = HERE.parent / "EndToEnd" / "make_inputs.py"
SECONDS = 60
WORKERS = max(2, os.cpu_count() or 1)

CALIBRATED = ["--scheme", "q4_0", "--plugin", "awq:grid=2", "--samples", "2", "--context", "16"]


@dataclasses.dataclass
class Scenario:
    """A conversion of the same small model. What is in `out` before it is made by `old`: a list of arguments for an earlier run, or a
    text for files of the same names."""

    name: str
    target: str
    arguments: list
    old: object = None
    is_split: bool = False


SCENARIOS = [
    Scenario("file", "o.gguf", ["--scheme", "q8_0"]),
    Scenario("split file", "o.gguf", ["--scheme", "q8_0", "--split-max-size", "300KB"], is_split=True),
    Scenario("folder", "o", ["--scheme", "int4-g32", "--shard-size", "1MB"]),
    Scenario("resumed", "o.gguf", [*CALIBRATED, "--resume"]),
    Scenario("file over an old one", "o.gguf", ["--scheme", "q8_0", "--force"], old=["--scheme", "q4_0"]),
    Scenario("folder over an old one", "o", ["--scheme", "int4-g32", "--force"], old=["--scheme", "bf16"]),
    Scenario(
        "split file over an old one", "o.gguf", ["--scheme", "q8_0", "--split-max-size", "300KB", "--force"], old="old", is_split=True
    ),
]

# Further runs that are killed at random: all kinds of output that are resumed, and resumed over an old one.
RESUMED = [
    Scenario("resumed folder", "o", ["--scheme", "int4-g32", "--plugin", "gptq", "--samples", "2", "--context", "16", "--resume"]),
    Scenario("resumed split file", "o.gguf", [*CALIBRATED, "--split-max-size", "300KB", "--resume"], is_split=True),
    Scenario("resumed over an old one", "o.gguf", [*CALIBRATED, "--resume", "--force"], old=["--scheme", "q8_0"]),
]

# What a program must not notice, and what ends it with an error.
UNNOTICED = {"EINTR", "short"}
FAULTS = {
    "open": ["EMFILE", "EACCES"],
    "write": ["ENOSPC", "EIO", "EDQUOT", "EINTR", "short"],
    "pread": ["EIO", "EINTR", "short"],
    "mmap": ["ENOMEM"],
    "fsync": ["EIO", "ENOSPC", "EINTR"],
    "fallocate": ["ENOSPC", "EDQUOT", "EINTR", "EOPNOTSUPP"],
    "ftruncate": ["EIO", "EINTR"],
    "mkdir": ["ENOSPC", "EACCES"],
    "rename": ["EIO", "EACCES"],
    "renameat2": ["EIO", "EINVAL", "ENOSPC"],
    "link": ["EIO", "EPERM", "ENOSPC"],
    "unlink": ["EIO", "EACCES"],
    "stat": ["EIO"],
    "all": ["kill", "cut"],
}
# One error for each call; the calls that give names and sync are tried without gaps.
QUICK = {
    "open": ["EMFILE"], "write": ["ENOSPC", "EINTR", "short"], "pread": ["EIO"], "mmap": ["ENOMEM"], "fsync": ["EIO", "EINTR"],
    "fallocate": ["ENOSPC"], "ftruncate": ["EINTR"], "mkdir": ["ENOSPC"], "rename": ["EIO"], "renameat2": ["EIO", "EINVAL"],
    "link": ["EIO"], "unlink": ["EIO"], "stat": ["EIO"], "all": ["kill", "cut"],
}
QUICK_POINTS = {"open": 2, "write": 2, "pread": 1, "mmap": 1, "stat": 2, "fsync": 3, "unlink": 2, "all": 8}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def found(folder):
    """{path: hash} of everything below a folder; a folder itself as "folder"."""
    return {
        str(path.relative_to(folder)): "folder" if path.is_dir() and not path.is_symlink() else digest(path)
        for path in sorted(folder.rglob("*"))
    }


class Bench:
    """A scenario in a folder of its own."""

    def __init__(self, program, library, scenario, place, model):
        self.program, self.library, self.scenario = program, library, scenario
        self.root = place
        self.root.mkdir(parents=True)
        shutil.copytree(model, self.root / "in")
        self.out = self.root / "out"
        self.before = self.root.parent / (self.root.name + "-before")
        self.before.mkdir()
        if isinstance(scenario.old, list):
            self.out.mkdir()
            assert self.run(arguments=scenario.old)[0] == 0, "the old output cannot be made"
            shutil.move(self.out, self.before / "out")
        else:
            (self.before / "out").mkdir()
        self.reset()
        begin = time.monotonic()
        code, text = self.run()
        self.seconds = time.monotonic() - begin
        assert code == 0, f"{scenario.name}: ends with {code} without a fault: {text}"
        self.new = found(self.out)
        if scenario.old == "old":
            for number, name in enumerate(self.new):
                (self.before / "out" / name).write_text(f"old {number}")
        self.old = found(self.before / "out")
        assert self.new, "nothing was written"

    def reset(self):
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.before / "out", self.out)

    def run(self, fault=None, arguments=None, moment=None):
        """Exit code (None: it did not end) and standard error of a run, with the environment of a fault, or killed after some seconds."""
        target = self.out / self.scenario.target
        command = [self.program, str(self.root / "in"), str(target), *(arguments or self.scenario.arguments), "--no-report", "--progress", "none"]
        environment = dict(os.environ)
        if fault:
            environment |= fault | {"LD_PRELOAD": str(self.library), "FAULT_ROOT": str(self.root)}
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        try:
            _, said = process.communicate(timeout=SECONDS if moment is None else moment)
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[1]
            if moment is None:
                return None, ""
        return process.returncode, said

    def count(self, call):
        """How often an undisturbed run makes a call."""
        self.reset()
        self.run(self.fault(call, "EIO", 0))
        return int(self.report().split()[0] or 0)

    def fault(self, call, kind, number):
        report = self.root.parent / (self.root.name + "-report")
        report.unlink(missing_ok=True)
        return {"FAULT_CALLS": call, "FAULT_KIND": kind, "FAULT_NUMBER": str(number), "FAULT_REPORT": str(report)}

    def report(self):
        report = self.root.parent / (self.root.name + "-report")
        return report.read_text() if report.exists() else "0"

    def names(self):
        """What has a final name: the part of what is found that belongs to the output."""
        there = found(self.out)
        return {name: value for name, value in there.items() if not name.startswith(".")}

    def attempt(self, call, kind, number):
        """What went wrong at one fault, or None. The second value is whether the fault happened."""
        self.reset()
        code, text = self.run(self.fault(call, kind, number))
        happened = any(not line.endswith("- end") for line in self.report().splitlines() if line != "0")
        if not happened:
            return (None if code == 0 else f"ends with {code} without a fault"), False
        ended = kind in ("kill", "cut")
        return self.judge(code, text, kind, ended) or (self.meddle(number) if ended else None) or self.again(), True

    def kill(self, rng, number):
        """What went wrong at one run that was killed at random moments, or None, and how often it was."""
        self.reset()
        kills = 0
        for _ in range(rng.choice([1, 1, 2, 3])):
            code, text = self.run(moment=rng.uniform(0, self.seconds))
            kills += code == -signal.SIGKILL
            problem = self.judge(code, text, "kill", code == -signal.SIGKILL)
            if problem or code == 0:
                return problem, kills
            if code != -signal.SIGKILL:
                # It was killed after its last step before, and the output is there.
                break
        return self.meddle(number) or self.again(), kills

    def meddle(self, number):
        """What others may do after a run was killed. Returns what went wrong, or None."""
        if self.old and number % 2 and self.names() != self.new:
            # A command that is refused finds the old output, or the new one.
            others = [word for word in self.scenario.arguments if word not in ("--force", "--resume")]
            code, text = self.run(arguments=others)
            if code != 73 or self.names() not in (self.old, self.new):
                return f"after a refused run ({code}) the old output is not there: {text.strip()[:200]}"
        if number % 3 == 0 and self.names() == self.new:
            # The output was moved away before the run goes on.
            for path in self.out.iterdir():
                if not path.name.startswith("."):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        return None

    def judge(self, code, text, kind, ended):
        if code is None:
            return "does not end"
        names = self.names()
        if not ended:
            if code < 0:
                return f"ends with signal {-code}"
            if code == 0 and names != self.new:
                return "ends with 0 and without the output"
            if kind in UNNOTICED and code != 0:
                return f"ends with {code}: {text.strip()[:200]}"
            lines = [line for line in text.splitlines() if line.startswith("error:")]
            if code != 0 and len(lines) != 1:
                return f"ends with {code} and {len(lines)} errors: {text.strip()[:200]}"
            left = {name.split("/")[0] for name in found(self.out) if name.startswith(".")}
            for name in left:
                if name not in text:
                    return f"ends with {code} and leaves {name} behind unmentioned: {text.strip()[:200]}"
        if names in (self.new, self.old):
            return None
        # Clients open the first file of a split output.
        if self.scenario.is_split and not (self.old and not ended) and sorted(self.new)[0] not in names:
            wrong = [name for name, value in names.items() if value not in (self.new.get(name), self.old.get(name))]
            return f"{wrong[0]} is incomplete" if wrong else None
        if ended and self.old and not names:
            return None  # the next run brings it back, which is checked
        return f"ends with {code}; under the final name is neither the old nor the new output: {sorted(names)}, {text.strip()[:200]}"

    def again(self):
        if self.names() == self.new and not any(name.startswith(".") for name in found(self.out)):
            return None
        wasComplete = self.names() == self.new
        code, text = self.run()
        if code == 73 and wasComplete and "output.exists" in text and found(self.out) == self.new:
            return None  # the run had come to its last step, and what it left is gone now
        if code != 0:
            return f"the same command line then ends with {code}: {text.strip()[:300]}"
        if found(self.out) != self.new:
            return f"the same command line then leaves {sorted(set(found(self.out)) ^ set(self.new)) or 'other bytes'}"
        return None


def points(count, wanted):
    """Numbers of calls: all, or as many as wanted, the first and the last among them; names are given at the end."""
    if wanted is None or count <= wanted:
        return list(range(1, count + 1))
    last = wanted // 2
    spread = [1 + index * (count - last - 1) // max(1, wanted - last) for index in range(wanted - last)]
    return sorted(set(spread) | set(range(count - last + 1, count + 1)))


def campaign(bench, quick):
    """Runs all faults of a scenario. Returns how many there were, and what went wrong."""
    total, problems, rows = 0, [], []
    for call, kinds in (QUICK if quick else FAULTS).items():
        count = bench.count(call)
        for kind in kinds:
            wrong, number, last = [], 0, 0
            wanted = QUICK_POINTS.get(call, 4) if quick else None
            for number in points(count, wanted):
                problem, happened = bench.attempt(call, kind, number)
                last += happened
                if problem:
                    wrong.append(f"{bench.scenario.name}: {call} {number} of {count}, {kind}: {problem}")
            # A run that goes on after an error may make more calls than an undisturbed one.
            while not quick and count and number < count + 50:
                number += 1
                problem, happened = bench.attempt(call, kind, number)
                if not happened:
                    break
                last += 1
                if problem:
                    wrong.append(f"{bench.scenario.name}: {call} {number} of {count}, {kind}: {problem}")
            total += last
            problems += wrong
            rows.append((bench.scenario.name, call, kind, last, len(wrong)))
    return total, problems, rows


def kills(bench, wanted, seed):
    """Kills runs of a scenario at random moments. Returns what `campaign` does."""
    rng = random.Random(f"{seed} {bench.scenario.name}")
    total, number, wrong = 0, 0, []
    # A run that ends before its moment does not count, and there must be an end even if all do.
    while total < wanted and number < 5 * wanted + 20:
        number += 1
        problem, count = bench.kill(rng, number)
        total += count
        if problem:
            wrong.append(f"{bench.scenario.name}: round {number} with seed {seed}: {problem}")
    if total < wanted:
        wrong.append(f"{bench.scenario.name}: only {total} of {wanted} runs were killed in time")
    return total, wrong, [(bench.scenario.name, "killed", "at random", total, len(wrong))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scenario", help="only this one")
    parser.add_argument("--kills", type=int, help="kill so many runs at random moments instead")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    program = str(pathlib.Path(options.program).resolve())
    with tempfile.TemporaryDirectory(prefix="qconvert-faults-") as folder:
        place = pathlib.Path(folder)
        library = place / "faults.so"
        compiler = os.environ.get("CC", "cc").split()
        subprocess.run([*compiler, "-O1", "-shared", "-fPIC", "-o", library, HERE / "faults.c", "-ldl", "-lpthread"], check=True)
        subprocess.run([sys.executable, INPUTS, place / "models"], check=True)
        scenarios = SCENARIOS + (RESUMED if options.kills else [])
        chosen = [scenario for scenario in scenarios if options.scenario in (None, scenario.name)]

        def work(scenario):
            bench = Bench(program, library, scenario, place / scenario.name.replace(" ", "-") / "bench", place / "models" / "good")
            if options.kills:
                return kills(bench, -(-options.kills // len(chosen)), options.seed)
            return campaign(bench, options.quick)

        total, problems = 0, []
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for count, wrong, rows in pool.map(work, chosen):
                total += count
                problems += wrong
                for name, call, kind, number, failed in rows:
                    if number:
                        print(f"{'FAIL' if failed else 'ok  '} {name}: {call}, {kind}: {number} faults", flush=True)
                for problem in wrong:
                    print(f"     {problem}", flush=True)
        print(f"{total} faults, {len(problems)} failed")
        return 1 if problems or not total else 0


if __name__ == "__main__":
    sys.exit(main())
