// Weighted searches for the scale (and minimum) of a block, one block per lane.
//
// The codes that a search chose are described by the scale (and minimum) with which it computed them: callers that need them
// compute them again, which is far cheaper than keeping them at each improvement.

// Vectors processed together: while one waits, another computes.
enum { QC_SEARCH_LENGTH = 32, QC_CHAINS = 2, QC_AT_ONCE = QC_CHAINS * QC_LANES, QC_FITS = 4 * QC_LANES };

// Steps of a range search: for s in 0...last, codes are computed with the scale (first + step * s + top) / range.
typedef struct {
  float first, step;
  int last;
} qc_search_steps;

static const qc_search_steps qc_steps_q4_k = {-1.0f, 0.1f, 20};
static const qc_search_steps qc_steps_short = {-0.5f, 0.1f, 15};  // q5_k and q2_k
static const qc_search_steps qc_steps_weighted = {-0.9f, 0.05f, 36};

// Results of searches over several blocks: value = scale * code + minimum.
typedef struct {
  float scale[QC_FITS], minimum[QC_FITS];
  // code = nearest(code_scale * (x - code_minimum)), clamped
  float code_scale[QC_FITS], code_minimum[QC_FITS];
  float weight_sum[QC_FITS];
} qc_fits;

// Transposes up to QC_AT_ONCE blocks into rows across lanes, vector after vector. Vectors without a block repeat the first one.
static inline void qc_transpose_chains(const float *source, int blocks, int length, qc_row *rows) {
  for (int c = 0; c < QC_CHAINS; ++c) {
    int first = c * QC_LANES < blocks ? c * QC_LANES : 0;
    qc_transpose(source + first * length, blocks - first, length, rows + c * length);
  }
}

// The error that a range search sums, weighted, to compare its fits.
typedef enum { QC_SQUARED, QC_ABSOLUTE } qc_error_kind;

static inline qc_lanes qc_error(qc_error_kind kind, qc_lanes difference) {
  return kind == QC_ABSOLUTE ? qc_lanes_abs(difference) : difference * difference;
}

// The sums of one step of a range search.
typedef struct {
  qc_lanes l, ll, xl;
} qc_range_sums;

static inline __attribute__((always_inline)) void qc_add_codes(
    const qc_row *x, const qc_row *w, int length, float top, const qc_lanes *code_scale, const qc_lanes *minimum, int is_tame,
    qc_lanes *codes, qc_range_sums *sums
) {
  for (int c = 0; c < QC_CHAINS; ++c) sums[c].l = sums[c].ll = sums[c].xl = qc_broadcast(0);
  for (int i = 0; i < length; ++i) {
#pragma clang loop unroll(full)
    for (int c = 0; c < QC_CHAINS; ++c) {
      qc_lanes value = x[c * length + i].all, place = code_scale[c] * (value - minimum[c]);
      qc_lanes code = qc_lanes_clamp(is_tame ? qc_lanes_round(place) : qc_lanes_nearest(place), 0, top);
      codes[c * length + i] = code;
      qc_lanes weighted = w[c * length + i].all * code;
      sums[c].l += weighted;
      sums[c].ll += weighted * code;
      sums[c].xl += weighted * value;
    }
  }
}

static inline __attribute__((always_inline)) void qc_add_errors(
    const qc_row *x, const qc_row *w, int length, qc_error_kind kind, const qc_lanes *scale, const qc_lanes *minimum,
    const qc_lanes *codes, qc_lanes *error
) {
  for (int c = 0; c < QC_CHAINS; ++c) error[c] = qc_broadcast(0);
  for (int i = 0; i < length; ++i) {
#pragma clang loop unroll(full)
    for (int c = 0; c < QC_CHAINS; ++c) {
      int at = c * length + i;
      error[c] += w[at].all * qc_error(kind, scale[c] * codes[at] + minimum[c] - x[at].all);
    }
  }
}

// The state of a range search for one vector of blocks.
typedef struct {
  qc_lanes smallest, maximum, sum_w, sum_x;
  qc_lanes scale, minimum, code_scale, code_minimum, best;
  qc_mask constant;
} qc_range_state;

// Least squares for x = scale * code + minimum with codes 0...top and minimum <= 0, in QC_AT_ONCE blocks of `length` weights.
// Results go to index `at` onwards.
static inline __attribute__((always_inline)) void qc_search_range(
    const qc_row *x, const qc_row *w, int length, float top, qc_search_steps steps, qc_error_kind kind, qc_fits *fits, int at
) {
  qc_lanes codes[QC_CHAINS * QC_SEARCH_LENGTH], zero = qc_broadcast(0);
  qc_lanes scales[QC_CHAINS], minima[QC_CHAINS], errors[QC_CHAINS];
  qc_range_sums sums[QC_CHAINS];
  qc_range_state states[QC_CHAINS];
  for (int c = 0; c < QC_CHAINS; ++c) {
    const qc_row *value = x + c * length, *weight = w + c * length;
    qc_range_state *state = states + c;
    qc_lanes low = value[0].all, high = low, sum_w = weight[0].all, sum_x = sum_w * low;
    for (int i = 1; i < length; ++i) {
      low = value[i].all < low ? value[i].all : low;
      high = value[i].all > high ? value[i].all : high;
      sum_w += weight[i].all;
      sum_x += weight[i].all * value[i].all;
    }
    state->smallest = low;
    state->maximum = high;
    state->sum_w = sum_w;
    state->sum_x = sum_x;
    low = low > zero ? zero : low;
    state->constant = high <= low;
    state->minimum = state->code_minimum = minima[c] = low;
    state->code_scale = top / (high - low);
    state->scale = scales[c] = 1.0f / state->code_scale;
    for (int i = 0; i < length; ++i) {
      codes[c * length + i] = qc_lanes_clamp(qc_lanes_nearest(state->code_scale * (value[i].all - low)), 0, top);
    }
  }
  qc_add_errors(x, w, length, kind, scales, minima, codes, errors);
  for (int c = 0; c < QC_CHAINS; ++c) states[c].best = errors[c];
  for (int step = 0; step <= steps.last; ++step) {
    qc_lanes trial_scale[QC_CHAINS], minimum[QC_CHAINS];
    qc_mask wild = states[0].constant ^ states[0].constant;
    for (int c = 0; c < QC_CHAINS; ++c) {
      qc_range_state *state = states + c;
      minimum[c] = state->minimum;
      qc_lanes range = state->maximum - state->minimum;
      trial_scale[c] = (steps.first + steps.step * (float)step + top) / range;
      // The fast rounding is used if no code can exceed its range.
      qc_lanes low = qc_lanes_abs(trial_scale[c] * (state->smallest - state->minimum)), high = qc_lanes_abs(trial_scale[c] * range);
      wild |= ~((low < 4e6f) & (high < 4e6f)) & ~state->constant;
    }
    if (__builtin_reduce_or(wild) == 0) {
      qc_add_codes(x, w, length, top, trial_scale, minimum, 1, codes, sums);
    } else {
      qc_add_codes(x, w, length, top, trial_scale, minimum, 0, codes, sums);
    }
    for (int c = 0; c < QC_CHAINS; ++c) {
      qc_lanes sum_w = states[c].sum_w, sum_x = states[c].sum_x, l = sums[c].l, ll = sums[c].ll, xl = sums[c].xl;
      qc_lanes determinant = sum_w * ll - l * l;
      qc_lanes new_scale = (sum_w * xl - sum_x * l) / determinant, new_minimum = (ll * sum_x - l * xl) / determinant;
      qc_mask positive = new_minimum > zero;
      scales[c] = positive ? xl / ll : new_scale;
      minima[c] = positive ? zero : new_minimum;
    }
    qc_add_errors(x, w, length, kind, scales, minima, codes, errors);
    for (int c = 0; c < QC_CHAINS; ++c) {
      qc_range_state *state = states + c;
      // The improved minimum also changes the range by which later steps divide: this is part of the search.
      qc_mask better = (state->sum_w * sums[c].ll - sums[c].l * sums[c].l > zero) & (errors[c] < state->best);
      state->best = better ? errors[c] : state->best;
      state->scale = better ? scales[c] : state->scale;
      state->code_scale = better ? trial_scale[c] : state->code_scale;
      state->code_minimum = better ? minimum[c] : state->code_minimum;
      state->minimum = better ? minima[c] : state->minimum;
    }
  }
  for (int c = 0; c < QC_CHAINS; ++c, at += QC_LANES) {
    const qc_range_state *state = states + c;
    qc_lanes only_minimum = state->smallest > zero ? zero : state->smallest;
    qc_store_row(fits->scale + at, state->constant ? zero : state->scale);
    qc_store_row(fits->minimum + at, state->constant ? only_minimum : state->minimum);
    qc_store_row(fits->code_scale + at, state->constant ? zero : state->code_scale);
    qc_store_row(fits->code_minimum + at, state->constant ? zero : state->code_minimum);
    qc_store_row(fits->weight_sum + at, state->sum_w);
  }
}

// The code that a range search chose.
static inline int32_t qc_range_code(const qc_fits *fits, int block, float x, int32_t top) {
  return qc_clamp(qc_nearest(fits->code_scale[block] * (x - fits->code_minimum[block])), 0, top);
}

// The sums of two steps of a symmetric search, side by side. No product exceeds the extreme one, whose code before rounding is
// known: it tells which ends need a limit, and that the fast rounding is valid.
static inline __attribute__((always_inline)) void qc_add_signed_codes(
    const qc_row *x, const qc_row *w, const qc_lanes *wx, int length, float half, const qc_lanes code_scale[2], int limits_low,
    int limits_high, qc_lanes sum_xl[2], qc_lanes sum_ll[2]
) {
  qc_lanes low = qc_broadcast(-half), high = qc_broadcast(half - 1);
  qc_lanes scale0 = code_scale[0], scale1 = code_scale[1], xl0 = qc_broadcast(0), ll0 = xl0, xl1 = xl0, ll1 = xl0;
#pragma clang loop unroll_count(2)
  for (int i = 0; i < length; ++i) {
    qc_lanes code0 = qc_lanes_round(scale0 * x[i].all), code1 = qc_lanes_round(scale1 * x[i].all);
    if (limits_low) {
      code0 = qc_larger(code0, low);
      code1 = qc_larger(code1, low);
    }
    if (limits_high) {
      code0 = qc_smaller(code0, high);
      code1 = qc_smaller(code1, high);
    }
    xl0 += wx[i] * code0;
    xl1 += wx[i] * code1;
    ll0 += w[i].all * code0 * code0;
    ll1 += w[i].all * code1 * code1;
  }
  sum_xl[0] = xl0;
  sum_xl[1] = xl1;
  sum_ll[0] = ll0;
  sum_ll[1] = ll1;
}

// Least squares for x = scale * (code - half) with codes 0...2 * half - 1.
// Results of QC_LANES blocks go to index `at` onwards.
static inline __attribute__((always_inline)) void qc_search_symmetric(
    const qc_row *x, const qc_row *w, int length, float half, qc_fits *fits, int at
) {
  qc_lanes wx[QC_SEARCH_LENGTH], zero = qc_broadcast(0), maximum = zero, magnitude = zero;
  for (int i = 0; i < length; ++i) {
    wx[i] = w[i].all * x[i].all;
    qc_lanes a = qc_lanes_abs(x[i].all);
    qc_mask larger = a > magnitude;
    magnitude = larger ? a : magnitude;
    maximum = larger ? x[i].all : maximum;
  }
  qc_mask empty = magnitude < qc_broadcast(1e-15f);

  // Steps -9 to 9 except 0, preceded by the step of the range as it is.
  qc_lanes code_scale = zero, scale = zero, best = zero;
  for (int pair = -1; pair < 9; ++pair) {
    qc_lanes trial_scale[2], sum_xl[2], sum_ll[2];
    for (int n = 0; n < 2; ++n) {
      int step = pair < 0 ? 0 : 2 * pair + n - (2 * pair + n < 9 ? 9 : 8);
      trial_scale[n] = -(half + 0.1f * (float)step) / maximum;
    }
    if (pair >= 0 && pair < 2) {
      qc_add_signed_codes(x, w, wx, length, half, trial_scale, 0, 0, sum_xl, sum_ll);
    } else if (pair < 6) {
      qc_add_signed_codes(x, w, wx, length, half, trial_scale, 0, 1, sum_xl, sum_ll);
    } else {
      qc_add_signed_codes(x, w, wx, length, half, trial_scale, 1, 1, sum_xl, sum_ll);
    }
    for (int n = 0; n < 2; ++n) {
      qc_lanes new_scale = sum_xl[n] / sum_ll[n];
      if (pair < 0) {
        scale = sum_ll[0] != zero ? new_scale : zero;
        best = scale * sum_xl[0];
        code_scale = trial_scale[0];
        break;
      }
      qc_mask better = (sum_ll[n] > zero) & (sum_xl[n] * sum_xl[n] > best * sum_ll[n]);
      scale = better ? new_scale : scale;
      best = better ? new_scale * sum_xl[n] : best;
      code_scale = better ? trial_scale[n] : code_scale;
    }
  }
  qc_store_row(fits->scale + at, empty ? zero : scale);
  qc_store_row(fits->code_scale + at, empty ? zero : code_scale);
}

// The code that a symmetric search chose. A block of zeros has code 0, not `half`: its scale is zero.
static inline int32_t qc_symmetric_code(const qc_fits *fits, int block, float x, int32_t half) {
  if (fits->code_scale[block] == 0) return 0;
  return half + qc_clamp(qc_nearest(fits->code_scale[block] * x), -half, half - 1);
}

// Weighted fit of x = scale * code for the non-negative scales or minima of a super-block, with codes 0...top. Returns the
// scale.
static inline float qc_search_positive(const float *x, const float *w, int count, int32_t top, uint8_t *codes) {
  float maximum = 0;
  for (int i = 0; i < count; ++i) maximum = maximum > x[i] ? maximum : x[i];
  if (maximum < 1e-15f) {
    memset(codes, 0, (size_t)count);
    return 0;
  }
  float code_scale = (float)top / maximum, best = 0, scale = 1 / code_scale;
  for (int i = 0; i < count; ++i) {
    float error = x[i] - scale * (float)(uint8_t)qc_nearest(code_scale * x[i]);
    best += w[i] * error * error;
  }
  for (int step = -4; step <= 4; ++step) {
    if (step == 0) continue;
    float trial_scale = (0.1f * (float)step + (float)top) / maximum, sum_error = 0;
    scale = 1 / trial_scale;
    for (int i = 0; i < count; ++i) {
      int32_t code = qc_nearest(trial_scale * x[i]);
      float error = x[i] - scale * (float)(code < top ? code : top);
      sum_error += w[i] * error * error;
    }
    if (sum_error < best) {
      best = sum_error;
      code_scale = trial_scale;
    }
  }
  float sum_xl = 0, sum_ll = 0;
  for (int i = 0; i < count; ++i) {
    int32_t code = qc_nearest(code_scale * x[i]);
    code = code < top ? code : top;
    codes[i] = (uint8_t)code;
    sum_xl += w[i] * x[i] * (float)code;
    sum_ll += w[i] * (float)code * (float)code;
  }
  // Change single codes as long as that explains more of x.
  for (int round = 0; round < 5; ++round) {
    int changes = 0;
    for (int i = 0; i < count; ++i) {
      float old = (float)codes[i];
      float rest_xl = sum_xl - w[i] * x[i] * old, rest_ll = sum_ll - w[i] * old * old;
      if (!(rest_xl > 0 && rest_ll > 0)) continue;
      int32_t code = qc_nearest(x[i] * rest_ll / rest_xl);
      code = code < top ? code : top;
      if (code == codes[i]) continue;
      rest_xl += w[i] * x[i] * (float)code;
      rest_ll += w[i] * (float)code * (float)code;
      if (rest_xl * rest_xl * sum_ll > sum_xl * sum_xl * rest_ll) {
        codes[i] = (uint8_t)code;
        sum_xl = rest_xl;
        sum_ll = rest_ll;
        ++changes;
      }
    }
    if (changes == 0) break;
  }
  return sum_ll > 0 ? sum_xl / sum_ll : 0;
}
