// Calls that the C library declares only as GNU extensions, which Swift does not see.
#ifndef QC_FILES_H
#define QC_FILES_H

/// Renames `from` to `to` unless `to` exists. Returns 0, or the error number.
int qc_rename_new(const char *from, const char *to);
/// Lets two existing paths change places in one step. Returns 0, or the error number.
int qc_rename_exchange(const char *from, const char *to);

/// Has the system begin to write a stretch of a file to the disk, without waiting for it. Returns 0, or the error number.
int qc_begin_sync(int descriptor, long offset, long length);

#endif
