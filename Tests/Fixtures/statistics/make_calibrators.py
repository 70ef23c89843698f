"""Writes calibrators.json: the histogram and the ranges that RangeCalibrator must find, computed the slow way, and the moving
averages of PyTorch's observers.

Usage: make_calibrators.py OUT.json
The values are those of `panel` below, which Tests/QuantCore/RangeCalibratorTests.swift computes too. Histograms follow the
rule of NVIDIA's calibrators: 2048 bins over the first panel, bins of the same width appended for larger values.
"""
import json
import sys

import numpy as np
import torch
from torch.ao.quantization.observer import MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver

ROWS, COLUMNS = 160, 64
# Each panel reaches further than the one before it.
FACTORS = [1, 2, 0.5]


def panel(number):
    """Cubes: many small values, few large ones; exact in 32 bits but for one rounding."""
    k = (np.arange(ROWS * COLUMNS, dtype=np.int64) * 7919 + number * 104729) % 2003 - 1001
    values = (k**3).astype(np.float32) * np.float32(2.0**-28 * FACTORS[number])
    values[np.arange(ROWS * COLUMNS) % 997 == 5] *= np.float32(1 + number % 2)
    return values


def histogram(channel=None):
    """Of all values, or of one column."""
    counts, width = None, None
    for number in range(len(FACTORS)):
        x = np.abs(panel(number) if channel is None else panel(number)[channel::COLUMNS]).astype(np.float64)
        if counts is None:
            width = x.max() / 2048
            counts = np.zeros(2048, np.int64)
        bins = max(len(counts), int(np.ceil(x.max() / width)))
        counts = np.concatenate([counts, np.zeros(bins - len(counts), np.int64)])
        counts += np.bincount(np.minimum((x / width).astype(np.int64), bins - 1), minlength=bins)
    return counts, width


def percentile(counts, width, percent):
    cumulative = np.cumsum(counts) / counts.sum()
    return float(np.searchsorted(cumulative, percent / 100) * width)


def entropy(counts, width, bits):
    levels = 2 ** (bits - 1)
    mass = counts.astype(np.float64)
    mass[0] = mass[1]
    divergences = []
    for bins in range(128, len(mass) + 1):
        level = np.arange(bins) * levels // bins
        filled = mass[:bins] > 0
        sums = np.bincount(level, weights=mass[:bins], minlength=levels)
        counted = np.bincount(level, weights=filled, minlength=levels)
        q = np.where(filled, (sums / np.maximum(counted, 1))[level], 0)
        p = mass[:bins].copy()
        p[-1] += mass[bins:].sum()
        p, q = p / p.sum(), q / q.sum()
        if np.any((q == 0) & (p > 0)):
            divergences.append(np.inf)
        else:
            divergences.append(float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0]))))
    divergences = np.array(divergences)
    return float((len(divergences) - 1 - np.argmin(divergences[::-1]) + 128) * width)


def rounded(x, scale, element):
    if element == "fp8":
        return torch.tensor(x / scale).clamp(-448, 448).to(torch.float8_e4m3fn).float().numpy() * scale
    largest = np.float32(127 if element == "int8" else 7)
    return np.clip(np.rint(x / scale), -largest - 1, largest) * scale


def least_error(counts, width, element):
    centers = (np.arange(len(counts)) + 0.5) * width
    single = centers.astype(np.float32)
    steps = {"int8": 127.5, "int4": 7.5, "fp8": 448}[element]
    best, limit = np.inf, None
    for bin in range(128, len(counts), max(1, len(counts) // 2048)):
        scale = np.float32(np.float32(centers[bin]) / np.float32(steps))
        error = float(np.sum((rounded(single, scale, element).astype(np.float64) - centers) ** 2 * counts))
        if error < best:
            best, limit = error, centers[bin]
    return float(limit)


def averages(step):
    """Minimum and maximum of all values, and of each channel; every panel is a window."""
    whole = MovingAverageMinMaxObserver(averaging_constant=step)
    channels = MovingAveragePerChannelMinMaxObserver(averaging_constant=step, ch_axis=1)
    for number in range(len(FACTORS)):
        values = torch.from_numpy(panel(number)).reshape(ROWS, COLUMNS)
        whole(values)
        channels(values)
    return {
        "all": [whole.min_val.item(), whole.max_val.item()],
        "channels": [channels.min_val.tolist(), channels.max_val.tolist()]}


counts, width = histogram()
limits = {f"percentile:{p}": {"int8": percentile(counts, width, p)} for p in (99.99, 99.9, 90.0)}
limits["entropy"] = {element: entropy(counts, width, bits) for element, bits in (("int8", 8), ("int4", 4))}
limits["mse"] = {element: least_error(counts, width, element) for element in ("int8", "int4", "fp8")}
channels = {}
for channel in (0, 5, 63):
    own, step = histogram(channel)
    channels[str(channel)] = {
        "percentile:99.0": percentile(own, step, 99), "entropy": entropy(own, step, 8), "mse": least_error(own, step, "int8")}
filled = [[int(i), int(counts[i])] for i in np.flatnonzero(counts)]
with open(sys.argv[1], "w") as file:
    json.dump(
        {
            "bins": len(counts), "width": width, "counts": filled, "limits": limits, "channels": channels,
            "averages": {"average:0.99": averages(0.01), "average:0.9": averages(0.1)}}, file, separators=(",", ":"))
    file.write("\n")
