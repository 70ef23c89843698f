// Decoders: the products and sums of llama.cpp's readers, in their order.

static void QC_NAME(decode_q8_0)(const void *source, int64_t weights, float *destination) {
  const qc_q8_0 *block = source;
  for (; weights > 0; weights -= 32, destination += 32, ++block) {
    float d = qc_load_half(block->d);
    for (int i = 0; i < 32; ++i) destination[i] = (float)block->codes[i] * d;
  }
}

// Bytes widened to lanes of integers.
static inline qc_mask qc_load_bytes(const uint8_t *source) {
  qc_bytes bytes;
  memcpy(&bytes, source, sizeof bytes);
  return __builtin_convertvector(bytes, qc_mask);
}

static inline void qc_store_lanes(float *destination, qc_lanes value) { memcpy(destination, &value, sizeof value); }

static const int32_t QC_NAME(qc_bit)[16] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768,
};

// Explicit lanes: left to itself, the compiler spreads bytes and bits one by one.
static inline void qc_decode_simple(
    const uint8_t *block, int64_t weights, float *destination, int bits, int has_minimum, int64_t stride
) {
  qc_mask bit;
  memcpy(&bit, QC_NAME(qc_bit), sizeof bit);
  for (; weights > 0; weights -= 32, destination += 32, block += stride) {
    const uint8_t *low = block + (has_minimum ? 4 : 2);
    float d = qc_load_half(block), m = has_minimum ? qc_load_half(block + 2) : 0;
    uint32_t high = 0;
    if (bits == 5) {
      high = low[0] | (uint32_t)low[1] << 8 | (uint32_t)low[2] << 16 | (uint32_t)low[3] << 24;
      low += 4;
    }
    int32_t half = has_minimum ? 0 : bits == 5 ? 16 : 8;
    for (int i = 0; i < 32; i += QC_LANES) {
      qc_mask bytes = qc_load_bytes(low + i % 16), code = i < 16 ? bytes & 15 : bytes >> 4;
      if (bits == 5) code |= (((qc_mask)(int32_t)(high >> i) & bit) != 0) & 16;
      qc_lanes value = __builtin_convertvector(code - half, qc_lanes) * d;
      qc_store_lanes(destination + i, has_minimum ? value + m : value);
    }
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

// Both layouts with minima; `high` is NULL for four bits. Two sub-blocks share 32 bytes of low bits.
static inline void qc_decode_range(const uint8_t *head, const uint8_t *high, const uint8_t *low, float *destination) {
  uint8_t scales[8], minima[8];
  float d = qc_load_half(head), dmin = qc_load_half(head + 2);
  qc_unpack_scales(head + 4, scales, minima);
  for (int j = 0; j < 8; j += 2, low += 32, destination += 64) {
    qc_lanes scale0 = qc_broadcast(d * (float)scales[j]), minimum0 = qc_broadcast(dmin * (float)minima[j]);
    qc_lanes scale1 = qc_broadcast(d * (float)scales[j + 1]), minimum1 = qc_broadcast(dmin * (float)minima[j + 1]);
    for (int i = 0; i < 32; i += QC_LANES) {
      qc_mask bytes = qc_load_bytes(low + i), code0 = bytes & 15, code1 = bytes >> 4;
      if (high) {
        qc_mask top = qc_load_bytes(high + i) >> j;
        code0 |= (top & 1) << 4;
        code1 |= (top & 2) << 3;
      }
      qc_store_lanes(destination + i, scale0 * __builtin_convertvector(code0, qc_lanes) - minimum0);
      qc_store_lanes(destination + i + 32, scale1 * __builtin_convertvector(code1, qc_lanes) - minimum1);
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
      for (int i = 0; i < 16; i += QC_LANES) {
        qc_mask code = (qc_load_bytes(low + i) >> low_shift & 15) | (qc_load_bytes(high + i) >> high_shift & 3) << 4;
        qc_store_lanes(destination + 16 * s + i, scale * __builtin_convertvector(code - 32, qc_lanes));
      }
    }
  }
}
