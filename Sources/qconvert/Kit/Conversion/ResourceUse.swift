import QuantPlatform

/// What the process has used so far.
struct ResourceUse: Sendable {
  /// CPU time on all cores, in user and system mode.
  let cpuSeconds: Double
  /// Peak resident memory, including resident pages of mapped inputs.
  let peakMemoryBytes: Int

  init() {
    let (usage, peakBytes) = Platform.resourceUse()
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
    peakMemoryBytes = peakBytes
  }
}
