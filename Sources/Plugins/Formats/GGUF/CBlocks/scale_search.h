// Weighted searches for the scale (and minimum) of a block, one block per lane.
//
// The codes that a search settled on are described by the scale (and minimum) it computed them with: whoever needs them
// computes them again, which is far cheaper than keeping them at each improvement.

enum { QC_SEARCH_LENGTH = 32 };

// Steps of a range search: for s in 0...last, codes are computed with the scale (first + step * s + top) / range.
typedef struct {
  float first, step;
  int last;
} qc_search_steps;

static const qc_search_steps qc_steps_q4_k = {-1.0f, 0.1f, 20};
static const qc_search_steps qc_steps_q5_k = {-0.5f, 0.1f, 15};
static const qc_search_steps qc_steps_weighted = {-0.9f, 0.05f, 36};

// Results of searches over several blocks: value = scale * code + minimum.
typedef struct {
  float scale[16], minimum[16];
  // code = nearest(code_scale * (x - code_minimum)), clamped
  float code_scale[16], code_minimum[16];
  float weight_sum[16];
} qc_fits;

// Least squares for x = scale * code + minimum with codes 0...top and minimum <= 0. Results go to index `at` onwards.
static inline void qc_search_range(
    const qc_row *x, const qc_row *w, int length, float top, qc_search_steps steps, qc_fits *fits, int at, int count
) {
  qc_lanes codes[QC_SEARCH_LENGTH];
  qc_lanes zero = qc_broadcast(0);
  qc_lanes minimum = x[0].all, maximum = x[0].all, sum_w = w[0].all, sum_x = w[0].all * x[0].all;
  for (int i = 1; i < length; ++i) {
    minimum = x[i].all < minimum ? x[i].all : minimum;
    maximum = x[i].all > maximum ? x[i].all : maximum;
    sum_w += w[i].all;
    sum_x += w[i].all * x[i].all;
  }
  minimum = minimum > zero ? zero : minimum;
  qc_mask constant = maximum <= minimum;
  qc_lanes only_minimum = minimum;

  qc_lanes code_scale = top / (maximum - minimum), scale = 1.0f / code_scale, best = zero;
  qc_lanes code_minimum = minimum;
  for (int i = 0; i < length; ++i) {
    qc_lanes code = qc_lanes_clamp(qc_lanes_nearest(code_scale * (x[i].all - minimum)), 0, top);
    qc_lanes error = scale * code + minimum - x[i].all;
    best += w[i].all * (error * error);
  }
  for (int step = 0; step <= steps.last; ++step) {
    qc_lanes trial_scale = (steps.first + steps.step * (float)step + top) / (maximum - minimum);
    qc_lanes sum_l = zero, sum_ll = zero, sum_xl = zero;
    for (int i = 0; i < length; ++i) {
      qc_lanes code = qc_lanes_clamp(qc_lanes_nearest(trial_scale * (x[i].all - minimum)), 0, top);
      codes[i] = code;
      qc_lanes weighted = w[i].all * code;
      sum_l += weighted;
      sum_ll += weighted * code;
      sum_xl += weighted * x[i].all;
    }
    qc_lanes determinant = sum_w * sum_ll - sum_l * sum_l;
    qc_lanes new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    qc_lanes new_minimum = (sum_ll * sum_x - sum_l * sum_xl) / determinant;
    qc_mask positive = new_minimum > zero;
    new_scale = positive ? sum_xl / sum_ll : new_scale;
    new_minimum = positive ? zero : new_minimum;
    qc_lanes sum_error = zero;
    for (int i = 0; i < length; ++i) {
      qc_lanes error = new_scale * codes[i] + new_minimum - x[i].all;
      sum_error += w[i].all * (error * error);
    }
    // The improved minimum also changes the range that the later steps divide: it belongs to the search.
    qc_mask better = (determinant > zero) & (sum_error < best);
    best = better ? sum_error : best;
    scale = better ? new_scale : scale;
    code_scale = better ? trial_scale : code_scale;
    code_minimum = better ? minimum : code_minimum;
    minimum = better ? new_minimum : minimum;
  }
  qc_row results[5];
  results[0].all = constant ? zero : scale;
  results[1].all = constant ? only_minimum : minimum;
  results[2].all = constant ? zero : code_scale;
  results[3].all = constant ? zero : code_minimum;
  results[4].all = sum_w;
  for (int lane = 0; lane < count; ++lane) {
    fits->scale[at + lane] = results[0].lane[lane];
    fits->minimum[at + lane] = results[1].lane[lane];
    fits->code_scale[at + lane] = results[2].lane[lane];
    fits->code_minimum[at + lane] = results[3].lane[lane];
    fits->weight_sum[at + lane] = results[4].lane[lane];
  }
}

// The code that a range search settled on.
static inline int32_t qc_range_code(const qc_fits *fits, int block, float x, int32_t top) {
  return qc_clamp(qc_nearest(fits->code_scale[block] * (x - fits->code_minimum[block])), 0, top);
}

// Least squares for x = scale * (code - half) with codes 0...2 * half - 1.
static inline void qc_search_symmetric(
    const qc_row *x, const qc_row *w, int length, float half, qc_fits *fits, int at, int count
) {
  qc_lanes zero = qc_broadcast(0), maximum = zero, magnitude = zero;
  for (int i = 0; i < length; ++i) {
    qc_lanes a = qc_lanes_abs(x[i].all);
    qc_mask larger = a > magnitude;
    magnitude = larger ? a : magnitude;
    maximum = larger ? x[i].all : maximum;
  }
  qc_mask empty = magnitude < qc_broadcast(1e-15f);

  qc_lanes code_scale = -half / maximum, sum_xl = zero, sum_ll = zero;
  for (int i = 0; i < length; ++i) {
    qc_lanes code = qc_lanes_clamp(qc_lanes_nearest(code_scale * x[i].all), -half, half - 1);
    sum_xl += w[i].all * x[i].all * code;
    sum_ll += w[i].all * code * code;
  }
  qc_lanes scale = sum_ll != zero ? sum_xl / sum_ll : zero;
  qc_lanes best = scale * sum_xl;
  for (int step = -9; step <= 9; ++step) {
    if (step == 0) continue;
    qc_lanes trial_scale = -(half + 0.1f * (float)step) / maximum;
    sum_xl = sum_ll = zero;
    for (int i = 0; i < length; ++i) {
      qc_lanes code = qc_lanes_clamp(qc_lanes_nearest(trial_scale * x[i].all), -half, half - 1);
      sum_xl += w[i].all * x[i].all * code;
      sum_ll += w[i].all * code * code;
    }
    qc_mask better = (sum_ll > zero) & (sum_xl * sum_xl > best * sum_ll);
    qc_lanes new_scale = sum_xl / sum_ll;
    scale = better ? new_scale : scale;
    best = better ? new_scale * sum_xl : best;
    code_scale = better ? trial_scale : code_scale;
  }
  qc_row results[2];
  results[0].all = empty ? zero : scale;
  results[1].all = empty ? zero : code_scale;
  for (int lane = 0; lane < count; ++lane) {
    fits->scale[at + lane] = results[0].lane[lane];
    fits->code_scale[at + lane] = results[1].lane[lane];
  }
}

// The code that a symmetric search settled on. A block of zeros has code 0, not `half`: its scale is zero.
static inline int32_t qc_symmetric_code(const qc_fits *fits, int block, float x, int32_t half) {
  if (fits->code_scale[block] == 0) return 0;
  return half + qc_clamp(qc_nearest(fits->code_scale[block] * x), -half, half - 1);
}

// Weighted fit of x = scale * code for the eight non-negative scales or minima of a super-block, with codes 0...63.
// Returns the scale.
static inline float qc_search_positive(const float x[8], const float w[8], uint8_t codes[8]) {
  const int32_t top = 63;
  float maximum = 0;
  for (int i = 0; i < 8; ++i) maximum = maximum > x[i] ? maximum : x[i];
  if (maximum < 1e-15f) {
    memset(codes, 0, 8);
    return 0;
  }
  float code_scale = (float)top / maximum, best = 0, scale = 1 / code_scale;
  for (int i = 0; i < 8; ++i) {
    float error = x[i] - scale * (float)(uint8_t)qc_nearest(code_scale * x[i]);
    best += w[i] * error * error;
  }
  for (int step = -4; step <= 4; ++step) {
    if (step == 0) continue;
    float trial_scale = (0.1f * (float)step + (float)top) / maximum, sum_error = 0;
    scale = 1 / trial_scale;
    for (int i = 0; i < 8; ++i) {
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
  for (int i = 0; i < 8; ++i) {
    int32_t code = qc_nearest(code_scale * x[i]);
    code = code < top ? code : top;
    codes[i] = (uint8_t)code;
    sum_xl += w[i] * x[i] * (float)code;
    sum_ll += w[i] * (float)code * (float)code;
  }
  // Move single codes as long as that explains more of x.
  for (int round = 0; round < 5; ++round) {
    int changes = 0;
    for (int i = 0; i < 8; ++i) {
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
