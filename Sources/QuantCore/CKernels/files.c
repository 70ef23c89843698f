#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int rename_with(const char *from, const char *to, unsigned flags) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags) == 0 ? 0 : errno;
}

int qc_rename_new(const char *from, const char *to) { return rename_with(from, to, RENAME_NOREPLACE); }

int qc_rename_exchange(const char *from, const char *to) { return rename_with(from, to, RENAME_EXCHANGE); }

int qc_begin_sync(int descriptor, long offset, long length) {
  return sync_file_range(descriptor, offset, length, SYNC_FILE_RANGE_WRITE) == 0 ? 0 : errno;
}
