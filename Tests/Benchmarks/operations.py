"""The floating-point operations of a calibrated conversion of the model that methods.py measures: a multiplication and an addition
count as two."""
HIDDEN, FFN, HEADS, KEY_VALUE_HEADS, VOCABULARY = 768, 2816, 12, 4, 4096
SAMPLES, CONTEXT = 128, 256
# Queries of one tile; a tile's products with keys and values cover all keys up to its last query.
TILE = 128


def of_gptq(blocks):
    """What qconvert's GPTQ computes, by part."""
    tokens = SAMPLES * CONTEXT
    key_value = HIDDEN // HEADS * KEY_VALUE_HEADS
    # Inputs and outputs of the layers that read one site.
    sites = [(HIDDEN, HIDDEN + 2 * key_value), (HIDDEN, HIDDEN), (HIDDEN, 2 * FFN), (FFN, HIDDEN)]
    weights = sum(columns * rows for columns, rows in sites)
    keys = sum(min(first + TILE, CONTEXT) * min(TILE, CONTEXT - first) for first in range(0, CONTEXT, TILE))
    attention = SAMPLES * HIDDEN * keys * 4
    return {
        # Nothing is computed after the last site.
        "observing pass: products with weights": blocks * 2 * tokens * (weights - FFN * HIDDEN),
        # The hidden states after the last block are not used.
        "pass of the rounded block: products with weights": (blocks - 1) * 2 * tokens * weights,
        "attention in both": (2 * blocks - 1) * attention,
        "Gram matrices, upper triangles": blocks * sum(tokens * columns * (columns + 1) for columns, _ in sites),
        "Cholesky factors and their inverses": blocks * sum(2 * columns**3 // 3 for columns, _ in sites),
        "feedback between columns": blocks * sum(rows * columns**2 for columns, rows in sites),
    }


def table(blocks, seconds):
    """A Markdown table of the operations, and the GFLOP/s that programs reach."""
    parts = of_gptq(blocks)
    total = sum(parts.values())
    lines = ["", "| operations of qconvert's GPTQ | 10¹² |", "|---|---:|"]
    lines += [f"| {name} | {count / 1e12:.2f} |" for name, count in parts.items()]
    lines += [f"| together | {total / 1e12:.2f} |", ""]
    lines += [f"{name}: {total / 1e9 / cpu:.0f} GFLOP/s per core, everything included." for name, cpu in seconds.items()]
    return "\n".join(lines)
