#include "cblocks.h"
typedef int qc_blocks_not_empty;
