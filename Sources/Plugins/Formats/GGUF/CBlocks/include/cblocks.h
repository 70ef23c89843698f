#ifndef QC_BLOCKS_H
#define QC_BLOCKS_H
#endif
