import Synchronization

/// Warnings that may apply to thousands of tensors: the first of a kind is given at once, the others are counted.
final class RepeatedWarnings: Sendable {
  private let progress: any ProgressReporter
  /// How many tensors a warning applied to after the first, by its text.
  private let repeated = Mutex<[String: Int]>([:])

  init(_ progress: any ProgressReporter) { self.progress = progress }

  func warn(_ tensor: String, _ text: String) {
    let isFirst = repeated.withLock { counts in
      counts[text] = counts[text].map { $0 + 1 } ?? 0
      return counts[text] == 0
    }
    if isFirst { progress.warn("\(tensor): \(text)") }
  }

  /// Gives the counts.
  func finish() {
    for (text, count) in repeated.withLock({ $0 }).sorted(by: { $0.key < $1.key }) where count > 0 {
      progress.warn("\(count) more \(count == 1 ? "tensor" : "tensors"): \(text)")
    }
  }
}
