import QuantPlatform

/// What the process has used so far.
struct ResourceUse: Sendable {
  /// Time on all cores, in the program and in the system on its behalf.
  let cpuSeconds: Double
  /// The largest memory at one time, with the pages of mapped inputs that were present.
  let peakMemoryBytes: Int

  init() {
    let (usage, peakBytes) = Platform.resourceUse()
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
    peakMemoryBytes = peakBytes
  }
}
