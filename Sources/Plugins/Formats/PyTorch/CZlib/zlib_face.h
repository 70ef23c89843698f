// The system's zlib: checksums, and the inflation of compressed archive entries.
#include <zlib.h>
