// The twin for Darwin is files_darwin.c.
#if !defined(__APPLE__)
#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

static int rename_with(int folder, const char *from, const char *to, unsigned flags) {
  return renameat2(folder, from, AT_FDCWD, to, flags) == 0 ? 0 : errno;
}

int qc_rename_new(int folder, const char *from, const char *to) { return rename_with(folder, from, to, RENAME_NOREPLACE); }

int qc_rename_exchange(int folder, const char *from, const char *to) { return rename_with(folder, from, to, RENAME_EXCHANGE); }

int qc_begin_sync(int descriptor, long offset, long length) {
  return sync_file_range(descriptor, offset, length, SYNC_FILE_RANGE_WRITE) == 0 ? 0 : errno;
}

struct build_id {
  unsigned char *bytes;
  long capacity, length;
};

/* The first call is for the program itself; returning 1 stops after it. */
static int find_build_id(struct dl_phdr_info *info, size_t size, void *data) {
  struct build_id *found = data;
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_NOTE) continue;
    const char *place = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr), *end = place + info->dlpi_phdr[i].p_memsz;
    while (end - place >= (long)sizeof(ElfW(Nhdr))) {
      const ElfW(Nhdr) *note = (const void *)place;
      const char *name = place + sizeof *note, *content = name + (note->n_namesz + 3) / 4 * 4;
      if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(name, "GNU", 4) && note->n_descsz <= found->capacity) {
        memcpy(found->bytes, content, note->n_descsz);
        found->length = note->n_descsz;
        return 1;
      }
      place = content + (note->n_descsz + 3) / 4 * 4;
    }
  }
  return 1;
}

long qc_build_id(unsigned char *bytes, long capacity) {
  struct build_id found = {bytes, capacity, 0};
  dl_iterate_phdr(find_build_id, &found);
  return found.length;
}
#endif
