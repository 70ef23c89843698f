// With this, the C library's headers for x86-64 can also be used to compile for ARM: words have 64 bits there too.
#define __WORDSIZE 64
#define __WORDSIZE_TIME64_COMPAT32 0
