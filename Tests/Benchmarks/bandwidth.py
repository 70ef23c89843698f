"""Prints the GB/s, read and written, of copying memory with one thread: the best of several runs."""
import time

source, best = bytearray(1 << 28), 0.0
target = memoryview(bytearray(len(source)))
for _ in range(5):
    start = time.monotonic()
    target[:] = source
    best = max(best, 2 * len(source) / (time.monotonic() - start) / 1e9)
print(best)
