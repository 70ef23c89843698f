// The points of a grid to try for weights whose nearest levels are not a point. Part of llama.cpp's rule: all points at the
// few smallest distances, where every step from one level to the next counts the same.
#include <pthread.h>
#include <string.h>

#include "codebooks.h"
#include "grids.h"

enum {
  LARGEST_GRID = 2048,
  // Combinations of eight coordinates in two bits each, none of which is 3, and of four in three bits.
  TWO_BIT_COMBINATIONS = 0xaaab,
  THREE_BIT_COMBINATIONS = 4096,
};

// Room for exactly the chunks of each grid.
static uint16_t chunks_iq2_xxs[16920][QC_NEIGHBOURS_PER_CHUNK], chunks_iq2_xs[25422][QC_NEIGHBOURS_PER_CHUNK];
static uint16_t chunks_iq2_s[8633][QC_NEIGHBOURS_PER_CHUNK], chunks_iq1[42913][QC_NEIGHBOURS_PER_CHUNK];
static uint16_t chunks_iq3_xxs[4288][QC_NEIGHBOURS_PER_CHUNK], chunks_iq3_s[4557][QC_NEIGHBOURS_PER_CHUNK];
static uint32_t entries_iq2_xxs[TWO_BIT_COMBINATIONS], entries_iq2_xs[TWO_BIT_COMBINATIONS];
static uint32_t entries_iq2_s[TWO_BIT_COMBINATIONS], entries_iq1[TWO_BIT_COMBINATIONS];
static uint32_t entries_iq3_xxs[THREE_BIT_COMBINATIONS], entries_iq3_s[THREE_BIT_COMBINATIONS];
static uint16_t packed_iq2_xxs[256], packed_iq2_xs[512], packed_iq2_s[1024], packed_iq1[2048];
static uint16_t packed_iq3_xxs[256], packed_iq3_s[512];

// How a grid is searched, and where its tables are.
typedef struct {
  int32_t length, bits, levels, points;
  // Levels are (number - first) / step, rounded down.
  int8_t first, step;
  // How many different distances are tried.
  int distances;
  uint32_t *entries;
  uint16_t (*chunks)[QC_NEIGHBOURS_PER_CHUNK];
  uint16_t *packed;
} plan;

// A grid's tables, and the length, bits and levels of its points.
#define TABLES(name) .entries = entries_##name, .chunks = chunks_##name, .packed = packed_##name
#define EIGHT_OF_THREE .length = 8, .bits = 2, .levels = 3
#define FOUR_OF_EIGHT .length = 4, .bits = 3, .levels = 8

static const plan plans[QC_GRID_COUNT] = {
    [QC_GRID_IQ2_XXS] = {EIGHT_OF_THREE, .points = 256, .first = 8, .step = 17, .distances = 2, TABLES(iq2_xxs)},
    [QC_GRID_IQ2_XS] = {EIGHT_OF_THREE, .points = 512, .first = 8, .step = 17, .distances = 2, TABLES(iq2_xs)},
    [QC_GRID_IQ2_S] = {EIGHT_OF_THREE, .points = 1024, .first = 8, .step = 17, .distances = 1, TABLES(iq2_s)},
    [QC_GRID_IQ1] = {EIGHT_OF_THREE, .points = 2048, .first = -1, .step = 1, .distances = 3, TABLES(iq1)},
    [QC_GRID_IQ3_XXS] = {FOUR_OF_EIGHT, .points = 256, .first = 4, .step = 8, .distances = 2, TABLES(iq3_xxs)},
    [QC_GRID_IQ3_S] = {FOUR_OF_EIGHT, .points = 512, .first = 1, .step = 2, .distances = 3, TABLES(iq3_s)},
};

static qc_neighbours found[QC_GRID_COUNT];

static const int8_t *points_of(qc_grid grid) {
  const qc_grids *grids = qc_block_grids();
  switch (grid) {
    case QC_GRID_IQ2_XXS: return grids->iq2_xxs[0];
    case QC_GRID_IQ2_XS: return grids->iq2_xs[0];
    case QC_GRID_IQ2_S: return grids->iq2_s[0];
    case QC_GRID_IQ3_XXS: return grids->iq3_xxs[0];
    case QC_GRID_IQ3_S: return grids->iq3_s[0];
    default: return grids->iq1[0];
  }
}

// Squared distances between a combination and every point. None exceeds 4 * 7 * 7.
static void measure(const uint8_t (*levels)[LARGEST_GRID], const plan *grid, int combination, uint8_t *distances) {
  memset(distances, 0, (size_t)grid->points);
  for (int i = 0; i < grid->length; ++i) {
    uint8_t level = (uint8_t)(combination >> grid->bits * i & ((1 << grid->bits) - 1));
    for (int j = 0; j < grid->points; ++j) {
      uint8_t step = (uint8_t)(levels[i][j] - level);
      distances[j] = (uint8_t)(distances[j] + step * step);
    }
  }
}

// Writes the chunks of a combination that is not a point, starting with number `next`, and returns how many there are.
static uint32_t list(const plan *grid, const uint8_t *distances, const int *counts, uint32_t next) {
  // Where the points at each distance begin in the list.
  int starts[256], total = 0, last = 0;
  for (int left = grid->distances; left > 0 && last < 256; ++last) {
    starts[last] = total;
    total += counts[last];
    left -= counts[last] > 0;
  }
  int rows = (total + QC_NEIGHBOURS_PER_CHUNK - 1) / QC_NEIGHBOURS_PER_CHUNK;
  uint16_t (*chunks)[QC_NEIGHBOURS_PER_CHUNK] = grid->chunks + next;
  for (int j = 0; j < grid->points; ++j) {
    if (distances[j] >= last) continue;
    int place = starts[distances[j]]++;
    chunks[place % rows][place / rows] = grid->packed[j];
  }
  for (int place = total; place < rows * QC_NEIGHBOURS_PER_CHUNK; ++place) chunks[place % rows][place / rows] = chunks[0][0];
  return (uint32_t)rows;
}

static void find(qc_grid which) {
  const plan *grid = &plans[which];
  const int8_t *numbers = points_of(which);
  uint8_t levels[8][LARGEST_GRID], distances[LARGEST_GRID];
  for (int j = 0; j < grid->points; ++j) {
    for (int i = 0; i < grid->length; ++i) {
      int level = (numbers[j * grid->length + i] - grid->first) / grid->step;
      levels[i][j] = (uint8_t)level;
      grid->packed[j] |= (uint16_t)(level << grid->bits * i);
    }
  }
  int combinations = grid->bits == 2 ? TWO_BIT_COMBINATIONS : THREE_BIT_COMBINATIONS;
  uint32_t next = 0;
  for (int combination = 0; combination < combinations; ++combination) {
    // With two bits, only 0 to 2 are levels.
    if (grid->bits == 2 && (combination & combination >> 1 & 0x5555)) continue;
    int counts[256] = {0};
    measure(levels, grid, combination, distances);
    for (int j = 0; j < grid->points; ++j) counts[distances[j]]++;
    if (counts[0]) {
      const uint8_t *own = memchr(distances, 0, (size_t)grid->points);
      grid->entries[combination] = (uint32_t)(own - distances) << 8;
      continue;
    }
    uint32_t rows = list(grid, distances, counts, next);
    grid->entries[combination] = next << 8 | rows;
    next += rows;
  }
  found[which] = (qc_neighbours){
      grid->length, grid->bits, grid->levels, grid->points, grid->entries, (const uint16_t (*)[QC_NEIGHBOURS_PER_CHUNK])grid->chunks,
      grid->packed,
  };
}

#define ONCE(name, grid) \
  static void find_##name(void) { find(grid); }
ONCE(iq2_xxs, QC_GRID_IQ2_XXS)
ONCE(iq2_xs, QC_GRID_IQ2_XS)
ONCE(iq2_s, QC_GRID_IQ2_S)
ONCE(iq1, QC_GRID_IQ1)
ONCE(iq3_xxs, QC_GRID_IQ3_XXS)
ONCE(iq3_s, QC_GRID_IQ3_S)

const qc_neighbours *qc_block_neighbours(qc_grid grid) {
  static pthread_once_t onces[QC_GRID_COUNT] = {
      PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT,
  };
  static void (*const finders[QC_GRID_COUNT])(void) = {
      [QC_GRID_IQ2_XXS] = find_iq2_xxs, [QC_GRID_IQ2_XS] = find_iq2_xs,   [QC_GRID_IQ2_S] = find_iq2_s,
      [QC_GRID_IQ1] = find_iq1,         [QC_GRID_IQ3_XXS] = find_iq3_xxs, [QC_GRID_IQ3_S] = find_iq3_s,
  };
  if (grid >= QC_GRID_COUNT) grid = QC_GRID_IQ1;
  pthread_once(&onces[grid], finders[grid]);
  return &found[grid];
}
