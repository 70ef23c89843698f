// The bytes of each block, as every GGUF client expects them. All fields are little-endian and packed.
#ifndef QC_BLOCK_LAYOUTS_H
#define QC_BLOCK_LAYOUTS_H

#include <stdint.h>

enum { QC_SUPER_LENGTH = 256 };

// MARK: One scale for all weights of a block

// Nibbles: the low half of byte j holds weight j, the high half weight j + 16.
typedef struct { uint8_t d[2]; int8_t codes[32]; } qc_q8_0;                              // w = d * q
typedef struct { uint8_t d[2]; uint8_t low[16]; } qc_q4_0;                               // w = d * (q - 8)
typedef struct { uint8_t d[2], m[2]; uint8_t low[16]; } qc_q4_1;                         // w = d * q + m
typedef struct { uint8_t d[2]; uint8_t high[4]; uint8_t low[16]; } qc_q5_0;              // w = d * (q - 16)
typedef struct { uint8_t d[2], m[2]; uint8_t high[4]; uint8_t low[16]; } qc_q5_1;        // w = d * q + m
// What activations are rounded to at run time: the sums of codes in these blocks are not needed to decode them.
typedef struct { uint8_t d[2], sum[2]; int8_t codes[32]; } qc_q8_1;                      // w = d * q
typedef struct { uint8_t d[4]; int8_t codes[256]; uint8_t sums[32]; } qc_q8_k;           // w = d * q, with a 32-bit d

// MARK: Super-blocks with scales for their sub-blocks
//
// Two sub-blocks of 32, or four runs of 32 weights in layouts with sub-blocks of 16, share 32 bytes of low bits.

// Super-block of 16 sub-blocks of 16: w = d * scale[s] * q - dmin * min[s], with scale and minimum in the nibbles of a byte.
typedef struct { uint8_t scales[16]; uint8_t low[64]; uint8_t d[2], dmin[2]; } qc_q2_k;
// Super-block of 16 sub-blocks of 16: w = d * (scale[s] - 32) * (q - 4), with 6-bit scales.
typedef struct { uint8_t high[32]; uint8_t low[64]; uint8_t scales[12]; uint8_t d[2]; } qc_q3_k;
// Super-blocks of 8 sub-blocks of 32: w = d * scale[s] * q - dmin * min[s], with 6-bit scales and minima.
typedef struct { uint8_t d[2], dmin[2]; uint8_t scales[12]; uint8_t low[128]; } qc_q4_k;
typedef struct { uint8_t d[2], dmin[2]; uint8_t scales[12]; uint8_t high[32]; uint8_t low[128]; } qc_q5_k;
// Super-block of 16 sub-blocks of 16: w = d * scale[s] * (q - 32), with signed 8-bit scales.
typedef struct { uint8_t low[128]; uint8_t high[64]; int8_t scales[16]; uint8_t d[2]; } qc_q6_k;

// MARK: Two or three values per weight

// Single bits and pairs of bits, from the lowest of each byte: w = d * (2 * q - 1) and w = d * (q - 1).
typedef struct { uint8_t d[2]; uint8_t codes[16]; } qc_q1_0;
typedef struct { uint8_t d[2]; uint8_t codes[16]; } qc_q2_0;
// Ternary, w = d * (q - 1): five digits in a byte that holds 256 / 243 of their number, four in the last bytes.
typedef struct { uint8_t digits[48]; uint8_t rest[4]; uint8_t d[2]; } qc_tq1_0;
typedef struct { uint8_t codes[64]; uint8_t d[2]; } qc_tq2_0;

// MARK: Nibbles that index a table, in the order of the blocks of 32

typedef struct { uint8_t d[2]; uint8_t codes[16]; } qc_iq4_nl;                           // w = d * table[q]
// w = d * (scale[s] - 32) * table[q], for 8 sub-blocks of 32; scales have 4 low and 2 high bits.
typedef struct { uint8_t d[2], scales_high[2]; uint8_t scales_low[4]; uint8_t codes[128]; } qc_iq4_xs;
// w = 2^(e - 128) * table[q], where the table holds the doubled values of E2M1.
typedef struct { uint8_t e; uint8_t codes[16]; } qc_mxfp4;
// w = d[s] / 2 * table[q], for 4 sub-blocks of 16 with E4M3 scales.
typedef struct { uint8_t d[4]; uint8_t codes[32]; } qc_nvfp4;

// MARK: Runs of 8 or 4 weights that index a grid of points (see codebooks.h)

// 8 runs of 32 weights: four indices of 8 bits, then a word of 4 x 7 signs and a scale of 4 bits.
typedef struct { uint8_t d[2]; uint8_t parts[64]; } qc_iq2_xxs;
// 32 points of 8 weights, each a word of 9 bits of index and 7 signs; a scale of 4 bits for every 16 weights.
typedef struct { uint8_t d[2]; uint8_t points[64]; uint8_t scales[8]; } qc_iq2_xs;
// 32 points of 8 weights: 8 low and 2 high bits of index, 8 signs; a scale of 4 bits for every 16 weights.
typedef struct { uint8_t d[2]; uint8_t low[32]; uint8_t signs[32]; uint8_t high[8]; uint8_t scales[8]; } qc_iq2_s;
// 64 points of 4 weights; for every 32 weights a word of 4 x 7 signs and a scale of 4 bits.
typedef struct { uint8_t d[2]; uint8_t points[64]; uint8_t parts[32]; } qc_iq3_xxs;
// 64 points of 4 weights: 8 low bits and one high bit of index; 8 signs for two points; a scale of 4 bits for every 32 weights.
typedef struct { uint8_t d[2]; uint8_t low[64]; uint8_t high[8]; uint8_t signs[32]; uint8_t scales[4]; } qc_iq3_s;
// 32 points of 8 weights: 8 low bits of index; for every 32 weights a word of 4 x 3 high bits, a scale of 3 bits and a shift's sign.
typedef struct { uint8_t d[2]; uint8_t low[32]; uint8_t high[16]; } qc_iq1_s;
// 32 points of 8 weights: 8 low bits of index, then 3 high bits and the sign of a shift; four words, each with 4 scales of 3 bits
// for 16 weights each and 4 bits of d.
typedef struct { uint8_t low[32]; uint8_t high[16]; uint8_t scales[8]; } qc_iq1_m;

_Static_assert(sizeof(qc_q8_0) == 34, "q8_0");
_Static_assert(sizeof(qc_q4_0) == 18, "q4_0");
_Static_assert(sizeof(qc_q4_1) == 20, "q4_1");
_Static_assert(sizeof(qc_q5_0) == 22, "q5_0");
_Static_assert(sizeof(qc_q5_1) == 24, "q5_1");
_Static_assert(sizeof(qc_q4_k) == 144, "q4_k");
_Static_assert(sizeof(qc_q5_k) == 176, "q5_k");
_Static_assert(sizeof(qc_q6_k) == 210, "q6_k");
_Static_assert(sizeof(qc_q8_1) == 36, "q8_1");
_Static_assert(sizeof(qc_q8_k) == 292, "q8_k");
_Static_assert(sizeof(qc_q2_k) == 84, "q2_k");
_Static_assert(sizeof(qc_q3_k) == 110, "q3_k");
_Static_assert(sizeof(qc_q1_0) == 18, "q1_0");
_Static_assert(sizeof(qc_q2_0) == 18, "q2_0");
_Static_assert(sizeof(qc_tq1_0) == 54, "tq1_0");
_Static_assert(sizeof(qc_tq2_0) == 66, "tq2_0");
_Static_assert(sizeof(qc_iq4_nl) == 18, "iq4_nl");
_Static_assert(sizeof(qc_iq4_xs) == 136, "iq4_xs");
_Static_assert(sizeof(qc_mxfp4) == 17, "mxfp4");
_Static_assert(sizeof(qc_nvfp4) == 36, "nvfp4");
_Static_assert(sizeof(qc_iq2_xxs) == 66, "iq2_xxs");
_Static_assert(sizeof(qc_iq2_xs) == 74, "iq2_xs");
_Static_assert(sizeof(qc_iq2_s) == 82, "iq2_s");
_Static_assert(sizeof(qc_iq3_xxs) == 98, "iq3_xxs");
_Static_assert(sizeof(qc_iq3_s) == 110, "iq3_s");
_Static_assert(sizeof(qc_iq1_s) == 50, "iq1_s");
_Static_assert(sizeof(qc_iq1_m) == 56, "iq1_m");

#endif
