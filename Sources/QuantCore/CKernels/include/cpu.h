#ifndef QC_CPU_H
#define QC_CPU_H

/* Which vector units the kernels use. Only this code checks the processor and QCONVERT_CPU; kernels in other targets call it
   too. */

/* Whether loops for the vector units of x86-64 are compiled and selected at run time. A portable build (-DQC_PORTABLE) has none
   of them. */
#if defined(__x86_64__) && !defined(QC_PORTABLE)
#define QC_X86_LEVELS 1
#else
#define QC_X86_LEVELS 0
#endif

/* Instruction sets; each includes the previous ones. */
enum { QC_BASELINE = 0, QC_AVX2 = 1, QC_AVX512 = 2 };

/* The highest level that this processor has, lowered by QCONVERT_CPU=baseline|avx2|avx512. */
int qc_cpu_level(void);

/* Whether this processor multiplies pairs of bfloat16 (AVX512_BF16); not with QCONVERT_CPU below avx512. */
int qc_cpu_has_bfloat(void);

#endif
