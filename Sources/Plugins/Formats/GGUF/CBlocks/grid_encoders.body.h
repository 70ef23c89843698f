// Encoders of the layouts with signs and grids of magnitudes.

// How errors are weighted: by importance * sqrt(spread * mean square of the super-block + x^2), or without importance by the sum
// of a share of the spread and x^2.
typedef struct {
  float spread;
  // Without importance: the share of the spread that is added to x^2; negative: as with an importance of one.
  float share;
} qc_grid_weighting;

static const qc_grid_rule qc_rule_iq2_xxs = {
    .grid = QC_GRID_IQ2_XXS, .weights = 32, .length = 8, .bits = 2, .top = 2, .steps = 6, .step = 0.1f, .smallest = 1e-15f,
    .has_even_signs = 1, .again = QC_AGAIN_ALWAYS, .fits_first = 1};
static const qc_grid_rule qc_rule_iq2_xs = {
    .grid = QC_GRID_IQ2_XS, .weights = 16, .length = 8, .bits = 2, .top = 2, .steps = 9, .step = 0.1f, .smallest = 1e-15f,
    .has_even_signs = 1, .again = QC_AGAIN_OFF_GRID};
static const qc_grid_rule qc_rule_iq2_s = {
    .grid = QC_GRID_IQ2_S, .weights = 16, .length = 8, .bits = 2, .top = 2, .steps = 9, .step = 0.1f, .smallest = 1e-8f,
    .again = QC_AGAIN_OFF_GRID};
static const qc_grid_rule qc_rule_iq3_xxs = {
    .grid = QC_GRID_IQ3_XXS, .weights = 32, .length = 4, .bits = 3, .top = 7, .steps = 15, .step = 0.2f, .smallest = 1e-8f,
    .has_even_signs = 1, .again = QC_AGAIN_OFF_GRID};
// Only zeros are below the smallest positive float.
static const qc_grid_rule qc_rule_iq3_s = {
    .grid = QC_GRID_IQ3_S, .weights = 32, .length = 4, .bits = 3, .top = 7, .steps = 9, .step = 0.2f, .smallest = 0x1p-149f,
    .again = QC_AGAIN_ALL_IF_ANY_OFF_GRID};

// Spreads of super-blocks: a multiple of their mean squares.
static inline void qc_spreads(const float *source, int supers, float factor, float *spreads) {
  for (int b = 0; b < supers; ++b, source += QC_SUPER_LENGTH) {
    float sum = 0;
    for (int i = 0; i < QC_SUPER_LENGTH; ++i) sum += source[i] * source[i];
    spreads[b] = factor * sum / QC_SUPER_LENGTH;
  }
}

// Weights of errors for the sub-blocks in `x`. The first of them is number `at`, counted from the start of `spreads` and `importance`.
static inline __attribute__((always_inline)) void qc_grid_weights(
    qc_grid_weighting weighting, const qc_row *x, int length, const float *spreads, const float *importance, int at, int count,
    qc_row *w
) {
  qc_row spread;
  for (int lane = 0; lane < QC_LANES; ++lane) {
    int sub = at + (lane < count ? lane : count - 1);
    spread.lane[lane] = spreads[sub * length / QC_SUPER_LENGTH];
  }
  if (importance) qc_transpose(importance + at * length, count, length, w);
  for (int i = 0; i < length; ++i) {
    qc_lanes square = x[i].all * x[i].all;
    if (importance) {
      w[i].all *= qc_lanes_sqrt(spread.all + square);
    } else if (weighting.share < 0) {
      w[i].all = qc_lanes_sqrt(spread.all + square);
    } else if (weighting.share == 0) {
      w[i].all = square;
    } else {
      w[i].all = weighting.share * spread.all + square;
    }
  }
}

// Codes l of scales (2 l + 1) * d, where the largest scale is (2 * top + 1) * d. Returns whether any scale is above zero.
static inline int qc_round_odd_scales(const float *scales, int count, int32_t top, float *d, uint8_t *codes) {
  float maximum = 0;
  for (int s = 0; s < count; ++s) maximum = qc_larger(maximum, scales[s]);
  *d = 0;
  memset(codes, 0, (size_t)count);
  if (maximum == 0) return 0;
  *d = maximum / (float)(2 * top + 1);
  float inverse = 1 / *d;
  for (int s = 0; s < count; ++s) codes[s] = (uint8_t)qc_clamp(qc_nearest(0.5f * (inverse * scales[s] - 1)), 0, top);
  return 1;
}

static inline void qc_store_word(uint8_t *destination, uint32_t value) {
  for (int i = 0; i < 4; ++i) destination[i] = (uint8_t)(value >> 8 * i);
}

static inline uint32_t qc_sign_word(const uint8_t signs[4], uint8_t scale) {
  return signs[0] | (uint32_t)signs[1] << 7 | (uint32_t)signs[2] << 14 | (uint32_t)signs[3] << 21 | (uint32_t)scale << 28;
}

// Writes one block of a layout from the fits of its sub-blocks, the first of which is number `at`.
typedef void (*qc_grid_writer)(const qc_grid_fits *fits, int at, void *block);

static inline void qc_write_iq2_xxs(const qc_grid_fits *fits, int at, void *destination) {
  qc_iq2_xxs *block = destination;
  uint8_t codes[8];
  float d;
  memset(block, 0, sizeof *block);
  if (!qc_round_odd_scales(fits->scale + at, 8, 15, &d, codes)) return;
  qc_store_half(block->d, d);
  for (int s = 0; s < 8; ++s) {
    for (int p = 0; p < 4; ++p) block->parts[8 * s + p] = (uint8_t)fits->points[at + s][p];
    qc_store_word(block->parts + 8 * s + 4, qc_sign_word(fits->signs[at + s], codes[s]));
  }
}

static inline void qc_write_iq2_xs(const qc_grid_fits *fits, int at, void *destination) {
  qc_iq2_xs *block = destination;
  uint8_t codes[16];
  float d;
  memset(block, 0, sizeof *block);
  if (!qc_round_odd_scales(fits->scale + at, 16, 15, &d, codes)) return;
  qc_store_half(block->d, d);
  for (int p = 0; p < 32; ++p) {
    unsigned word = fits->points[at + p / 2][p % 2] | (unsigned)fits->signs[at + p / 2][p % 2] << 9;
    block->points[2 * p] = (uint8_t)word;
    block->points[2 * p + 1] = (uint8_t)(word >> 8);
  }
  for (int s = 0; s < 8; ++s) block->scales[s] = (uint8_t)(codes[2 * s] | codes[2 * s + 1] << 4);
}

// If all scales vanish, points and signs are stored all the same, here and in iq3_s.
static inline void qc_write_iq2_s(const qc_grid_fits *fits, int at, void *destination) {
  qc_iq2_s *block = destination;
  uint8_t codes[16];
  float d;
  memset(block, 0, sizeof *block);
  qc_round_odd_scales(fits->scale + at, 16, 15, &d, codes);
  qc_store_half(block->d, d * 0.9875f);
  for (int p = 0; p < 32; ++p) {
    unsigned index = fits->points[at + p / 2][p % 2];
    block->low[p] = (uint8_t)index;
    block->high[p / 4] |= (uint8_t)(index >> 8 << p % 4 * 2);
    block->signs[p] = fits->signs[at + p / 2][p % 2];
  }
  for (int s = 0; s < 8; ++s) block->scales[s] = (uint8_t)(codes[2 * s] | codes[2 * s + 1] << 4);
}

static inline void qc_write_iq3_xxs(const qc_grid_fits *fits, int at, void *destination) {
  qc_iq3_xxs *block = destination;
  uint8_t codes[8];
  float d;
  memset(block, 0, sizeof *block);
  if (!qc_round_odd_scales(fits->scale + at, 8, 15, &d, codes)) return;
  qc_store_half(block->d, d * 1.0125f);
  for (int s = 0; s < 8; ++s) {
    for (int p = 0; p < 8; ++p) block->points[8 * s + p] = (uint8_t)fits->points[at + s][p];
    qc_store_word(block->parts + 4 * s, qc_sign_word(fits->signs[at + s], codes[s]));
  }
}

static inline void qc_write_iq3_s(const qc_grid_fits *fits, int at, void *destination) {
  qc_iq3_s *block = destination;
  uint8_t codes[8];
  float d;
  memset(block, 0, sizeof *block);
  qc_round_odd_scales(fits->scale + at, 8, 15, &d, codes);
  qc_store_half(block->d, d * 1.033f);
  for (int s = 0; s < 8; ++s) {
    for (int p = 0; p < 8; ++p) {
      block->low[8 * s + p] = (uint8_t)fits->points[at + s][p];
      block->high[s] |= (uint8_t)(fits->points[at + s][p] >> 8 << p);
    }
    memcpy(block->signs + 4 * s, fits->signs[at + s], 4);
  }
  for (int s = 0; s < 4; ++s) block->scales[s] = (uint8_t)(codes[2 * s] | codes[2 * s + 1] << 4);
}

// Encodes a run of blocks that is contiguous in `source` and in `importance`.
static inline __attribute__((always_inline)) void qc_encode_grid(
    qc_grid_rule rule, qc_grid_weighting weighting, const float *source, int64_t blocks, const float *importance,
    uint8_t *destination, int64_t stride, qc_grid_writer write
) {
  const qc_neighbours *grid = qc_block_neighbours(rule.grid);
  int subs = QC_SUPER_LENGTH / rule.weights;
  qc_row x[32], w[32];
  qc_grid_fits fits;
  while (blocks > 0) {
    int supers = QC_LANES > subs ? QC_LANES / subs : 1;
    if (supers > blocks) supers = (int)blocks;
    float spreads[2];
    qc_spreads(source, supers, weighting.spread, spreads);
    for (int at = 0; at < supers * subs; at += QC_LANES) {
      int count = supers * subs - at < QC_LANES ? supers * subs - at : QC_LANES;
      qc_transpose(source + rule.weights * at, count, rule.weights, x);
      qc_grid_weights(weighting, x, rule.weights, spreads, importance, at, count, w);
      qc_search_grid(rule, grid, x, w, &fits, at, count);
    }
    for (int b = 0; b < supers; ++b, destination += stride) write(&fits, b * subs, destination);
    source += supers * QC_SUPER_LENGTH;
    if (importance) importance += supers * QC_SUPER_LENGTH;
    blocks -= supers;
  }
}

#define QC_GRID_ENCODER(type, ...)                                                                                    \
  static void QC_NAME(encode_##type)(                                                                                 \
      const float *source, int64_t rows, int64_t columns, const float *importance, void *destination                  \
  ) {                                                                                                                 \
    const qc_grid_weighting weighting = {__VA_ARGS__};                                                                \
    const int64_t stride = sizeof(qc_##type);                                                                         \
    int64_t stretches = importance ? rows : 1, blocks = rows * columns / QC_SUPER_LENGTH / (stretches > 0 ? stretches : 1); \
    for (int64_t s = 0; s < stretches; ++s) {                                                                         \
      qc_encode_grid(qc_rule_##type, weighting, source + s * blocks * QC_SUPER_LENGTH, blocks, importance,            \
                     (uint8_t *)destination + s * blocks * stride, stride, qc_write_##type);                          \
    }                                                                                                                 \
  }

QC_GRID_ENCODER(iq2_xxs, .spread = 1, .share = -1)
QC_GRID_ENCODER(iq2_xs, .spread = 1, .share = -1)
QC_GRID_ENCODER(iq2_s, .spread = 2, .share = 0.25f)
QC_GRID_ENCODER(iq3_xxs, .spread = 2, .share = 0)
QC_GRID_ENCODER(iq3_s, .spread = 2, .share = 0)
