#ifndef QC_KERNELS_H
#define QC_KERNELS_H

#include "cpu.h"

#include <stdint.h>

/* Hot loops of QuantCore. Their Swift wrappers in Numerics/ document shapes; the readable twins are there too. */

/* A level only for the matrix product: operands are rounded to bfloat16 and packed as pairs of depth steps, one pair in
   the space of a float. Sums stay in 32 bits. */
enum { QC_BFLOAT_PAIRS = 3 };

/* --- Matrix product (product.c) --- */

/* Shape of the register tile of a level: outer indices of A and of B that one call of the micro-kernel covers. */
long qc_tile_rows(int level);
long qc_tile_columns(int level);

/* Copies `count` outer indices (at most `width`) of an operand to `out` as [depth][width], padded with zeros.
   contiguous: the operand's depth runs along memory, source[i * stride + p]; strided: source[p * stride + i]. */
void qc_pack_contiguous(const float *source, long stride, long count, long depth, long width, float *out);
void qc_pack_strided(const float *source, long stride, long count, long depth, long width, float *out);

/* The same for QC_BFLOAT_PAIRS: [pairs][width], `depth` counted in floats; an odd one is padded with a zero. Only if
   qc_cpu_has_bfloat(). */
void qc_pack_contiguous_pairs(const float *source, long stride, long count, long depth, long width, float *out);
void qc_pack_strided_pairs(const float *source, long stride, long count, long depth, long width, float *out);

/* C[rows, columns] (+)= A * B for packed operands of one depth block. `rows` and `columns` need not fill whole tiles.
   Every element of the product is one sum over the depth, starting at zero, in ascending order. `depth` counts floats,
   or pairs. Elements more than `diagonal` rows below the diagonal of this part of C may be left out; pass `rows` for all. */
void qc_multiply_packed(
    int level, const float *a, long rows, const float *b, long columns, long depth, float *c, long stride, int accumulate,
    long diagonal);

/* --- Vectors (vectors.c); the same bits on every level --- */

float qc_dot(const float *x, const float *y, long count);
void qc_axpy(float factor, const float *x, float *y, long count);
void qc_exp(const float *x, float *out, long count);
void qc_softmax(float *x, long count);
void qc_rms_norm(const float *x, const float *gain, float epsilon, long count, float *out);
void qc_layer_norm(const float *x, const float *gain, const float *bias, float epsilon, long count, float *out);
void qc_gelu_tanh(float *x, long count);
void qc_silu_product(float *gate, const float *up, long count);
void qc_rotate(float *x, const float *cosine, const float *sine, long half);
void qc_observe(
    const float *x, long rows, long stride, long channels, double *absolute_sums, float *minimum, float *maximum);
/* Adds the squares of each channel, in double precision, row after row. */
void qc_observe_squares(const float *x, long rows, long stride, long channels, double *sums);

/* --- Histograms (histograms.c) --- */

/* Counts |x| in bins [i * width, (i + 1) * width); the last one also counts everything beyond. Infinity and NaN are left out. */
void qc_count_magnitudes(const float *x, long count, double width, long bins, uint64_t *counts);

/* --- Plain values in files (numbers.c); the same bits on every level. Bytes need no alignment. --- */

void qc_widen_halves(const void *bytes, long count, float *values);
void qc_widen_bfloats(const void *bytes, long count, float *values);
void qc_narrow_halves(const float *values, long count, void *bytes);
void qc_narrow_bfloats(const float *values, long count, void *bytes);
void qc_narrow_doubles(const void *bytes, long count, float *values);

/* --- Packed codes (packed_codes.c) --- */

/* The lowest `bits` (2 to 8) of each code + offset in a run without gaps, the first in the lowest bits: ceil(count * bits / 8)
   bytes. */
void qc_pack_codes(const int32_t *codes, long count, int bits, int offset, uint8_t *bytes);

/* The same down the rows of a matrix [rows, columns], 32 / bits of them to a word, the n-th of a word shifts[n] bits up:
   words [columns, ceil(rows / (32 / bits))]. */
void qc_pack_down(
    const int32_t *codes, long rows, long columns, int bits, const int *shifts, int offset, uint32_t *words);

/* --- Checking and rounding of weights (rounding.c); the same bits on every level --- */

/* Types that a model computes in. */
enum { QC_FLOAT = 0, QC_BFLOAT = 1, QC_HALF = 2 };

/* Whether no value is infinite or NaN. */
int qc_all_finite(const float *x, long count);

/* The largest bit pattern of a magnitude, or 0 without values. From 0x7f800000 on, a value is infinite or NaN. */
uint32_t qc_largest_bits(const float *x, long count);

/* Adds the squares of values[i] - originals[i] and of originals[i], in double precision and 8 lanes (index modulo 8). */
void qc_squared_errors(const float *values, const float *originals, long count, double *error, double *original);

/* Smallest and largest of 0 and all values; NaN is left out. */
void qc_extremes(const float *x, long count, float *smallest, float *largest);

/* Integer codes of one group by the rule of IntegerScheme. `zero` is in signed numbering (-half ... half - 1), and
   `offset` is added to the codes; a symmetric group has zero 0 and offset 0. */
void qc_integer_codes(
    const float *x, long count, float scale, float zero, float half, int offset, int type, int32_t *codes);

/* The values that those codes stand for. */
void qc_integer_code_values(const int32_t *codes, long count, float scale, float zero, float *values);

/* The weights after rounding, without computing codes. */
void qc_integer_values(const float *x, long count, float scale, float zero, float half, int type, float *values);

/* Codes 0 ... top of one group by the rule of AffineScheme, and the values that they stand for: code * scale + minimum, where the
   product and the sum are rounded to `type`. */
void qc_affine_codes(const float *x, long count, float scale, float minimum, float top, int32_t *codes);
void qc_affine_values(const int32_t *codes, long count, float scale, float minimum, int type, float *values);

/* What one scale and minimum would do to a group: the sums, weighted by importance (1 if it is null), of squared errors, weights,
   codes, squared codes, x, and codes times x; in double precision and 8 lanes. From the last five follow the scale and the minimum
   with the smallest error for these codes. */
enum {
  QC_AFFINE_ERROR = 0,
  QC_AFFINE_WEIGHT = 1,
  QC_AFFINE_CODE = 2,
  QC_AFFINE_CODE_SQUARED = 3,
  QC_AFFINE_X = 4,
  QC_AFFINE_CODE_X = 5,
  QC_AFFINE_SUMS = 6
};
void qc_affine_trial(
    const float *x, const float *importance, long count, float scale, float minimum, float top, int type, double *sums);

/* --- Short floats (short_floats.c); the same bits on every level. Columns are in groups of `length`, each with a scale; the last
   may be shorter. --- */

/* Types of short floats. */
enum { QC_E4M3 = 0, QC_E5M2 = 1, QC_E2M1 = 2, QC_E3M0 = 3 };

/* The codes nearest to x / scale, x rounded to `type` before and the quotient to `quotient_type` (that type, or QC_FLOAT). */
void qc_short_codes(
    const float *x, long count, long length, const float *scales, int type, int quotient_type, int element, int32_t *codes);

/* The values of codes, times their scale: one code per int, one per byte (QC_E4M3, QC_E5M2), or two per byte with the first in the low
   half (QC_E2M1; count and length even). */
void qc_short_values(const int32_t *codes, long count, long length, const float *scales, int element, float *values);
void qc_byte_values(const uint8_t *codes, long count, long length, const float *scales, int element, float *values);
void qc_nibble_values(const uint8_t *pairs, long count, long length, const float *scales, float *values);

/* The largest magnitude of each group; NaN is left out. */
void qc_magnitudes(const float *x, long count, long length, float *largest);

/* --- Distributions (distributions.c); double precision inside --- */

double qc_log_sum_exp(const float *x, long count);
double qc_kl_divergence(const float *p, double p_log_sum, const float *q, double q_log_sum, long count);

#endif
