// Encoders of the super-blocks of 256 weights, whose sub-block scales are themselves quantized.

// Scales and minima of 6 bits: the first four of each fill the low six bits of a byte; the last four are split into
// nibbles and the top two bits of those bytes.
static inline void qc_pack_scales(const uint8_t *scales, const uint8_t *minima, uint8_t *packed) {
  for (int j = 0; j < 4; ++j) {
    packed[j] = (uint8_t)(scales[j] | scales[j + 4] >> 4 << 6);
    packed[j + 4] = (uint8_t)(minima[j] | minima[j + 4] >> 4 << 6);
    packed[j + 8] = (uint8_t)((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
  }
}

// Scales without importance: the largest gets 63.
static inline float qc_round_scales(const float x[8], uint8_t codes[8]) {
  float maximum = 0;
  for (int j = 0; j < 8; ++j) maximum = x[j] > maximum ? x[j] : maximum;
  float inverse = maximum > 0 ? 63.0f / maximum : 0.0f;
  for (int j = 0; j < 8; ++j) {
    uint8_t code = (uint8_t)qc_nearest(inverse * x[j]);
    codes[j] = code < 63 ? code : 63;
  }
  return maximum / 63.0f;
}

// Codes of a super-block with minima, from the fits of its sub-blocks (at index `at` onwards).
static inline void qc_finish_range(
    const float *x, const qc_fits *fits, int at, int weighted, int32_t top, uint8_t *d_and_scales, uint8_t *codes
) {
  float minima[8];
  uint8_t scale_codes[8], minimum_codes[8];
  for (int j = 0; j < 8; ++j) minima[j] = -fits->minimum[at + j];
  float d, dmin;
  if (weighted) {
    d = qc_search_positive(fits->scale + at, fits->weight_sum + at, 8, 63, scale_codes);
    dmin = qc_search_positive(minima, fits->weight_sum + at, 8, 63, minimum_codes);
  } else {
    d = qc_round_scales(fits->scale + at, scale_codes);
    dmin = qc_round_scales(minima, minimum_codes);
  }
  qc_store_half(d_and_scales, d);
  qc_store_half(d_and_scales + 2, dmin);
  qc_pack_scales(scale_codes, minimum_codes, d_and_scales + 4);
  d = qc_load_half(d_and_scales);
  dmin = qc_load_half(d_and_scales + 2);
  for (int j = 0; j < 8; ++j, x += 32, codes += 32) {
    float scale = d * (float)scale_codes[j], minimum = dmin * (float)minimum_codes[j];
    if (scale == 0) {
      // The scale is zero: the codes of the search are kept.
      for (int i = 0; i < 32; ++i) codes[i] = (uint8_t)qc_range_code(fits, at + j, x[i], top);
      continue;
    }
    for (int i = 0; i < 32; ++i) codes[i] = (uint8_t)qc_clamp(qc_nearest((x[i] + minimum) / scale), 0, top);
  }
}

// Weights of errors for the 32-weight sub-blocks in `x`, which begin with sub-block `first` of `count`.
static inline void qc_range_weights(
    const float *source, const float *importance, int first, int count, const qc_row *x, qc_row *w
) {
  if (!importance) {
    qc_lanes sum = qc_broadcast(0);
    for (int i = 0; i < 32; ++i) sum += x[i].all * x[i].all;
    qc_lanes root = qc_lanes_sqrt(sum / 32.0f);
    for (int i = 0; i < 32; ++i) w[i].all = root + qc_lanes_abs(x[i].all);
    return;
  }
  // Twice the mean square of the super-block to which each lane's sub-block belongs.
  qc_row spread;
  if (first >= count) first = 0;
  for (int lane = 0; lane < QC_LANES; lane += 8) {
    const float *block = source + (first + lane < count ? first + lane : 0) / 8 * QC_SUPER_LENGTH;
    float sum = 0;
    for (int i = 0; i < QC_SUPER_LENGTH; ++i) sum += block[i] * block[i];
    for (int j = lane; j < lane + 8 && j < QC_LANES; ++j) spread.lane[j] = 2 * sum / QC_SUPER_LENGTH;
  }
  qc_transpose(importance + 32 * first, count - first, 32, w);
  for (int i = 0; i < 32; ++i) w[i].all *= qc_lanes_sqrt(spread.all + x[i].all * x[i].all);
}

// Encodes a run of blocks that is contiguous in `source` and in `importance`.
static inline void qc_encode_range(
    const float *source, int64_t blocks, const float *importance, uint8_t *destination, int bits, qc_search_steps steps
) {
  enum { AT_ONCE = QC_AT_ONCE / 8 };
  qc_row x[QC_CHAINS * 32], w[QC_CHAINS * 32];
  qc_fits fits;
  int32_t top = bits == 4 ? 15 : 31;
  int64_t stride = bits == 4 ? sizeof(qc_q4_k) : sizeof(qc_q5_k);
  while (blocks > 0) {
    int supers = blocks < AT_ONCE ? (int)blocks : AT_ONCE;
    qc_transpose_chains(source, 8 * supers, 32, x);
    for (int c = 0; c < QC_CHAINS; ++c) qc_range_weights(source, importance, c * QC_LANES, 8 * supers, x + 32 * c, w + 32 * c);
    qc_search_range(x, w, 32, (float)top, steps, QC_SQUARED, &fits, 0);
    for (int s = 0; s < supers; ++s, source += QC_SUPER_LENGTH, destination += stride) {
      uint8_t codes[QC_SUPER_LENGTH];
      qc_finish_range(source, &fits, 8 * s, importance != 0, top, destination, codes);
      uint8_t *low = destination + 16;
      if (bits == 5) {
        for (int i = 0; i < 32; ++i) {
          uint8_t high = 0;
          for (int j = 0; j < 8; ++j) high |= (uint8_t)((codes[32 * j + i] >> 4) << j);
          low[i] = high;
        }
        low += 32;
      }
      for (int j = 0; j < 4; ++j) {
        for (int i = 0; i < 32; ++i) low[32 * j + i] = (uint8_t)((codes[64 * j + i] & 15) | codes[64 * j + 32 + i] << 4);
      }
    }
    if (importance) importance += supers * QC_SUPER_LENGTH;
    blocks -= supers;
  }
}

static inline void qc_encode_range_rows(
    const float *source, int64_t rows, int64_t columns, const float *importance, uint8_t *destination, int bits,
    qc_search_steps steps
) {
  int64_t stride = bits == 4 ? sizeof(qc_q4_k) : sizeof(qc_q5_k);
  if (!importance) {
    qc_encode_range(source, rows * columns / QC_SUPER_LENGTH, 0, destination, bits, steps);
    return;
  }
  int64_t blocks = columns / QC_SUPER_LENGTH;
  for (int64_t row = 0; row < rows; ++row) {
    qc_encode_range(source + row * columns, blocks, importance, destination + row * blocks * stride, bits, qc_steps_weighted);
  }
}

static void QC_NAME(encode_q4_k)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  qc_encode_range_rows(source, rows, columns, importance, destination, 4, qc_steps_q4_k);
}

static void QC_NAME(encode_q5_k)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  qc_encode_range_rows(source, rows, columns, importance, destination, 5, qc_steps_short);
}

// Scales, codes and bytes of one q6_k super-block, from the fits of its sub-blocks.
static inline void qc_finish_q6_k(const float *source, const qc_fits *fits, qc_q6_k *block) {
  float maximum = 0, magnitude = 0;
  for (int s = 0; s < 16; ++s) {
    float a = qc_float_from_bits(qc_float_bits(fits->scale[s]) & 0x7fffffff);
    if (a > magnitude) {
      magnitude = a;
      maximum = fits->scale[s];
    }
  }
  if (magnitude < 1e-15f) {
    memset(block, 0, sizeof *block);
    return;
  }
  float code_scale = -128.0f / maximum;
  qc_store_half(block->d, 1 / code_scale);
  uint8_t codes[QC_SUPER_LENGTH];
  float d = qc_load_half(block->d);
  for (int s = 0; s < 16; ++s) {
    int32_t code = qc_nearest(code_scale * fits->scale[s]);
    block->scales[s] = (int8_t)(code < 127 ? code : 127);
    float scale = d * (float)block->scales[s];
    const float *x = source + 16 * s;
    if (scale == 0) {
      for (int i = 0; i < 16; ++i) codes[16 * s + i] = (uint8_t)qc_symmetric_code(fits, s, x[i], 32);
    } else {
      for (int i = 0; i < 16; ++i) codes[16 * s + i] = (uint8_t)(32 + qc_clamp(qc_nearest(x[i] / scale), -32, 31));
    }
  }
  // Each half of the block: low nibbles of quarters 0 and 2, of 1 and 3, and two high bits of all quarters.
  for (int h = 0; h < 2; ++h) {
    const uint8_t *q = codes + 128 * h;
    for (int i = 0; i < 64; ++i) block->low[64 * h + i] = (uint8_t)((q[i] & 15) | q[i + 64] << 4);
    for (int i = 0; i < 32; ++i) {
      block->high[32 * h + i] = (uint8_t)(q[i] >> 4 | q[i + 32] >> 4 << 2 | q[i + 64] >> 4 << 4 | q[i + 96] >> 4 << 6);
    }
  }
}

static void QC_NAME(encode_q6_k)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  qc_row x[16], w[16];
  qc_fits fits;
  qc_q6_k *block = destination;
  int64_t column = 0;
  for (int64_t left = rows * columns; left > 0; left -= QC_SUPER_LENGTH, source += QC_SUPER_LENGTH, ++block) {
    for (int first = 0; first < 16; first += QC_LANES) {
      qc_transpose(source + 16 * first, QC_LANES, 16, x);
      if (importance) {
        qc_transpose(importance + column + 16 * first, QC_LANES, 16, w);
      } else {
        for (int i = 0; i < 16; ++i) w[i].all = x[i].all * x[i].all;
      }
      qc_search_symmetric(x, w, 16, 32, &fits, first);
    }
    qc_finish_q6_k(source, &fits, block);
    column += QC_SUPER_LENGTH;
    if (column == columns) column = 0;
  }
}
