// Calls that the C library declares only as GNU extensions, or through macros, which Swift does not see.
#ifndef QC_FILES_H
#define QC_FILES_H

/// Renames `from` to `to` unless `to` exists. Returns 0, or the error number.
int qc_rename_new(const char *from, const char *to);
/// Lets two existing paths change places in one step. Returns 0, or the error number.
int qc_rename_exchange(const char *from, const char *to);

/// Has the system begin to write a stretch of a file to the disk, without waiting for it. Returns 0, or the error number.
int qc_begin_sync(int descriptor, long offset, long length);

/// The identity that the linker gave the running program: a hash of its content, which copies share. Returns its length, 0 where it
/// has none or a longer one than `capacity`.
long qc_build_id(unsigned char *bytes, long capacity);

#endif
