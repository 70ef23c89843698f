// Decoders of super-blocks whose sub-blocks have quantized scales.

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

// Layouts of 16 sub-blocks of 16 with their two low bits in one quarter of 32 bytes: where those of sub-block `s` begin,
// and by how much to shift them.
static inline const uint8_t *qc_low_pairs(const uint8_t *low, int s) { return low + s / 8 * 32 + s % 2 * 16; }
static inline int qc_pair_shift(int s) { return s % 8 / 2 * 2; }

static void QC_NAME(decode_q2_k)(const void *source, int64_t weights, float *destination) {
  const qc_q2_k *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, destination += QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d), dmin = qc_load_half(block->dmin);
    for (int s = 0; s < 16; ++s) {
      qc_lanes scale = qc_broadcast(d * (float)(block->scales[s] & 15)), minimum = qc_broadcast(dmin * (float)(block->scales[s] >> 4));
      const uint8_t *low = qc_low_pairs(block->low, s);
      for (int i = 0; i < 16; i += QC_LANES) {
        qc_mask code = qc_load_bytes(low + i) >> qc_pair_shift(s) & 3;
        qc_store_lanes(destination + 16 * s + i, scale * __builtin_convertvector(code, qc_lanes) - minimum);
      }
    }
  }
}

// The 6-bit scale of sub-block `s`: nibbles in eight bytes, then two high bits each in four bytes.
static inline int qc_q3_k_scale(const uint8_t *scales, int s) {
  int low = s < 8 ? scales[s] & 15 : scales[s - 8] >> 4;
  return low | (scales[8 + s % 4] >> s / 4 * 2 & 3) << 4;
}

static void QC_NAME(decode_q3_k)(const void *source, int64_t weights, float *destination) {
  const qc_q3_k *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, destination += QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int s = 0; s < 16; ++s) {
      float scale = d * (float)(qc_q3_k_scale(block->scales, s) - 32);
      const uint8_t *low = qc_low_pairs(block->low, s), *high = block->high + s % 2 * 16;
      for (int i = 0; i < 16; i += QC_LANES) {
        qc_mask code = (qc_load_bytes(low + i) >> qc_pair_shift(s) & 3) | (qc_load_bytes(high + i) >> s / 2 & 1) << 2;
        qc_store_lanes(destination + 16 * s + i, scale * __builtin_convertvector(code - 4, qc_lanes));
      }
    }
  }
}
