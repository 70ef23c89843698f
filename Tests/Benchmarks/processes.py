"""Runs programs and measures what they use. Shared by the benchmarks.

The measuring process stays small, and models are made by others: what Linux reports as the peak of a child starts with the size of
the process that forked it.
"""
import dataclasses
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

# Seconds between two looks at the memory of a running process.
INTERVAL = 0.004


@dataclasses.dataclass
class Use:
    """What a work of one or several processes, one after another, used."""
    cpu: float = 0.0
    wall: float = 0.0
    # Largest resident set of a process, and what of it was its own and no mapped file, in MiB.
    peak: float = 0.0
    anonymous: float = 0.0
    # MiB that went from and to the disk.
    read: float = 0.0
    written: float = 0.0


def anonymous(process):
    """MiB of a process that are no pages of files; 0 where it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    except (OSError, ProcessLookupError):
        pass
    return 0.0


def run(commands, environment=None):
    """Runs commands one after another; None where one fails, whose last words go to standard error."""
    use = Use()
    start = time.monotonic()
    for command in commands:
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
            while True:
                use.anonymous = max(use.anonymous, anonymous(process.pid))
                done, status, usage = os.wait4(process.pid, os.WNOHANG)
                if done:
                    break
                time.sleep(INTERVAL)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                log.seek(0)
                print(f"{command[0]} ended with {process.returncode}", log.read().decode(errors="replace")[-2000:], file=sys.stderr)
                return None
        use.cpu += usage.ru_utime + usage.ru_stime
        use.peak = max(use.peak, usage.ru_maxrss / 1024)
        use.read += usage.ru_inblock / 2048
        use.written += usage.ru_oublock / 2048
    use.wall = time.monotonic() - start
    return use


def medians(uses):
    """The median of each number, or None where a run failed."""
    if not uses or None in uses:
        return None
    return Use(*(statistics.median(getattr(use, field.name) for use in uses) for field in dataclasses.fields(Use)))


def drop_from_cache(*paths):
    """Has files read from the disk the next time."""
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.iterdir()):
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def make_model(folder, tokenizer, *options):
    """A random model by make_model.py; returns its number of parameters."""
    maker = [sys.executable, pathlib.Path(__file__).with_name("make_model.py"), folder, tokenizer, *options]
    return int(subprocess.run([str(part) for part in maker], check=True, capture_output=True, text=True).stdout)


def machine():
    """Cores and processor, in words."""
    name = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":")[1].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores, {name}"
