// The twin for Linux is files.c.
#if defined(__APPLE__)
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <mach-o/dyld.h>
#include <mach-o/loader.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stdio.h>

static int rename_with(int folder, const char *from, const char *to, unsigned flags) {
  return renameatx_np(folder, from, AT_FDCWD, to, flags) == 0 ? 0 : errno;
}

int qc_rename_new(int folder, const char *from, const char *to) { return rename_with(folder, from, to, RENAME_EXCL); }

int qc_rename_exchange(int folder, const char *from, const char *to) { return rename_with(folder, from, to, RENAME_SWAP); }

/* This system has no such call, but starts to write soon by itself. */
int qc_begin_sync(int descriptor, long offset, long length) {
  (void)descriptor, (void)offset, (void)length;
  return 0;
}

long qc_build_id(unsigned char *bytes, long capacity) {
  /* The first image is the program itself. */
  const struct mach_header *header = _dyld_get_image_header(0);
  if (!header || header->magic != MH_MAGIC_64) return 0;
  const uint8_t *place = (const uint8_t *)header + sizeof(struct mach_header_64);
  for (uint32_t i = 0; i < header->ncmds; i++) {
    const struct load_command *command = (const void *)place;
    if (command->cmd == LC_UUID) {
      const struct uuid_command *found = (const void *)place;
      if ((long)sizeof found->uuid > capacity) return 0;
      memcpy(bytes, found->uuid, sizeof found->uuid);
      return (long)sizeof found->uuid;
    }
    place += command->cmdsize;
  }
  return 0;
}
#endif
