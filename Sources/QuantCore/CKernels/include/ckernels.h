#ifndef QC_KERNELS_H
#define QC_KERNELS_H
#endif
