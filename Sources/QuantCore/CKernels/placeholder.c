#include "ckernels.h"
typedef int qc_kernels_not_empty;
