// Encoders of the layouts whose nibbles are E2M1 values, by llama.cpp's own rules. None of them uses importance.

// Nibbles of `length` weights under a scale in units of half the smallest value: the number of borders below the magnitude,
// which are exact products; a tie goes to the smaller value, and zero has no sign.
static inline void qc_round_e2m1(const float *x, int length, float scale, uint8_t *codes) {
  static const float borders[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10};
  for (int i = 0; i < length; ++i) {
    float magnitude = qc_float_from_bits(qc_float_bits(x[i]) & 0x7fffffff);
    int code = 0;
    for (int k = 0; k < 7; ++k) code += magnitude > borders[k] * scale;
    codes[i] = (uint8_t)(code + (x[i] < 0 && code > 0 ? 8 : 0));
  }
}

// The same for weights far beyond the largest value, whose distances to several values are the same float: the first value in
// the table is taken.
static inline void qc_round_far_e2m1(const float *x, int length, float scale, uint8_t *codes) {
  for (int i = 0; i < length; ++i) {
    float least = 0;
    for (int k = 0; k < 16; ++k) {
      float error = qc_float_from_bits(qc_float_bits((float)qc_doubled_e2m1[k] * scale - x[i]) & 0x7fffffff);
      if (k > 0 && !(error < least)) continue;
      least = error;
      codes[i] = (uint8_t)k;
    }
  }
}

// The E8M0 exponent two below that of `magnitude`. llama.cpp takes the latter from a 32-bit logarithm, which may round up
// just below a power of two.
static inline uint8_t qc_shared_exponent(float magnitude) {
  uint32_t bits = qc_float_bits(magnitude);
  int32_t exponent = (int32_t)(bits >> 23) - 127;
  // Exponents below the range, for which the reference is undefined, become the smallest.
  if (exponent < -125) return 0;
  // To first order in the distance from the next power, which is exact enough where it rounds to that power.
  int32_t next = exponent + 1;
  double distance = (double)(0x800000 - (bits & 0x7fffff)) * 0x1p-24;
  if (distance < 0x1p-10 && (float)((double)next - distance * 1.4426950408889634) == (float)next) exponent = next;
  return (uint8_t)(exponent + 125);
}

static void QC_NAME(encode_mxfp4)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  (void)importance;
  qc_mxfp4 *block = destination;
  for (int64_t left = rows * columns; left > 0; left -= 32, source += 32, ++block) {
    uint8_t codes[32];
    block->e = qc_shared_exponent(qc_largest_magnitude(source, 32));
    qc_round_e2m1(source, 32, qc_half_e8m0(block->e), codes);
    qc_pack_nibbles(codes, block->codes);
  }
}

// The E4M3 code of a non-negative scale: ties round up, and everything from 256 on is 448.
static inline uint8_t qc_e4m3_code(float value) {
  if (!(value > 0)) return 0;
  uint32_t bits = qc_float_bits(value);
  int32_t exponent = (int32_t)(bits >> 23) - 127 + 7;
  if (exponent >= 15) return 0x7e;
  if (exponent <= 0) {
    int32_t mantissa = (int32_t)(value * 512.0f + 0.5f);
    return (uint8_t)(mantissa < 7 ? mantissa : 7);
  }
  // A mantissa that is rounded up may carry into the exponent.
  uint32_t code = (uint32_t)exponent << 3 | (bits >> 20 & 7);
  code += bits >> 19 & 1;
  return (uint8_t)(code < 0x78 ? code : 0x7e);
}

static void QC_NAME(encode_nvfp4)(
    const float *source, int64_t rows, int64_t columns, const float *importance, void *destination
) {
  (void)importance;
  qc_nvfp4 *block = destination;
  for (int64_t left = rows * columns; left > 0; left -= 64, ++block) {
    for (int s = 0; s < 4; ++s, source += 16) {
      uint8_t codes[16];
      float magnitude = qc_largest_magnitude(source, 16);
      block->d[s] = qc_e4m3_code(magnitude / 6.0f);
      float scale = qc_half_e4m3(block->d[s]);
      if (magnitude > 64 * scale) {
        qc_round_far_e2m1(source, 16, scale, codes);
      } else {
        qc_round_e2m1(source, 16, scale, codes);
      }
      for (int i = 0; i < 8; ++i) block->codes[8 * s + i] = (uint8_t)(codes[i] | codes[i + 8] << 4);
    }
  }
}
