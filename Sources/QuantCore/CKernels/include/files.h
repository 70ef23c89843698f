// Calls that the C library declares only as GNU extensions or as macros, which Swift does not see.
#ifndef QC_FILES_H
#define QC_FILES_H

/// Renames the entry `from` of an open folder to the path `to`, unless that exists. Returns 0, or the error number.
int qc_rename_new(int folder, const char *from, const char *to);
/// Exchanges the entry `from` of an open folder and the path `to` in one step; both exist. Returns 0, or the error number.
int qc_rename_exchange(int folder, const char *from, const char *to);

/// Asks the system to start writing a range of a file to disk, without waiting for it. Returns 0, or the error number.
int qc_begin_sync(int descriptor, long offset, long length);

/// The identity that the linker gave the running program: a hash of its content, which copies share. Returns its length, or 0 if
/// there is none or it is longer than `capacity`.
long qc_build_id(unsigned char *bytes, long capacity);

#endif
