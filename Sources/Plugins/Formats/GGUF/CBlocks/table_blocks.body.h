// Encoders of iq4_nl and iq4_xs, whose nibbles index 16 uneven levels.

enum { QC_LEVELS = 16, QC_LEVEL_TRIES = 7 };

// The midpoint of levels `k` and `k + 1`, from which on the upper one is nearer: it is exact, and so is the comparison.
static inline float qc_level_border(int k) { return 0.5f * (float)(qc_uneven_levels[k] + qc_uneven_levels[k + 1]); }

#if QC_LANES == 16
// Cells of equal width with at most one border each: a level is found with one comparison. The width keeps all borders well
// inside cells, so that rounding at the edge of a cell does no harm.
typedef struct {
  __m512 border[2], levels;
  __m512i below[2];
} qc_level_table;

#define QC_CELL_WIDTH 10.25f

static inline qc_level_table qc_make_level_table(void) {
  float border[32], levels[QC_LEVELS];
  int32_t below[32];
  for (int k = 0; k < QC_LEVELS; ++k) levels[k] = (float)qc_uneven_levels[k];
  for (int cell = 0; cell < 32; ++cell) {
    float end = QC_CELL_WIDTH * ((float)(cell - 16) + 0.5f);
    int next = 0;
    while (next < QC_LEVELS - 1 && qc_level_border(next) < end) ++next;
    // The last border before the end of the cell, inside the cell or before it.
    border[cell] = next > 0 ? qc_level_border(next - 1) : -1000.0f;
    below[cell] = next > 0 ? next - 1 : -1;
  }
  qc_level_table table;
  memcpy(&table.border, border, sizeof border);
  memcpy(&table.below, below, sizeof below);
  memcpy(&table.levels, levels, sizeof levels);
  return table;
}

// Index of the level nearest to x, which is at most 134 in magnitude; the upper one of two equally near; 15 for NaN.
static inline qc_mask qc_level_index(const qc_level_table *table, qc_lanes x) {
  // Adding 1.5 * 2^23 leaves the rounded cell in the lowest bits, which are all that the permutations use.
  qc_lanes place = x * (1 / QC_CELL_WIDTH) + (12582912.0f + 16.0f);
  __m512i cell = _mm512_castps_si512((__m512)place);
  __m512 border = _mm512_permutex2var_ps(table->border[0], cell, table->border[1]);
  __m512i below = _mm512_permutex2var_epi32(table->below[0], cell, table->below[1]);
  __mmask16 upper = _mm512_cmp_ps_mask((__m512)x, border, _CMP_NLT_UQ);
  return (qc_mask)_mm512_mask_sub_epi32(below, upper, below, _mm512_set1_epi32(-1));
}

static inline qc_lanes qc_level_value(const qc_level_table *table, qc_lanes x) {
  return (qc_lanes)_mm512_permutexvar_ps((__m512i)qc_level_index(table, x), table->levels);
}
#else
typedef struct {
  qc_lanes border[QC_LEVELS - 1], step[QC_LEVELS - 1];
} qc_level_table;

static inline qc_level_table qc_make_level_table(void) {
  qc_level_table table;
  for (int k = 0; k < QC_LEVELS - 1; ++k) {
    table.border[k] = qc_broadcast(qc_level_border(k));
    table.step[k] = qc_broadcast((float)(qc_uneven_levels[k + 1] - qc_uneven_levels[k]));
  }
  return table;
}

static inline qc_mask qc_level_index(const qc_level_table *table, qc_lanes x) {
  qc_mask index = (qc_mask)(QC_LEVELS - 1);
  for (int k = 0; k < QC_LEVELS - 1; ++k) index += x < table->border[k];
  return index;
}

static inline qc_lanes qc_level_value(const qc_level_table *table, qc_lanes x) {
  qc_lanes value = qc_broadcast((float)qc_uneven_levels[0]), zero = qc_broadcast(0);
  for (int k = 0; k < QC_LEVELS - 1; ++k) value += x < table->border[k] ? zero : table->step[k];
  return value;
}
#endif

// Least squares for x = scale * level in blocks of 32, one per lane. Returns the scales; those of zeros are 0.
static inline qc_lanes qc_search_levels(const qc_level_table *table, const qc_row *x, const qc_row *w) {
  qc_lanes zero = qc_broadcast(0), maximum = zero, magnitude = zero;
  for (int i = 0; i < 32; ++i) {
    qc_lanes a = qc_lanes_abs(x[i].all);
    qc_mask larger = a > magnitude;
    magnitude = larger ? a : magnitude;
    maximum = larger ? x[i].all : maximum;
  }
  float lowest = (float)qc_uneven_levels[0];
  qc_lanes scale = zero, best = zero;
  for (int step = -QC_LEVEL_TRIES - 1; step <= QC_LEVEL_TRIES; ++step) {
    int is_first = step < -QC_LEVEL_TRIES;
    // The first candidate is the reciprocal of a quotient, which rounds differently from that of step 0.
    qc_lanes code_scale = is_first ? 1.0f / (-maximum / lowest) : ((float)step + lowest) / maximum;
    qc_lanes sum_xl = zero, sum_ll = zero;
    for (int i = 0; i < 32; ++i) {
      qc_lanes level = qc_level_value(table, code_scale * x[i].all), weighted = w[i].all * level;
      sum_xl += weighted * x[i].all;
      sum_ll += weighted * level;
    }
    qc_lanes new_scale = sum_xl / sum_ll;
    if (is_first) {
      scale = sum_ll > zero ? new_scale : zero;
      best = scale * sum_xl;
      continue;
    }
    qc_mask better = (sum_ll > zero) & (sum_xl * sum_xl > best * sum_ll);
    scale = better ? new_scale : scale;
    best = better ? new_scale * sum_xl : best;
  }
  return magnitude < qc_broadcast(1e-15f) ? zero : scale;
}

// Packed indices of the levels nearest to `inverse * x`, for 32 weights.
static inline void qc_pack_levels(const qc_level_table *table, const float *x, float inverse, uint8_t *packed) {
  uint8_t codes[32];
  for (int i = 0; i < 32; i += QC_LANES) {
    qc_lanes value = inverse * qc_load_lanes(x + i);
    // Beyond the ends nothing changes. A NaN becomes the upper end, as in the reference.
    value = value < qc_broadcast(134) ? value : qc_broadcast(134);
    value = value > qc_broadcast(-134) ? value : qc_broadcast(-134);
    qc_bytes bytes = __builtin_convertvector(qc_level_index(table, value), qc_bytes);
    memcpy(codes + i, &bytes, sizeof bytes);
  }
  qc_pack_nibbles(codes, packed);
}

// Weights importance * sqrt(spread + x^2), where the spread is twice the mean square of `length` weights: of each block of 32, or
// of the super-block to which each lane's sub-block belongs.
static inline void qc_level_weights(
    const float *source, const float *importance, int count, int length, const qc_row *x, qc_row *w
) {
  if (!importance) {
    for (int i = 0; i < 32; ++i) w[i].all = x[i].all * x[i].all;
    return;
  }
  qc_row spread = {qc_broadcast(0)};
  if (length == 32) {
    for (int i = 0; i < 32; ++i) spread.all += x[i].all * x[i].all;
    spread.all *= 2.0f / 32;
  } else {
    for (int lane = 0; lane < QC_LANES; lane += 8) {
      float sum = 0;
      const float *block = source + (lane < count ? lane : 0) * 32;
      for (int i = 0; i < length; ++i) sum += block[i] * block[i];
      for (int j = lane; j < lane + 8 && j < QC_LANES; ++j) spread.lane[j] = sum * (2.0f / QC_SUPER_LENGTH);
    }
  }
  qc_transpose(importance, count, 32, w);
  for (int i = 0; i < 32; ++i) w[i].all *= qc_lanes_sqrt(spread.all + x[i].all * x[i].all);
}

// MARK: Layouts

// Encodes a run of blocks that is contiguous in `source` and in `importance`.
static inline void qc_encode_iq4_nl(
    const qc_level_table *table, const float *source, int64_t blocks, const float *importance, qc_iq4_nl *block
) {
  qc_row x[32], w[32], scales;
  while (blocks > 0) {
    int count = blocks < QC_LANES ? (int)blocks : QC_LANES;
    qc_transpose(source, count, 32, x);
    qc_level_weights(source, importance, count, 32, x, w);
    scales.all = qc_search_levels(table, x, w);
    for (int b = 0; b < count; ++b, source += 32, ++block) {
      float scale = scales.lane[b];
      qc_store_half(block->d, scale);
      // Codes are computed with the scale before it is rounded to 16 bits.
      qc_pack_levels(table, source, scale != 0 ? 1 / scale : 0, block->codes);
    }
    if (importance) importance += 32 * count;
    blocks -= count;
  }
}

static void QC_NAME(encode_iq4_nl)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  qc_level_table table = qc_make_level_table();
  int64_t stretches = importance ? rows : 1, length = rows * columns / stretches;
  for (int64_t n = 0; n < stretches; ++n) {
    qc_encode_iq4_nl(&table, source + n * length, length / 32, importance, (qc_iq4_nl *)destination + n * (length / 32));
  }
}

// Scales, codes and bytes of one super-block, from the scales of its sub-blocks.
static inline void qc_finish_iq4_xs(const qc_level_table *table, const float *x, const float scales[8], qc_iq4_xs *block) {
  float maximum = 0, magnitude = 0;
  for (int s = 0; s < 8; ++s) {
    float a = qc_float_from_bits(qc_float_bits(scales[s]) & 0x7fffffff);
    if (a > magnitude) {
      magnitude = a;
      maximum = scales[s];
    }
  }
  float d = -maximum / 32, inverse = d != 0 ? 1 / d : 0;
  qc_store_half(block->d, d);
  uint32_t high = 0;
  memset(block->scales_low, 0, sizeof block->scales_low);
  for (int s = 0; s < 8; ++s) {
    int32_t code = qc_clamp(qc_nearest(inverse * scales[s]), -32, 31);
    // With the scale before it is rounded to 16 bits.
    float scale = d * (float)code;
    qc_pack_levels(table, x + 32 * s, scale != 0 ? 1 / scale : 0, block->codes + 16 * s);
    code += 32;
    block->scales_low[s / 2] |= (uint8_t)((code & 15) << s % 2 * 4);
    high |= (uint32_t)(code >> 4) << 2 * s;
  }
  block->scales_high[0] = (uint8_t)high;
  block->scales_high[1] = (uint8_t)(high >> 8);
}

static void QC_NAME(encode_iq4_xs)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  qc_level_table table = qc_make_level_table();
  qc_iq4_xs *block = destination;
  qc_row x[32], w[32], scales[2];
  // Super-blocks processed together: as many as fill the lanes, but importance ends with the row.
  enum { AT_ONCE = QC_LANES > 8 ? 2 : 1 };
  int64_t column = 0;
  for (int64_t left = rows * columns / QC_SUPER_LENGTH; left > 0;) {
    int supers = left < AT_ONCE || (importance && column + AT_ONCE * QC_SUPER_LENGTH > columns) ? 1 : AT_ONCE;
    for (int first = 0; first < 8 * supers; first += QC_LANES) {
      int count = 8 * supers - first < QC_LANES ? 8 * supers - first : QC_LANES;
      qc_transpose(source + 32 * first, count, 32, x);
      // A vector narrower than a super-block uses the spread of the whole super-block.
      qc_level_weights(
          source + first / 8 * QC_SUPER_LENGTH, importance ? importance + column + 32 * first : 0, count, QC_SUPER_LENGTH, x, w);
      scales[first / QC_LANES].all = qc_search_levels(&table, x, w);
    }
    for (int s = 0; s < supers; ++s, source += QC_SUPER_LENGTH, ++block) {
      float own[8];
      for (int j = 0; j < 8; ++j) own[j] = scales[(8 * s + j) / QC_LANES].lane[(8 * s + j) % QC_LANES];
      qc_finish_iq4_xs(&table, source, own, block);
    }
    left -= supers;
    column = (column + supers * QC_SUPER_LENGTH) % columns;
  }
}
