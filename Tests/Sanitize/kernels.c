// The kernels of the core with random and hostile input of many lengths. QCONVERT_CPU sets the level. Sanitizers report errors.
#include "ckernels.h"
#include "hostile.h"
#include "xxh3.h"

#include <stdio.h>

static const long lengths[] = {0, 1, 7, 8, 15, 16, 17, 31, 33, 64, 100, 255, 256, 257, 1000};

static void numbers(const float *x, long count) {
  uint8_t *bytes = qc_exactly((size_t)count * 2 + 1);
  float *values = qc_exactly((size_t)count * 4);
  qc_narrow_halves(x, count, bytes + 1);
  qc_widen_halves(bytes + 1, count, values);
  qc_narrow_bfloats(x, count, bytes + 1);
  qc_widen_bfloats(bytes + 1, count, values);
  uint8_t *doubles = qc_exactly((size_t)count * 8 + 3);
  for (long i = 0; i < count * 8; i++) doubles[3 + i] = (uint8_t)qc_random();
  qc_narrow_doubles(doubles + 3, count, values);
  free(doubles);
  free(values);
  free(bytes);
}

static void packed(long count) {
  int32_t *codes = qc_exactly((size_t)count * 4);
  for (long i = 0; i < count; i++) codes[i] = (int32_t)qc_random() >> 1;
  for (int bits = 2; bits <= 8; bits++) {
    uint8_t *bytes = qc_exactly((size_t)(count * bits + 7) / 8);
    qc_pack_codes(codes, count, bits, 1 << (bits - 1), bytes);
    free(bytes);
    int per_word = 32 / bits, shifts[16];
    for (int i = 0; i < per_word; i++) shifts[i] = (per_word - 1 - i) * bits;
    for (long rows = 1; rows <= count; rows += 13) {
      long columns = count / rows, width = (rows + per_word - 1) / per_word;
      uint32_t *words = qc_exactly((size_t)(columns * width) * 4);
      qc_pack_down(codes, rows, columns, bits, shifts, 1 << (bits - 1), words);
      free(words);
    }
  }
  free(codes);
}

static void integers(const float *x, long count, float scale) {
  int32_t *codes = qc_exactly((size_t)count * 4);
  float *values = qc_exactly((size_t)count * 4);
  for (int type = QC_FLOAT; type <= QC_HALF; type++)
    for (int bits = 2; bits <= 8; bits += 3) {
      float half = (float)(1 << (bits - 1));
      qc_integer_codes(x, count, scale, 0, half, 0, type, codes);
      qc_integer_code_values(codes, count, scale, 0, values);
      qc_integer_codes(x, count, scale, -1, half, (int)half, type, codes);
      qc_integer_values(x, count, scale, -1, half, type, values);
    }
  free(values);
  free(codes);
}

static void short_floats(const float *x, long count, long length) {
  long groups = (count + length - 1) / length;
  float *scales = qc_row(QC_MIXED, groups), *values = qc_exactly((size_t)count * 4);
  int32_t *codes = qc_exactly((size_t)count * 4);
  uint8_t *bytes = qc_exactly((size_t)count);
  for (long i = 0; i < count; i++) bytes[i] = (uint8_t)qc_random();
  for (int element = QC_E4M3; element <= QC_E2M1; element++)
    for (int type = QC_FLOAT; type <= QC_HALF; type++) {
      qc_short_codes(x, count, length, scales, type, type, element, codes);
      qc_short_codes(x, count, length, scales, type, QC_FLOAT, element, codes);
      qc_short_values(codes, count, length, scales, element, values);
      if (element != QC_E2M1) qc_byte_values(bytes, count, length, scales, element, values);
    }
  if (count % 2 == 0 && length % 2 == 0) qc_nibble_values(bytes, count, length, scales, values);
  float *largest = qc_exactly((size_t)groups * 4);
  qc_magnitudes(x, count, length, largest);
  free(largest);
  free(bytes);
  free(codes);
  free(values);
  free(scales);
}

static void vectors(const float *x, long count) {
  float *y = qc_row(QC_WEIGHTS, count), *out = qc_exactly((size_t)count * 4), low, high;
  double *sums = calloc((size_t)count + 1, sizeof *sums), error = 0, original = 0;
  uint64_t counts[16] = {0};
  qc_dot(x, y, count);
  qc_axpy(0.5f, x, y, count);
  qc_exp(x, out, count);
  if (count) {
    qc_rms_norm(x, y, 1e-5f, count, out);
    qc_layer_norm(x, y, y, 1e-5f, count, out);
    qc_log_sum_exp(x, count);
    qc_kl_divergence(x, 1, y, 1, count);
    qc_observe(x, 1, count, count, sums, out, y);
    qc_observe_squares(x, 1, count, count, sums);
  }
  qc_largest_bits(x, count);
  qc_all_finite(x, count);
  qc_extremes(x, count, &low, &high);
  qc_squared_errors(out, x, count, &error, &original);
  qc_count_magnitudes(x, count, 0.01, 16, counts);
  memcpy(out, x, (size_t)count * 4);
  qc_softmax(out, count);
  memcpy(out, x, (size_t)count * 4);
  qc_gelu_tanh(out, count);
  memcpy(out, x, (size_t)count * 4);
  qc_silu_product(out, y, count);
  memcpy(out, x, (size_t)count * 4);
  qc_rotate(out, y, y, count / 2);
  free(sums);
  free(out);
  free(y);
}

static void product(int level, long rows, long columns, long depth) {
  long tile_rows = qc_tile_rows(level), tile_columns = qc_tile_columns(level);
  long a_tiles = (rows + tile_rows - 1) / tile_rows, b_tiles = (columns + tile_columns - 1) / tile_columns;
  float *x = qc_row(QC_WEIGHTS, rows * depth), *y = qc_row(QC_MIXED, columns * depth), *c = qc_row(QC_WEIGHTS, rows * columns);
  int is_paired = level == QC_BFLOAT_PAIRS;
  long steps = is_paired ? (depth + 1) / 2 : depth;
  float *a = qc_exactly((size_t)(a_tiles * tile_rows * steps) * 4), *b = qc_exactly((size_t)(b_tiles * tile_columns * steps) * 4);
  for (long tile = 0; tile < a_tiles; tile++) {
    long first = tile * tile_rows, count = rows - first < tile_rows ? rows - first : tile_rows;
    (is_paired ? qc_pack_contiguous_pairs : qc_pack_contiguous)(x + first * depth, depth, count, depth, tile_rows, a + first * steps);
  }
  for (long tile = 0; tile < b_tiles; tile++) {
    long first = tile * tile_columns, count = columns - first < tile_columns ? columns - first : tile_columns;
    (is_paired ? qc_pack_strided_pairs : qc_pack_strided)(y + first, columns, count, depth, tile_columns, b + first * steps);
  }
  qc_multiply_packed(level, a, rows, b, columns, steps, c, columns, 0, rows);
  qc_multiply_packed(level, a, rows, b, columns, steps, c, columns, 1, 1);
  free(b);
  free(a);
  free(c);
  free(y);
  free(x);
}

static void hash(long count) {
  uint8_t *bytes = qc_exactly((size_t)count);
  for (long i = 0; i < count; i++) bytes[i] = (uint8_t)qc_random();
  qc_xxh3_state *state = qc_xxh3_create();
  for (long i = 0; i < count; i += 37) qc_xxh3_update(state, bytes + i, (size_t)(count - i < 37 ? count - i : 37));
  qc_xxh3_finish(state);
  qc_xxh3_free(state);
  free(bytes);
}

int main(void) {
  static const float scales[] = {0.01f, 0.0f, 0x1p-149f, 3.4e38f, INFINITY, NAN};
  for (int kind = 0; kind < QC_KINDS; kind++)
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
      float *x = qc_row(kind, lengths[l]);
      numbers(x, lengths[l]);
      vectors(x, lengths[l]);
      for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) integers(x, lengths[l], scales[s]);
      for (long length = 1; length <= 256; length *= 4) short_floats(x, lengths[l], length);
      free(x);
    }
  for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
    packed(lengths[l]);
    hash(lengths[l]);
  }
  for (int level = QC_BASELINE; level <= qc_cpu_level(); level++)
    for (long size = 1; size < 40; size += 6) product(level, size, 41 - size, size + 3);
  if (qc_cpu_has_bfloat())
    for (long size = 1; size < 40; size += 6) product(QC_BFLOAT_PAIRS, size, 41 - size, size + 3);
  printf("kernels of the core, at level %d\n", qc_cpu_level());
  return 0;
}
