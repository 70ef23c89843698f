#include "levels.h"

#include <string.h>

#if QC_X86_LEVELS
#include <immintrin.h>
#endif

/* A tile of C stays in registers during the loop over the depth: each step loads one row of packed B and broadcasts each of
   the tile's values of packed A. AVX2 and AVX-512 do the same fused operations in the same order. */

enum { BASELINE_ROWS = 4, BASELINE_COLUMNS = 8, AVX2_ROWS = 6, AVX2_COLUMNS = 16, AVX512_ROWS = 12, AVX512_COLUMNS = 32 };
enum { LARGEST_TILE = AVX512_ROWS * AVX512_COLUMNS };

typedef void (*tile_kernel)(const float *a, const float *b, long depth, float *c, long stride, int accumulate);

static void tile_baseline(const float *a, const float *b, long depth, float *c, long stride, int accumulate) {
  float sum[BASELINE_ROWS][BASELINE_COLUMNS] = {{0}};
  for (long p = 0; p < depth; p++)
    for (int i = 0; i < BASELINE_ROWS; i++)
      for (int j = 0; j < BASELINE_COLUMNS; j++) sum[i][j] += a[p * BASELINE_ROWS + i] * b[p * BASELINE_COLUMNS + j];
  for (int i = 0; i < BASELINE_ROWS; i++)
    for (int j = 0; j < BASELINE_COLUMNS; j++) c[i * stride + j] = accumulate ? c[i * stride + j] + sum[i][j] : sum[i][j];
}

#if QC_X86_LEVELS
#define UNROLL _Pragma("clang loop unroll(full)")

QC_TARGET_AVX2 static void tile_avx2(
    const float *a, const float *b, long depth, float *c, long stride, int accumulate) {
  __m256 sum[AVX2_ROWS][2];
  UNROLL for (int i = 0; i < AVX2_ROWS; i++) sum[i][0] = sum[i][1] = _mm256_setzero_ps();
  for (long p = 0; p < depth; p++) {
    __m256 low = _mm256_load_ps(b + p * AVX2_COLUMNS), high = _mm256_load_ps(b + p * AVX2_COLUMNS + 8);
    UNROLL for (int i = 0; i < AVX2_ROWS; i++) {
      __m256 value = _mm256_broadcast_ss(a + p * AVX2_ROWS + i);
      sum[i][0] = _mm256_fmadd_ps(value, low, sum[i][0]);
      sum[i][1] = _mm256_fmadd_ps(value, high, sum[i][1]);
    }
  }
  UNROLL for (int i = 0; i < AVX2_ROWS; i++) {
    float *row = c + i * stride;
    if (accumulate) {
      sum[i][0] = _mm256_add_ps(_mm256_loadu_ps(row), sum[i][0]);
      sum[i][1] = _mm256_add_ps(_mm256_loadu_ps(row + 8), sum[i][1]);
    }
    _mm256_storeu_ps(row, sum[i][0]);
    _mm256_storeu_ps(row + 8, sum[i][1]);
  }
}

QC_TARGET_AVX512 static void tile_avx512(
    const float *a, const float *b, long depth, float *c, long stride, int accumulate) {
  __m512 sum[AVX512_ROWS][2];
  UNROLL for (int i = 0; i < AVX512_ROWS; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  for (long p = 0; p < depth; p++) {
    __m512 low = _mm512_load_ps(b + p * AVX512_COLUMNS), high = _mm512_load_ps(b + p * AVX512_COLUMNS + 16);
    UNROLL for (int i = 0; i < AVX512_ROWS; i++) {
      __m512 value = _mm512_set1_ps(a[p * AVX512_ROWS + i]);
      sum[i][0] = _mm512_fmadd_ps(value, low, sum[i][0]);
      sum[i][1] = _mm512_fmadd_ps(value, high, sum[i][1]);
    }
  }
  UNROLL for (int i = 0; i < AVX512_ROWS; i++) {
    float *row = c + i * stride;
    if (accumulate) {
      sum[i][0] = _mm512_add_ps(_mm512_loadu_ps(row), sum[i][0]);
      sum[i][1] = _mm512_add_ps(_mm512_loadu_ps(row + 16), sum[i][1]);
    }
    _mm512_storeu_ps(row, sum[i][0]);
    _mm512_storeu_ps(row + 16, sum[i][1]);
  }
}

/* A step of the depth is a pair of bfloat16 per element. */
QC_TARGET_BFLOAT static void tile_bfloat(
    const float *a, const float *b, long depth, float *c, long stride, int accumulate) {
  __m512 sum[AVX512_ROWS][2];
  UNROLL for (int i = 0; i < AVX512_ROWS; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
  for (long p = 0; p < depth; p++) {
    __m512bh low = (__m512bh)_mm512_load_ps(b + p * AVX512_COLUMNS), high = (__m512bh)_mm512_load_ps(b + p * AVX512_COLUMNS + 16);
    UNROLL for (int i = 0; i < AVX512_ROWS; i++) {
      __m512bh value = (__m512bh)_mm512_set1_ps(a[p * AVX512_ROWS + i]);
      sum[i][0] = _mm512_dpbf16_ps(sum[i][0], value, low);
      sum[i][1] = _mm512_dpbf16_ps(sum[i][1], value, high);
    }
  }
  UNROLL for (int i = 0; i < AVX512_ROWS; i++) {
    float *row = c + i * stride;
    if (accumulate) {
      sum[i][0] = _mm512_add_ps(_mm512_loadu_ps(row), sum[i][0]);
      sum[i][1] = _mm512_add_ps(_mm512_loadu_ps(row + 16), sum[i][1]);
    }
    _mm512_storeu_ps(row, sum[i][0]);
    _mm512_storeu_ps(row + 16, sum[i][1]);
  }
}
#endif

long qc_tile_rows(int level) {
  return level >= QC_AVX512 ? AVX512_ROWS : level == QC_AVX2 ? AVX2_ROWS : BASELINE_ROWS;
}

long qc_tile_columns(int level) {
  return level >= QC_AVX512 ? AVX512_COLUMNS : level == QC_AVX2 ? AVX2_COLUMNS : BASELINE_COLUMNS;
}

static tile_kernel kernel_of(int level) {
#if QC_X86_LEVELS
  if (level == QC_BFLOAT_PAIRS) return tile_bfloat;
  if (level == QC_AVX512) return tile_avx512;
  if (level == QC_AVX2) return tile_avx2;
#endif
  (void)level;
  return tile_baseline;
}

void qc_multiply_packed(
    int level, const float *a, long rows, const float *b, long columns, long depth, float *c, long stride, int accumulate,
    long diagonal) {
  tile_kernel kernel = kernel_of(level);
  long tile_rows = qc_tile_rows(level), tile_columns = qc_tile_columns(level);
  for (long j = 0; j < columns; j += tile_columns) {
    const float *b_panel = b + j * depth;
    long width = columns - j < tile_columns ? columns - j : tile_columns;
    long above = diagonal + j + width < rows ? diagonal + j + width : rows;
    for (long i = 0; i < above; i += tile_rows) {
      const float *a_panel = a + i * depth;
      long height = rows - i < tile_rows ? rows - i : tile_rows;
      float *corner = c + i * stride + j;
      if (width == tile_columns && height == tile_rows) {
        kernel(a_panel, b_panel, depth, corner, stride, accumulate);
        continue;
      }
      float edge[LARGEST_TILE];
      kernel(a_panel, b_panel, depth, edge, tile_columns, 0);
      for (long r = 0; r < height; r++)
        for (long s = 0; s < width; s++) {
          float value = edge[r * tile_columns + s];
          corner[r * stride + s] = accumulate ? corner[r * stride + s] + value : value;
        }
    }
  }
}

#if QC_X86_LEVELS
/* Rows of an operand are far from each other, and only a depth block of each is read: too little for the processor to prefetch
   the next rows by itself. An address after the operand does no harm. */
static inline void fetch_next_rows(const float *last, long stride) {
  for (long row = 1; row <= 4; row++) __builtin_prefetch(last + row * stride);
}
#endif

void qc_pack_contiguous(const float *source, long stride, long count, long depth, long width, float *out) {
  long i = 0;
#if QC_X86_LEVELS
  /* Squares of 4 by 4, transposed in registers. */
  for (; i + 4 <= count; i += 4) {
    const float *r0 = source + i * stride, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
    long p = 0;
    for (; p + 4 <= depth; p += 4) {
      if (p % 16 == 0) fetch_next_rows(r3 + p, stride);
      __m128 a = _mm_loadu_ps(r0 + p), b = _mm_loadu_ps(r1 + p), c = _mm_loadu_ps(r2 + p), d = _mm_loadu_ps(r3 + p);
      _MM_TRANSPOSE4_PS(a, b, c, d);
      _mm_storeu_ps(out + p * width + i, a);
      _mm_storeu_ps(out + (p + 1) * width + i, b);
      _mm_storeu_ps(out + (p + 2) * width + i, c);
      _mm_storeu_ps(out + (p + 3) * width + i, d);
    }
    for (; p < depth; p++) {
      float *to = out + p * width + i;
      to[0] = r0[p], to[1] = r1[p], to[2] = r2[p], to[3] = r3[p];
    }
  }
#endif
  for (; i < count; i++)
    for (long p = 0; p < depth; p++) out[p * width + i] = source[i * stride + p];
  for (; i < width; i++)
    for (long p = 0; p < depth; p++) out[p * width + i] = 0;
}

/* For whole tiles: with a constant width, a row takes two or three moves. The next tile is beside this one in memory. */
static inline __attribute__((always_inline)) void copy_rows(
    const float *source, long stride, long depth, long width, float *out) {
  for (long p = 0; p < depth; p++, source += stride, out += width) {
    __builtin_prefetch(source + width);
    __builtin_prefetch(source + 2 * width - 1);
    memcpy(out, source, (unsigned long)width * sizeof *out);
  }
}

void qc_pack_strided(const float *source, long stride, long count, long depth, long width, float *out) {
  if (count == AVX512_COLUMNS && width == AVX512_COLUMNS) return copy_rows(source, stride, depth, AVX512_COLUMNS, out);
  if (count == AVX512_ROWS && width == AVX512_ROWS) return copy_rows(source, stride, depth, AVX512_ROWS, out);
  for (long p = 0; p < depth; p++) {
    for (long i = 0; i < count; i++) out[p * width + i] = source[p * stride + i];
    for (long i = count; i < width; i++) out[p * width + i] = 0;
  }
}

#if QC_X86_LEVELS
/* Two floats, rounded to bfloat16, the first in the low half. */
QC_TARGET_BFLOAT static inline float rounded_pair(float first, float second) {
  __m128bh pair = _mm_cvtneps_pbh(_mm_setr_ps(first, second, 0, 0));
  return _mm_cvtss_f32((__m128)pair);
}

QC_TARGET_BFLOAT void qc_pack_contiguous_pairs(
    const float *source, long stride, long count, long depth, long width, float *out) {
  long i = 0;
  /* Four rows by four pairs, transposed in registers. */
  for (; i + 4 <= count; i += 4) {
    const float *r0 = source + i * stride, *r1 = r0 + stride, *r2 = r1 + stride, *r3 = r2 + stride;
    long p = 0;
    for (; p + 8 <= depth; p += 8) {
      if (p % 16 == 0) fetch_next_rows(r3 + p, stride);
      __m128 a = (__m128)_mm256_cvtneps_pbh(_mm256_loadu_ps(r0 + p)), b = (__m128)_mm256_cvtneps_pbh(_mm256_loadu_ps(r1 + p));
      __m128 c = (__m128)_mm256_cvtneps_pbh(_mm256_loadu_ps(r2 + p)), d = (__m128)_mm256_cvtneps_pbh(_mm256_loadu_ps(r3 + p));
      _MM_TRANSPOSE4_PS(a, b, c, d);
      float *to = out + p / 2 * width + i;
      _mm_storeu_ps(to, a);
      _mm_storeu_ps(to + width, b);
      _mm_storeu_ps(to + 2 * width, c);
      _mm_storeu_ps(to + 3 * width, d);
    }
    for (; p < depth; p += 2) {
      float *to = out + p / 2 * width + i;
      for (long r = 0; r < 4; r++) {
        const float *row = r0 + r * stride + p;
        to[r] = rounded_pair(row[0], p + 1 < depth ? row[1] : 0);
      }
    }
  }
  for (; i < count; i++)
    for (long p = 0; p < depth; p += 2) {
      const float *row = source + i * stride + p;
      out[p / 2 * width + i] = rounded_pair(row[0], p + 1 < depth ? row[1] : 0);
    }
  for (; i < width; i++)
    for (long p = 0; p < depth; p += 2) out[p / 2 * width + i] = 0;
}

QC_TARGET_BFLOAT void qc_pack_strided_pairs(
    const float *source, long stride, long count, long depth, long width, float *out) {
  for (long p = 0; p < depth; p += 2) {
    const float *first = source + p * stride;
    int whole = p + 1 < depth;
    float *to = out + p / 2 * width;
    __builtin_prefetch(first + width);
    __builtin_prefetch(first + 2 * width - 1);
    __builtin_prefetch(first + stride + width);
    __builtin_prefetch(first + stride + 2 * width - 1);
    for (long i = 0; i < count; i += 16) {
      __mmask16 mask = count - i >= 16 ? 0xffff : (__mmask16)((1 << (count - i)) - 1);
      __m512 a = _mm512_maskz_loadu_ps(mask, first + i);
      __m512 b = whole ? _mm512_maskz_loadu_ps(mask, first + stride + i) : _mm512_setzero_ps();
      __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(a));
      __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(b));
      _mm512_mask_storeu_ps(to + i, mask, _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16))));
    }
    for (long i = count; i < width; i++) to[i] = 0;
  }
}
#else
/* Never called: qc_cpu_has_bfloat() is 0. */
void qc_pack_contiguous_pairs(const float *source, long stride, long count, long depth, long width, float *out) {
  qc_pack_contiguous(source, stride, count, depth, width, out);
}
void qc_pack_strided_pairs(const float *source, long stride, long count, long depth, long width, float *out) {
  qc_pack_strided(source, stride, count, depth, width, out);
}
#endif
