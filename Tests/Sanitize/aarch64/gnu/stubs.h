// Functions that this C library lacks: none that the kernels call.
