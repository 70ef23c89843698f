// Encoders of the layouts with 32 weights and one scale. Without importance, codes are computed with the scale before it is
// rounded to 16 bits; with importance, they come from the weighted search.

typedef uint8_t qc_sixteen_bytes __attribute__((ext_vector_type(16)));

static inline void qc_pack_nibbles(const uint8_t *codes, uint8_t *low) {
  qc_sixteen_bytes first, second;
  memcpy(&first, codes, 16);
  memcpy(&second, codes + 16, 16);
  first = (first & 15) | second << 4;
  memcpy(low, &first, 16);
}

static inline void qc_pack_fifth_bits(const uint8_t *codes, uint8_t *high) {
  // Multiplication by a factor with one bit per byte gathers the lowest bits of eight bytes in the top one.
  for (int i = 0; i < 4; ++i) {
    uint64_t eight = 0;
    for (int j = 0; j < 8; ++j) eight |= (uint64_t)codes[8 * i + j] << 8 * j;
    high[i] = (uint8_t)((eight >> 4 & 0x0101010101010101) * 0x0102040810204080 >> 56);
  }
}

// 1 / d for codes, or 0 if d is zero. If the reciprocal or d itself is infinite, the products are infinite or NaN, and
// x86 converts them to code 0: then `*usable` is 0.
static inline float qc_reciprocal(float d, int *usable) {
  float inverse = d != 0 ? 1.0f / d : 0.0f;
  uint32_t infinite = 0x7f800000;
  *usable = (qc_float_bits(inverse) & infinite) != infinite && (qc_float_bits(d) & infinite) != infinite;
  return inverse;
}

// The same for one block in each lane.
static inline qc_lanes qc_reciprocals(qc_lanes d, qc_mask *usable) {
  union { qc_lanes f; qc_mask i; } inverse = {d != qc_broadcast(0) ? 1.0f / d : qc_broadcast(0)}, bits = {d};
  *usable = ((inverse.i & 0x7f800000) != 0x7f800000) & ((bits.i & 0x7f800000) != 0x7f800000);
  return inverse.f;
}

static inline void qc_encode_q8_0_block(const float *x, qc_q8_0 *block) {
  uint32_t magnitude = 0;
  for (int i = 0; i < 32; ++i) {
    uint32_t a = qc_float_bits(x[i]) & 0x7fffffff;
    magnitude = a > magnitude ? a : magnitude;
  }
  float d = qc_float_from_bits(magnitude) / 127;
  int usable;
  float inverse = qc_reciprocal(d, &usable);
  qc_store_half(block->d, d);
  for (int i = 0; i < 32; ++i) {
    float value = x[i] * inverse;
    // Ties round away from zero. The largest float below 0.5 keeps 0.49999997 from becoming 1.
    float half = qc_float_from_bits(0x3effffff | (qc_float_bits(value) & 0x80000000));
    block->codes[i] = (int8_t)(usable ? (int32_t)(value + half) : 0);
  }
}

// Encodes QC_LANES blocks at once, or none: returns 0 if a reciprocal is not usable.
static inline int qc_encode_q8_0_blocks(const float *x, qc_q8_0 *block) {
  qc_mask magnitudes[QC_LANES], usable;
  for (int b = 0; b < QC_LANES; ++b) {
    qc_mask largest = 0;
    for (int i = 0; i < 32; i += QC_LANES) {
      union { qc_lanes f; qc_mask i; } bits = {qc_load_lanes(x + 32 * b + i)};
      bits.i &= 0x7fffffff;
      largest = qc_larger(bits.i, largest);
    }
    magnitudes[b] = largest;
  }
  union { qc_mask i; qc_lanes f; } magnitude = {qc_fold_larger_bits(magnitudes)};
  qc_lanes d = magnitude.f / 127, inverse = qc_reciprocals(d, &usable);
  if (!__builtin_reduce_and(usable)) return 0;
  qc_halves halves = qc_lanes_half(d);
  qc_row inverses = {inverse};
  for (int b = 0; b < QC_LANES; ++b) {
    qc_store_half_bits(block[b].d, halves[b]);
    for (int i = 0; i < 32; i += QC_LANES) {
      union { qc_lanes f; qc_mask i; } value = {qc_load_lanes(x + 32 * b + i) * inverses.lane[b]}, half;
      half.i = 0x3effffff | (value.i & (qc_mask)0x80000000);
      qc_bytes codes = __builtin_convertvector(__builtin_convertvector(value.f + half.f, qc_mask), qc_bytes);
      memcpy(block[b].codes + i, &codes, sizeof codes);
    }
  }
  return 1;
}

static void QC_NAME(encode_q8_0)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  (void)importance;
  qc_q8_0 *block = destination;
  for (int64_t left = rows * columns / 32; left > 0;) {
    int count = left < QC_LANES ? (int)left : QC_LANES;
    if (count < QC_LANES || !qc_encode_q8_0_blocks(source, block)) {
      for (int b = 0; b < count; ++b) qc_encode_q8_0_block(source + 32 * b, block + b);
    }
    source += 32 * count;
    block += count;
    left -= count;
  }
}

// Truncates codes that are at least 0, and stores them as bytes.
static inline void qc_store_codes(qc_lanes value, float top, uint8_t *codes) {
  qc_lanes tops = qc_broadcast(top);
  qc_bytes bytes = __builtin_convertvector(__builtin_convertvector(qc_smaller(value, tops), qc_mask), qc_bytes);
  memcpy(codes, &bytes, sizeof bytes);
}

// The value of largest magnitude; the first one of two with opposite signs.
static inline float qc_signed_maximum(const float *x) {
  float low, high;
  qc_extremes(x, 0, &low, &high);
  if (high != -low) return high > -low ? high : low;
  for (int i = 0; i < 32; ++i) {
    if (x[i] == high) return high;
    if (x[i] == low) return low;
  }
  return 0;
}

// Codes 0...2 * half - 1 for x = d * (code - half), where the largest magnitude gets code 0. Returns d.
static inline float qc_round_symmetric(const float *x, float half, uint8_t *codes) {
  float d = qc_signed_maximum(x) / -half;
  int usable;
  float inverse = qc_reciprocal(d, &usable);
  if (!usable) {
    memset(codes, 0, 32);
    return d;
  }
  float top = 2 * half - 1;
  for (int i = 0; i < 32; i += QC_LANES) qc_store_codes(qc_load_lanes(x + i) * inverse + (half + 0.5f), top, codes + i);
  return d;
}

// Codes 0...top for x = d * code + minimum. Returns d.
static inline float qc_round_range(const float *x, float top, uint8_t *codes, float *minimum) {
  float low, high;
  qc_extremes(x, x[0], &low, &high);
  // The sign of a zero is stored: it is that of the first zero, which is also the largest value if all are zeros.
  for (int i = 0; low == 0 && i < 32; ++i) {
    if (x[i] != 0) continue;
    low = x[i];
    high = high == 0 ? low : high;
    break;
  }
  *minimum = low;
  float d = (high - low) / top;
  int usable;
  float inverse = qc_reciprocal(d, &usable);
  if (!usable) {
    memset(codes, 0, 32);
    return d;
  }
  for (int i = 0; i < 32; i += QC_LANES) qc_store_codes((qc_load_lanes(x + i) - low) * inverse + 0.5f, top, codes + i);
  return d;
}

// Encodes blocks of one kind. The layout is fixed by `bits` and `has_minimum`, constants after inlining.
static inline __attribute__((always_inline)) void qc_write_simple(
    uint8_t *block, int bits, int has_minimum, uint16_t d, uint16_t m, const uint8_t *codes
) {
  qc_store_half_bits(block, d);
  block += 2;
  if (has_minimum) {
    qc_store_half_bits(block, m);
    block += 2;
  }
  if (bits == 5) {
    qc_pack_fifth_bits(codes, block);
    block += 4;
  }
  qc_pack_nibbles(codes, block);
}

static inline __attribute__((always_inline)) void qc_encode_simple_block(
    const float *x, uint8_t *block, int bits, int has_minimum
) {
  uint8_t codes[32];
  float top = bits == 4 ? 15 : 31, minimum = 0;
  float d = has_minimum ? qc_round_range(x, top, codes, &minimum) : qc_round_symmetric(x, (top + 1) / 2, codes);
  qc_write_simple(block, bits, has_minimum, qc_half_bits(d), qc_half_bits(minimum), codes);
}

// Encodes QC_LANES blocks at once, or none: returns 0 if one needs a closer look.
static inline __attribute__((always_inline)) int qc_encode_simple_blocks(
    const float *x, uint8_t *block, int bits, int has_minimum, int64_t stride
) {
  float top = bits == 4 ? 15 : 31, half = (top + 1) / 2;
  qc_lanes lows[QC_LANES], highs[QC_LANES];
  for (int b = 0; b < QC_LANES; ++b) {
    lows[b] = highs[b] = qc_broadcast(has_minimum ? x[32 * b] : 0);
    for (int i = 0; i < 32; i += QC_LANES) {
      qc_lanes value = qc_load_lanes(x + 32 * b + i);
      lows[b] = qc_smaller(value, lows[b]);
      highs[b] = qc_larger(value, highs[b]);
    }
  }
  qc_lanes low = qc_fold_smaller(lows), high = qc_fold_larger(highs);
  qc_lanes d = has_minimum ? (high - low) / top : (high > -low ? high : low) / -half;
  // Which of two extremes came first, or which sign a zero has, cannot be seen here.
  qc_mask usable, clear = has_minimum ? low != 0 : high != -low;
  qc_row inverses = {qc_reciprocals(d, &usable)}, minima = {low};
  if (!__builtin_reduce_and(usable & clear)) return 0;
  qc_halves halves = qc_lanes_half(d), minimum_halves = qc_lanes_half(low);
  for (int b = 0; b < QC_LANES; ++b, block += stride) {
    uint8_t codes[32];
    for (int i = 0; i < 32; i += QC_LANES) {
      qc_lanes value = qc_load_lanes(x + 32 * b + i);
      value = has_minimum ? (value - minima.lane[b]) * inverses.lane[b] + 0.5f : value * inverses.lane[b] + (half + 0.5f);
      qc_store_codes(value, top, codes + i);
    }
    qc_write_simple(block, bits, has_minimum, halves[b], minimum_halves[b], codes);
  }
  return 1;
}

// Rows with importance: the weight of x is importance * sqrt(mean square of the row + x^2).
static inline void qc_encode_simple_weighted(
    const float *source, int64_t columns, const float *importance, uint8_t *destination, int bits, int has_minimum,
    int64_t stride
) {
  qc_row x[QC_CHAINS * 32], w[QC_CHAINS * 32];
  qc_fits fits;
  float top = bits == 4 ? 15 : 31, half = bits == 4 ? 8 : 16;
  float sum = 0;
  for (int64_t i = 0; i < columns; ++i) sum += source[i] * source[i];
  float mean_square = sum / (float)columns;
  for (int64_t left = columns / 32; left > 0;) {
    int count = left < QC_AT_ONCE ? (int)left : QC_AT_ONCE;
    qc_transpose_chains(source, count, 32, x);
    qc_transpose_chains(importance, count, 32, w);
    for (int i = 0; i < QC_CHAINS * 32; ++i) w[i].all *= qc_lanes_sqrt(mean_square + x[i].all * x[i].all);
    if (has_minimum) {
      qc_search_range(x, w, 32, top, qc_steps_weighted, QC_SQUARED, &fits, 0);
    } else {
      for (int c = 0; c < QC_CHAINS; ++c) qc_search_symmetric(x + 32 * c, w + 32 * c, 32, half, &fits, QC_LANES * c);
    }
    for (int b = 0; b < count; ++b, source += 32, destination += stride) {
      uint8_t codes[32];
      for (int i = 0; i < 32; ++i) {
        codes[i] = (uint8_t)(has_minimum ? qc_range_code(&fits, b, source[i], (int32_t)top)
                                         : qc_symmetric_code(&fits, b, source[i], (int32_t)half));
      }
      uint16_t d = qc_half_bits(fits.scale[b]), m = has_minimum ? qc_half_bits(fits.minimum[b]) : 0;
      qc_write_simple(destination, bits, has_minimum, d, m, codes);
    }
    importance += 32 * count;
    left -= count;
  }
}

static inline __attribute__((always_inline)) void qc_encode_simple(
    const float *source, int64_t rows, int64_t columns, const float *importance, uint8_t *destination, int bits,
    int has_minimum, int64_t stride
) {
  if (importance) {
    for (int64_t row = 0; row < rows; ++row) {
      qc_encode_simple_weighted(source, columns, importance, destination, bits, has_minimum, stride);
      source += columns;
      destination += columns / 32 * stride;
    }
    return;
  }
  for (int64_t left = rows * columns / 32; left > 0;) {
    int count = left < QC_LANES ? (int)left : QC_LANES;
    if (count < QC_LANES || !qc_encode_simple_blocks(source, destination, bits, has_minimum, stride)) {
      for (int b = 0; b < count; ++b) qc_encode_simple_block(source + 32 * b, destination + b * stride, bits, has_minimum);
    }
    source += 32 * count;
    destination += count * stride;
    left -= count;
  }
}

// The differences between the types of 4 and 5 bits.
typedef struct {
  int bits;
  int has_minimum;
} qc_simple_codes;

#define QC_SIMPLE_ENCODER(type, ...)                                                                                \
  static void QC_NAME(encode_##type)(                                                                               \
      const float *source, int64_t rows, int64_t columns, const float *importance, void *destination                \
  ) {                                                                                                               \
    const qc_simple_codes codes = {__VA_ARGS__};                                                                    \
    qc_encode_simple(source, rows, columns, importance, destination, codes.bits, codes.has_minimum, sizeof(qc_##type)); \
  }

QC_SIMPLE_ENCODER(q4_0, .bits = 4, .has_minimum = 0)
QC_SIMPLE_ENCODER(q4_1, .bits = 4, .has_minimum = 1)
QC_SIMPLE_ENCODER(q5_0, .bits = 5, .has_minimum = 0)
QC_SIMPLE_ENCODER(q5_1, .bits = 5, .has_minimum = 1)
