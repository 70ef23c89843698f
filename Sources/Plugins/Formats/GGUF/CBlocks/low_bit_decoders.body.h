// Decoders of layouts with two or three values per weight (four for q2_0).

static void QC_NAME(decode_q1_0)(const void *source, int64_t weights, float *destination) {
  const qc_q1_0 *block = source;
  for (; weights > 0; weights -= 128, destination += 128, ++block) {
    float d = qc_load_half(block->d);
    for (int i = 0; i < 128; ++i) destination[i] = block->codes[i / 8] >> i % 8 & 1 ? d : -d;
  }
}

static void QC_NAME(decode_q2_0)(const void *source, int64_t weights, float *destination) {
  const qc_q2_0 *block = source;
  for (; weights > 0; weights -= 64, destination += 64, ++block) {
    float d = qc_load_half(block->d);
    for (int i = 0; i < 64; ++i) destination[i] = (float)((block->codes[i / 4] >> i % 4 * 2 & 3) - 1) * d;
  }
}

// Ternary digits of `count` bytes: all first digits, all second digits and so on. Multiplication by a power of three moves a
// digit to the front of the byte, and multiplying the rest by three carries it out.
static inline float *qc_decode_ternary(const uint8_t *bytes, int count, int digits, float d, float *destination) {
  uint8_t power = 1;
  for (int n = 0; n < digits; ++n, power = (uint8_t)(power * 3)) {
    for (int i = 0; i < count; ++i) {
      uint8_t front = (uint8_t)(bytes[i] * power);
      *destination++ = (float)((front * 3 >> 8) - 1) * d;
    }
  }
  return destination;
}

static void QC_NAME(decode_tq1_0)(const void *source, int64_t weights, float *destination) {
  const qc_tq1_0 *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    destination = qc_decode_ternary(block->digits, 32, 5, d, destination);
    destination = qc_decode_ternary(block->digits + 32, 16, 5, d, destination);
    destination = qc_decode_ternary(block->rest, 4, 4, d, destination);
  }
}

static void QC_NAME(decode_tq2_0)(const void *source, int64_t weights, float *destination) {
  const qc_tq2_0 *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, destination += QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int i = 0; i < QC_SUPER_LENGTH; ++i) {
      int code = block->codes[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
      destination[i] = (float)(code - 1) * d;
    }
  }
}
