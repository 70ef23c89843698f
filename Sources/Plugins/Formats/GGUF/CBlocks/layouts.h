// The bytes of each block, as every GGUF reader expects them. All fields are little-endian and packed.
#ifndef QC_BLOCK_LAYOUTS_H
#define QC_BLOCK_LAYOUTS_H

#include <stdint.h>

enum { QC_SIMPLE_LENGTH = 32, QC_SUPER_LENGTH = 256, QC_SCALE_BYTES = 12 };

// Nibbles: the low half of byte j holds weight j, the high half weight j + 16.
typedef struct { uint8_t d[2]; int8_t codes[32]; } qc_q8_0;                              // w = d * q
typedef struct { uint8_t d[2]; uint8_t low[16]; } qc_q4_0;                               // w = d * (q - 8)
typedef struct { uint8_t d[2], m[2]; uint8_t low[16]; } qc_q4_1;                         // w = d * q + m
typedef struct { uint8_t d[2]; uint8_t high[4]; uint8_t low[16]; } qc_q5_0;              // w = d * (q - 16)
typedef struct { uint8_t d[2], m[2]; uint8_t high[4]; uint8_t low[16]; } qc_q5_1;        // w = d * q + m
// Super-blocks of 8 sub-blocks of 32: w = d * scale[s] * q - dmin * min[s], with 6-bit scales and minima.
typedef struct { uint8_t d[2], dmin[2]; uint8_t scales[12]; uint8_t low[128]; } qc_q4_k;
typedef struct { uint8_t d[2], dmin[2]; uint8_t scales[12]; uint8_t high[32]; uint8_t low[128]; } qc_q5_k;
// Super-block of 16 sub-blocks of 16: w = d * scale[s] * (q - 32), with signed 8-bit scales.
typedef struct { uint8_t low[128]; uint8_t high[64]; int8_t scales[16]; uint8_t d[2]; } qc_q6_k;

_Static_assert(sizeof(qc_q8_0) == 34, "q8_0");
_Static_assert(sizeof(qc_q4_0) == 18, "q4_0");
_Static_assert(sizeof(qc_q4_1) == 20, "q4_1");
_Static_assert(sizeof(qc_q5_0) == 22, "q5_0");
_Static_assert(sizeof(qc_q5_1) == 24, "q5_1");
_Static_assert(sizeof(qc_q4_k) == 144, "q4_k");
_Static_assert(sizeof(qc_q5_k) == 176, "q5_k");
_Static_assert(sizeof(qc_q6_k) == 210, "q6_k");

#endif
