#if canImport(Darwin)
  extension Platform {
    /// A signal that hardly any program sends; this system has no real-time signals.
    public static var privateSignal: Int32 { SIGUSR2 }

    /// Distinguishes the running thread from all others.
    public static var currentThread: UInt { UInt(bitPattern: pthread_self()) }

    /// Where the running program is.
    public static var programPath: String? {
      var capacity: UInt32 = 0
      _NSGetExecutablePath(nil, &capacity)
      var bytes = [CChar](repeating: 0, count: Int(capacity) + 1)
      return _NSGetExecutablePath(&bytes, &capacity) == 0
        ? bytes.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } } : nil
    }

    /// Reserves the whole space of a file and gives it its size. Returns 0, or the error number.
    public static func reserve(_ descriptor: Int32, size: Int) -> Int32 {
      var status = stat()
      guard fstat(descriptor, &status) == 0 else { return errno }
      let missing = off_t(size) - status.st_size
      if missing > 0 {
        var store = fstore_t(
          fst_flags: UInt32(F_ALLOCATEALL), fst_posmode: F_PEOFPOSMODE, fst_offset: 0, fst_length: missing, fst_bytesalloc: 0)
        // File systems that cannot reserve space report it; a full disk is then noticed while writing.
        if fcntl(descriptor, F_PREALLOCATE, &store) == -1, errno != ENOTSUP { return errno }
      }
      while ftruncate(descriptor, max(status.st_size, off_t(size))) != 0 {
        if errno != EINTR { return errno }
      }
      return 0
    }

    /// The largest size that this process may give a file; nil if unknown.
    public static func largestFile() -> UInt64? {
      var limit = rlimit()
      return getrlimit(RLIMIT_FSIZE, &limit) == 0 ? UInt64(limit.rlim_cur) : nil
    }

    /// Tells the system that the file's pages will not be read soon.
    public static func dropFromCache(_ descriptor: Int32) { _ = fcntl(descriptor, F_NOCACHE, 1) }

    /// When the content last changed.
    public static func modificationTime(_ status: stat) -> timespec { status.st_mtimespec }

    /// Whether the signal was being ignored when the program started.
    public static func isIgnored(_ signal: Int32) -> Bool {
      var action = sigaction()
      sigaction(signal, nil, &action)
      // The handler is compared as a bit pattern: function pointers have no equality in Swift.
      return unsafeBitCast(action.__sigaction_u.__sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// What the process has used so far, and its peak memory in bytes.
    public static func resourceUse() -> (usage: rusage, peakBytes: Int) {
      var usage = rusage()
      getrusage(RUSAGE_SELF, &usage)
      return (usage, usage.ru_maxrss)
    }

    /// `fsync` would leave data in the cache of the disk itself.
    static func syncToDisk(_ descriptor: Int32) -> Int32 {
      fcntl(descriptor, F_FULLFSYNC) == 0 ? 0 : fsync(descriptor)
    }

    static func createThread(_ work: UnsafeMutableRawPointer) -> Int32 {
      var thread: pthread_t?
      let status = pthread_create(
        &thread, nil,
        { work in
          Platform.run(work)
          return nil
        }, work)
      if status == 0, let thread { pthread_detach(thread) }
      return status
    }
  }
#endif
