#include "levels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Sums run in 16 lanes (index modulo 16), which are added pairwise at the end. */
enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

QC_BODY float add_lanes(const float *lane) {
  float sum[LANES];
  memcpy(sum, lane, sizeof sum);
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) sum[l] += sum[l + width];
  return sum[0];
}

QC_BODY float dot_body(const float *x, const float *y, long count) {
  lanes sum = {0};
  long i = 0;
  for (; i + LANES <= count; i += LANES) {
    lanes a, b;
    memcpy(&a, x + i, sizeof a);
    memcpy(&b, y + i, sizeof b);
    sum += a * b;
  }
  float lane[LANES];
  memcpy(lane, &sum, sizeof lane);
  for (int l = 0; i < count; i++, l++) lane[l] += x[i] * y[i];
  return add_lanes(lane);
}
QC_LEVELS(float, dot, (const float *x, const float *y, long count), (x, y, count))

QC_BODY void axpy_body(float factor, const float *x, float *y, long count) {
  for (long i = 0; i < count; i++) y[i] += factor * x[i];
}
QC_LEVELS(void, axpy, (float factor, const float *x, float *y, long count), (factor, x, y, count))

/* e^x = 2^n * e^r with |r| <= ln(2)/2; the power series of e^r to degree 7 is exact to 5e-9. Results below the smallest
   normal value become zero. The C library is not used because it picks variants by processor. */
QC_BODY float exp_of(float x) {
  const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
  float limited = x > 88.72f ? 88.72f : x < -87.33f ? -87.33f : x;
  float shifted = limited * 1.44269504f + magic;
  float n = shifted - magic;
  float r = (limited - n * 0.693359375f) + n * 2.12194440e-4f;
  float series = 1.0f / 5040.0f;
  series = series * r + 1.0f / 720.0f;
  series = series * r + 1.0f / 120.0f;
  series = series * r + 1.0f / 24.0f;
  series = series * r + 1.0f / 6.0f;
  series = series * r + 0.5f;
  series = series * r * r + r + 1.0f;
  /* 2^n as two factors, so that n = 128 does not overflow. */
  int32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  int32_t power = bits - 0x4B400000, half = power / 2;
  uint32_t low_bits = (uint32_t)(half + 127) << 23, high_bits = (uint32_t)(power - half + 127) << 23;
  float low, high;
  memcpy(&low, &low_bits, sizeof low);
  memcpy(&high, &high_bits, sizeof high);
  float result = series * low * high;
  result = x < -87.33f ? 0.0f : x > 88.72f ? INFINITY : result;
  return x == x ? result : x;
}

QC_BODY void exp_body(const float *x, float *out, long count) {
  for (long i = 0; i < count; i++) out[i] = exp_of(x[i]);
}
QC_LEVELS(void, exp, (const float *x, float *out, long count), (x, out, count))

QC_BODY float sum_of(const float *x, long count) {
  lanes sum = {0};
  long i = 0;
  for (; i + LANES <= count; i += LANES) {
    lanes a;
    memcpy(&a, x + i, sizeof a);
    sum += a;
  }
  float lane[LANES];
  memcpy(lane, &sum, sizeof lane);
  for (int l = 0; i < count; i++, l++) lane[l] += x[i];
  return add_lanes(lane);
}

QC_BODY void softmax_body(float *x, long count) {
  float largest = -INFINITY;
  for (long i = 0; i < count; i++) largest = x[i] > largest ? x[i] : largest;
  for (long i = 0; i < count; i++) x[i] = exp_of(x[i] - largest);
  float factor = 1.0f / sum_of(x, count);
  for (long j = 0; j < count; j++) x[j] *= factor;
}
QC_LEVELS(void, softmax, (float *x, long count), (x, count))

QC_BODY void rms_norm_body(const float *x, const float *gain, float epsilon, long count, float *out) {
  float factor = 1.0f / sqrtf(dot_body(x, x, count) / (float)count + epsilon);
  for (long i = 0; i < count; i++) out[i] = gain[i] * (x[i] * factor);
}
QC_LEVELS(
    void, rms_norm, (const float *x, const float *gain, float epsilon, long count, float *out),
    (x, gain, epsilon, count, out))

QC_BODY void layer_norm_body(
    const float *x, const float *gain, const float *bias, float epsilon, long count, float *out) {
  float mean = sum_of(x, count) / (float)count;
  for (long j = 0; j < count; j++) out[j] = x[j] - mean;
  float factor = 1.0f / sqrtf(dot_body(out, out, count) / (float)count + epsilon);
  for (long j = 0; j < count; j++) out[j] = gain[j] * (out[j] * factor) + bias[j];
}
QC_LEVELS(
    void, layer_norm,
    (const float *x, const float *gain, const float *bias, float epsilon, long count, float *out),
    (x, gain, bias, epsilon, count, out))

// (1 + tanh u) / 2 is the logistic function of 2u.
QC_BODY void gelu_tanh_body(float *x, long count) {
  for (long i = 0; i < count; i++) {
    float u = 0.7978845608f * x[i] * (1.0f + 0.044715f * x[i] * x[i]);
    x[i] = x[i] / (1.0f + exp_of(-2.0f * u));
  }
}
QC_LEVELS(void, gelu_tanh, (float *x, long count), (x, count))

QC_BODY void silu_product_body(float *gate, const float *up, long count) {
  for (long i = 0; i < count; i++) gate[i] = gate[i] / (1.0f + exp_of(-gate[i])) * up[i];
}
QC_LEVELS(void, silu_product, (float *gate, const float *up, long count), (gate, up, count))

QC_BODY void rotate_body(float *x, const float *cosine, const float *sine, long half) {
  for (long i = 0; i < half; i++) {
    float a = x[i], b = x[i + half];
    x[i] = a * cosine[i] - b * sine[i];
    x[i + half] = b * cosine[i] + a * sine[i];
  }
}
QC_LEVELS(void, rotate, (float *x, const float *cosine, const float *sine, long half), (x, cosine, sine, half))

QC_BODY void observe_body(
    const float *x, long rows, long stride, long channels, double *absolute_sums, float *minimum, float *maximum) {
  for (long row = 0; row < rows; row++) {
    const float *from = x + row * stride;
    for (long c = 0; c < channels; c++) {
      float value = from[c];
      absolute_sums[c] += fabsf(value);
      minimum[c] = value < minimum[c] ? value : minimum[c];
      maximum[c] = value > maximum[c] ? value : maximum[c];
    }
  }
}
QC_LEVELS(
    void, observe,
    (const float *x, long rows, long stride, long channels, double *absolute_sums, float *minimum, float *maximum),
    (x, rows, stride, channels, absolute_sums, minimum, maximum))

QC_BODY void observe_squares_body(const float *x, long rows, long stride, long channels, double *sums) {
  for (long row = 0; row < rows; row++) {
    const float *from = x + row * stride;
    for (long c = 0; c < channels; c++) sums[c] += (double)from[c] * (double)from[c];
  }
}
QC_LEVELS(
    void, observe_squares, (const float *x, long rows, long stride, long channels, double *sums),
    (x, rows, stride, channels, sums))
