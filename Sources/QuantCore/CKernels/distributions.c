#include "levels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* A vocabulary is summed in 8 lanes of doubles (index modulo 8), which are added pairwise at the end. */
enum { LANES = 8 };

/* As exp_of in vectors.c, for x <= 0: the series to degree 13 is exact to 2e-16 on |r| <= ln(2)/2. */
QC_BODY double exp_of_negative(double x) {
  const double magic = 6755399441055744.0; /* 1.5 * 2^52 */
  double limited = x < -700.0 ? -700.0 : x;
  double shifted = limited * 1.4426950408889634 + magic;
  double n = shifted - magic;
  double r = (limited - n * 0.693145751953125) - n * 1.42860682030941723212e-6;
  double series = 1.0 / 6227020800.0;
  series = series * r + 1.0 / 479001600.0;
  series = series * r + 1.0 / 39916800.0;
  series = series * r + 1.0 / 3628800.0;
  series = series * r + 1.0 / 362880.0;
  series = series * r + 1.0 / 40320.0;
  series = series * r + 1.0 / 5040.0;
  series = series * r + 1.0 / 720.0;
  series = series * r + 1.0 / 120.0;
  series = series * r + 1.0 / 24.0;
  series = series * r + 1.0 / 6.0;
  series = series * r + 0.5;
  series = series * r * r + r + 1.0;
  uint64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  uint64_t power_bits = (bits - 0x4338000000000000 + 1023) << 52;
  double power;
  memcpy(&power, &power_bits, sizeof power);
  return x < -700.0 ? 0.0 : series * power;
}

QC_BODY double add_lanes(double *sum) {
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) sum[l] += sum[l + width];
  return sum[0];
}

QC_BODY double log_sum_exp_body(const float *x, long count) {
  float largest = -INFINITY;
  for (long i = 0; i < count; i++) largest = x[i] > largest ? x[i] : largest;
  double sum[LANES] = {0};
  long i = 0;
  for (; i + LANES <= count; i += LANES) {
    double term[LANES];
    for (int l = 0; l < LANES; l++) term[l] = exp_of_negative((double)x[i + l] - largest);
    for (int l = 0; l < LANES; l++) sum[l] += term[l];
  }
  for (int l = 0; i < count; i++, l++) sum[l] += exp_of_negative((double)x[i] - largest);
  return largest + log(add_lanes(sum));
}
QC_LEVELS(double, log_sum_exp, (const float *x, long count), (x, count))

QC_BODY double kl_divergence_body(const float *p, double p_log_sum, const float *q, double q_log_sum, long count) {
  double sum[LANES] = {0};
  long i = 0;
  for (; i + LANES <= count; i += LANES) {
    double term[LANES];
    for (int l = 0; l < LANES; l++) {
      double log_p = p[i + l] - p_log_sum;
      /* Rounding can put the logarithm of a certain token slightly above zero; the exponential allows for that. */
      term[l] = exp_of_negative(log_p) * (log_p - (q[i + l] - q_log_sum));
    }
    for (int l = 0; l < LANES; l++) sum[l] += term[l];
  }
  for (int l = 0; i < count; i++, l++) {
    double log_p = p[i] - p_log_sum;
    sum[l] += exp_of_negative(log_p) * (log_p - (q[i] - q_log_sum));
  }
  return add_lanes(sum);
}
QC_LEVELS(
    double, kl_divergence, (const float *p, double p_log_sum, const float *q, double q_log_sum, long count),
    (p, p_log_sum, q, q_log_sum, count))
