// Encoders of the super-blocks with 2 and 3 bits: 16 sub-blocks of 16 weights.

enum { QC_LOW_SUBS = 16, QC_LOW_LENGTH = 16 };

// The two low bits of four codes share a byte: those of weights at a distance of 32.
static inline void qc_pack_pairs(const uint8_t codes[QC_SUPER_LENGTH], uint8_t low[64]) {
  for (int half = 0; half < 2; ++half, codes += 128, low += 32) {
    for (int i = 0; i < 32; ++i) {
      low[i] = (uint8_t)((codes[i] & 3) | (codes[i + 32] & 3) << 2 | (codes[i + 64] & 3) << 4 | (codes[i + 96] & 3) << 6);
    }
  }
}

// Weights of errors with importance, for the 16-weight sub-blocks in `x`: importance * sqrt(spread + x^2), where the
// spread of a super-block is `factor` times its mean square. `x` begins with sub-block `first` of `count`.
static inline void qc_low_weights(
    const float *source, const float *importance, int first, int count, float factor, const qc_row *x, qc_row *w
) {
  qc_row spread;
  for (int lane = 0; lane < QC_LANES;) {
    const float *block = source + (first + lane < count ? first + lane : first) / QC_LOW_SUBS * QC_SUPER_LENGTH;
    float sum = 0;
    for (int i = 0; i < QC_SUPER_LENGTH; ++i) sum += block[i] * block[i];
    float mean = factor * sum / QC_SUPER_LENGTH;
    do spread.lane[lane] = mean; while (++lane < QC_LANES && (first + lane) % QC_LOW_SUBS != 0);
  }
  qc_transpose(importance + QC_LOW_LENGTH * first, count - first, QC_LOW_LENGTH, w);
  for (int i = 0; i < QC_LOW_LENGTH; ++i) w[i].all *= qc_lanes_sqrt(spread.all + x[i].all * x[i].all);
}

// MARK: q2_k

// Nibbles without importance: the largest gets 15. Others that a division by almost zero makes too large are truncated to the
// low bits of a byte, as in the reference. Returns the scale of the nibbles.
static inline float qc_round_nibbles(const float x[QC_LOW_SUBS], int shift, uint8_t nibbles[QC_LOW_SUBS]) {
  float maximum = 0;
  for (int s = 0; s < QC_LOW_SUBS; ++s) maximum = x[s] > maximum ? x[s] : maximum;
  if (!(maximum > 0)) return 0;
  float inverse = 15.0f / maximum;
  for (int s = 0; s < QC_LOW_SUBS; ++s) nibbles[s] |= (uint8_t)((uint32_t)qc_nearest(inverse * x[s]) << shift);
  return maximum / 15.0f;
}

// Scales, codes and bytes of one super-block, from the fits of its sub-blocks (at index `at` onwards).
static inline void qc_finish_q2_k(const float *x, const qc_fits *fits, int at, int weighted, qc_q2_k *block) {
  float minima[QC_LOW_SUBS], d, dmin;
  for (int s = 0; s < QC_LOW_SUBS; ++s) minima[s] = -fits->minimum[at + s];
  memset(block->scales, 0, sizeof block->scales);
  if (weighted) {
    uint8_t scale_codes[QC_LOW_SUBS], minimum_codes[QC_LOW_SUBS];
    d = qc_search_positive(fits->scale + at, fits->weight_sum + at, QC_LOW_SUBS, 15, scale_codes);
    dmin = qc_search_positive(minima, fits->weight_sum + at, QC_LOW_SUBS, 15, minimum_codes);
    for (int s = 0; s < QC_LOW_SUBS; ++s) block->scales[s] = (uint8_t)(scale_codes[s] | minimum_codes[s] << 4);
  } else {
    d = qc_round_nibbles(fits->scale + at, 0, block->scales);
    dmin = qc_round_nibbles(minima, 4, block->scales);
  }
  qc_store_half(block->d, d);
  qc_store_half(block->dmin, dmin);
  d = qc_load_half(block->d);
  dmin = qc_load_half(block->dmin);
  uint8_t codes[QC_SUPER_LENGTH];
  for (int s = 0; s < QC_LOW_SUBS; ++s) {
    float scale = d * (float)(block->scales[s] & 15), minimum = dmin * (float)(block->scales[s] >> 4);
    const float *own = x + QC_LOW_LENGTH * s;
    uint8_t *into = codes + QC_LOW_LENGTH * s;
    if (scale == 0) {
      // The scale is zero: the codes of the search are kept.
      for (int i = 0; i < QC_LOW_LENGTH; ++i) into[i] = (uint8_t)qc_range_code(fits, at + s, own[i], 3);
      continue;
    }
    for (int i = 0; i < QC_LOW_LENGTH; ++i) into[i] = (uint8_t)qc_clamp(qc_nearest((own[i] + minimum) / scale), 0, 3);
  }
  qc_pack_pairs(codes, block->low);
}

static void QC_NAME(encode_q2_k)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  // Super-blocks that fill the vectors with their sub-blocks, at least one; importance ends with the row.
  enum { AT_ONCE = QC_AT_ONCE > QC_LOW_SUBS ? QC_AT_ONCE / QC_LOW_SUBS : 1 };
  qc_row x[QC_CHAINS * QC_LOW_LENGTH], w[QC_CHAINS * QC_LOW_LENGTH];
  qc_fits fits;
  qc_q2_k *block = destination;
  int64_t column = 0;
  for (int64_t left = rows * columns / QC_SUPER_LENGTH; left > 0;) {
    int64_t most = importance ? (columns - column) / QC_SUPER_LENGTH : left;
    int supers = most < AT_ONCE ? (int)most : AT_ONCE, subs = QC_LOW_SUBS * supers;
    for (int first = 0; first < subs; first += QC_AT_ONCE) {
      qc_transpose_chains(source + QC_LOW_LENGTH * first, subs - first, QC_LOW_LENGTH, x);
      for (int c = 0; importance && c < QC_CHAINS; ++c) {
        int own = first + c * QC_LANES < subs ? first + c * QC_LANES : first;
        qc_low_weights(source, importance + column, own, subs, 1, x + QC_LOW_LENGTH * c, w + QC_LOW_LENGTH * c);
      }
      if (importance) {
        qc_search_range(x, w, QC_LOW_LENGTH, 3, qc_steps_weighted, QC_SQUARED, &fits, first);
        continue;
      }
      for (int i = 0; i < QC_CHAINS * QC_LOW_LENGTH; ++i) w[i].all = qc_lanes_abs(x[i].all);
      qc_search_range(x, w, QC_LOW_LENGTH, 3, qc_steps_short, QC_ABSOLUTE, &fits, first);
    }
    for (int s = 0; s < supers; ++s, source += QC_SUPER_LENGTH, ++block) {
      qc_finish_q2_k(source, &fits, QC_LOW_SUBS * s, importance != 0, block);
    }
    left -= supers;
    column = (column + supers * QC_SUPER_LENGTH) % columns;
  }
}

// MARK: q3_k

// QC_MOVES: vectors processed together. A search that changes one code after another is a chain of divisions, and independent
// chains overlap. QC_MOVE_SUPERS: super-blocks whose sub-blocks are examined together. About a quarter of these need such a search,
// and they should just fill the vectors.
enum { QC_MOVES = 4, QC_MOVE_SUPERS = 7 * QC_LANES / 8, QC_MOVE_SUBS = QC_MOVE_SUPERS * QC_LOW_SUBS };

// The start of a search that changes codes: x = scale * code with codes -4...3 and weights x^2, the largest magnitude at -4.
typedef struct {
  qc_lanes sum_xl, sum_ll;
  qc_mask empty;
} qc_moves_start;

// In lanes of zeros, x is set to zero: without a sum to improve, none of their codes changes.
static inline __attribute__((always_inline)) qc_moves_start qc_start_moves(qc_row x[QC_LOW_LENGTH], qc_row codes[QC_LOW_LENGTH]) {
  qc_lanes zero = qc_broadcast(0), maximum = zero, magnitude = zero, xl = zero, ll = zero;
  for (int i = 0; i < QC_LOW_LENGTH; ++i) {
    qc_lanes a = qc_lanes_abs(x[i].all);
    qc_mask larger = a > magnitude;
    magnitude = larger ? a : magnitude;
    maximum = larger ? x[i].all : maximum;
  }
  qc_mask empty = magnitude < qc_broadcast(1e-15f);
  qc_lanes code_scale = -4.0f / maximum;
  for (int i = 0; i < QC_LOW_LENGTH; ++i) {
    qc_lanes value = empty ? zero : x[i].all, w = value * value;
    qc_lanes code = qc_lanes_clamp(qc_lanes_nearest(code_scale * value), -4, 3);
    x[i].all = value;
    codes[i].all = code;
    xl += w * value * code;
    ll += w * code * code;
  }
  return (qc_moves_start){empty ? zero : xl, empty ? zero : ll, empty};
}

// Whether it is certain that no code can change: under the best scale for the others, each one is clearly the nearest. This needs no
// division, and most sub-blocks are finished here. Codes of lanes of zeros become -4, and scales are those of the codes.
static inline __attribute__((always_inline)) qc_mask qc_settle(qc_row x[QC_LOW_LENGTH], qc_row codes[QC_LOW_LENGTH], qc_row *scale) {
  qc_lanes zero = qc_broadcast(0);
  qc_moves_start start = qc_start_moves(x, codes);
  qc_mask settled = start.empty | ~start.empty;
  for (int i = 0; i < QC_LOW_LENGTH; ++i) {
    qc_lanes value = x[i].all, w = value * value, code = codes[i].all;
    qc_lanes rest_xl = start.sum_xl - w * value * code, rest_ll = start.sum_ll - w * code * code;
    qc_lanes distance = qc_lanes_abs(value * rest_ll - code * rest_xl);
    settled &= ~(rest_xl > zero) | (distance < 0.499f * rest_xl);
    codes[i].all = start.empty ? qc_broadcast(-4) : code;
  }
  scale->all = start.sum_ll > zero ? start.sum_xl / start.sum_ll : zero;
  return settled;
}

// The search: single codes change as long as that explains more of x. Lanes of zeros get scale 0 and code -4.
static inline void qc_search_moves(
    qc_row x[QC_MOVES][QC_LOW_LENGTH], qc_row codes[QC_MOVES][QC_LOW_LENGTH], qc_row scales[QC_MOVES]
) {
  qc_lanes zero = qc_broadcast(0), sum_xl[QC_MOVES], sum_ll[QC_MOVES];
  qc_mask empty[QC_MOVES];
  for (int c = 0; c < QC_MOVES; ++c) {
    qc_moves_start start = qc_start_moves(x[c], codes[c]);
    sum_xl[c] = start.sum_xl;
    sum_ll[c] = start.sum_ll;
    empty[c] = start.empty;
  }
  for (int round = 0; round < 5; ++round) {
    // A lane without a change in one round has none in the next: all lanes may continue until the last is done.
    qc_lanes old_xl[QC_MOVES], old_ll[QC_MOVES];
#pragma clang loop unroll(full)
    for (int c = 0; c < QC_MOVES; ++c) {
      old_xl[c] = sum_xl[c];
      old_ll[c] = sum_ll[c];
    }
    for (int i = 0; i < QC_LOW_LENGTH; ++i) {
#pragma clang loop unroll(full)
      for (int c = 0; c < QC_MOVES; ++c) {
        qc_lanes value = x[c][i].all, w = value * value, weighted = w * value, old = codes[c][i].all;
        qc_lanes rest_xl = sum_xl[c] - weighted * old, rest_ll = sum_ll[c] - w * old * old;
        qc_lanes code = qc_lanes_clamp(qc_lanes_nearest(value * rest_ll / rest_xl), -4, 3);
        qc_lanes new_xl = rest_xl + weighted * code, new_ll = rest_ll + w * code * code;
        qc_mask better = (rest_xl > zero) & (code != old) & (new_ll > zero) &
            (new_xl * new_xl * sum_ll[c] > sum_xl[c] * sum_xl[c] * new_ll);
        codes[c][i].all = better ? code : old;
        sum_xl[c] = better ? new_xl : sum_xl[c];
        sum_ll[c] = better ? new_ll : sum_ll[c];
      }
    }
    // A code that changed has changed one of the sums, which must have explained more.
    qc_mask changed = empty[0] ^ empty[0];
#pragma clang loop unroll(full)
    for (int c = 0; c < QC_MOVES; ++c) changed |= (sum_xl[c] != old_xl[c]) | (sum_ll[c] != old_ll[c]);
    if (__builtin_reduce_or(changed) == 0) break;
  }
  for (int c = 0; c < QC_MOVES; ++c) {
    scales[c].all = sum_ll[c] > zero ? sum_xl[c] / sum_ll[c] : zero;
    for (int i = 0; i < QC_LOW_LENGTH; ++i) codes[c][i].all = empty[c] ? qc_broadcast(-4) : codes[c][i].all;
  }
}

// Scales without importance: the one of largest magnitude gets code 0, which means -32. Returns their scale.
static inline float qc_round_signed_scales(const float x[QC_LOW_SUBS], uint8_t codes[QC_LOW_SUBS]) {
  float maximum = 0, magnitude = 0;
  for (int s = 0; s < QC_LOW_SUBS; ++s) {
    float a = qc_float_from_bits(qc_float_bits(x[s]) & 0x7fffffff);
    if (a > magnitude) {
      magnitude = a;
      maximum = x[s];
    }
  }
  memset(codes, 0, QC_LOW_SUBS);
  if (maximum == 0) return 0;
  float inverse = -32.0f / maximum;
  for (int s = 0; s < QC_LOW_SUBS; ++s) codes[s] = (uint8_t)(qc_clamp((int8_t)qc_nearest(inverse * x[s]), -32, 31) + 32);
  return 1 / inverse;
}

// Codes and bytes of one super-block, from its scales as they are stored. `codes` are those of the search.
static inline void qc_finish_q3_k(const float *x, float d, const uint8_t scales[QC_LOW_SUBS], uint8_t *codes, qc_q3_k *block) {
  for (int s = 0; s < 8; ++s) block->scales[s] = (uint8_t)((scales[s] & 15) | (scales[s + 8] & 15) << 4);
  for (int s = 0; s < 4; ++s) {
    block->scales[8 + s] =
        (uint8_t)(scales[s] >> 4 | scales[s + 4] >> 4 << 2 | scales[s + 8] >> 4 << 4 | scales[s + 12] >> 4 << 6);
  }
  qc_store_half(block->d, d);
  d = qc_load_half(block->d);
  for (int s = 0; s < QC_LOW_SUBS; ++s) {
    float scale = d * (float)(scales[s] - 32);
    // The scale is zero: the codes of the search are kept.
    if (scale == 0) continue;
    for (int i = QC_LOW_LENGTH * s; i < QC_LOW_LENGTH * (s + 1); ++i) {
      codes[i] = (uint8_t)(4 + qc_clamp(qc_nearest(x[i] / scale), -4, 3));
    }
  }
  for (int i = 0; i < 32; ++i) {
    uint8_t high = 0;
    for (int k = 0; k < 8; ++k) high |= (uint8_t)((codes[32 * k + i] >> 2) << k);
    block->high[i] = high;
  }
  qc_pack_pairs(codes, block->low);
}

// Encodes up to QC_MOVE_SUPERS super-blocks without importance.
static inline void qc_encode_q3_k_plain(const float *source, int supers, qc_q3_k *block) {
  enum { VECTORS = QC_MOVE_SUBS / QC_LANES, AT_ONCE = QC_MOVES * QC_LANES };
  qc_row x[QC_MOVES][QC_LOW_LENGTH], moved[QC_MOVES][QC_LOW_LENGTH], moved_scales[QC_MOVES];
  qc_row rows[VECTORS][QC_LOW_LENGTH], scales[VECTORS];
  float left[QC_MOVE_SUBS][QC_LOW_LENGTH];
  int subs = QC_LOW_SUBS * supers, count = 0, places[QC_MOVE_SUBS];
  for (int first = 0; first < subs; first += QC_LANES) {
    qc_transpose(source + QC_LOW_LENGTH * first, QC_LANES, QC_LOW_LENGTH, x[0]);
    union { qc_mask all; int32_t lane[QC_LANES]; } settled = {qc_settle(x[0], rows[first / QC_LANES], scales + first / QC_LANES)};
    for (int lane = 0; lane < QC_LANES; ++lane) {
      memcpy(left[count], source + QC_LOW_LENGTH * (first + lane), sizeof left[count]);
      places[count] = first + lane;
      count += !settled.lane[lane];
    }
  }
  for (int first = 0; first < count; first += AT_ONCE) {
    for (int c = 0; c < QC_MOVES; ++c) {
      // Chains without a sub-block repeat the first one.
      int own = first + c * QC_LANES < count ? first + c * QC_LANES : first;
      qc_transpose(left[own], count - own, QC_LOW_LENGTH, x[c]);
    }
    qc_search_moves(x, moved, moved_scales);
    for (int n = first; n < count && n < first + AT_ONCE; ++n) {
      int chain = (n - first) / QC_LANES, lane = (n - first) % QC_LANES, vector = places[n] / QC_LANES, place = places[n] % QC_LANES;
      scales[vector].lane[place] = moved_scales[chain].lane[lane];
      for (int i = 0; i < QC_LOW_LENGTH; ++i) rows[vector][i].lane[place] = moved[chain][i].lane[lane];
    }
  }
  for (int s = 0; s < supers; ++s) {
    float own[QC_LOW_SUBS];
    uint8_t codes[QC_SUPER_LENGTH], scale_codes[QC_LOW_SUBS];
    for (int j = 0; j < QC_LOW_SUBS; ++j) {
      int index = QC_LOW_SUBS * s + j;
      own[j] = scales[index / QC_LANES].lane[index % QC_LANES];
    }
    float d = qc_round_signed_scales(own, scale_codes);
    qc_store_half(block[s].d, d);
    for (int j = 0; j < QC_LOW_SUBS; ++j) {
      if (qc_load_half(block[s].d) * (float)(scale_codes[j] - 32) != 0) continue;
      int index = QC_LOW_SUBS * s + j;
      for (int i = 0; i < QC_LOW_LENGTH; ++i) {
        codes[QC_LOW_LENGTH * j + i] = (uint8_t)(rows[index / QC_LANES][i].lane[index % QC_LANES] + 4);
      }
    }
    qc_finish_q3_k(source + QC_SUPER_LENGTH * s, d, scale_codes, codes, block + s);
  }
}

// The same with importance, for a run of up to QC_FITS / QC_LOW_SUBS that is contiguous in `source` and in `importance`.
static inline void qc_encode_q3_k_weighted(const float *source, int supers, const float *importance, qc_q3_k *block) {
  qc_row x[QC_LOW_LENGTH], w[QC_LOW_LENGTH], scales[QC_LOW_SUBS], sums[QC_LOW_SUBS];
  qc_fits fits, of_scales;
  for (int first = 0; first < QC_LOW_SUBS * supers; first += QC_LANES) {
    qc_transpose(source + QC_LOW_LENGTH * first, QC_LANES, QC_LOW_LENGTH, x);
    qc_low_weights(source, importance, first, QC_LOW_SUBS * supers, 2, x, w);
    qc_search_symmetric(x, w, QC_LOW_LENGTH, 4, &fits, first);
    qc_lanes sum = w[0].all;
    for (int i = 1; i < QC_LOW_LENGTH; ++i) sum += w[i].all;
    qc_store_row(fits.weight_sum + first, sum);
  }
  for (int lane = 0; lane < QC_LANES; ++lane) {
    int first = QC_LOW_SUBS * (lane < supers ? lane : 0);
    for (int s = 0; s < QC_LOW_SUBS; ++s) {
      scales[s].lane[lane] = fits.scale[first + s];
      sums[s].lane[lane] = fits.weight_sum[first + s];
    }
  }
  qc_search_symmetric(scales, sums, QC_LOW_SUBS, 32, &of_scales, 0);
  for (int n = 0; n < supers; ++n, source += QC_SUPER_LENGTH) {
    uint8_t codes[QC_SUPER_LENGTH], scale_codes[QC_LOW_SUBS];
    for (int s = 0; s < QC_LOW_SUBS; ++s) {
      scale_codes[s] = (uint8_t)qc_symmetric_code(&of_scales, n, fits.scale[QC_LOW_SUBS * n + s], 32);
      for (int i = QC_LOW_LENGTH * s; i < QC_LOW_LENGTH * (s + 1); ++i) {
        codes[i] = (uint8_t)qc_symmetric_code(&fits, QC_LOW_SUBS * n + s, source[i], 4);
      }
    }
    qc_finish_q3_k(source, of_scales.scale[n], scale_codes, codes, block + n);
  }
}

static void QC_NAME(encode_q3_k)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  qc_q3_k *block = destination;
  // Importance ends with the row; without it, blocks fill the vectors across rows.
  int64_t stretches = importance ? rows : 1, length = rows * columns / QC_SUPER_LENGTH / stretches;
  for (int64_t stretch = 0; stretch < stretches; ++stretch) {
    for (int64_t done = 0; done < length;) {
      int most = importance ? QC_FITS / QC_LOW_SUBS : QC_MOVE_SUPERS, supers = length - done < most ? (int)(length - done) : most;
      if (importance) {
        qc_encode_q3_k_weighted(source, supers, importance + QC_SUPER_LENGTH * done, block);
      } else {
        qc_encode_q3_k_plain(source, supers, block);
      }
      source += QC_SUPER_LENGTH * supers;
      block += supers;
      done += supers;
    }
  }
}
