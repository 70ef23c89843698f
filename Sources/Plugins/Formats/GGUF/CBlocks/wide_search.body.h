// A wider search for the stored parameters of blocks: scale and minimum together, from many starting points, and for super-blocks
// together with the integers that scale sub-blocks. It minimises the error of what a client will compute, weighted as the caller says,
// and starts from given parameters, so that the error never grows.

typedef enum { QC_EVEN, QC_UNEVEN, QC_SIGNS } qc_number_kind;

// The values of codes before they are scaled, and which parameters a block has.
typedef struct {
  qc_number_kind kind;
  int subs, length;  // sub-blocks of a block, and weights of one of them
  int has_minimum;
  float low, high;              // the smallest and largest value of a code
  float reach;                  // the largest multiple of `high` at which the largest weight is tried
  float scale_low, scale_high;  // integers that multiply the scale for a sub-block; minima have 0...scale_high
} qc_block_shape;

enum { QC_WIDE_TRIALS = 16, QC_WIDE_SUBS = 16, QC_WIDE_ROUNDS = 6 };

// One pass over sub-blocks, one per lane: the error under some scales and minima with the nearest codes, and the sums that least
// squares need to find better ones for these codes.
typedef struct {
  qc_lanes error, v, vv, xv;
} qc_pass;

static inline __attribute__((always_inline)) qc_lanes qc_number(const qc_block_shape shape, const qc_level_table *levels, qc_lanes place) {
  if (shape.kind == QC_SIGNS) return place < qc_broadcast(0) ? qc_broadcast(-1) : qc_broadcast(1);
  if (shape.kind == QC_UNEVEN) return qc_level_value(levels, qc_lanes_clamp(place, -134, 134));
  return qc_lanes_round(qc_lanes_clamp(place, shape.low, shape.high));
}

static inline __attribute__((always_inline)) qc_pass qc_try_parameters(
    const qc_block_shape shape, const qc_level_table *levels, const qc_row *x, const qc_row *w, qc_lanes scale, qc_lanes minimum
) {
  qc_lanes zero = qc_broadcast(0), inverse = scale != zero ? 1.0f / scale : zero;
  qc_pass pass = {zero, zero, zero, zero};
  for (int i = 0; i < shape.length; ++i) {
    qc_lanes value = shape.has_minimum ? x[i].all - minimum : x[i].all;
    qc_lanes number = qc_number(shape, levels, value * inverse), weighted = w[i].all * number;
    qc_lanes difference = scale * number - value;
    pass.error += w[i].all * (difference * difference);
    pass.v += weighted;
    pass.vv += weighted * number;
    pass.xv += weighted * x[i].all;
  }
  return pass;
}

// Sums over a sub-block that do not depend on codes.
typedef struct {
  qc_lanes w, x;
} qc_totals;

// Least squares for scale and minimum under the codes of a pass. If there is no solution, they stay.
static inline __attribute__((always_inline)) void qc_solve(
    const qc_block_shape shape, const qc_pass *pass, const qc_totals *totals, qc_lanes *scale, qc_lanes *minimum
) {
  qc_lanes zero = qc_broadcast(0), alone = pass->xv / pass->vv;
  qc_mask possible = pass->vv > zero;
  if (!shape.has_minimum) {
    *scale = possible ? alone : *scale;
    return;
  }
  qc_lanes determinant = totals->w * pass->vv - pass->v * pass->v;
  qc_lanes new_scale = (totals->w * pass->xv - totals->x * pass->v) / determinant;
  qc_lanes new_minimum = (pass->vv * totals->x - pass->v * pass->xv) / determinant;
  if (shape.subs > 1) {
    // The minima of a super-block have one sign.
    qc_mask positive = new_minimum > zero;
    new_scale = positive ? alone : new_scale;
    new_minimum = positive ? zero : new_minimum;
  }
  possible &= determinant > zero;
  *scale = possible ? new_scale : *scale;
  *minimum = possible ? new_minimum : *minimum;
}

static inline __attribute__((always_inline)) qc_totals qc_add_totals(const qc_row *x, const qc_row *w, int length) {
  qc_totals totals = {qc_broadcast(0), qc_broadcast(0)};
  for (int i = 0; i < length; ++i) {
    totals.w += w[i].all;
    totals.x += w[i].all * x[i].all;
  }
  return totals;
}

// Scale and minimum of each lane by least squares, from starting points that spread the values over more and less than the range.
static inline __attribute__((always_inline)) void qc_fit_widely(
    const qc_block_shape shape, const qc_level_table *levels, const qc_row *x, const qc_row *w, qc_lanes *scale, qc_lanes *minimum
) {
  qc_lanes zero = qc_broadcast(0), low = x[0].all, high = x[0].all;
  qc_totals totals = qc_add_totals(x, w, shape.length);
  for (int i = 1; i < shape.length; ++i) {
    low = qc_smaller(x[i].all, low);
    high = qc_larger(x[i].all, high);
  }
  if (shape.subs > 1) low = qc_smaller(low, zero);
  qc_lanes extreme = qc_lanes_abs(low), top = qc_lanes_abs(high), best = qc_broadcast(__builtin_inff());
  extreme = shape.has_minimum ? high - low : qc_larger(extreme, top);
  *scale = zero;
  *minimum = shape.has_minimum ? low : zero;
  // Values that reach farther on one side are tried with both signs.
  int ways = shape.has_minimum || shape.low == -shape.high ? 1 : 2;
  for (int trial = 0; trial < QC_WIDE_TRIALS * ways; ++trial) {
    float factor = 0.9f + (shape.reach - 0.9f) * (float)(trial / ways) / (QC_WIDE_TRIALS - 1);
    qc_lanes own_scale = extreme / (trial % ways == 0 ? shape.high * factor : -shape.high * factor), own_minimum = *minimum;
    own_minimum = shape.has_minimum ? low : zero;
    for (int pass = 0; pass < 3; ++pass) {
      qc_pass found = qc_try_parameters(shape, levels, x, w, own_scale, own_minimum);
      qc_mask better = found.error < best;
      best = better ? found.error : best;
      *scale = better ? own_scale : *scale;
      *minimum = better ? own_minimum : *minimum;
      qc_solve(shape, &found, &totals, &own_scale, &own_minimum);
    }
  }
}

static inline qc_lanes qc_rounded_to_half(qc_lanes value) {
  qc_row row = {value};
  for (int lane = 0; lane < QC_LANES; ++lane) {
    uint8_t half[2];
    qc_store_half(half, row.lane[lane]);
    row.lane[lane] = qc_load_half(half);
  }
  return row.all;
}

// MARK: Blocks with one scale, one block per lane

enum { QC_WIDE_LENGTH = 256 };

static inline __attribute__((always_inline)) void qc_refine_blocks(
    const qc_block_shape shape, const float *source, const float *weights, int64_t blocks, float *parameters
) {
  qc_level_table levels = qc_make_level_table();
  qc_row x[QC_WIDE_LENGTH], w[QC_WIDE_LENGTH], scale, minimum = {qc_broadcast(0)};
  int stride = shape.has_minimum ? 2 : 1;
  while (blocks > 0) {
    int count = blocks < QC_LANES ? (int)blocks : QC_LANES;
    qc_transpose(source, count, shape.length, x);
    qc_transpose(weights, count, shape.length, w);
    for (int lane = 0; lane < QC_LANES; ++lane) {
      const float *own = parameters + stride * (lane < count ? lane : 0);
      scale.lane[lane] = own[0];
      if (shape.has_minimum) minimum.lane[lane] = own[1];
    }
    qc_totals totals = qc_add_totals(x, w, shape.length);
    qc_lanes best = qc_try_parameters(shape, &levels, x, w, scale.all, minimum.all).error;
    qc_lanes own_scale, own_minimum;
    qc_fit_widely(shape, &levels, x, w, &own_scale, &own_minimum);
    for (int round = 0; round < QC_WIDE_ROUNDS; ++round) {
      own_scale = qc_rounded_to_half(own_scale);
      own_minimum = qc_rounded_to_half(own_minimum);
      qc_pass found = qc_try_parameters(shape, &levels, x, w, own_scale, own_minimum);
      qc_mask better = found.error < best;
      best = better ? found.error : best;
      scale.all = better ? own_scale : scale.all;
      minimum.all = better ? own_minimum : minimum.all;
      qc_solve(shape, &found, &totals, &own_scale, &own_minimum);
    }
    for (int lane = 0; lane < count; ++lane, parameters += stride) {
      parameters[0] = scale.lane[lane];
      if (shape.has_minimum) parameters[1] = minimum.lane[lane];
    }
    source += count * shape.length;
    weights += count * shape.length;
    blocks -= count;
  }
}

// MARK: Super-blocks, one sub-block per lane

enum { QC_WIDE_VECTORS = QC_WIDE_SUBS / QC_LANES };

// Weights of one super-block, sub-block by sub-block. Lanes without one have weight zero.
typedef struct {
  qc_row x[QC_WIDE_VECTORS][32], w[QC_WIDE_VECTORS][32];
} qc_super_rows;

// Parameters as they are stored, and their errors.
typedef struct {
  float d, dmin;
  float scales[QC_WIDE_SUBS], minima[QC_WIDE_SUBS], errors[QC_WIDE_SUBS];
  float v[QC_WIDE_SUBS], vv[QC_WIDE_SUBS], xv[QC_WIDE_SUBS];
} qc_super_state;

// Fills in the errors and sums of a state, and returns the sum of its errors.
static inline __attribute__((always_inline)) double qc_measure(
    const qc_block_shape shape, const qc_level_table *levels, const qc_super_rows *rows, qc_super_state *state
) {
  for (int n = 0; n < QC_WIDE_VECTORS; ++n) {
    int at = n * QC_LANES;
    qc_lanes scale = state->d * qc_load_lanes(state->scales + at), minimum = -state->dmin * qc_load_lanes(state->minima + at);
    qc_pass pass = qc_try_parameters(shape, levels, rows->x[n], rows->w[n], scale, minimum);
    memcpy(state->errors + at, &pass.error, sizeof pass.error);
    memcpy(state->v + at, &pass.v, sizeof pass.v);
    memcpy(state->vv + at, &pass.vv, sizeof pass.vv);
    memcpy(state->xv + at, &pass.xv, sizeof pass.xv);
  }
  double sum = 0;
  for (int s = 0; s < shape.subs; ++s) sum += state->errors[s];
  return sum;
}

static inline float qc_half_of(double value) {
  uint8_t half[2];
  qc_store_half(half, (float)value);
  return qc_load_half(half);
}

// Improves the scale and minimum of the whole by least squares, and the integers of sub-blocks by steps, as long as the error falls.
static inline __attribute__((always_inline)) double qc_descend(
    const qc_block_shape shape, const qc_level_table *levels, const qc_super_rows *rows, const double sum_w[QC_WIDE_SUBS],
    const double sum_x[QC_WIDE_SUBS], qc_super_state *state
) {
  double best = qc_measure(shape, levels, rows, state);
  for (int round = 0; round < QC_WIDE_ROUNDS; ++round) {
    double before = best, a = 0, b = 0, c = 0, p = 0, q = 0;
    for (int s = 0; s < shape.subs; ++s) {
      double scale = state->scales[s], minimum = state->minima[s];
      a += scale * scale * state->vv[s];
      b += scale * minimum * state->v[s];
      c += minimum * minimum * sum_w[s];
      p += scale * state->xv[s];
      q += minimum * sum_x[s];
    }
    qc_super_state moved = *state;
    double determinant = a * c - b * b;
    if (shape.has_minimum && determinant > 1e-9 * a * c) {
      moved.d = qc_half_of((p * c - b * q) / determinant);
      moved.dmin = qc_half_of((b * p - a * q) / determinant);
    } else if (a > 0) {
      moved.d = qc_half_of((p + (double)moved.dmin * b) / a);
    }
    double sum = qc_measure(shape, levels, rows, &moved);
    if (sum < best) {
      best = sum;
      *state = moved;
    }
    qc_super_state chosen = *state;
    int span = shape.has_minimum ? 1 : 2;
    for (int scale_step = -span; scale_step <= span; ++scale_step) {
      for (int minimum_step = shape.has_minimum ? -1 : 0; minimum_step <= shape.has_minimum; ++minimum_step) {
        if (scale_step == 0 && minimum_step == 0) continue;
        moved = *state;
        for (int s = 0; s < shape.subs; ++s) {
          float scale = state->scales[s] + (float)scale_step, minimum = state->minima[s] + (float)minimum_step;
          moved.scales[s] = scale < shape.scale_low ? shape.scale_low : scale > shape.scale_high ? shape.scale_high : scale;
          moved.minima[s] = minimum < 0 ? 0 : minimum > shape.scale_high ? shape.scale_high : minimum;
        }
        qc_measure(shape, levels, rows, &moved);
        for (int s = 0; s < shape.subs; ++s) {
          if (!(moved.errors[s] < chosen.errors[s])) continue;
          chosen.scales[s] = moved.scales[s];
          chosen.minima[s] = moved.minima[s];
          chosen.errors[s] = moved.errors[s];
        }
      }
    }
    *state = chosen;
    best = qc_measure(shape, levels, rows, state);
    if (!(best < before)) break;
  }
  return best;
}

static inline float qc_nearest_integer_in(float value, float low, float high) {
  float rounded = (float)qc_nearest(value < low ? low : value > high ? high : value);
  return rounded == rounded ? rounded : 0;
}

static inline __attribute__((always_inline)) void qc_refine_super_blocks(
    const qc_block_shape shape, const float *source, const float *weights, int64_t blocks, float *parameters
) {
  qc_level_table levels = qc_make_level_table();
  int first_scale = shape.has_minimum ? 2 : 1, stride = first_scale + shape.subs * (1 + shape.has_minimum);
  for (; blocks > 0; --blocks, source += QC_SUPER_LENGTH, weights += QC_SUPER_LENGTH, parameters += stride) {
    qc_super_rows rows;
    double sum_w[QC_WIDE_SUBS] = {0}, sum_x[QC_WIDE_SUBS] = {0};
    float scales[QC_WIDE_SUBS], minima[QC_WIDE_SUBS], largest_scale = 0, largest_minimum = 0;
    for (int n = 0; n < QC_WIDE_VECTORS; ++n) {
      for (int lane = 0; lane < QC_LANES; ++lane) {
        int s = n * QC_LANES + lane, own = s < shape.subs ? s : 0;
        for (int i = 0; i < shape.length; ++i) {
          rows.x[n][i].lane[lane] = source[own * shape.length + i];
          rows.w[n][i].lane[lane] = s < shape.subs ? weights[own * shape.length + i] : 0;
        }
      }
      qc_lanes scale, minimum;
      qc_fit_widely(shape, &levels, rows.x[n], rows.w[n], &scale, &minimum);
      minimum = -minimum;
      memcpy(scales + n * QC_LANES, &scale, sizeof scale);
      memcpy(minima + n * QC_LANES, &minimum, sizeof minimum);
    }
    for (int s = 0; s < shape.subs; ++s) {
      for (int i = s * shape.length; i < (s + 1) * shape.length; ++i) {
        sum_w[s] += weights[i];
        sum_x[s] += (double)weights[i] * source[i];
      }
      float magnitude = scales[s] < 0 ? -scales[s] : scales[s];
      if (magnitude > (largest_scale < 0 ? -largest_scale : largest_scale)) largest_scale = scales[s];
      if (minima[s] > largest_minimum) largest_minimum = minima[s];
    }
    qc_super_state best = {.d = parameters[0], .dmin = shape.has_minimum ? parameters[1] : 0};
    for (int s = 0; s < shape.subs; ++s) {
      best.scales[s] = parameters[first_scale + s];
      if (shape.has_minimum) best.minima[s] = parameters[first_scale + shape.subs + s];
    }
    double least = qc_descend(shape, &levels, &rows, sum_w, sum_x, &best);
    // The largest scale at the end of the integers' range, slightly before it, and at their other end.
    float ends[4] = {shape.scale_high, 0.96f * shape.scale_high, 0.92f * shape.scale_high, shape.scale_low};
    for (int end = 0; end < 4; ++end) {
      if (ends[end] == 0 || largest_scale == 0) continue;
      qc_super_state state = {.d = qc_half_of(largest_scale / ends[end]), .dmin = qc_half_of(largest_minimum / ends[end])};
      for (int s = 0; s < shape.subs; ++s) {
        state.scales[s] = state.d != 0 ? qc_nearest_integer_in(scales[s] / state.d, shape.scale_low, shape.scale_high) : 0;
        state.minima[s] = state.dmin != 0 ? qc_nearest_integer_in(minima[s] / state.dmin, 0, shape.scale_high) : 0;
      }
      double sum = qc_descend(shape, &levels, &rows, sum_w, sum_x, &state);
      if (!(sum < least)) continue;
      least = sum;
      best = state;
    }
    parameters[0] = best.d;
    if (shape.has_minimum) parameters[1] = best.dmin;
    for (int s = 0; s < shape.subs; ++s) {
      parameters[first_scale + s] = best.scales[s];
      if (shape.has_minimum) parameters[first_scale + shape.subs + s] = best.minima[s];
    }
  }
}

#define QC_REFINER(type, refine, ...)                                                                  \
  static void QC_NAME(refine_##type)(                                                                  \
      const float *source, const float *weights, int64_t blocks, float *parameters                     \
  ) {                                                                                                  \
    refine((qc_block_shape){__VA_ARGS__}, source, weights, blocks, parameters);                        \
  }

QC_REFINER(q4_0, qc_refine_blocks, .kind = QC_EVEN, .subs = 1, .length = 32, .has_minimum = 0, .low = -8, .high = 7, .reach = 1.4f)
QC_REFINER(q5_0, qc_refine_blocks, .kind = QC_EVEN, .subs = 1, .length = 32, .has_minimum = 0, .low = -16, .high = 15, .reach = 1.3f)
QC_REFINER(q4_1, qc_refine_blocks, .kind = QC_EVEN, .subs = 1, .length = 32, .has_minimum = 1, .low = 0, .high = 15, .reach = 1.4f)
QC_REFINER(q5_1, qc_refine_blocks, .kind = QC_EVEN, .subs = 1, .length = 32, .has_minimum = 1, .low = 0, .high = 31, .reach = 1.3f)
QC_REFINER(iq4_nl, qc_refine_blocks, .kind = QC_UNEVEN, .subs = 1, .length = 32, .has_minimum = 0, .low = -127, .high = 113, .reach = 1.5f)
// tq1_0 and tq2_0 differ only in their bytes.
QC_REFINER(ternary, qc_refine_blocks, .kind = QC_EVEN, .subs = 1, .length = 256, .has_minimum = 0, .low = -1, .high = 1, .reach = 6)
QC_REFINER(q2_0, qc_refine_blocks, .kind = QC_EVEN, .subs = 1, .length = 64, .has_minimum = 0, .low = -1, .high = 2, .reach = 3)
QC_REFINER(q1_0, qc_refine_blocks, .kind = QC_SIGNS, .subs = 1, .length = 128, .has_minimum = 0, .low = -1, .high = 1, .reach = 6)

QC_REFINER(
    q2_k, qc_refine_super_blocks, .kind = QC_EVEN, .subs = 16, .length = 16, .has_minimum = 1, .low = 0, .high = 3, .reach = 1.8f,
    .scale_low = 0, .scale_high = 15)
QC_REFINER(
    q3_k, qc_refine_super_blocks, .kind = QC_EVEN, .subs = 16, .length = 16, .has_minimum = 0, .low = -4, .high = 3, .reach = 1.8f,
    .scale_low = -32, .scale_high = 31)
QC_REFINER(
    q4_k, qc_refine_super_blocks, .kind = QC_EVEN, .subs = 8, .length = 32, .has_minimum = 1, .low = 0, .high = 15, .reach = 1.4f,
    .scale_low = 0, .scale_high = 63)
QC_REFINER(
    q5_k, qc_refine_super_blocks, .kind = QC_EVEN, .subs = 8, .length = 32, .has_minimum = 1, .low = 0, .high = 31, .reach = 1.3f,
    .scale_low = 0, .scale_high = 63)
QC_REFINER(
    q6_k, qc_refine_super_blocks, .kind = QC_EVEN, .subs = 16, .length = 16, .has_minimum = 0, .low = -32, .high = 31, .reach = 1.2f,
    .scale_low = -128, .scale_high = 127)
QC_REFINER(
    iq4_xs, qc_refine_super_blocks, .kind = QC_UNEVEN, .subs = 8, .length = 32, .has_minimum = 0, .low = -127, .high = 113, .reach = 1.5f,
    .scale_low = -32, .scale_high = 31)
