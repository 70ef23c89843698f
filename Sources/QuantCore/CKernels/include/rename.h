// Renames that the C library declares only as a GNU extension, which Swift does not see.
#ifndef QC_RENAME_H
#define QC_RENAME_H

/// Renames `from` to `to` unless `to` exists. Returns 0, or the error number.
int qc_rename_new(const char *from, const char *to);
/// Lets two existing paths change places in one step. Returns 0, or the error number.
int qc_rename_exchange(const char *from, const char *to);

#endif
