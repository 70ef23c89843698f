import ArgumentParser
import Logging
import QuantCore
import Synchronization

/// Shows the progress of stages on standard error: one line redrawn on a terminal, plain lines elsewhere.
final class Progress: ProgressReporter {
  enum Mode: Sendable { case redrawn, plain, none }

  private struct Stage {
    var name: String
    var total: Int
    var done = 0
    var start: Double
    /// When something was last shown, in seconds.
    var shown: Double
    /// The block that is worked on, if the stage goes from block to block.
    var block: Wording.BlockProgress?
  }

  /// Seconds between two redraws of the line, and between two plain lines.
  private static let redrawInterval = 0.1
  private static let plainInterval = 10.0
  /// Seconds before the first plain line; a shorter stage prints none.
  private static let patience = 2.0

  private let mode: Mode
  private let console: Console
  private let log: Logger
  private let seconds: @Sendable () -> Double
  private let stage = Mutex<Stage?>(nil)

  /// - Parameter seconds: a monotonic clock.
  init(_ mode: Mode, console: Console, log: Logger, seconds: @escaping @Sendable () -> Double = Progress.monotonicSeconds()) {
    self.mode = mode
    self.console = console
    self.log = log
    self.seconds = seconds
  }

  func begin(_ stage: String, total: Int) {
    let now = seconds()
    self.stage.withLock { current in
      let shown = mode == .plain ? now - Progress.plainInterval + Progress.patience : now
      current = Stage(name: stage, total: total, start: now, shown: shown)
    }
  }

  func reach(_ stage: String, block done: Int, of count: Int) {
    change(stage) { current, now in
      let first = current.block?.first ?? done
      current.block = Wording.BlockProgress(done: done, count: count, first: first, seconds: now - current.start)
    }
  }

  func advance(_ stage: String, by amount: Int) {
    change(stage) { current, _ in current.done += amount }
  }

  /// Changes the state of a stage, and shows it if it is time.
  private func change(_ stage: String, _ body: (inout Stage, _ now: Double) -> Void) {
    guard mode != .none else { return }
    let now = seconds()
    self.stage.withLock { current in
      guard var changed = current, changed.name == stage else { return }
      body(&changed, now)
      let isComplete = changed.done >= changed.total
      let interval = mode == .redrawn ? Progress.redrawInterval : Progress.plainInterval
      let isWorthALast = isComplete && (mode == .redrawn || now - changed.start >= Progress.patience)
      if isWorthALast || now - changed.shown >= interval {
        changed.shown = now
        let text = Wording.progress(
          stage, done: changed.done, total: changed.total, seconds: now - changed.start, block: changed.block)
        if mode == .redrawn { console.status(isComplete ? "" : text) } else { console.line(text) }
      }
      current = isComplete ? nil : changed
    }
  }

  func note(_ text: String) { log.notice("\(text)") }
  func warn(_ text: String) { log.warning("\(text)") }

  /// Removes the line of an unfinished stage.
  func finish() { console.status("") }

  private static func monotonicSeconds() -> @Sendable () -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    return {
      let elapsed = (clock.now - start).components
      return Double(elapsed.seconds) + Double(elapsed.attoseconds) / 1e18
    }
  }
}

/// How progress is shown.
enum ProgressStyle: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, plain, none
}
