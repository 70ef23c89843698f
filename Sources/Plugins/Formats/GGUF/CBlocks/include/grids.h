// Grids of points that weights index, and which of their points to try for weights between them.
#ifndef QC_GRIDS_H
#define QC_GRIDS_H

#include <stdint.h>

/// The grids; `iq1` serves two layouts.
typedef enum qc_grid {
  QC_GRID_IQ2_XXS,
  QC_GRID_IQ2_XS,
  QC_GRID_IQ2_S,
  QC_GRID_IQ1,
  QC_GRID_IQ3_XXS,
  QC_GRID_IQ3_S,
  QC_GRID_COUNT
} qc_grid;

enum { QC_NEIGHBOURS_PER_CHUNK = 8 };

/// What each combination of levels becomes. A combination is packed: coordinate i has `bits` bits from bit `bits * i` on.
typedef struct qc_neighbours {
  /// Coordinates of a point: 8 or 4.
  int32_t length;
  /// Bits of a coordinate in a packed combination: 2 or 3.
  int32_t bits;
  /// Number of levels of a coordinate: 3 or 8.
  int32_t levels;
  /// Points of the grid.
  int32_t points;
  /// By packed combination: the number of chunks in the lowest 8 bits, and above them the number of the first chunk. A point has no
  /// chunks; the bits above hold its index.
  const uint32_t *_Nonnull entries;
  /// Packed points to try for a combination that is not a point: the nearest ones of the plain lattice, ordered by distance, then
  /// index. Read down the columns of a combination's chunks: what comes first in that order is in an earlier column, or in an earlier
  /// chunk of the same column. The end is filled with the first point.
  const uint16_t (*_Nonnull chunks)[QC_NEIGHBOURS_PER_CHUNK];
  /// Packed combinations of the points by index.
  const uint16_t *_Nonnull packed;
} qc_neighbours;

/// The neighbours in a grid, which are found on the first call for it.
const qc_neighbours *_Nonnull qc_block_neighbours(qc_grid grid);

#endif
