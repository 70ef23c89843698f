#include "levels.h"
#include "rounded.h"

/* Loops that check or round weights. */

enum { LANES = 16 };

QC_BODY uint32_t largest_bits_body(const float *x, long count) {
  /* Without their sign bits, patterns are ordered like signed integers, which every processor can compare. */
  int32_t largest = 0;
  for (long i = 0; i < count; i++) {
    int32_t magnitude = (int32_t)(bits_of(x[i]) & 0x7fffffff);
    largest = magnitude > largest ? magnitude : largest;
  }
  return (uint32_t)largest;
}
QC_LEVELS(uint32_t, largest_bits, (const float *x, long count), (x, count))

QC_BODY int all_finite_body(const float *x, long count) { return largest_bits_body(x, count) < 0x7f800000; }
QC_LEVELS(int, all_finite, (const float *x, long count), (x, count))

enum { DOUBLE_LANES = 8 };

QC_BODY void squared_errors_body(const float *values, const float *originals, long count, double *error, double *original) {
  double errors[DOUBLE_LANES] = {0}, squares[DOUBLE_LANES] = {0};
  long i = 0;
  for (; i + DOUBLE_LANES <= count; i += DOUBLE_LANES)
    for (int l = 0; l < DOUBLE_LANES; l++) {
      double weight = originals[i + l], difference = values[i + l] - weight;
      errors[l] += difference * difference;
      squares[l] += weight * weight;
    }
  for (int l = 0; i < count; i++, l++) {
    double weight = originals[i], difference = values[i] - weight;
    errors[l] += difference * difference;
    squares[l] += weight * weight;
  }
  for (int l = 0; l < DOUBLE_LANES; l++) {
    *error += errors[l];
    *original += squares[l];
  }
}
QC_LEVELS(
    void, squared_errors, (const float *values, const float *originals, long count, double *error, double *original),
    (values, originals, count, error, original))

QC_BODY void extremes_body(const float *x, long count, float *smallest, float *largest) {
  float low[LANES] = {0}, high[LANES] = {0};
  long i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int l = 0; l < LANES; l++) {
      low[l] = x[i + l] < low[l] ? x[i + l] : low[l];
      high[l] = x[i + l] > high[l] ? x[i + l] : high[l];
    }
  for (; i < count; i++) {
    low[0] = x[i] < low[0] ? x[i] : low[0];
    high[0] = x[i] > high[0] ? x[i] : high[0];
  }
  for (int l = 1; l < LANES; l++) {
    low[0] = low[l] < low[0] ? low[l] : low[0];
    high[0] = high[l] > high[0] ? high[l] : high[0];
  }
  *smallest = low[0];
  *largest = high[0];
}
QC_LEVELS(void, extremes, (const float *x, long count, float *smallest, float *largest), (x, count, smallest, largest))

/* The code of one weight, in signed numbering. Adding and subtracting 1.5 * 2^23 rounds half to even. */
QC_BODY float integer_code(float x, float scale, float zero, float half, int type) {
  float scaled = rounded(rounded(rounded(x, type) / scale, type) + zero, type);
  scaled = scaled == scaled ? scaled : 0;
  scaled = scaled < half - 1 ? scaled : half - 1;
  scaled = scaled > -half ? scaled : -half;
  return (scaled + 12582912.0f) - 12582912.0f;
}

QC_BODY void integer_codes_of(const float *x, long count, float scale, float zero, float half, int offset, int type, int32_t *codes) {
  for (long i = 0; i < count; i++) codes[i] = (int32_t)integer_code(x[i], scale, zero, half, type) + offset;
}

QC_BODY void integer_codes_body(
    const float *x, long count, float scale, float zero, float half, int offset, int type, int32_t *codes) {
  if (type == QC_BFLOAT) integer_codes_of(x, count, scale, zero, half, offset, QC_BFLOAT, codes);
  else if (type == QC_HALF) integer_codes_of(x, count, scale, zero, half, offset, QC_HALF, codes);
  else integer_codes_of(x, count, scale, zero, half, offset, QC_FLOAT, codes);
}
QC_LEVELS(
    void, integer_codes,
    (const float *x, long count, float scale, float zero, float half, int offset, int type, int32_t *codes),
    (x, count, scale, zero, half, offset, type, codes))

QC_BODY void integer_code_values_body(const int32_t *codes, long count, float scale, float zero, float *values) {
  for (long i = 0; i < count; i++) values[i] = ((float)codes[i] - zero) * scale;
}
QC_LEVELS(
    void, integer_code_values, (const int32_t *codes, long count, float scale, float zero, float *values),
    (codes, count, scale, zero, values))

QC_BODY void integer_values_of(const float *x, long count, float scale, float zero, float half, int type, float *values) {
  /* Adding 0 turns a negative zero into a positive one, so that the result equals that of integer codes. */
  for (long i = 0; i < count; i++) values[i] = (integer_code(x[i], scale, zero, half, type) + 0.0f - zero) * scale;
}

QC_BODY void integer_values_body(const float *x, long count, float scale, float zero, float half, int type, float *values) {
  if (type == QC_BFLOAT) integer_values_of(x, count, scale, zero, half, QC_BFLOAT, values);
  else if (type == QC_HALF) integer_values_of(x, count, scale, zero, half, QC_HALF, values);
  else integer_values_of(x, count, scale, zero, half, QC_FLOAT, values);
}
QC_LEVELS(
    void, integer_values, (const float *x, long count, float scale, float zero, float half, int type, float *values),
    (x, count, scale, zero, half, type, values))

/* The code of one weight on an affine grid; ties go to even. */
QC_BODY float affine_code(float x, float scale, float minimum, float top) {
  float scaled = (x - minimum) / scale;
  scaled = scaled == scaled ? scaled : 0;
  scaled = scaled < top ? scaled : top;
  scaled = scaled > 0 ? scaled : 0;
  return (scaled + 12582912.0f) - 12582912.0f;
}

/* What a client computes from it: product and sum are rounded to the type of the parameters, one after the other. */
QC_BODY float affine_value(float code, float scale, float minimum, int type) {
  return rounded(rounded(code * scale, type) + minimum, type);
}

QC_BODY void affine_codes_body(const float *x, long count, float scale, float minimum, float top, int32_t *codes) {
  for (long i = 0; i < count; i++) codes[i] = (int32_t)affine_code(x[i], scale, minimum, top);
}
QC_LEVELS(
    void, affine_codes, (const float *x, long count, float scale, float minimum, float top, int32_t *codes),
    (x, count, scale, minimum, top, codes))

QC_BODY void affine_values_of(const int32_t *codes, long count, float scale, float minimum, int type, float *values) {
  for (long i = 0; i < count; i++) values[i] = affine_value((float)codes[i], scale, minimum, type);
}

QC_BODY void affine_values_body(const int32_t *codes, long count, float scale, float minimum, int type, float *values) {
  if (type == QC_BFLOAT) affine_values_of(codes, count, scale, minimum, QC_BFLOAT, values);
  else if (type == QC_HALF) affine_values_of(codes, count, scale, minimum, QC_HALF, values);
  else affine_values_of(codes, count, scale, minimum, QC_FLOAT, values);
}
QC_LEVELS(
    void, affine_values, (const int32_t *codes, long count, float scale, float minimum, int type, float *values),
    (codes, count, scale, minimum, type, values))

QC_BODY void affine_trial_of(
    const float *x, const float *importance, long count, float scale, float minimum, float top, int type, double *sums) {
  double lanes[QC_AFFINE_SUMS][DOUBLE_LANES] = {{0}};
  for (long i = 0; i < count; i += DOUBLE_LANES)
    for (int l = 0; l < DOUBLE_LANES; l++) {
      /* Lanes after the last weight count nothing. */
      long at = i + l < count ? i + l : count - 1;
      double weight = i + l < count ? importance ? importance[at] : 1 : 0;
      float code = affine_code(x[at], scale, minimum, top);
      double difference = (double)affine_value(code, scale, minimum, type) - x[at];
      lanes[QC_AFFINE_ERROR][l] += weight * difference * difference;
      lanes[QC_AFFINE_WEIGHT][l] += weight;
      lanes[QC_AFFINE_CODE][l] += weight * code;
      lanes[QC_AFFINE_CODE_SQUARED][l] += weight * code * code;
      lanes[QC_AFFINE_X][l] += weight * x[at];
      lanes[QC_AFFINE_CODE_X][l] += weight * code * x[at];
    }
  for (int s = 0; s < QC_AFFINE_SUMS; s++) {
    sums[s] = 0;
    for (int l = 0; l < DOUBLE_LANES; l++) sums[s] += lanes[s][l];
  }
}

QC_BODY void affine_trial_body(
    const float *x, const float *importance, long count, float scale, float minimum, float top, int type, double *sums) {
  if (type == QC_BFLOAT) affine_trial_of(x, importance, count, scale, minimum, top, QC_BFLOAT, sums);
  else if (type == QC_HALF) affine_trial_of(x, importance, count, scale, minimum, top, QC_HALF, sums);
  else affine_trial_of(x, importance, count, scale, minimum, top, QC_FLOAT, sums);
}
QC_LEVELS(
    void, affine_trial,
    (const float *x, const float *importance, long count, float scale, float minimum, float top, int type, double *sums),
    (x, importance, count, scale, minimum, top, type, sums))
