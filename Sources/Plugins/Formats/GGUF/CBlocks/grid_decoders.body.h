// Decoders of layouts that index a grid of points for every 8 or 4 weights. Every index is valid whatever the bytes are: its
// bits cannot express a number beyond the grid.

// One point with signs.
static inline void qc_decode_point(const int8_t *point, int length, float scale, unsigned signs, float *destination) {
  for (int i = 0; i < length; ++i) destination[i] = scale * (float)point[i] * (signs >> i & 1 ? -1.0f : 1.0f);
}

// Eight signs, of which seven are stored: the number of minus signs is even.
static inline unsigned qc_even_signs(unsigned seven) { return seven | ((unsigned)__builtin_popcount(seven) & 1) << 7; }

static inline unsigned qc_load_short(const uint8_t source[2]) { return source[0] | (unsigned)source[1] << 8; }

static void QC_NAME(decode_iq2_xxs)(const void *source, int64_t weights, float *destination) {
  const qc_grids *grids = qc_block_grids();
  const qc_iq2_xxs *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int s = 0; s < 8; ++s) {
      const uint8_t *part = block->parts + 8 * s;
      uint32_t word = qc_load_word(part + 4);
      float scale = d * (0.5f + (float)(word >> 28)) * 0.25f;
      for (int p = 0; p < 4; ++p, destination += 8) {
        qc_decode_point(grids->iq2_xxs[part[p]], 8, scale, qc_even_signs(word >> 7 * p & 127), destination);
      }
    }
  }
}

// The scale of the 16 weights of point `p` and its neighbour, from nibbles.
static inline float qc_nibble_scale(float d, const uint8_t *scales, int p) {
  return d * (0.5f + (float)(scales[p / 4] >> p % 4 / 2 * 4 & 15)) * 0.25f;
}

static void QC_NAME(decode_iq2_xs)(const void *source, int64_t weights, float *destination) {
  const qc_grids *grids = qc_block_grids();
  const qc_iq2_xs *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int p = 0; p < 32; ++p, destination += 8) {
      unsigned word = qc_load_short(block->points + 2 * p);
      float scale = qc_nibble_scale(d, block->scales, p);
      qc_decode_point(grids->iq2_xs[word & 511], 8, scale, qc_even_signs(word >> 9), destination);
    }
  }
}

static void QC_NAME(decode_iq2_s)(const void *source, int64_t weights, float *destination) {
  const qc_grids *grids = qc_block_grids();
  const qc_iq2_s *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int p = 0; p < 32; ++p, destination += 8) {
      unsigned index = block->low[p] | (block->high[p / 4] >> p % 4 * 2 & 3u) << 8;
      qc_decode_point(grids->iq2_s[index], 8, qc_nibble_scale(d, block->scales, p), block->signs[p], destination);
    }
  }
}

static void QC_NAME(decode_iq3_xxs)(const void *source, int64_t weights, float *destination) {
  const qc_grids *grids = qc_block_grids();
  const qc_iq3_xxs *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int s = 0; s < 8; ++s) {
      uint32_t word = qc_load_word(block->parts + 4 * s);
      float scale = d * (0.5f + (float)(word >> 28)) * 0.5f;
      for (int p = 0; p < 4; ++p, destination += 8) {
        unsigned signs = qc_even_signs(word >> 7 * p & 127);
        const uint8_t *points = block->points + 8 * s + 2 * p;
        qc_decode_point(grids->iq3_xxs[points[0]], 4, scale, signs, destination);
        qc_decode_point(grids->iq3_xxs[points[1]], 4, scale, signs >> 4, destination + 4);
      }
    }
  }
}

static void QC_NAME(decode_iq3_s)(const void *source, int64_t weights, float *destination) {
  const qc_grids *grids = qc_block_grids();
  const qc_iq3_s *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int p = 0; p < 64; ++p, destination += 4) {
      unsigned index = block->low[p] | (block->high[p / 8] >> p % 8 & 1u) << 8;
      float scale = d * (float)(1 + 2 * (block->scales[p / 16] >> p / 8 % 2 * 4 & 15));
      qc_decode_point(grids->iq3_s[index], 4, scale, block->signs[p / 2] >> p % 2 * 4, destination);
    }
  }
}

// One point of the ternary grid, shifted as a whole by an eighth.
static inline void qc_decode_shifted(const int8_t *point, float scale, int is_below, float *destination) {
  float shift = is_below ? -0.125f : 0.125f;
  for (int i = 0; i < 8; ++i) destination[i] = scale * ((float)point[i] + shift);
}

static void QC_NAME(decode_iq1_s)(const void *source, int64_t weights, float *destination) {
  const qc_grids *grids = qc_block_grids();
  const qc_iq1_s *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    float d = qc_load_half(block->d);
    for (int p = 0; p < 32; ++p, destination += 8) {
      unsigned word = qc_load_short(block->high + p / 4 * 2), index = block->low[p] | (word >> 3 * (p % 4) & 7) << 8;
      qc_decode_shifted(grids->iq1[index], d * (float)(2 * (word >> 12 & 7) + 1), word >> 15, destination);
    }
  }
}

static void QC_NAME(decode_iq1_m)(const void *source, int64_t weights, float *destination) {
  const qc_grids *grids = qc_block_grids();
  const qc_iq1_m *block = source;
  for (; weights > 0; weights -= QC_SUPER_LENGTH, ++block) {
    unsigned words[4], bits = 0;
    for (int i = 0; i < 4; ++i) {
      words[i] = qc_load_short(block->scales + 2 * i);
      bits |= words[i] >> 12 << 4 * i;
    }
    float d = qc_load_half((const uint8_t[2]){(uint8_t)bits, (uint8_t)(bits >> 8)});
    for (int p = 0; p < 32; ++p, destination += 8) {
      unsigned nibble = block->high[p / 2] >> p % 2 * 4 & 15, index = block->low[p] | (nibble & 7) << 8;
      unsigned scale = words[p / 8] >> p % 8 / 2 * 3 & 7;
      qc_decode_shifted(grids->iq1[index], d * (float)(2 * scale + 1), nibble >> 3, destination);
    }
  }
}
