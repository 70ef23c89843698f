#include "levels.h"

#include <string.h>

/* Codes of a few bits, packed along rows into bytes or down columns into words.

   Runs without gaps: 8 codes of b bits are b bytes, the first code in the lowest bits. */

/* Moves eight codes, one in each byte, together. If the width divides 8 this is done by doubling: in every pair, the upper half
   is moved next to the lower one. */
QC_BODY uint64_t gathered(uint64_t codes, int bits) {
  if (bits == 8) return codes;
  if (bits == 4 || bits == 2) {
    uint64_t mask = bits == 4 ? 0xff : 0xf;
    codes = (codes | codes >> (8 - bits)) & (mask | mask << 16 | mask << 32 | mask << 48);
    mask = bits == 4 ? 0xffff : 0xff;
    codes = (codes | codes >> (16 - 2 * bits)) & (mask | mask << 32);
    return (codes | codes >> (32 - 4 * bits)) & (bits == 4 ? 0xffffffff : 0xffff);
  }
  uint64_t result = 0;
  for (int i = 0; i < 8; i++) result |= (codes >> (8 * i) & 0xff) << (bits * i);
  return result;
}

enum { RUN = 256 };

QC_BODY void pack_run(const int32_t *codes, long count, int bits, int offset, uint8_t *bytes) {
  uint8_t single[RUN] = {0};
  for (long start = 0; start < count; start += RUN) {
    long length = start + RUN < count ? RUN : count - start;
    for (long i = 0; i < length; i++) single[i] = (uint8_t)(((uint32_t)codes[start + i] + (uint32_t)offset) & ((1u << bits) - 1));
    /* Clear what an earlier run left after the last codes. */
    for (long i = length; i < RUN && i < length + 8; i++) single[i] = 0;
    uint8_t *target = bytes + start / 8 * bits;
    for (long i = 0; i < length / 8; i++) {
      uint64_t eight;
      memcpy(&eight, single + 8 * i, sizeof eight);
      eight = gathered(eight, bits);
      memcpy(target + i * bits, &eight, (size_t)bits);
    }
    long rest = length % 8;
    if (rest) {
      uint64_t eight;
      memcpy(&eight, single + length - rest, sizeof eight);
      eight = gathered(eight, bits);
      memcpy(target + length / 8 * bits, &eight, (size_t)(rest * bits + 7) / 8);
    }
  }
}

QC_BODY void pack_codes_body(const int32_t *codes, long count, int bits, int offset, uint8_t *bytes) {
  switch (bits) {
  case 2: pack_run(codes, count, 2, offset, bytes); break;
  case 3: pack_run(codes, count, 3, offset, bytes); break;
  case 4: pack_run(codes, count, 4, offset, bytes); break;
  case 5: pack_run(codes, count, 5, offset, bytes); break;
  case 6: pack_run(codes, count, 6, offset, bytes); break;
  case 7: pack_run(codes, count, 7, offset, bytes); break;
  default: pack_run(codes, count, 8, offset, bytes);
  }
}
QC_LEVELS(
    void, pack_codes, (const int32_t *codes, long count, int bits, int offset, uint8_t *bytes), (codes, count, bits, offset, bytes))

QC_BODY void pack_down_body(
    const int32_t *restrict codes, long rows, long columns, int bits, const int *shifts, int offset, uint32_t *restrict words) {
  enum { WIDTH = 256 };
  uint32_t mask = (1u << bits) - 1, gathered_words[WIDTH];
  long per_word = 32 / bits, width = (rows + per_word - 1) / per_word;
  for (long word = 0; word < width; word++)
    for (long first = 0; first < columns; first += WIDTH) {
      long count = first + WIDTH < columns ? WIDTH : columns - first;
      memset(gathered_words, 0, sizeof gathered_words);
      for (long code = 0; code < per_word && word * per_word + code < rows; code++) {
        const int32_t *line = codes + (word * per_word + code) * columns + first;
        int shift = shifts[code];
        for (long i = 0; i < count; i++) gathered_words[i] |= (((uint32_t)line[i] + (uint32_t)offset) & mask) << shift;
      }
      for (long i = 0; i < count; i++) words[(first + i) * width + word] = gathered_words[i];
    }
}
QC_LEVELS(
    void, pack_down,
    (const int32_t *codes, long rows, long columns, int bits, const int *shifts, int offset, uint32_t *words),
    (codes, rows, columns, bits, shifts, offset, words))
