// Decoders: the products and sums of llama.cpp's readers, in their order.

static void QC_NAME(decode_q8_0)(const void *source, int64_t weights, float *destination) {
  const qc_q8_0 *block = source;
  for (; weights > 0; weights -= 32, destination += 32, ++block) {
    float d = qc_load_half(block->d);
    for (int i = 0; i < 32; ++i) destination[i] = (float)block->codes[i] * d;
  }
}

static inline void qc_unpack_nibbles(const uint8_t *low, int32_t *codes) {
  for (int i = 0; i < 16; ++i) {
    codes[i] = low[i] & 15;
    codes[i + 16] = low[i] >> 4;
  }
}

static inline void qc_decode_simple(
    const uint8_t *block, int64_t weights, float *destination, int bits, int has_minimum, int64_t stride
) {
  for (; weights > 0; weights -= 32, destination += 32, block += stride) {
    const uint8_t *bytes = block + 2;
    int32_t codes[32];
    float d = qc_load_half(block), m = 0;
    if (has_minimum) {
      m = qc_load_half(bytes);
      bytes += 2;
    }
    qc_unpack_nibbles(bits == 5 ? bytes + 4 : bytes, codes);
    if (bits == 5) {
      uint32_t high = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
      for (int i = 0; i < 32; ++i) codes[i] |= (int32_t)(high >> i & 1) << 4;
    }
    int32_t half = bits == 5 ? 16 : 8;
    for (int i = 0; i < 32; ++i) destination[i] = has_minimum ? (float)codes[i] * d + m : (float)(codes[i] - half) * d;
  }
}

#define QC_SIMPLE_DECODER(type, bits, has_minimum)                                                \
  static void QC_NAME(decode_##type)(const void *source, int64_t weights, float *destination) {   \
    qc_decode_simple(source, weights, destination, bits, has_minimum, sizeof(qc_##type));         \
  }

QC_SIMPLE_DECODER(q4_0, 4, 0)
QC_SIMPLE_DECODER(q4_1, 4, 1)
QC_SIMPLE_DECODER(q5_0, 5, 0)
QC_SIMPLE_DECODER(q5_1, 5, 1)

static inline void qc_unpack_scales(const uint8_t *packed, uint8_t *scales, uint8_t *minima) {
  for (int j = 0; j < 4; ++j) {
    scales[j] = packed[j] & 63;
    minima[j] = packed[j + 4] & 63;
    scales[j + 4] = (uint8_t)((packed[j + 8] & 15) | packed[j] >> 6 << 4);
    minima[j + 4] = (uint8_t)(packed[j + 8] >> 4 | packed[j + 4] >> 6 << 4);
  }
}

// Both layouts with minima; `high` is NULL for four bits.
static inline void qc_decode_range(const uint8_t *head, const uint8_t *high, const uint8_t *low, float *destination) {
  uint8_t scales[8], minima[8];
  float d = qc_load_half(head), dmin = qc_load_half(head + 2);
  qc_unpack_scales(head + 4, scales, minima);
  for (int j = 0; j < 8; j += 2, low += 32, destination += 64) {
    float scale0 = d * (float)scales[j], minimum0 = dmin * (float)minima[j];
    float scale1 = d * (float)scales[j + 1], minimum1 = dmin * (float)minima[j + 1];
    for (int i = 0; i < 32; ++i) {
      int32_t code = low[i] & 15;
      if (high) code |= (high[i] >> j & 1) << 4;
      destination[i] = scale0 * (float)code - minimum0;
    }
    for (int i = 0; i < 32; ++i) {
      int32_t code = low[i] >> 4;
      if (high) code |= (high[i] >> (j + 1) & 1) << 4;
      destination[i + 32] = scale1 * (float)code - minimum1;
    }
  }
}

static void QC_NAME(decode_q4_k)(const void *source, int64_t weights, float *destination) {
  const qc_q4_k *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, destination += QC_SUPER_LENGTH, ++block) {
    qc_decode_range(block->d, 0, block->low, destination);
  }
}

static void QC_NAME(decode_q5_k)(const void *source, int64_t weights, float *destination) {
  const qc_q5_k *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, destination += QC_SUPER_LENGTH, ++block) {
    qc_decode_range(block->d, block->high, block->low, destination);
  }
}

static void QC_NAME(decode_q6_k)(const void *source, int64_t weights, float *destination) {
  const qc_q6_k *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, destination += QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int s = 0; s < 16; ++s) {
      // Sub-block s starts in quarter `quarter` of half `half`.
      int half = s / 8, quarter = s % 8 / 2, start = s % 2 * 16;
      const uint8_t *low = block->low + 64 * half + quarter % 2 * 32 + start;
      const uint8_t *high = block->high + 32 * half + start;
      int low_shift = quarter / 2 * 4, high_shift = quarter * 2;
      float scale = d * (float)block->scales[s];
      for (int i = 0; i < 16; ++i) {
        int32_t code = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
        destination[16 * s + i] = scale * (float)(code - 32);
      }
    }
  }
}
