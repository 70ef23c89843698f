#ifndef QC_EXHAUSTION_H
#define QC_EXHAUSTION_H

/* Calls `handler` when memory cannot be allocated, on the thread that wanted it. The handler must end the program, with system calls
 * alone: the thread may hold any lock. Before the call, some memory is set free, for the other threads. Without a handler, and on systems
 * where the C library's functions cannot be replaced, an allocation that fails returns a null pointer as usual. */
void qc_on_exhaustion(void (*handler)(void));

#endif
