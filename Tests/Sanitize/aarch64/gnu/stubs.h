// Would list functions that the C library lacks; the kernels call none of them.
