// Every encoder, decoder and refiner of the GGUF blocks at every level of this processor, with random and hostile input. Results
// are not compared: the sanitizers find the errors.
#include "cblocks.h"
#include "hostile.h"

#include <stdio.h>

static void decode(qc_block_size size, qc_block_decoder decoder, int count, int kind) {
  // Sources need no alignment.
  size_t bytes = (size_t)size.bytes * (size_t)count;
  uint8_t *buffer = qc_exactly(bytes + 1), *source = buffer + 1;
  for (size_t i = 0; i < bytes; i++) source[i] = kind == 0 ? 0 : kind == 1 ? 0xff : (uint8_t)qc_random();
  // Scales that are NaN, infinite or subnormal.
  if (kind == 3)
    for (size_t i = 0; i + 1 < bytes; i += 2) {
      static const uint16_t scales[] = {0x7c00, 0xfc00, 0x7e00, 0x0001, 0x83ff, 0x7bff};
      uint16_t scale = scales[qc_random() % 6];
      memcpy(source + i, &scale, 2);
    }
  float *values = qc_exactly(sizeof(float) * (size_t)(count * size.weights));
  decoder(source, (int64_t)count * size.weights, values);
  free(values);
  free(buffer);
}

static void encode(qc_block_size size, qc_block_encoder encoder, int rows, int blocks, int kind, int importance_kind) {
  long columns = (long)blocks * size.weights;
  float *source = qc_row(kind, rows * columns), *importance = NULL;
  if (importance_kind >= 0) {
    importance = qc_row(importance_kind, columns);
    for (long i = 0; i < columns; i++) importance[i] = fabsf(importance[i]);
  }
  void *destination = qc_exactly((size_t)size.bytes * (size_t)(rows * blocks));
  encoder(source, rows, columns, importance, destination);
  free(destination);
  free(importance);
  free(source);
}

static void refine(qc_block_size size, qc_block_refiner refiner, int blocks, int kind) {
  long columns = (long)blocks * size.weights, count = (long)blocks * size.parameters;
  float *source = qc_row(kind, columns), *importance = qc_row(QC_WEIGHTS, columns), *found = qc_exactly(sizeof(float) * (size_t)count);
  for (long i = 0; i < columns; i++) importance[i] = fabsf(importance[i]);
  for (long i = 0; i < count; i++) found[i] = (float)(qc_random() % 16);
  refiner(source, importance, blocks, found);
  free(found);
  free(importance);
  free(source);
}

static void search_points(qc_point_searcher searcher, int rows, int kind) {
  static const struct { int length, count, signs; } rules[] = {{8, 256, 7}, {8, 1024, 8}, {8, 2048, 0}, {4, 512, 8}, {4, 256, 7}};
  for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
    int length = rules[r].length, count = rules[r].count, runs = 8 / length;
    float *points = qc_row(QC_WEIGHTS, (long)length * count), *source = qc_row(kind, 8L * rows), *metric = qc_row(QC_WEIGHTS, 64);
    float *scratch = qc_exactly(sizeof(float) * (size_t)(runs * count));
    uint16_t *indices = qc_exactly(sizeof(uint16_t) * (size_t)(runs * rows));
    uint8_t *signs = qc_exactly((size_t)rows);
    qc_point_rule rule = {points, length, count, rules[r].signs};
    searcher(&rule, source, rows, metric, scratch, indices, signs);
    for (int i = 0; i < runs * rows; i++)
      if (indices[i] >= count) abort();
    free(signs);
    free(indices);
    free(scratch);
    free(metric);
    free(source);
    free(points);
  }
}

int main(void) {
  // Fewer and more blocks than there are lanes.
  static const int counts[] = {1, 2, 5, 16, 17, 33};
  int encoders = 0, decoders = 0;
  for (int level = QC_BASELINE; level <= qc_cpu_level(); level++)
    for (int kind = 0; kind < QC_KINDS; kind++) search_points(qc_point_searcher_at(level), 5, kind);
  for (int level = QC_BASELINE; level <= qc_cpu_level(); level++)
    for (int number = 0; number < QC_BLOCK_TYPE_LIMIT; number++) {
      qc_block_type type = (qc_block_type)number;
      qc_block_size size = qc_block_size_of(type);
      qc_block_decoder decoder = qc_block_decoder_at(type, level);
      qc_block_encoder encoder = qc_block_encoder_at(type, level);
      qc_block_refiner refiner = qc_block_refiner_at(type, level);
      decoders += decoder != NULL;
      encoders += encoder != NULL;
      for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (int kind = 0; decoder && kind < 6; kind++) decode(size, decoder, counts[c], kind);
        for (int kind = 0; refiner && kind < QC_KINDS; kind++) refine(size, refiner, counts[c], kind);
        for (int kind = 0; encoder && kind < QC_KINDS; kind++) {
          encode(size, encoder, 1 + (int)c % 3, counts[c], kind, -1);
          encode(size, encoder, 1 + (int)c % 3, counts[c], kind, QC_WEIGHTS);
          encode(size, encoder, 1, counts[c], QC_WEIGHTS, kind);
        }
      }
    }
  printf("%d encoders and %d decoders of blocks, all levels together\n", encoders, decoders);
  return encoders == 0 || decoders == 0;
}
