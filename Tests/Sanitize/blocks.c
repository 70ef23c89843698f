// Every encoder, decoder and wider search of the GGUF blocks at every level of this processor, with random and hostile input. Says nothing; the
// sanitizers speak.
#include "cblocks.h"
#include "hostile.h"
#include "layouts.h"

#include <stdio.h>

typedef struct { qc_block_type type; int weights; size_t bytes; } layout;

static const layout layouts[] = {
    {QC_BLOCK_Q4_0, 32, sizeof(qc_q4_0)},       {QC_BLOCK_Q4_1, 32, sizeof(qc_q4_1)},      {QC_BLOCK_Q5_0, 32, sizeof(qc_q5_0)},
    {QC_BLOCK_Q5_1, 32, sizeof(qc_q5_1)},       {QC_BLOCK_Q8_0, 32, sizeof(qc_q8_0)},      {QC_BLOCK_Q8_1, 32, sizeof(qc_q8_1)},
    {QC_BLOCK_Q2_K, 256, sizeof(qc_q2_k)},      {QC_BLOCK_Q3_K, 256, sizeof(qc_q3_k)},     {QC_BLOCK_Q4_K, 256, sizeof(qc_q4_k)},
    {QC_BLOCK_Q5_K, 256, sizeof(qc_q5_k)},      {QC_BLOCK_Q6_K, 256, sizeof(qc_q6_k)},     {QC_BLOCK_Q8_K, 256, sizeof(qc_q8_k)},
    {QC_BLOCK_IQ2_XXS, 256, sizeof(qc_iq2_xxs)}, {QC_BLOCK_IQ2_XS, 256, sizeof(qc_iq2_xs)}, {QC_BLOCK_IQ2_S, 256, sizeof(qc_iq2_s)},
    {QC_BLOCK_IQ3_XXS, 256, sizeof(qc_iq3_xxs)}, {QC_BLOCK_IQ3_S, 256, sizeof(qc_iq3_s)},   {QC_BLOCK_IQ1_S, 256, sizeof(qc_iq1_s)},
    {QC_BLOCK_IQ1_M, 256, sizeof(qc_iq1_m)},    {QC_BLOCK_IQ4_NL, 32, sizeof(qc_iq4_nl)},  {QC_BLOCK_IQ4_XS, 256, sizeof(qc_iq4_xs)},
    {QC_BLOCK_TQ1_0, 256, sizeof(qc_tq1_0)},    {QC_BLOCK_TQ2_0, 256, sizeof(qc_tq2_0)},   {QC_BLOCK_MXFP4, 32, sizeof(qc_mxfp4)},
    {QC_BLOCK_NVFP4, 64, sizeof(qc_nvfp4)},     {QC_BLOCK_Q1_0, 128, sizeof(qc_q1_0)},     {QC_BLOCK_Q2_0, 64, sizeof(qc_q2_0)},
};

static void decode(const layout *layout, qc_block_decoder decoder, int count, int kind) {
  // Sources need no alignment.
  size_t bytes = layout->bytes * (size_t)count;
  uint8_t *buffer = qc_exactly(bytes + 1), *source = buffer + 1;
  for (size_t i = 0; i < bytes; i++) source[i] = kind == 0 ? 0 : kind == 1 ? 0xff : (uint8_t)qc_random();
  // Scales that are no numbers, infinite or subnormal.
  if (kind == 3)
    for (size_t i = 0; i + 1 < bytes; i += 2) {
      static const uint16_t scales[] = {0x7c00, 0xfc00, 0x7e00, 0x0001, 0x83ff, 0x7bff};
      uint16_t scale = scales[qc_random() % 6];
      memcpy(source + i, &scale, 2);
    }
  float *values = qc_exactly(sizeof(float) * (size_t)(count * layout->weights));
  decoder(source, (int64_t)count * layout->weights, values);
  free(values);
  free(buffer);
}

static void encode(const layout *layout, qc_block_encoder encoder, int rows, int blocks, int kind, int importance_kind) {
  long columns = (long)blocks * layout->weights;
  float *source = qc_row(kind, rows * columns), *importance = NULL;
  if (importance_kind >= 0) {
    importance = qc_row(importance_kind, columns);
    for (long i = 0; i < columns; i++) importance[i] = fabsf(importance[i]);
  }
  void *destination = qc_exactly(layout->bytes * (size_t)(rows * blocks));
  encoder(source, rows, columns, importance, destination);
  free(destination);
  free(importance);
  free(source);
}

// Parameters of a block that a wider search starts from: as many floats as the Swift side keeps of it.
static int parameters(qc_block_type type) {
  switch (type) {
  case QC_BLOCK_Q4_1:
  case QC_BLOCK_Q5_1: return 2;
  case QC_BLOCK_Q2_K: return 34;
  case QC_BLOCK_Q4_K:
  case QC_BLOCK_Q5_K: return 18;
  case QC_BLOCK_Q3_K:
  case QC_BLOCK_Q6_K: return 17;
  case QC_BLOCK_IQ4_XS: return 9;
  case QC_BLOCK_NVFP4: return 4;
  default: return 1;
  }
}

static void refine(const layout *layout, qc_block_refiner refiner, int blocks, int kind) {
  long columns = (long)blocks * layout->weights, count = (long)blocks * parameters(layout->type);
  float *source = qc_row(kind, columns), *importance = qc_row(QC_WEIGHTS, columns), *found = qc_exactly(sizeof(float) * (size_t)count);
  for (long i = 0; i < columns; i++) importance[i] = fabsf(importance[i]);
  for (long i = 0; i < count; i++) found[i] = (float)(qc_random() % 16);
  refiner(source, importance, blocks, found);
  free(found);
  free(importance);
  free(source);
}

int main(void) {
  // Fewer and more blocks than there are lanes.
  static const int counts[] = {1, 2, 5, 16, 17, 33};
  int encoders = 0, decoders = 0;
  for (qc_block_level level = QC_BLOCK_LEVEL_BASELINE; level <= qc_block_best_level(); level++)
    for (size_t l = 0; l < sizeof layouts / sizeof *layouts; l++) {
      qc_block_decoder decoder = qc_block_decoder_at(layouts[l].type, level);
      qc_block_encoder encoder = qc_block_encoder_at(layouts[l].type, level);
      qc_block_refiner refiner = qc_block_refiner_at(layouts[l].type, level);
      decoders += decoder != NULL;
      encoders += encoder != NULL;
      for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (int kind = 0; decoder && kind < 6; kind++) decode(&layouts[l], decoder, counts[c], kind);
        for (int kind = 0; refiner && kind < QC_KINDS; kind++) refine(&layouts[l], refiner, counts[c], kind);
        for (int kind = 0; encoder && kind < QC_KINDS; kind++) {
          encode(&layouts[l], encoder, 1 + (int)c % 3, counts[c], kind, -1);
          encode(&layouts[l], encoder, 1 + (int)c % 3, counts[c], kind, QC_WEIGHTS);
          encode(&layouts[l], encoder, 1, counts[c], QC_WEIGHTS, kind);
        }
      }
    }
  // A type that the list above lacks would go unnoticed.
  for (int type = 0; type < QC_BLOCK_TYPE_LIMIT; type++) {
    int isListed = 0;
    for (size_t l = 0; l < sizeof layouts / sizeof *layouts; l++) isListed |= (int)layouts[l].type == type;
    if (!isListed && qc_block_decoder_at((qc_block_type)type, QC_BLOCK_LEVEL_BASELINE)) {
      fprintf(stderr, "block type %d is not checked\n", type);
      return 1;
    }
  }
  printf("%d encoders and %d decoders of blocks, all levels together\n", encoders, decoders);
  return 0;
}
