#if !canImport(Darwin)
  extension Platform {
    /// A signal that no other program sends and that has no predefined meaning: the first real-time signal.
    public static var privateSignal: Int32 { __libc_current_sigrtmin() }

    /// Distinguishes the running thread from all others.
    public static var currentThread: UInt { UInt(pthread_self()) }

    /// Where the running program is.
    public static var programPath: String? { "/proc/self/exe" }

    /// Reserves the whole space of a file and gives it its size. Returns 0, or the error number.
    public static func reserve(_ descriptor: Int32, size: Int) -> Int32 {
      var number: Int32
      repeat { number = posix_fallocate(descriptor, 0, off_t(size)) } while number == EINTR
      return number
    }

    /// The largest size that this process may give a file; nil if unknown.
    public static func largestFile() -> UInt64? {
      var limit = rlimit()
      return getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 ? UInt64(limit.rlim_cur) : nil
    }

    /// Tells the system that the file's pages will not be read soon.
    public static func dropFromCache(_ descriptor: Int32) { posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED) }

    /// When the content last changed.
    public static func modificationTime(_ status: stat) -> timespec { status.st_mtim }

    /// Whether the signal was being ignored when the program started.
    public static func isIgnored(_ signal: Int32) -> Bool {
      var action = sigaction()
      sigaction(signal, nil, &action)
      // The handler is compared as a bit pattern: function pointers have no equality in Swift.
      return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// What the process has used so far, and its peak memory in bytes.
    public static func resourceUse() -> (usage: rusage, peakBytes: Int) {
      var usage = rusage()
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      return (usage, usage.ru_maxrss * 1024)
    }

    static func syncToDisk(_ descriptor: Int32) -> Int32 { fsync(descriptor) }

    static func createThread(_ work: UnsafeMutableRawPointer) -> Int32 {
      var thread = pthread_t()
      let status = pthread_create(
        &thread, nil,
        { work in
          if let work { Platform.run(work) }
          return nil
        }, work)
      if status == 0 { pthread_detach(thread) }
      return status
    }
  }
#endif
