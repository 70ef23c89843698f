// Runs every encoder, decoder and refiner of GGUF blocks over random and hostile numbers, in memory of exactly the size that they
// may touch. Built with sanitizers (`make sanitize`): what they find ends the program.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cblocks.h"

static const struct {
  qc_block_type type;
  int weights, bytes, parameters;
} layouts[] = {
    {QC_BLOCK_Q4_0, 32, 18, 1},     {QC_BLOCK_Q4_1, 32, 20, 2},     {QC_BLOCK_Q5_0, 32, 22, 1},     {QC_BLOCK_Q5_1, 32, 24, 2},
    {QC_BLOCK_Q8_0, 32, 34, 1},     {QC_BLOCK_Q8_1, 32, 36, 0},     {QC_BLOCK_Q2_K, 256, 84, 34},   {QC_BLOCK_Q3_K, 256, 110, 17},
    {QC_BLOCK_Q4_K, 256, 144, 18},  {QC_BLOCK_Q5_K, 256, 176, 18},  {QC_BLOCK_Q6_K, 256, 210, 17},  {QC_BLOCK_Q8_K, 256, 292, 0},
    {QC_BLOCK_IQ2_XXS, 256, 66, 0}, {QC_BLOCK_IQ2_XS, 256, 74, 0},  {QC_BLOCK_IQ3_XXS, 256, 98, 0}, {QC_BLOCK_IQ1_S, 256, 50, 0},
    {QC_BLOCK_IQ4_NL, 32, 18, 1},   {QC_BLOCK_IQ3_S, 256, 110, 0},  {QC_BLOCK_IQ2_S, 256, 82, 0},   {QC_BLOCK_IQ4_XS, 256, 136, 9},
    {QC_BLOCK_IQ1_M, 256, 56, 0},   {QC_BLOCK_TQ1_0, 256, 54, 1},   {QC_BLOCK_TQ2_0, 256, 66, 1},   {QC_BLOCK_MXFP4, 32, 17, 1},
    {QC_BLOCK_NVFP4, 64, 36, 4},    {QC_BLOCK_Q1_0, 128, 18, 1},    {QC_BLOCK_Q2_0, 64, 18, 1},
};

static uint64_t state = 1;

static uint32_t random_bits(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 32);
}

// Kinds 0 to 5: ordinary, tiny, large, zero, any bits, any bits that are finite.
static float number(int kind) {
  float ordinary = (float)(int32_t)random_bits() * 0x1p-31f, value;
  if (kind < 3) return ordinary * (kind == 0 ? 0.05f : kind == 1 ? 1e-39f : 1e30f);
  if (kind == 3) return 0;
  do {
    uint32_t bits = random_bits();
    memcpy(&value, &bits, sizeof value);
  } while (kind == 5 && !isfinite(value));
  return value;
}

static void check(int layout, qc_block_level level, int rows, int columns, int kind) {
  size_t count = (size_t)rows * (size_t)columns, blocks = count / (size_t)layouts[layout].weights;
  float *source = malloc(count * sizeof *source), *decoded = malloc(count * sizeof *decoded);
  float *importance = malloc((size_t)columns * sizeof *importance);
  uint8_t *packed = malloc(blocks * (size_t)layouts[layout].bytes);
  for (size_t i = 0; i < count; ++i) source[i] = number(kind);
  for (int i = 0; i < columns; ++i) importance[i] = random_bits() % 8 == 0 ? 0 : fabsf(number(kind == 3 ? 3 : 0));
  qc_block_encoder encode = qc_block_encoder_at(layouts[layout].type, level);
  qc_block_decoder decode = qc_block_decoder_at(layouts[layout].type, level);
  qc_block_refiner refine = qc_block_refiner_at(layouts[layout].type, level);
  for (size_t i = 0; i < blocks * (size_t)layouts[layout].bytes; ++i) packed[i] = (uint8_t)random_bits();
  decode(packed, (int64_t)count, decoded);
  if (encode) {
    encode(source, rows, columns, NULL, packed);
    encode(source, rows, columns, importance, packed);
    decode(packed, (int64_t)count, decoded);
  }
  if (refine) {
    size_t length = (size_t)layouts[layout].parameters * (size_t)(columns / layouts[layout].weights);
    float *parameters = malloc(length * sizeof *parameters);
    for (size_t i = 0; i < length; ++i) parameters[i] = kind == 4 ? number(4) : (float)(random_bits() % 16);
    refine(source, importance, columns / layouts[layout].weights, parameters);
    free(parameters);
  }
  free(source);
  free(decoded);
  free(importance);
  free(packed);
}

int main(void) {
  int runs = 0;
  for (qc_block_level level = QC_BLOCK_LEVEL_BASELINE; level <= qc_block_best_level(); ++level) {
    for (int layout = 0; layout < (int)(sizeof layouts / sizeof *layouts); ++layout) {
      for (int kind = 0; kind < 6; ++kind) {
        // Numbers of blocks that fill vectors, and such that do not.
        for (int blocks = 1; blocks <= 19; blocks += 3) {
          check(layout, level, 1 + blocks % 3, layouts[layout].weights * blocks, kind);
          ++runs;
        }
      }
    }
  }
  printf("%d runs over %zu block layouts\n", runs, sizeof layouts / sizeof *layouts);
}
