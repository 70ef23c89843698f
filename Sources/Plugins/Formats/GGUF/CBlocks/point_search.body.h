// Search for the points of a grid that stand for 8 weights whose errors e are weighed together, as e' M e.
//
// Going through all points, all signs and the whole of M would cost too much. First, errors count by the diagonal of M: for each way
// to choose the signs, the two best points of every section of the grid are found, one point per lane. Then the whole of M decides
// among them. Each lane does the same operations in the same order at every level, so results are the same, too.

enum {
  // Points among which the two best are found.
  QC_SECTION = 256,
  // Ways to choose the signs: as they are, with one of three changed, with two of them changed.
  QC_SIGN_CHOICES = 7,
  QC_MOST_CANDIDATES = 64,
};

// The best two of a section, the earlier of equal ones first.
typedef struct {
  float score[2];
  int32_t index[2];
} qc_best_two;

static inline void qc_keep_two(qc_best_two *best, float score, int32_t index) {
  int precedes_first = score < best->score[0] || (score == best->score[0] && index < best->index[0]);
  int precedes_second = score < best->score[1] || (score == best->score[1] && index < best->index[1]);
  if (precedes_first) {
    best->score[1] = best->score[0];
    best->index[1] = best->index[0];
    best->score[0] = score;
    best->index[0] = index;
  } else if (precedes_second) {
    best->score[1] = score;
    best->index[1] = index;
  }
}

// The points of a run of a grid with the smallest sums of base and factors times coordinates. `points` holds, coordinate after
// coordinate, the values of all points.
static inline __attribute__((always_inline)) qc_best_two qc_search_section(
    const float *base, const float *points, int count, int length, const float *factors, int first, int size
) {
  qc_lanes best = (qc_lanes)(0x1.fffffep127f), second = best;
  qc_mask best_index = first, second_index = first, index = first;
  for (int lane = 0; lane < QC_LANES; ++lane) index[lane] += lane;
  for (int n = first; n < first + size; n += QC_LANES, index += QC_LANES) {
    qc_lanes score = qc_load_lanes(base + n);
    for (int i = 0; i < length; ++i) score += factors[i] * qc_load_lanes(points + i * count + n);
    qc_mask is_second = score < second;
    if (!__builtin_reduce_or(is_second)) continue;
    qc_mask is_best = score < best;
    second = is_best ? best : is_second ? score : second;
    second_index = is_best ? best_index : is_second ? index : second_index;
    best = is_best ? score : best;
    best_index = is_best ? index : best_index;
  }
  qc_best_two found = {{0x1.fffffep127f, 0x1.fffffep127f}, {first, first}};
  for (int lane = 0; lane < QC_LANES; ++lane) {
    qc_keep_two(&found, best[lane], best_index[lane]);
    qc_keep_two(&found, second[lane], second_index[lane]);
  }
  return found;
}

// Candidates for 8 weights: points by their indices, and the signs that are changed.
typedef struct {
  int count;
  uint8_t flips[QC_MOST_CANDIDATES];
  uint16_t index[QC_MOST_CANDIDATES][2];
} qc_candidates;

// The candidates for magnitudes `x`. `flippable` are the three weights whose signs may change.
static inline __attribute__((always_inline)) void qc_find_candidates(
    const qc_point_rule *rule, const float *bases, const float *x, const float *diagonal, const int *flippable, int is_odd,
    qc_candidates *found
) {
  static const uint8_t choices[QC_SIGN_CHOICES] = {0, 1, 2, 4, 3, 5, 6};
  int length = rule->length, count = rule->count, size = count < QC_SECTION ? count : QC_SECTION;
  found->count = 0;
  for (int choice = 0; choice < QC_SIGN_CHOICES; ++choice) {
    int changed = __builtin_popcount(choices[choice]);
    if (rule->signs == 0 && changed > 0) break;
    if (rule->signs == 7 && (changed + is_odd) % 2) continue;
    uint8_t flips = 0;
    for (int f = 0; f < 3; ++f) flips |= (uint8_t)((choices[choice] >> f & 1) << flippable[f]);
    float factors[8];
    for (int i = 0; i < 8; ++i) factors[i] = (flips >> i & 1 ? 2.0f : -2.0f) * diagonal[i] * x[i];
    if (length == 8) {
      for (int first = 0; first < count; first += size) {
        qc_best_two two = qc_search_section(bases, rule->points, count, 8, factors, first, size);
        for (int k = 0; k < 2 && found->count < QC_MOST_CANDIDATES; ++k, ++found->count) {
          found->flips[found->count] = flips;
          found->index[found->count][0] = (uint16_t)two.index[k];
        }
      }
    } else {
      qc_best_two low = qc_search_section(bases, rule->points, count, 4, factors, 0, count);
      qc_best_two high = qc_search_section(bases + count, rule->points, count, 4, factors + 4, 0, count);
      for (int k = 0; k < 4 && found->count < QC_MOST_CANDIDATES; ++k, ++found->count) {
        found->flips[found->count] = flips;
        found->index[found->count][0] = (uint16_t)low.index[k >> 1];
        found->index[found->count][1] = (uint16_t)high.index[k & 1];
      }
    }
  }
}

// The number of the candidate with the smallest error.
static inline __attribute__((always_inline)) int qc_choose_candidate(
    const qc_point_rule *rule, const float *x, const float *metric, const qc_candidates *found
) {
  int best = 0;
  float smallest = 0x1.fffffep127f;
  for (int first = 0; first < found->count; first += QC_LANES) {
    qc_row errors[8];
    for (int lane = 0; lane < QC_LANES; ++lane) {
      int c = first + lane < found->count ? first + lane : found->count - 1;
      for (int i = 0; i < 8; ++i) {
        float value = rule->points[i % rule->length * rule->count + found->index[c][i / rule->length]];
        errors[i].lane[lane] = found->flips[c] >> i & 1 ? x[i] + value : x[i] - value;
      }
    }
    qc_row sum = {qc_broadcast(0)};
    for (int i = 0; i < 8; ++i) {
      qc_lanes row = qc_broadcast(0);
      for (int j = 0; j < 8; ++j) row += metric[8 * i + j] * errors[j].all;
      sum.all += errors[i].all * row;
    }
    for (int lane = 0; lane < QC_LANES && first + lane < found->count; ++lane) {
      if (sum.lane[lane] < smallest) {
        smallest = sum.lane[lane];
        best = first + lane;
      }
    }
  }
  return best;
}

static void QC_NAME(nearest_points)(
    const qc_point_rule *rule, const float *x, int64_t rows, const float *metric, float *bases, uint16_t *indices, uint8_t *signs
) {
  int length = rule->length, count = rule->count, runs = 8 / length;
  float diagonal[8], signed_metric[64];
  for (int i = 0; i < 8; ++i) diagonal[i] = metric[9 * i];
  for (int run = 0; run < runs; ++run) {
    for (int n = 0; n < count; n += QC_LANES) {
      qc_lanes sum = qc_broadcast(0);
      for (int i = 0; i < length; ++i) {
        qc_lanes value = qc_load_lanes(rule->points + i * count + n);
        sum += diagonal[run * length + i] * value * value;
      }
      qc_store_row(bases + run * count + n, sum);
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    const float *own = x + 8 * row;
    float magnitudes[8], costs[8];
    uint8_t negative = 0;
    for (int i = 0; i < 8; ++i) {
      int is_negative = rule->signs != 0 && own[i] < 0;
      negative |= (uint8_t)(is_negative << i);
      magnitudes[i] = is_negative ? -own[i] : own[i];
      costs[i] = diagonal[i] * magnitudes[i];
    }
    // The three weights whose signs matter least.
    int flippable[3];
    for (int f = 0; f < 3; ++f) {
      int least = -1;
      for (int i = 0; i < 8; ++i) {
        int is_taken = (f > 0 && flippable[0] == i) || (f > 1 && flippable[1] == i);
        if (!is_taken && (least < 0 || costs[i] < costs[least])) least = i;
      }
      flippable[f] = least;
    }
    // In terms of magnitudes, M has the signs of the weights.
    for (int i = 0; i < 8; ++i) {
      for (int j = 0; j < 8; ++j) {
        float value = metric[8 * i + j];
        signed_metric[8 * i + j] = (negative >> i ^ negative >> j) & 1 ? -value : value;
      }
    }
    qc_candidates found;
    qc_find_candidates(rule, bases, magnitudes, diagonal, flippable, __builtin_popcount(negative) & 1, &found);
    int best = qc_choose_candidate(rule, magnitudes, signed_metric, &found);
    signs[row] = negative ^ found.flips[best];
    for (int run = 0; run < runs; ++run) indices[row * runs + run] = found.index[best][run];
  }
}
