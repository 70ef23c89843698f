"""Runs programs and measures what they use. Shared by the benchmarks.

The measuring process stays small, and models are made by others: the peak that Linux reports for a child starts with the size of
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

# Seconds between two samples of the memory of a running process.
INTERVAL = 0.004


@dataclasses.dataclass
class Use:
    """What a task of one or several consecutive processes used."""
    cpu: float = 0.0
    wall: float = 0.0
    # Largest resident set of a process, and its peak of anonymous memory, in MiB.
    peak: float = 0.0
    anonymous: float = 0.0
    # MiB read from and written to disk.
    read: float = 0.0
    written: float = 0.0


def anonymous(process):
    """Anonymous memory of a process in MiB; 0 if it has ended."""
    try:
        for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    except (OSError, ProcessLookupError):
        pass
    return 0.0


def run(commands, environment=None):
    """Runs commands one after another; None if one fails, whose last output goes to standard error."""
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
    """The median of each figure, or None if a run failed."""
    if not uses or None in uses:
        return None
    return Use(*(statistics.median(getattr(use, field.name) for use in uses) for field in dataclasses.fields(Use)))


def drop_from_cache(*paths):
    """Drops files from the page cache, so that they are read from disk the next time."""
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.iterdir()):
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def make_model(folder, tokenizer, *options):
    """Makes a random model with make_model.py; returns its number of parameters."""
    maker = [sys.executable, pathlib.Path(__file__).with_name("make_model.py"), folder, tokenizer, *options]
    return int(subprocess.run([str(part) for part in maker], check=True, capture_output=True, text=True).stdout)


def machine():
    """Number of cores and name of the processor."""
    name = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.split(":")[1].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores, {name}"
