// Vectors of QC_LANES floats, one block per lane. The including file sets QC_LANES and the instruction set.
//
// A scale search is a chain of dependent sums, whose bits depend on their order. With one block per lane each lane does
// the reference's operations in the reference's order, and choices become masks.
#include <stdint.h>
#include <string.h>

typedef float qc_lanes __attribute__((ext_vector_type(QC_LANES)));
typedef int32_t qc_mask __attribute__((ext_vector_type(QC_LANES)));
typedef uint8_t qc_bytes __attribute__((ext_vector_type(QC_LANES)));

// One value of each block.
typedef union {
  qc_lanes all;
  float lane[QC_LANES];
} qc_row;

static inline qc_lanes qc_broadcast(float value) { return (qc_lanes)(value); }

static inline qc_lanes qc_lanes_abs(qc_lanes value) {
  union { qc_lanes f; qc_mask i; } bits = {value};
  bits.i &= 0x7fffffff;
  return bits.f;
}

static inline qc_lanes qc_lanes_sqrt(qc_lanes value) {
  return __builtin_elementwise_sqrt(value);
}

// Rounds to the nearest integer, ties to even, by adding 1.5 * 2^23. The result is taken from the low 23 bits alone, so
// that infinities and NaN also give what the reference reads from them.
static inline qc_lanes qc_lanes_nearest(qc_lanes value) {
  union { qc_lanes f; qc_mask i; } bits = {value + 12582912.0f};
  bits.i = (bits.i & 0x007fffff) | 0x4b000000;
  return bits.f - 12582912.0f;
}

static inline qc_lanes qc_lanes_clamp(qc_lanes value, float low, float high) {
  qc_lanes lows = qc_broadcast(low), highs = qc_broadcast(high);
  value = value > lows ? value : lows;
  return value < highs ? value : highs;
}

static inline qc_lanes qc_load_lanes(const float *source) {
  qc_lanes value;
  memcpy(&value, source, sizeof value);
  return value;
}

// The same rounding for one value.
static inline int32_t qc_nearest(float value) {
  return (int32_t)(qc_float_bits(value + 12582912.0f) & 0x007fffff) - 0x00400000;
}

static inline int32_t qc_clamp(int32_t value, int32_t low, int32_t high) {
  value = value > low ? value : low;
  return value < high ? value : high;
}

typedef float qc_eight __attribute__((ext_vector_type(8)));
typedef float qc_four __attribute__((ext_vector_type(4)));
typedef float qc_two __attribute__((ext_vector_type(2)));
#define qc_smaller(a, b) ((a) < (b) ? (a) : (b))
#define qc_larger(a, b) ((a) > (b) ? (a) : (b))

// Smallest and largest of `start` and 32 values, NaN being neither unless it is `start`. Of zeros of both signs either one
// may come out.
static inline void qc_extremes(const float *x, float start, float *smallest, float *largest) {
  qc_lanes low = qc_broadcast(start), high = low;
  for (int i = 0; i < 32; i += QC_LANES) {
    qc_lanes value = qc_load_lanes(x + i);
    low = qc_smaller(value, low);
    high = qc_larger(value, high);
  }
#if QC_LANES == 16
  qc_eight low8 = qc_smaller(low.lo, low.hi), high8 = qc_larger(high.lo, high.hi);
#elif QC_LANES == 8
  qc_eight low8 = low, high8 = high;
#endif
#if QC_LANES > 4
  qc_four low4 = qc_smaller(low8.lo, low8.hi), high4 = qc_larger(high8.lo, high8.hi);
#else
  qc_four low4 = low, high4 = high;
#endif
  qc_two low2 = qc_smaller(low4.lo, low4.hi), high2 = qc_larger(high4.lo, high4.hi);
  *smallest = qc_smaller(low2.x, low2.y);
  *largest = qc_larger(high2.x, high2.y);
}

// Turns `blocks` blocks of `length` floats into rows across lanes. Lanes without a block repeat the last one.
static inline void qc_transpose(const float *source, int blocks, int length, qc_row *rows) {
  for (int lane = 0; lane < QC_LANES; ++lane) {
    const float *block = source + (lane < blocks ? lane : blocks - 1) * length;
    for (int i = 0; i < length; ++i) rows[i].lane[lane] = block[i];
  }
}
