// Vectors of QC_LANES floats, one block per lane. The including file sets QC_LANES and the instruction set.
//
// A scale search is a chain of dependent sums, whose bits depend on their order. With one block per lane, each lane does
// the reference's operations in the reference's order, and choices become masks.
#include <stdint.h>
#include <string.h>
#if QC_LANES == 16
#include <immintrin.h>
#endif

typedef float qc_lanes __attribute__((ext_vector_type(QC_LANES)));
typedef int32_t qc_mask __attribute__((ext_vector_type(QC_LANES)));
typedef uint8_t qc_bytes __attribute__((ext_vector_type(QC_LANES)));
typedef uint16_t qc_halves __attribute__((ext_vector_type(QC_LANES)));

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
// that infinities and NaN also give what the reference gives.
static inline qc_lanes qc_lanes_nearest(qc_lanes value) {
  union { qc_lanes f; qc_mask i; } bits = {value + 12582912.0f};
  bits.i = (bits.i & 0x007fffff) | 0x4b000000;
  return bits.f - 12582912.0f;
}

// The same for magnitudes up to 2^22, with one or two instructions. Zero may come out negative.
static inline qc_lanes qc_lanes_round(qc_lanes value) {
#if QC_LANES > 4
  return __builtin_elementwise_roundeven(value);
#else
  return value + 12582912.0f - 12582912.0f;
#endif
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

static inline void qc_store_row(float *destination, qc_lanes value) { memcpy(destination, &value, sizeof value); }

// The same rounding for one value.
static inline int32_t qc_nearest(float value) {
  return (int32_t)(qc_float_bits(value + 12582912.0f) & 0x007fffff) - 0x00400000;
}

static inline int32_t qc_clamp(int32_t value, int32_t low, int32_t high) {
  value = value > low ? value : low;
  return value < high ? value : high;
}

// qc_half_bits of each lane.
static inline qc_halves qc_lanes_half(qc_lanes value) {
  union { qc_lanes f; qc_mask i; } bits = {value}, small;
  qc_mask sign = bits.i >> 16 & 0x8000;
  bits.i &= 0x7fffffff;
  small.f = bits.f + 0.5f;
  qc_mask half = (bits.i - 0x38000000 + 0xfff + (bits.i >> 13 & 1)) >> 13;
  half = bits.i < 0x38800000 ? small.i - 0x3f000000 : half;
  half = bits.i < 0x47800000 ? half : (qc_mask)0x7c00;
  half = bits.i > 0x7f800000 ? (qc_mask)0x7e00 : half;
  return __builtin_convertvector(half | sign, qc_halves);
}

typedef float qc_eight __attribute__((ext_vector_type(8)));
typedef float qc_four __attribute__((ext_vector_type(4)));
typedef float qc_two __attribute__((ext_vector_type(2)));
#define qc_smaller(a, b) ((a) < (b) ? (a) : (b))
#define qc_larger(a, b) ((a) > (b) ? (a) : (b))

// Smallest and largest of `start` and 32 values; NaN is neither unless it is `start`. If there are zeros of both signs, either
// one may come out.
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

// The lower and the upper halves of two vectors, interleaved value by value.
#if QC_LANES == 16
#define qc_zip_low(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define qc_zip_high(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif QC_LANES == 8
#define qc_zip_low(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define qc_zip_high(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define qc_zip_low(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define qc_zip_high(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

// Reduces QC_LANES vectors, each over its own lanes, in the order of the vectors. The vectors are overwritten.
#define QC_FOLD(name, type, choose)                                                                  \
  static inline __attribute__((always_inline)) type name(type vectors[QC_LANES]) {                   \
    _Pragma("clang loop unroll(full)") for (int count = QC_LANES / 2; count > 0; count /= 2) {       \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < count; ++i) {                           \
        type low = qc_zip_low(vectors[i], vectors[i + count]);                                       \
        type high = qc_zip_high(vectors[i], vectors[i + count]);                                     \
        vectors[i] = choose(low, high);                                                              \
      }                                                                                              \
    }                                                                                                \
    return vectors[0];                                                                               \
  }

QC_FOLD(qc_fold_smaller, qc_lanes, qc_smaller)
QC_FOLD(qc_fold_larger, qc_lanes, qc_larger)
QC_FOLD(qc_fold_larger_bits, qc_mask, qc_larger)

// Transposes `blocks` blocks of `length` floats, a multiple of the lanes, into rows across lanes. Lanes without a block repeat the
// last one.
static inline void qc_transpose(const float *source, int blocks, int length, qc_row *rows) {
  for (int start = 0; start < length; start += QC_LANES) {
    qc_lanes now[QC_LANES], next[QC_LANES];
    for (int lane = 0; lane < QC_LANES; ++lane) {
      now[lane] = qc_load_lanes(source + (lane < blocks ? lane : blocks - 1) * length + start);
    }
    // Each round of zipping halves the distance between values that belong together.
#pragma clang loop unroll(full)
    for (int width = 1; width < QC_LANES; width *= 2) {
#pragma clang loop unroll(full)
      for (int i = 0; i < QC_LANES / 2; ++i) {
        next[2 * i] = qc_zip_low(now[i], now[i + QC_LANES / 2]);
        next[2 * i + 1] = qc_zip_high(now[i], now[i + QC_LANES / 2]);
      }
#pragma clang loop unroll(full)
      for (int i = 0; i < QC_LANES; ++i) now[i] = next[i];
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < QC_LANES; ++i) rows[start + i].all = now[i];
  }
}
