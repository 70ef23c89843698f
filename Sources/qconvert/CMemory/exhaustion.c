#include "exhaustion.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define QC_OTHER_ALLOCATOR 1
#endif
#endif

static void (*_Atomic on_exhaustion)(void);

#if defined(__GLIBC__) && !defined(QC_OTHER_ALLOCATOR)
#include <errno.h>

/* Swift ends the program by a signal where an allocation fails, and libdispatch waits for memory without end. Functions of the
 * program take the place of the C library's, whose own names these are. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

enum { RESERVE = 1 << 20, BLOCK = 1 << 10, BLOCKS = RESERVE / BLOCK };

/* Small blocks: a large one would be given back to the system when it is freed. */
static void *reserve[BLOCKS];
static atomic_flag is_reserve_free = ATOMIC_FLAG_INIT;

static void *exhausted(void) {
  void (*handler)(void) = atomic_load(&on_exhaustion);
  if (!handler) return NULL;
  if (!atomic_flag_test_and_set(&is_reserve_free))
    for (int i = 0; i < BLOCKS; i++) __libc_free(reserve[i]);
  handler();
  return NULL;
}

void *malloc(size_t size) {
  void *memory = __libc_malloc(size);
  return memory ? memory : exhausted();
}

void *calloc(size_t count, size_t size) {
  void *memory = __libc_calloc(count, size);
  return memory ? memory : exhausted();
}

void *realloc(void *old, size_t size) {
  void *memory = __libc_realloc(old, size);
  return memory || size == 0 ? memory : exhausted();
}

void *memalign(size_t alignment, size_t size) {
  void *memory = __libc_memalign(alignment, size);
  return memory ? memory : exhausted();
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
  if (alignment % sizeof(void *) || alignment == 0 || alignment & (alignment - 1)) return EINVAL;
  void *memory = memalign(alignment, size);
  if (!memory) return ENOMEM;
  *result = memory;
  return 0;
}

void qc_on_exhaustion(void (*handler)(void)) {
  for (int i = 0; i < BLOCKS; i++) reserve[i] = __libc_malloc(BLOCK);
  atomic_store(&on_exhaustion, handler);
}
#else
void qc_on_exhaustion(void (*handler)(void)) { atomic_store(&on_exhaustion, handler); }
#endif
