// Decoders of layouts whose nibbles index a table.

// Nibbles of `half` bytes: the low ones first.
static inline void qc_decode_nibbles(const uint8_t *codes, int half, float scale, const int8_t *table, float *destination) {
  for (int i = 0; i < half; ++i) {
    destination[i] = scale * (float)table[codes[i] & 15];
    destination[i + half] = scale * (float)table[codes[i] >> 4];
  }
}

static void QC_NAME(decode_iq4_nl)(const void *source, int64_t weights, float *destination) {
  const qc_iq4_nl *block = source;
  for (; weights > 0; weights -= 32, destination += 32, ++block) {
    qc_decode_nibbles(block->codes, 16, qc_load_half(block->d), qc_uneven_levels, destination);
  }
}

static void QC_NAME(decode_iq4_xs)(const void *source, int64_t weights, float *destination) {
  const qc_iq4_xs *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    int high = block->scales_high[0] | block->scales_high[1] << 8;
    for (int s = 0; s < 8; ++s, destination += 32) {
      int scale = (block->scales_low[s / 2] >> s % 2 * 4 & 15) | (high >> 2 * s & 3) << 4;
      qc_decode_nibbles(block->codes + 16 * s, 16, d * (float)(scale - 32), qc_uneven_levels, destination);
    }
  }
}

// 2^(e - 128): half the value of an E8M0 code, because the table is doubled. The two smallest are subnormal floats, and no code
// means NaN.
static inline float qc_half_e8m0(uint8_t e) {
  return qc_float_from_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

static void QC_NAME(decode_mxfp4)(const void *source, int64_t weights, float *destination) {
  const qc_mxfp4 *block = source;
  for (; weights > 0; weights -= 32, destination += 32, ++block) {
    qc_decode_nibbles(block->codes, 16, qc_half_e8m0(block->e), qc_doubled_e2m1, destination);
  }
}

// Half the value of a scale's E4M3 code. The sign is ignored, and 0x7f, which is NaN in E4M3, is zero.
static inline float qc_half_e4m3(uint8_t code) {
  if (code == 0x7f) return 0;
  uint32_t exponent = code >> 3 & 15, mantissa = code & 7;
  float value = exponent == 0 ? (float)mantissa * 0x1p-9f : qc_float_from_bits((exponent + 120) << 23 | mantissa << 20);
  return value * 0.5f;
}

static void QC_NAME(decode_nvfp4)(const void *source, int64_t weights, float *destination) {
  const qc_nvfp4 *block = source;
  for (; weights > 0; weights -= 64, ++block) {
    for (int s = 0; s < 4; ++s, destination += 16) {
      qc_decode_nibbles(block->codes + 8 * s, 8, qc_half_e4m3(block->d[s]), qc_doubled_e2m1, destination);
    }
  }
}
