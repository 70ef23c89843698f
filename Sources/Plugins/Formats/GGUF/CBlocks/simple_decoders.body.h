// Decoders of blocks with one scale for all their weights: llama.cpp's products and sums, in its order.

static void QC_NAME(decode_q8_0)(const void *source, int64_t weights, float *destination) {
  const qc_q8_0 *block = source;
  for (; weights > 0; weights -= 32, destination += 32, ++block) {
    float d = qc_load_half(block->d);
    for (int i = 0; i < 32; ++i) destination[i] = (float)block->codes[i] * d;
  }
}

static void QC_NAME(decode_q8_1)(const void *source, int64_t weights, float *destination) {
  const qc_q8_1 *block = source;
  for (; weights > 0; weights -= 32, destination += 32, ++block) {
    float d = qc_load_half(block->d);
    for (int i = 0; i < 32; ++i) destination[i] = (float)block->codes[i] * d;
  }
}

static void QC_NAME(decode_q8_k)(const void *source, int64_t weights, float *destination) {
  const qc_q8_k *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, destination += QC_SUPER_LENGTH, ++block) {
    float d = qc_float_from_bits(qc_load_word(block->d));
    for (int i = 0; i < QC_SUPER_LENGTH; ++i) destination[i] = d * (float)block->codes[i];
  }
}

// Bytes widened to lanes of integers.
static inline qc_mask qc_load_bytes(const uint8_t *source) {
  qc_bytes bytes;
  memcpy(&bytes, source, sizeof bytes);
  return __builtin_convertvector(bytes, qc_mask);
}

static inline void qc_store_lanes(float *destination, qc_lanes value) { memcpy(destination, &value, sizeof value); }

static const int32_t QC_NAME(qc_bit)[16] = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768,
};

// Explicit lanes: otherwise the compiler widens bytes and bits one by one.
static inline void qc_decode_simple(
    const uint8_t *block, int64_t weights, float *destination, int bits, int has_minimum, int64_t stride
) {
  qc_mask bit;
  memcpy(&bit, QC_NAME(qc_bit), sizeof bit);
  for (; weights > 0; weights -= 32, destination += 32, block += stride) {
    const uint8_t *low = block + (has_minimum ? 4 : 2);
    float d = qc_load_half(block), m = has_minimum ? qc_load_half(block + 2) : 0;
    uint32_t high = 0;
    if (bits == 5) {
      high = qc_load_word(low);
      low += 4;
    }
    int32_t half = has_minimum ? 0 : bits == 5 ? 16 : 8;
    for (int i = 0; i < 32; i += QC_LANES) {
      qc_mask bytes = qc_load_bytes(low + i % 16), code = i < 16 ? bytes & 15 : bytes >> 4;
      if (bits == 5) code |= (((qc_mask)(int32_t)(high >> i) & bit) != 0) & 16;
      qc_lanes value = __builtin_convertvector(code - half, qc_lanes) * d;
      qc_store_lanes(destination + i, has_minimum ? value + m : value);
    }
  }
}

#define QC_SIMPLE_DECODER(type, ...)                                                                       \
  static void QC_NAME(decode_##type)(const void *source, int64_t weights, float *destination) {            \
    const qc_simple_codes codes = {__VA_ARGS__};                                                           \
    qc_decode_simple(source, weights, destination, codes.bits, codes.has_minimum, sizeof(qc_##type));      \
  }

QC_SIMPLE_DECODER(q4_0, .bits = 4, .has_minimum = 0)
QC_SIMPLE_DECODER(q4_1, .bits = 4, .has_minimum = 1)
QC_SIMPLE_DECODER(q5_0, .bits = 5, .has_minimum = 0)
QC_SIMPLE_DECODER(q5_1, .bits = 5, .has_minimum = 1)
