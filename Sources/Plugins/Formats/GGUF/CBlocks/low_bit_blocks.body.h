// Encoders of layouts with two or three values per weight (four for q2_0). None of them uses importance.

// The largest magnitude of `length` weights. Bit patterns of magnitudes are ordered like the magnitudes.
static inline float qc_largest_magnitude(const float *x, int length) {
  uint32_t magnitude = 0;
  for (int i = 0; i < length; ++i) {
    uint32_t a = qc_float_bits(x[i]) & 0x7fffffff;
    magnitude = a > magnitude ? a : magnitude;
  }
  return qc_float_from_bits(magnitude);
}

// Codes 0, 1 and 2 for -1, 0 and 1: x / d rounded, ties away from zero, where d is the largest magnitude. If 1 / d is
// infinite, all are 1. Returns d.
static inline float qc_round_ternary(const float *x, int length, uint8_t *codes) {
  float d = qc_largest_magnitude(x, length);
  int usable;
  float inverse = qc_reciprocal(d, &usable);
  if (!usable) inverse = 0;
  for (int i = 0; i < length; ++i) {
    float value = x[i] * inverse;
    codes[i] = (uint8_t)(1 + (value >= 0.5f) - (value <= -0.5f));
  }
  return d;
}

static void QC_NAME(encode_q1_0)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  (void)importance;
  qc_q1_0 *block = destination;
  qc_row x[128], d;
  for (int64_t left = rows * columns / 128; left > 0;) {
    int count = left < QC_LANES ? (int)left : QC_LANES;
    // The mean magnitude is summed in the order of the weights: one block per lane.
    qc_transpose(source, count, 128, x);
    d.all = qc_broadcast(0);
    for (int i = 0; i < 128; ++i) d.all += qc_lanes_abs(x[i].all);
    d.all /= 128.0f;
    for (int b = 0; b < count; ++b, source += 128, ++block) {
      qc_store_half(block->d, d.lane[b]);
      for (int i = 0; i < 16; ++i) {
        uint32_t bits = 0;
        for (int j = 0; j < 8; ++j) bits |= (uint32_t)(source[8 * i + j] >= 0) << j;
        block->codes[i] = (uint8_t)bits;
      }
    }
    left -= count;
  }
}

static void QC_NAME(encode_q2_0)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  (void)importance;
  qc_q2_0 *block = destination;
  for (int64_t left = rows * columns; left > 0; left -= 64, source += 64, ++block) {
    uint8_t codes[64];
    float d = qc_round_ternary(source, 64, codes);
    int usable;
    qc_reciprocal(d, &usable);
    // With an infinite reciprocal, x86 converts the products to the lowest code.
    if (!usable) memset(codes, 0, sizeof codes);
    qc_store_half(block->d, d);
    for (int i = 0; i < 16; ++i) {
      block->codes[i] = (uint8_t)(codes[4 * i] | codes[4 * i + 1] << 2 | codes[4 * i + 2] << 4 | codes[4 * i + 3] << 6);
    }
  }
}

// Packs five ternary digits per byte, the first being the most significant one, as 256 / 243 of their number rounded up.
// If there are fewer digits, the last ones are missing. Digits of one byte are `count` codes apart.
static inline const uint8_t *qc_pack_ternary(const uint8_t *codes, int count, int digits, uint8_t *bytes) {
  for (int i = 0; i < count; ++i) {
    uint32_t number = 0;
    for (int n = 0; n < 5; ++n) number = 3 * number + (n < digits ? codes[i + n * count] : 0);
    bytes[i] = (uint8_t)((number * 256 + 242) / 243);
  }
  return codes + digits * count;
}

static void QC_NAME(encode_tq1_0)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  (void)importance;
  qc_tq1_0 *block = destination;
  for (int64_t left = rows * columns; left > 0; left -= QC_SUPER_LENGTH, source += QC_SUPER_LENGTH, ++block) {
    uint8_t codes[QC_SUPER_LENGTH];
    qc_store_half(block->d, qc_round_ternary(source, QC_SUPER_LENGTH, codes));
    const uint8_t *rest = qc_pack_ternary(codes, 32, 5, block->digits);
    rest = qc_pack_ternary(rest, 16, 5, block->digits + 32);
    qc_pack_ternary(rest, 4, 4, block->rest);
  }
}

static void QC_NAME(encode_tq2_0)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  (void)importance;
  qc_tq2_0 *block = destination;
  for (int64_t left = rows * columns; left > 0; left -= QC_SUPER_LENGTH, source += QC_SUPER_LENGTH, ++block) {
    uint8_t codes[QC_SUPER_LENGTH];
    qc_store_half(block->d, qc_round_ternary(source, QC_SUPER_LENGTH, codes));
    qc_pack_pairs(codes, block->codes);
  }
}
