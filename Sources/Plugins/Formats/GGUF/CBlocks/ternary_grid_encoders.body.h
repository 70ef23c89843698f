// Encoders of iq1_s and iq1_m, whose points consist of -1, 0 and 1, all shifted up or down by an eighth.
//
// The sorted weights are cut twice, and those below, between and above the cuts become -1, 0 and 1: every pair of cuts is tried
// under every shift, before the grid is taken into account.

#define QC_SHIFT 0.125f

// Results for the sub-blocks of a super-block: `below` says which points are shifted down.
typedef struct {
  float scale[16];
  uint16_t points[16][4];
  uint8_t below[16][4];
} qc_ternary_fits;

// The sums for cutting sub-blocks: w * x and w over the weights before each place of the ascending order.
typedef struct {
  qc_row x[33], w[33];
} qc_prefixes;

// The place of each weight in ascending order; equal weights keep their order.
static inline __attribute__((always_inline)) void qc_rank(const qc_row *x, int length, qc_codes *ranks) {
  for (int i = 0; i < length; ++i) ranks[i].all = 0;
  for (int i = 0; i < length; ++i) {
    for (int j = i + 1; j < length; ++j) {
      qc_mask is_after = x[j].all < x[i].all;
      ranks[i].all -= is_after;
      ranks[j].all += is_after + 1;
    }
  }
}

// Sums over the weights from number `first` up to but not including `last`, in ascending order.
static inline __attribute__((always_inline)) void qc_sum_ascending(
    const qc_row *x, const qc_row *w, const qc_codes *ranks, int length, int first, int last, qc_prefixes *sums
) {
  memset(sums, 0, sizeof *sums);
  for (int i = first; i < last; ++i) {
    qc_row product = {w[i].all * x[i].all};
    for (int lane = 0; lane < QC_LANES; ++lane) {
      sums->x[ranks[i].lane[lane] + 1].lane[lane] = product.lane[lane];
      sums->w[ranks[i].lane[lane] + 1].lane[lane] = w[i].lane[lane];
    }
  }
  for (int i = 0; i < length; ++i) {
    sums->x[i + 1].all += sums->x[i].all;
    sums->w[i + 1].all += sums->w[i].all;
  }
}

// The best cuts so far: those that explain most of the weights, with a scale that may be negative.
typedef struct {
  qc_lanes score, scale;
  // Places of the cuts, and the number of the shift.
  qc_mask first, second, shift;
} qc_cuts;

static inline void qc_consider(qc_cuts *best, qc_lanes sum_xq, qc_lanes sum_qq, int first, int second, int shift) {
  qc_mask better = (sum_qq > qc_broadcast(0)) & (sum_xq * sum_xq > best->score * sum_qq);
  if (!__builtin_reduce_or(better)) return;
  qc_lanes scale = sum_xq / sum_qq;
  best->scale = better ? scale : best->scale;
  best->score = better ? scale * sum_xq : best->score;
  best->first = better ? (qc_mask)first : best->first;
  best->second = better ? (qc_mask)second : best->second;
  best->shift = better ? (qc_mask)shift : best->shift;
}

// One shift for 32 weights: 0 is up, 1 down.
static inline void qc_cut_iq1_s(const qc_row *x, const qc_row *w, const qc_codes *ranks, qc_cuts *best) {
  enum { LENGTH = 32 };
  const float up = 1 + QC_SHIFT, down = 1 - QC_SHIFT;
  qc_prefixes sums;
  qc_lanes x_up[LENGTH + 1], x_down[LENGTH + 1], w_up[LENGTH + 1], w_down[LENGTH + 1];
  qc_sum_ascending(x, w, ranks, LENGTH, 0, LENGTH, &sums);
  // The contribution of the weights above the second cut.
  for (int i = 0; i <= LENGTH; ++i) {
    qc_lanes rest_x = sums.x[LENGTH].all - sums.x[i].all, rest_w = sums.w[LENGTH].all - sums.w[i].all;
    x_up[i] = rest_x * up;
    x_down[i] = rest_x * down;
    w_up[i] = rest_w * up * up;
    w_down[i] = rest_w * down * down;
  }
  for (int first = 0; first <= LENGTH; ++first) {
    qc_lanes x_first = sums.x[first].all, w_first = sums.w[first].all;
    qc_lanes x_first_up = x_first * -down, x_first_down = x_first * -up;
    qc_lanes w_first_up = w_first * -down * -down, w_first_down = w_first * -up * -up;
    for (int second = first; second <= LENGTH; ++second) {
      qc_lanes x_between = (sums.x[second].all - x_first) * QC_SHIFT;
      qc_lanes w_between = (sums.w[second].all - w_first) * QC_SHIFT * QC_SHIFT;
      qc_consider(best, x_first_up + x_between + x_up[second], w_first_up + w_between + w_up[second], first, second, 0);
      qc_consider(best, x_first_down - x_between + x_down[second], w_first_down + w_between + w_down[second], first, second, 1);
    }
  }
}

// A shift for each half of 16 weights: bit 0 is that of the second half, bit 1 that of the first.
static inline void qc_cut_iq1_m(const qc_row *x, const qc_row *w, const qc_codes *ranks, qc_cuts *best) {
  enum { LENGTH = 16 };
  const float up = 1 + QC_SHIFT, down = 1 - QC_SHIFT, square = QC_SHIFT * QC_SHIFT;
  qc_prefixes sums[2];
  qc_lanes x_shifted[2][2], w_shifted[2][2];
  for (int half = 0; half < 2; ++half) {
    qc_sum_ascending(x, w, ranks, LENGTH, 8 * half, 8 * half + 8, &sums[half]);
    qc_lanes x_all = sums[half].x[LENGTH].all, w_all = sums[half].w[LENGTH].all;
    x_shifted[half][0] = x_all * up;
    x_shifted[half][1] = x_all * down;
    w_shifted[half][0] = w_all * up * up;
    w_shifted[half][1] = w_all * down * down;
  }
  for (int first = 0; first <= LENGTH; ++first) {
    for (int second = first; second <= LENGTH; ++second) {
      qc_lanes xq[2][2], qq[2][2];
      for (int half = 0; half < 2; ++half) {
        const qc_prefixes *own = &sums[half];
        qc_lanes steps = own->x[first].all + own->x[second].all;
        xq[half][0] = x_shifted[half][0] - steps;
        xq[half][1] = x_shifted[half][1] - steps;
        qq[half][0] = w_shifted[half][0] + own->w[first].all * (down * down - square) + own->w[second].all * (square - up * up);
        qq[half][1] = w_shifted[half][1] + own->w[first].all * (up * up - square) + own->w[second].all * (square - down * down);
      }
      for (int shift = 0; shift < 4; ++shift) {
        int a = shift >> 1, b = shift & 1;
        qc_consider(best, xq[0][a] + xq[1][b], qq[0][a] + qq[1][b], first, second, shift);
      }
    }
  }
}

// Maps cut sub-blocks to points of the grid and fits their scales. `below` has a mask for each point.
static inline __attribute__((always_inline)) void qc_snap_ternary(
    const qc_neighbours *grid, const qc_row *x, const qc_row *w, const qc_codes *ranks, const qc_cuts *cuts, qc_codes *below,
    int length, qc_mask is_empty, qc_ternary_fits *fits, int at, int count
) {
  int points = length / 8;
  qc_lanes zero = qc_broadcast(0);
  qc_mask is_negative = cuts->scale < zero;
  qc_row scale = {is_negative ? -cuts->scale : cuts->scale};
  qc_codes codes[4], off_grid = {0};
  for (int p = 0; p < points; ++p) {
    below[p].all = (below[p].all ^ is_negative) & ~is_empty;
    codes[p].all = 0;
    for (int i = 0; i < 8; ++i) {
      qc_mask rank = ranks[8 * p + i].all, level = -(rank >= cuts->first) - (rank >= cuts->second);
      level = is_negative ? 2 - level : level;
      codes[p].all |= level << 2 * i;
    }
  }
  for (int lane = 0; lane < count; ++lane) {
    for (int p = 0; p < points; ++p) {
      uint32_t entry = grid->entries[codes[p].lane[lane]];
      if (!(entry & 255)) continue;
      off_grid.lane[lane] = -1;
      float own_x[8], own_w[8], shift = below[p].lane[lane] ? -QC_SHIFT : QC_SHIFT;
      for (int i = 0; i < 8; ++i) {
        own_x[i] = x[8 * p + i].lane[lane];
        own_w[i] = w[8 * p + i].lane[lane];
      }
      qc_eight numbers = scale.lane[lane] * ((qc_eight){-1, 0, 1, 0, -1, 0, 1, 0} + shift);
      codes[p].lane[lane] = qc_nearest_point(grid->chunks + (entry >> 8), entry & 255, own_x, own_w, &numbers, 8, 2);
    }
  }
  qc_lanes sum_xq = zero, sum_qq = zero;
  for (int i = 0; i < length; ++i) {
    qc_lanes shift = below[i / 8].all ? qc_broadcast(-QC_SHIFT) : qc_broadcast(QC_SHIFT);
    qc_lanes number = __builtin_convertvector((codes[i / 8].all >> 2 * (i % 8) & 3) - 1, qc_lanes) + shift;
    sum_xq += w[i].all * number * x[i].all;
    sum_qq += w[i].all * number * number;
  }
  qc_mask fits_again = off_grid.all & (sum_xq > zero) & (sum_qq > zero);
  scale.all = fits_again ? sum_xq / sum_qq : scale.all;
  scale.all = is_empty ? zero : scale.all;
  for (int lane = 0; lane < count; ++lane) {
    fits->scale[at + lane] = scale.lane[lane];
    for (int p = 0; p < points; ++p) {
      uint32_t index = is_empty[lane] ? 0 : grid->entries[codes[p].lane[lane]] >> 8;
      fits->points[at + lane][p] = (uint16_t)index;
      fits->below[at + lane][p] = below[p].lane[lane] != 0;
    }
  }
}

// Searches sub-blocks of 32 weights (iq1_s) or 16 (iq1_m). Results go to index `at` onwards.
static inline __attribute__((always_inline)) void qc_search_ternary(
    const qc_neighbours *grid, const qc_row *x, const qc_row *w, int length, float smallest, qc_ternary_fits *fits, int at,
    int count
) {
  qc_codes ranks[32], below[4];
  qc_lanes maximum = qc_lanes_abs(x[0].all);
  for (int i = 1; i < length; ++i) {
    qc_lanes magnitude = qc_lanes_abs(x[i].all);
    maximum = qc_larger(maximum, magnitude);
  }
  qc_rank(x, length, ranks);
  qc_cuts cuts = {qc_broadcast(-0x1.fffffep127f), maximum, -1, -1, 0};
  if (length == 32) {
    qc_cut_iq1_s(x, w, ranks, &cuts);
  } else {
    qc_cut_iq1_m(x, w, ranks, &cuts);
  }
  qc_mask is_empty = (maximum < qc_broadcast(smallest)) | (cuts.first < 0);
  for (int p = 0; p < length / 8; ++p) below[p].all = length == 16 && p == 0 ? (cuts.shift & 2) != 0 : (cuts.shift & 1) != 0;
  qc_snap_ternary(grid, x, w, ranks, &cuts, below, length, is_empty, fits, at, count);
}

// Writes one block from the fits of its sub-blocks, the first of which is number `at`.
static inline void qc_write_iq1_s(const qc_ternary_fits *fits, int at, qc_iq1_s *block) {
  uint8_t codes[8];
  float d;
  memset(block, 0, sizeof *block);
  int has_scale = qc_round_odd_scales(fits->scale + at, 8, 7, &d, codes);
  qc_store_half(block->d, d * 1.125f);
  for (int s = 0; s < 8; ++s) {
    unsigned word = has_scale ? (unsigned)(codes[s] | fits->below[at + s][0] << 3) << 12 : 0;
    for (int p = 0; p < 4; ++p) {
      block->low[4 * s + p] = (uint8_t)fits->points[at + s][p];
      word |= (unsigned)fits->points[at + s][p] >> 8 << 3 * p;
    }
    block->high[2 * s] = (uint8_t)word;
    block->high[2 * s + 1] = (uint8_t)(word >> 8);
  }
}

// Points and scales of iq1_m, then d fitted once more to all weights of the super-block.
static inline void qc_write_iq1_m(const qc_ternary_fits *fits, const float *x, const float (*w)[16], qc_iq1_m *block) {
  const qc_grids *grids = qc_block_grids();
  uint8_t codes[16];
  float d, sum_xq = 0, sum_qq = 0;
  memset(block, 0, sizeof *block);
  int has_scale = qc_round_odd_scales(fits->scale, 16, 7, &d, codes);
  unsigned words[4] = {0};
  for (int p = 0; p < 32; ++p) {
    int s = p / 2;
    unsigned index = fits->points[s][p % 2], is_below = has_scale && fits->below[s][p % 2];
    block->low[p] = (uint8_t)index;
    block->high[s] |= (uint8_t)((index >> 8 | is_below << 3) << p % 2 * 4);
    if (p % 2 == 0) words[s / 4] |= (unsigned)codes[s] << s % 4 * 3;
    float shift = is_below ? -QC_SHIFT : QC_SHIFT;
    for (int i = 0; i < 8; ++i) {
      float number = ((float)grids->iq1[index][i] + shift) * (float)(2 * codes[s] + 1);
      float weighted = w[s][p % 2 * 8 + i] * number;
      sum_xq += weighted * x[8 * p + i];
      sum_qq += weighted * number;
    }
  }
  if (!has_scale) return;
  if (sum_qq > 0) d = sum_xq / sum_qq;
  uint8_t half[2];
  qc_store_half(half, d * 1.1125f);
  for (int i = 0; i < 4; ++i) {
    words[i] |= (half[i / 2] >> i % 2 * 4 & 15u) << 12;
    block->scales[2 * i] = (uint8_t)words[i];
    block->scales[2 * i + 1] = (uint8_t)(words[i] >> 8);
  }
}

static void QC_NAME(encode_iq1_s)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  const qc_neighbours *grid = qc_block_neighbours(QC_GRID_IQ1);
  const qc_grid_weighting weighting = {.spread = 2, .share = -1};
  qc_iq1_s *block = destination;
  qc_row x[32], w[32];
  qc_ternary_fits fits;
  int64_t column = 0;
  for (int64_t left = rows * columns / QC_SUPER_LENGTH; left > 0;) {
    // Sixteen lanes hold two super-blocks if both are in one row.
    int supers = QC_LANES == 16 && left > 1 && column + QC_SUPER_LENGTH < columns ? 2 : 1;
    float spreads[2];
    qc_spreads(source, supers, weighting.spread, spreads);
    for (int at = 0; at < 8 * supers; at += QC_LANES) {
      int count = 8 * supers - at < QC_LANES ? 8 * supers - at : QC_LANES;
      qc_transpose(source + 32 * at, count, 32, x);
      qc_grid_weights(weighting, x, 32, spreads, importance ? importance + column : 0, at, count, w);
      qc_search_ternary(grid, x, w, 32, 1e-12f, &fits, at, count);
    }
    for (int b = 0; b < supers; ++b) qc_write_iq1_s(&fits, 8 * b, block++);
    source += supers * QC_SUPER_LENGTH;
    column += supers * QC_SUPER_LENGTH;
    if (column == columns) column = 0;
    left -= supers;
  }
}

static void QC_NAME(encode_iq1_m)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  const qc_neighbours *grid = qc_block_neighbours(QC_GRID_IQ1);
  const qc_grid_weighting weighting = {.spread = 2, .share = 0};
  qc_iq1_m *block = destination;
  qc_row x[16], w[16];
  qc_ternary_fits fits;
  float weights[16][16];
  int64_t column = 0;
  for (int64_t left = rows * columns / QC_SUPER_LENGTH; left > 0; --left, source += QC_SUPER_LENGTH) {
    float spread;
    qc_spreads(source, 1, weighting.spread, &spread);
    for (int at = 0; at < 16; at += QC_LANES) {
      qc_transpose(source + 16 * at, QC_LANES, 16, x);
      qc_grid_weights(weighting, x, 16, &spread, importance ? importance + column : 0, at, QC_LANES, w);
      qc_search_ternary(grid, x, w, 16, 1e-7f, &fits, at, QC_LANES);
      for (int lane = 0; lane < QC_LANES; ++lane) {
        for (int i = 0; i < 16; ++i) weights[at + lane][i] = w[i].lane[lane];
      }
    }
    qc_write_iq1_m(&fits, source, (const float (*)[16])weights, block++);
    column += QC_SUPER_LENGTH;
    if (column == columns) column = 0;
  }
}
