/* Loaded into a program with LD_PRELOAD, this library makes chosen system calls fail, ends the program at one of them, or does to the
 * disk what a power cut does: bytes that were written and not synced are gone.
 *
 *   FAULT_ROOT    only calls that concern files below this folder count
 *   FAULT_CALLS   the calls that count, by name, with commas; "all" for every one
 *   FAULT_NUMBER  the number of the call that is hit, from 1; 0: none
 *   FAULT_KIND    what happens at it: the name of an error (ENOSPC, EIO, EINTR, EDQUOT, ...), "short" (half of the bytes), "kill" (the program
 *                 ends before the call), "cut" (as kill, and every file loses the bytes that were not synced)
 *   FAULT_ALWAYS  if set, every later call is hit too
 *   FAULT_THREADS how many threads there may be besides the first; to start one more fails with EAGAIN, as under `ulimit -u`
 *   FAULT_REPORT  at the end of the program, or when a call is hit, a line goes to this file: how many calls were counted, and which
 *                 one was hit
 *
 * The functions have the names of those of the C library, which are found behind them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static const char *calls, *kind, *report;
static long number, counted;
static int always, ready;
static char tracked[DESCRIPTORS];

__attribute__((constructor)) static void prepare(void) {
  const char *folder = getenv("FAULT_ROOT");
  if (!folder || !realpath(folder, root)) return;
  calls = getenv("FAULT_CALLS");
  kind = getenv("FAULT_KIND");
  report = getenv("FAULT_REPORT");
  number = getenv("FAULT_NUMBER") ? atol(getenv("FAULT_NUMBER")) : 0;
  always = getenv("FAULT_ALWAYS") != NULL;
  ready = calls && kind;
}

static void say(const char *call, const char *what) {
  char line[256];
  int length = snprintf(line, sizeof line, "%ld %s %s\n", counted, call, what);
  if (!report) return;
  int file = syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file < 0) return;
  syscall(SYS_write, file, line, length);
  syscall(SYS_close, file);
}

__attribute__((destructor)) static void finish(void) {
  if (ready) say("-", "end");
}

/* Which files count. */

static int below_root(int folder, const char *path) {
  char base[PATH_MAX + 64], place[32], whole[PATH_MAX];
  if (!ready || !path) return 0;
  if (path[0] == '/') {
    snprintf(whole, sizeof whole, "%s", path);
  } else {
    snprintf(place, sizeof place, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    ssize_t length = readlink(place, base, PATH_MAX);
    if (length < 0) return 0;
    base[length] = 0;
    if (snprintf(whole, sizeof whole, "%s/%s", base, path) >= (int)sizeof whole) return 0;
  }
  size_t length = strlen(root);
  return strncmp(whole, root, length) == 0 && (whole[length] == '/' || whole[length] == 0);
}

static int is_tracked(int descriptor) { return ready && descriptor >= 0 && descriptor < DESCRIPTORS && tracked[descriptor]; }

static void track(int descriptor, int isBelow) {
  if (descriptor >= 0 && descriptor < DESCRIPTORS) tracked[descriptor] = isBelow;
}

/* What was written and not synced, so that it can be taken back. */

struct change {
  dev_t device;
  ino_t file;
  int descriptor; /* of our own, which stays open */
  off_t offset, size;
  size_t count;
  unsigned char *bytes;
  struct change *before;
};
static struct change *changes;

static int keeps_changes(void) { return ready && strcmp(kind, "cut") == 0; }

/* Called with the lock, before bytes change. */
static void remember(int descriptor, off_t offset, size_t count) {
  struct stat status;
  if (!keeps_changes() || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
  struct change *change = calloc(1, sizeof *change);
  char place[32];
  snprintf(place, sizeof place, "/proc/self/fd/%d", descriptor);
  int own = syscall(SYS_openat, AT_FDCWD, place, O_RDWR | O_CLOEXEC);
  if (!change || own < 0) abort();
  *change = (struct change){status.st_dev, status.st_ino, own, offset, status.st_size, 0, NULL, changes};
  off_t there = status.st_size > offset ? status.st_size - offset : 0;
  size_t kept = (off_t)count < there ? count : (size_t)there;
  if (kept) {
    change->bytes = malloc(kept);
    if (!change->bytes) abort();
    ssize_t length = syscall(SYS_pread64, own, change->bytes, kept, offset);
    change->count = length > 0 ? (size_t)length : 0;
  }
  changes = change;
}

/* Called with the lock, after a sync. */
static void forget(int descriptor) {
  struct stat status;
  if (!keeps_changes() || fstat(descriptor, &status) != 0) return;
  for (struct change **place = &changes; *place;) {
    struct change *change = *place;
    if (change->device == status.st_dev && change->file == status.st_ino) {
      *place = change->before;
      syscall(SYS_close, change->descriptor);
      free(change->bytes);
      free(change);
    } else {
      place = &change->before;
    }
  }
}

static void take_back(void) {
  for (struct change *change = changes; change; change = change->before) {
    if (change->count) syscall(SYS_pwrite64, change->descriptor, change->bytes, change->count, change->offset);
    syscall(SYS_ftruncate, change->descriptor, change->size);
  }
}

/* Whether a call is hit. */

static int counts(const char *call) {
  if (strcmp(calls, "all") == 0) return 1;
  size_t length = strlen(call);
  for (const char *place = calls; (place = strstr(place, call)); place += length)
    if ((place == calls || place[-1] == ',') && (place[length] == 0 || place[length] == ',')) return 1;
  return 0;
}

static int error_of(const char *name) {
  static const struct { const char *name; int number; } errors[] = {
    {"ENOSPC", ENOSPC}, {"EIO", EIO}, {"EINTR", EINTR}, {"EDQUOT", EDQUOT}, {"EACCES", EACCES}, {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM},
    {"EINVAL", EINVAL}, {"EPERM", EPERM}, {"ENOSYS", ENOSYS}, {"EOPNOTSUPP", EOPNOTSUPP}, {"EROFS", EROFS}, {"EBUSY", EBUSY}, {"EXDEV", EXDEV},
  };
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (strcmp(errors[i].name, name) == 0) return errors[i].number;
  abort();
}

enum { PASS = 0, SHORT = -1 };

/* PASS, SHORT, or the error that the call ends with. */
static int hit(const char *call) {
  if (!counts(call)) return PASS;
  pthread_mutex_lock(&lock);
  counted++;
  int isHit = number > 0 && (always ? counted >= number : counted == number);
  if (isHit && (strcmp(kind, "kill") == 0 || strcmp(kind, "cut") == 0)) {
    say(call, kind);
    take_back();
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
  }
  if (isHit && counted == number) say(call, kind);
  pthread_mutex_unlock(&lock);
  return !isHit ? PASS : strcmp(kind, "short") == 0 ? SHORT : error_of(kind);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL(isConcerned, call)                     \
  do {                                              \
    int fault = (isConcerned) ? hit(call) : PASS;   \
    if (fault > 0) {                                \
      errno = fault;                                \
      return -1;                                    \
    }                                               \
  } while (0)

/* Opening. */

#define OPEN(name)                                                                                                     \
  int name(const char *path, int flags, ...) {                                                                         \
    REAL(name);                                                                                                        \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                            \
    va_end(rest);                                                                                                      \
    int isBelow = below_root(AT_FDCWD, path);                                                                          \
    FAIL(isBelow, "open");                                                                                             \
    int descriptor = real(path, flags, mode);                                                                          \
    track(descriptor, isBelow);                                                                                        \
    return descriptor;                                                                                                 \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
  int name(int folder, const char *path, int flags, ...) {                                                             \
    REAL(name);                                                                                                        \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                            \
    va_end(rest);                                                                                                      \
    int isBelow = below_root(folder, path);                                                                            \
    FAIL(isBelow, "open");                                                                                             \
    int descriptor = real(folder, path, flags, mode);                                                                  \
    track(descriptor, isBelow);                                                                                        \
    return descriptor;                                                                                                 \
  }
OPENAT(openat)
OPENAT(openat64)

/* Writing and reading. */

ssize_t write(int descriptor, const void *bytes, size_t count) {
  REAL(write);
  if (!is_tracked(descriptor)) return real(descriptor, bytes, count);
  int fault = hit("write");
  if (fault > 0) return errno = fault, -1;
  if (fault == SHORT && count > 1) count /= 2;
  pthread_mutex_lock(&lock);
  off_t end = lseek(descriptor, 0, SEEK_CUR);
  remember(descriptor, end < 0 ? 0 : end, count);
  ssize_t result = real(descriptor, bytes, count);
  pthread_mutex_unlock(&lock);
  return result;
}

#define PWRITE(name)                                                                                                   \
  ssize_t name(int descriptor, const void *bytes, size_t count, off_t offset) {                                        \
    REAL(name);                                                                                                        \
    if (!is_tracked(descriptor)) return real(descriptor, bytes, count, offset);                                        \
    int fault = hit("write");                                                                                          \
    if (fault > 0) return errno = fault, -1;                                                                           \
    if (fault == SHORT && count > 1) count /= 2;                                                                       \
    pthread_mutex_lock(&lock);                                                                                         \
    remember(descriptor, offset, count);                                                                               \
    ssize_t result = real(descriptor, bytes, count, offset);                                                           \
    pthread_mutex_unlock(&lock);                                                                                       \
    return result;                                                                                                     \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PREAD(name)                                                                                                    \
  ssize_t name(int descriptor, void *bytes, size_t count, off_t offset) {                                              \
    REAL(name);                                                                                                        \
    if (!is_tracked(descriptor)) return real(descriptor, bytes, count, offset);                                        \
    int fault = hit("pread");                                                                                          \
    if (fault > 0) return errno = fault, -1;                                                                           \
    if (fault == SHORT && count > 1) count /= 2;                                                                       \
    return real(descriptor, bytes, count, offset);                                                                     \
  }
PREAD(pread)
PREAD(pread64)

#define MMAP(name)                                                                                                     \
  void *name(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {                  \
    REAL(name);                                                                                                        \
    int fault = is_tracked(descriptor) ? hit("mmap") : PASS;                                                           \
    if (fault > 0) return errno = fault, MAP_FAILED;                                                                   \
    return real(address, length, protection, flags, descriptor, offset);                                               \
  }
MMAP(mmap)
MMAP(mmap64)

/* Sizes and syncs. */

#define SYNC(name)                                                                                                     \
  int name(int descriptor) {                                                                                           \
    REAL(name);                                                                                                        \
    FAIL(is_tracked(descriptor), "fsync");                                                                             \
    int result = real(descriptor);                                                                                     \
    pthread_mutex_lock(&lock);                                                                                         \
    if (result == 0) forget(descriptor);                                                                               \
    pthread_mutex_unlock(&lock);                                                                                       \
    return result;                                                                                                     \
  }
SYNC(fsync)
SYNC(fdatasync)

#define FALLOCATE(name)                                                                                                \
  int name(int descriptor, off_t offset, off_t length) {                                                               \
    REAL(name);                                                                                                        \
    int fault = is_tracked(descriptor) ? hit("fallocate") : PASS;                                                      \
    return fault > 0 ? fault : real(descriptor, offset, length);                                                       \
  }
FALLOCATE(posix_fallocate)
FALLOCATE(posix_fallocate64)

#define FTRUNCATE(name)                                                                                                \
  int name(int descriptor, off_t length) {                                                                             \
    REAL(name);                                                                                                        \
    FAIL(is_tracked(descriptor), "ftruncate");                                                                         \
    pthread_mutex_lock(&lock);                                                                                         \
    struct stat status;                                                                                                \
    if (is_tracked(descriptor) && fstat(descriptor, &status) == 0 && status.st_size > length)                          \
      remember(descriptor, length, (size_t)(status.st_size - length));                                                 \
    int result = real(descriptor, length);                                                                             \
    pthread_mutex_unlock(&lock);                                                                                       \
    return result;                                                                                                     \
  }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

int close(int descriptor) {
  REAL(close);
  track(descriptor, 0);
  return real(descriptor);
}

/* Names. */

int rename(const char *from, const char *to) {
  REAL(rename);
  FAIL(below_root(AT_FDCWD, to), "rename");
  return real(from, to);
}

int renameat(int fromFolder, const char *from, int toFolder, const char *to) {
  REAL(renameat);
  FAIL(below_root(toFolder, to), "rename");
  return real(fromFolder, from, toFolder, to);
}

int renameat2(int fromFolder, const char *from, int toFolder, const char *to, unsigned flags) {
  REAL(renameat2);
  FAIL(below_root(toFolder, to), "renameat2");
  return real(fromFolder, from, toFolder, to, flags);
}

int link(const char *from, const char *to) {
  REAL(link);
  FAIL(below_root(AT_FDCWD, to), "link");
  return real(from, to);
}

int linkat(int fromFolder, const char *from, int toFolder, const char *to, int flags) {
  REAL(linkat);
  FAIL(below_root(toFolder, to), "link");
  return real(fromFolder, from, toFolder, to, flags);
}

int unlink(const char *path) {
  REAL(unlink);
  FAIL(below_root(AT_FDCWD, path), "unlink");
  return real(path);
}

int unlinkat(int folder, const char *path, int flags) {
  REAL(unlinkat);
  FAIL(below_root(folder, path), "unlink");
  return real(folder, path, flags);
}

int rmdir(const char *path) {
  REAL(rmdir);
  FAIL(below_root(AT_FDCWD, path), "unlink");
  return real(path);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  FAIL(below_root(AT_FDCWD, path), "mkdir");
  return real(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode) {
  REAL(mkdirat);
  FAIL(below_root(folder, path), "mkdir");
  return real(folder, path, mode);
}

int lstat(const char *path, struct stat *status) {
  REAL(lstat);
  FAIL(below_root(AT_FDCWD, path), "stat");
  return real(path, status);
}

int stat(const char *path, struct stat *status) {
  REAL(stat);
  FAIL(below_root(AT_FDCWD, path), "stat");
  return real(path, status);
}

/* Threads. */

static atomic_int threads;

struct work {
  void *(*body)(void *);
  void *argument;
};

static void count_end(void *unused) {
  (void)unused;
  atomic_fetch_sub(&threads, 1);
}

static void *run(void *given) {
  struct work work = *(struct work *)given;
  void *result;
  free(given);
  pthread_cleanup_push(count_end, NULL);
  result = work.body(work.argument);
  pthread_cleanup_pop(1);
  return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
  REAL(pthread_create);
  const char *limit = getenv("FAULT_THREADS");
  if (!limit) return real(thread, attributes, body, argument);
  struct work *work = malloc(sizeof *work);
  if (!work) return EAGAIN;
  *work = (struct work){body, argument};
  int error = atomic_fetch_add(&threads, 1) >= atoi(limit) ? EAGAIN : real(thread, attributes, run, work);
  if (error) {
    atomic_fetch_sub(&threads, 1);
    free(work);
  }
  return error;
}
