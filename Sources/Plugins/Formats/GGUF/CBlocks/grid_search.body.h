// Search for the points of a grid and the scale of sub-blocks, one sub-block per lane.
//
// Sums are formed as in the other searches: each lane does the reference's operations in its order. If the nearest levels of some
// weights are not a point, their candidates fill eight lanes, for one point of one sub-block at a time.

enum { QC_POINT_LANES = QC_NEIGHBOURS_PER_CHUNK };
typedef int32_t qc_eight_codes __attribute__((ext_vector_type(QC_POINT_LANES)));

// Packed combinations of one point of each sub-block, or masks.
typedef union {
  qc_mask all;
  int32_t lane[QC_LANES];
} qc_codes;

// Sub-blocks by weights, for the points: the contents of the lanes, transposed back.
typedef struct {
  float x[QC_LANES][32], w[QC_LANES][32];
} qc_stretches;

static inline qc_mask qc_lanes_nearest_code(qc_lanes value, int32_t top) {
  union { qc_lanes f; qc_mask i; } bits = {value + 12582912.0f};
  qc_mask code = (bits.i & 0x007fffff) - 0x00400000, zero = 0, tops = top;
  code = code > zero ? code : zero;
  return code < tops ? code : tops;
}

// Adds entries of a table by the lowest three bits of codes. Vectors of eight are passed by address: not every level has a
// convention for passing them by value.
static inline void qc_add_picked(const qc_eight *table, qc_eight_codes *codes, qc_eight *sum) {
#if QC_LANES > 4
  *sum += (qc_eight)_mm256_permutevar8x32_ps((__m256)*table, (__m256i)*codes);
#else
  union { qc_eight all; float lane[QC_POINT_LANES]; } entries = {*table}, picked;
  union { qc_eight_codes all; int32_t lane[QC_POINT_LANES]; } indices = {*codes};
  for (int i = 0; i < QC_POINT_LANES; ++i) picked.lane[i] = entries.lane[indices.lane[i] & 7];
  *sum += picked.all;
#endif
}

// The code of the first lane that has the smallest value.
static inline int32_t qc_code_of_smallest(const qc_eight *values, const qc_eight_codes *codes) {
  qc_four four = qc_smaller(values->lo, values->hi);
  qc_two two = qc_smaller(four.lo, four.hi);
  float smallest = qc_smaller(two.x, two.y);
  union { qc_eight_codes all; int32_t lane[QC_POINT_LANES]; } kept = {*codes};
#if QC_LANES > 4
  int equal = _mm256_movemask_ps((__m256)(*values == (qc_eight)smallest));
  return kept.lane[__builtin_ctz((unsigned)equal | 1u << (QC_POINT_LANES - 1))];
#else
  union { qc_eight all; float lane[QC_POINT_LANES]; } compared = {*values};
  int lane = 0;
  while (lane < QC_POINT_LANES - 1 && compared.lane[lane] != smallest) ++lane;
  return kept.lane[lane];
#endif
}

// The packed point in some chunks with the smallest sum of w * (value - x)^2; of equal ones, the first. `numbers` are the scaled
// values of the levels; those of three levels appear twice, four places apart.
static inline __attribute__((always_inline)) int32_t qc_nearest_point(
    const uint16_t (*chunks)[QC_NEIGHBOURS_PER_CHUNK], unsigned count, const float *x, const float *w, const qc_eight *numbers,
    int length, int bits
) {
  qc_eight terms[8];
  for (int i = 0; i < length; ++i) {
    qc_eight error = *numbers - x[i];
    terms[i] = w[i] * error * error;
  }
  qc_eight best = (qc_eight)(0x1.fffffep127f);
  qc_eight_codes chosen = chunks[0][0];
  for (unsigned c = 0; c < count; ++c) {
    uint16_t __attribute__((ext_vector_type(QC_POINT_LANES))) packed;
    memcpy(&packed, chunks[c], sizeof packed);
    qc_eight_codes codes = __builtin_convertvector(packed, qc_eight_codes), rest = codes;
    qc_eight sum = 0;
    for (int i = 0; i < length; ++i, rest >>= bits) qc_add_picked(&terms[i], &rest, &sum);
    qc_eight_codes better = sum < best;
    best = better ? sum : best;
    chosen = better ? codes : chosen;
  }
  return qc_code_of_smallest(&best, &chosen);
}

// How a layout is searched.
typedef struct {
  qc_grid grid;
  // Weights of a sub-block; coordinates of a point and the bits of a coordinate.
  int weights, length, bits;
  // The highest level; level l means 2 l + 1.
  int top;
  // The search tries scales that give the largest magnitude 2 * top + 1 + s * step, for s in -steps...steps.
  int steps;
  float step;
  // A largest magnitude below this makes the sub-block zero.
  float smallest;
  // Whether only seven signs are stored: then the number of minus signs is made even.
  int has_even_signs;
  // Which points are searched again under the scale that was found.
  enum { QC_AGAIN_OFF_GRID, QC_AGAIN_ALL_IF_ANY_OFF_GRID, QC_AGAIN_ALWAYS } again;
  // Whether largest magnitudes are those under a scale fitted without the grid.
  int fits_first;
} qc_grid_rule;

// Replaces combinations that are not points by the best points, and notes which ones were points. `unit` is, for each lane, half
// the distance between two levels.
static inline __attribute__((always_inline)) void qc_snap(
    qc_grid_rule rule, const qc_neighbours *grid, const qc_stretches *stretches, qc_lanes unit, int count, qc_codes *codes,
    qc_codes *are_points
) {
  const qc_eight numbers = rule.bits == 2 ? (qc_eight){1, 3, 5, 7, 1, 3, 5, 7} : (qc_eight){1, 3, 5, 7, 9, 11, 13, 15};
  qc_row units = {unit};
  for (int p = 0; p < rule.weights / rule.length; ++p) are_points[p].all = -1;
  for (int lane = 0; lane < count; ++lane) {
    qc_eight own = units.lane[lane] * numbers;
    for (int p = 0; p < rule.weights / rule.length; ++p) {
      uint32_t entry = grid->entries[codes[p].lane[lane]];
      if (!(entry & 255)) continue;
      are_points[p].lane[lane] = 0;
      codes[p].lane[lane] = qc_nearest_point(
          grid->chunks + (entry >> 8), entry & 255, stretches->x[lane] + p * rule.length, stretches->w[lane] + p * rule.length,
          &own, rule.length, rule.bits);
    }
  }
}

// The nearest levels under the inverse of a scale.
static inline __attribute__((always_inline)) void qc_nearest_levels(
    qc_grid_rule rule, const qc_row *x, qc_lanes inverse, qc_codes *codes
) {
  for (int p = 0; p < rule.weights / rule.length; ++p) {
    codes[p].all = 0;
    for (int i = 0; i < rule.length; ++i) {
      codes[p].all |= qc_lanes_nearest_code(0.5f * (inverse * x[p * rule.length + i].all - 1), rule.top) << rule.bits * i;
    }
  }
}

// Sums of w * x * q and w * q * q over the values q of the combinations.
static inline __attribute__((always_inline)) void qc_sum_products(
    qc_grid_rule rule, const qc_row *wx, const qc_row *w, const qc_codes *codes, qc_lanes *sum_xq, qc_lanes *sum_qq
) {
  *sum_xq = *sum_qq = qc_broadcast(0);
  for (int i = 0; i < rule.weights; ++i) {
    qc_mask level = codes[i / rule.length].all >> rule.bits * (i % rule.length) & ((1 << rule.bits) - 1);
    qc_lanes number = __builtin_convertvector(2 * level + 1, qc_lanes);
    *sum_xq += wx[i].all * number;
    *sum_qq += w[i].all * number * number;
  }
}

// The scale of the weighted fit x = scale * code with codes of at most 4; negative x do not limit them from below. Codes are bytes:
// negative ones wrap, as in the reference.
static inline qc_lanes qc_fit_without_grid(const qc_row *x, const qc_row *w, qc_lanes maximum) {
  const float top = 4;
  qc_lanes zero = qc_broadcast(0), tops = qc_broadcast(top);
  qc_lanes inverse = top / maximum, scale = 1 / inverse, best = zero;
  for (int i = 0; i < 32; ++i) {
    qc_mask code = __builtin_convertvector(qc_lanes_nearest(inverse * x[i].all), qc_mask) & 255;
    qc_lanes error = x[i].all - scale * __builtin_convertvector(code, qc_lanes);
    best += w[i].all * error * error;
  }
  for (int step = -4; step <= 4; ++step) {
    if (step == 0) continue;
    qc_lanes trial = (0.1f * (float)step + top) / maximum, trial_scale = 1 / trial, sum = zero;
    for (int i = 0; i < 32; ++i) {
      qc_lanes code = qc_lanes_nearest(trial * x[i].all);
      qc_lanes error = x[i].all - trial_scale * qc_smaller(code, tops);
      sum += w[i].all * error * error;
    }
    qc_mask better = sum < best;
    best = better ? sum : best;
    inverse = better ? trial : inverse;
  }
  qc_lanes codes[32], sum_xl = zero, sum_ll = zero;
  for (int i = 0; i < 32; ++i) {
    qc_lanes code = qc_lanes_nearest(inverse * x[i].all);
    code = qc_smaller(code, tops);
    sum_xl += w[i].all * x[i].all * code;
    sum_ll += w[i].all * code * code;
    codes[i] = __builtin_convertvector(__builtin_convertvector(code, qc_mask) & 255, qc_lanes);
  }
  // Change single codes as long as that explains more of x. A lane in which nothing changes stays as it is.
  for (int round = 0; round < 5; ++round) {
    qc_mask changed = 0;
    for (int i = 0; i < 32; ++i) {
      qc_lanes wx = w[i].all * x[i].all;
      qc_lanes rest_xl = sum_xl - wx * codes[i], rest_ll = sum_ll - w[i].all * codes[i] * codes[i];
      qc_mask moves = (rest_xl > zero) & (rest_ll > zero);
      qc_lanes code = qc_lanes_nearest(x[i].all * rest_ll / rest_xl);
      code = qc_smaller(code, tops);
      rest_xl += wx * code;
      rest_ll += w[i].all * code * code;
      moves &= (code != codes[i]) & (rest_xl * rest_xl * sum_ll > sum_xl * sum_xl * rest_ll);
      qc_lanes byte = __builtin_convertvector(__builtin_convertvector(code, qc_mask) & 255, qc_lanes);
      codes[i] = moves ? byte : codes[i];
      sum_xl = moves ? rest_xl : sum_xl;
      sum_ll = moves ? rest_ll : sum_ll;
      changed |= moves;
    }
    if (!__builtin_reduce_or(changed)) break;
  }
  return sum_ll > zero ? sum_xl / sum_ll : zero;
}

// Results of searches over the sub-blocks of a super-block: a scale, points as packed combinations, signs of every 8 weights.
typedef struct {
  float scale[16];
  uint16_t points[16][8];
  uint8_t signs[16][4];
} qc_grid_fits;

// Separates the signs from the weights. If only seven can be stored and the number of minus signs is odd, the weight whose sign
// matters least changes its sign, and stays negative.
static inline __attribute__((always_inline)) void qc_take_signs(qc_grid_rule rule, qc_row *x, const qc_row *w, qc_codes *signs) {
  qc_lanes zero = qc_broadcast(0);
  for (int s = 0; s < rule.weights / 8; ++s) {
    qc_row *own = x + 8 * s;
    qc_mask bits = 0, flips = 0, least = 0;
    qc_lanes cost = w[8 * s].all * own[0].all * own[0].all;
    for (int i = 0; i < 8; ++i) {
      qc_lanes square = w[8 * s + i].all * own[i].all * own[i].all;
      qc_mask is_less = square < cost;
      cost = is_less ? square : cost;
      least = is_less ? (qc_mask)i : least;
      qc_mask is_positive = own[i].all >= zero;
      own[i].all = is_positive ? own[i].all : -own[i].all;
      bits |= ~is_positive & 1 << i;
      flips ^= ~is_positive;
    }
    for (int i = 0; rule.has_even_signs && i < 8; ++i) {
      qc_mask flip = flips & (least == i);
      own[i].all = flip ? -own[i].all : own[i].all;
      bits ^= flip & 1 << i;
    }
    signs[s].all = rule.has_even_signs ? bits & 127 : bits;
  }
}

// Searches sub-blocks. `x` holds their weights, from which the signs are removed. Results go to index `at` onwards.
static inline __attribute__((always_inline)) void qc_search_grid(
    qc_grid_rule rule, const qc_neighbours *grid, qc_row *x, const qc_row *w, qc_grid_fits *fits, int at, int count
) {
  int points = rule.weights / rule.length;
  qc_stretches stretches;
  qc_codes signs[4], kept[8], are_points[8];
  qc_row wx[32];
  qc_lanes zero = qc_broadcast(0);
  qc_take_signs(rule, x, w, signs);
  qc_lanes maximum = x[0].all;
  for (int i = 0; i < rule.weights; ++i) {
    maximum = qc_larger(maximum, x[i].all);
    wx[i].all = w[i].all * x[i].all;
    qc_row root = {qc_lanes_sqrt(w[i].all)};
    for (int lane = 0; lane < QC_LANES; ++lane) {
      stretches.x[lane][i] = x[i].lane[lane];
      stretches.w[lane][i] = root.lane[lane];
    }
  }
  qc_mask is_empty = maximum < qc_broadcast(rule.smallest);
  float reach = (float)(2 * rule.top + 1);
  qc_lanes scale = maximum / reach;
  if (rule.fits_first) {
    scale = qc_fit_without_grid(x, w, maximum);
    maximum = scale * (float)(rule.top + 1);
    is_empty |= maximum <= zero;
  }

  qc_lanes best = zero;
  for (int p = 0; p < points; ++p) {
    kept[p].all = 0;
    are_points[p].all = rule.again == QC_AGAIN_OFF_GRID ? -1 : 0;
  }
  for (int step = -rule.steps; step <= rule.steps; ++step) {
    qc_codes trial[8], trial_points[8];
    qc_lanes inverse = (reach + (float)step * rule.step) / maximum, sum_xq, sum_qq;
    qc_nearest_levels(rule, x, inverse, trial);
    qc_snap(rule, grid, &stretches, 1 / inverse, count, trial, trial_points);
    qc_sum_products(rule, wx, w, trial, &sum_xq, &sum_qq);
    qc_mask better = (sum_qq > zero) & (sum_xq * sum_xq > best * sum_qq);
    qc_lanes fitted = sum_xq / sum_qq;
    scale = better ? fitted : scale;
    best = better ? fitted * sum_xq : best;
    for (int p = 0; p < points; ++p) {
      kept[p].all = better ? trial[p].all : kept[p].all;
      are_points[p].all = better ? trial_points[p].all : are_points[p].all;
    }
  }

  qc_mask again = scale > zero, all_are_points = -1;
  for (int p = 0; p < points; ++p) all_are_points &= are_points[p].all;
  if (rule.again != QC_AGAIN_ALWAYS) again &= ~all_are_points;
  if (__builtin_reduce_or(again)) {
    qc_codes last[8], last_points[8];
    qc_lanes sum_xq, sum_qq;
    qc_nearest_levels(rule, x, 1 / scale, last);
    qc_snap(rule, grid, &stretches, scale, count, last, last_points);
    for (int p = 0; p < points; ++p) {
      qc_mask changes = rule.again == QC_AGAIN_OFF_GRID ? again & ~are_points[p].all : again;
      kept[p].all = changes ? last[p].all : kept[p].all;
    }
    qc_sum_products(rule, wx, w, kept, &sum_xq, &sum_qq);
    again &= sum_qq > zero;
    scale = again ? sum_xq / sum_qq : scale;
  }

  // There are no codes for negative scales: the signs change instead.
  qc_mask is_negative = scale < zero;
  qc_row scales = {is_empty ? zero : is_negative ? -scale : scale};
  for (int lane = 0; lane < count; ++lane) fits->scale[at + lane] = scales.lane[lane];
  for (int s = 0; s < rule.weights / 8; ++s) {
    signs[s].all ^= is_negative & (rule.has_even_signs ? 127 : 255);
    signs[s].all = is_empty ? (qc_mask)0 : signs[s].all;
    for (int lane = 0; lane < count; ++lane) fits->signs[at + lane][s] = (uint8_t)signs[s].lane[lane];
  }
  for (int p = 0; p < points; ++p) {
    kept[p].all = is_empty ? (qc_mask)0 : kept[p].all;
    for (int lane = 0; lane < count; ++lane) fits->points[at + lane][p] = (uint16_t)(grid->entries[kept[p].lane[lane]] >> 8);
  }
}
