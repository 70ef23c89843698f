// The C library's headers of x86-64 serve to compile for ARM as well, once they know that words have as many bits there.
#define __WORDSIZE 64
#define __WORDSIZE_TIME64_COMPAT32 0
