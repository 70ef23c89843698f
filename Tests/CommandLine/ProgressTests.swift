import Logging
import QuantCore
import Synchronization
import Testing

@testable import QConvertKit

/// A clock that advances only when it is told to.
private final class HandClock: Sendable {
  private let now = Mutex(0.0)
  var read: @Sendable () -> Double { { self.now.withLock { $0 } } }
  func move(_ seconds: Double) { now.withLock { $0 += seconds } }
}

private func progress(_ mode: Progress.Mode, _ capture: Capture, _ clock: HandClock) -> Progress {
  let console = capture.console()
  let session = Session(console: console, options: nil, isJSON: false)
  return Progress(mode, console: console, log: session.log, seconds: clock.read)
}

@Test func awayFromATerminalProgressIsAFewPlainLines() {
  let capture = Capture()
  let clock = HandClock()
  let progress = progress(.plain, capture, clock)
  progress.begin("convert", total: 2_000_000)
  for _ in 0..<100 {
    clock.move(0.15)
    progress.advance("convert", by: 20_000)
  }
  let lines = capture.error.split(separator: "\n")
  #expect(lines.count == 3)
  #expect(lines.first?.hasPrefix("convert: 14% of 2.00 MB") == true, "the first after two seconds")
  #expect(lines.dropFirst().first?.hasSuffix("left") == true)
  #expect(lines.last == "convert: 100% of 2.00 MB, 133 KB/s, took 15 s")
  #expect(!capture.error.contains("\r") && !capture.error.contains("\u{1b}"))
  #expect(capture.output.isEmpty)
}

@Test func aStageThatIsOverAtOncePrintsNoPlainLines() {
  let capture = Capture()
  let clock = HandClock()
  let progress = progress(.plain, capture, clock)
  progress.begin("convert", total: 100)
  clock.move(1.5)
  progress.advance("convert", by: 100)
  #expect(capture.error.isEmpty)
}

@Test func onATerminalOneLineIsRedrawnAndRemoved() {
  let capture = Capture()
  let clock = HandClock()
  let progress = progress(.redrawn, capture, clock)
  progress.begin("convert", total: 400)
  clock.move(2)
  progress.advance("convert", by: 100)
  #expect(capture.error == "\r\u{1b}[Kconvert: 25% of 400 B, 50 B/s, 6.0 s left")
  progress.warn("odd")
  #expect(capture.error.hasSuffix("\r\u{1b}[Kwarning: odd\nconvert: 25% of 400 B, 50 B/s, 6.0 s left"))
  progress.advance("convert", by: 300)
  #expect(capture.error.hasSuffix("\r\u{1b}[K"))
}

@Test func redrawingIsLimitedInTime() {
  let capture = Capture()
  let clock = HandClock()
  let progress = progress(.redrawn, capture, clock)
  progress.begin("convert", total: 1000)
  for _ in 0..<500 {
    clock.move(0.001)
    progress.advance("convert", by: 1)
  }
  #expect(capture.error.split(separator: "\r").count <= 5)
}

@Test func blocksAreNamedAndTellTheTimeThatIsLeft() {
  let capture = Capture()
  let clock = HandClock()
  let progress = progress(.redrawn, capture, clock)
  func said(_ line: String) -> Bool { capture.error.hasSuffix("\r\u{1b}[Kconvert: \(line)") }
  progress.begin("convert", total: 1000)
  clock.move(1)
  // Four blocks of an earlier run say nothing about the pace of this one.
  progress.reach("convert", block: 4, of: 8)
  #expect(said("block 5 of 8, 0% of 1.00 KB"))
  clock.move(29)
  progress.advance("convert", by: 10)
  #expect(said("block 5 of 8, 1% of 1.00 KB"), "one tensor of the block says nothing about the others")
  clock.move(30)
  progress.reach("convert", block: 5, of: 8)
  #expect(said("block 6 of 8, 1% of 1.00 KB, 3 min 00 s left"))
  clock.move(20)
  progress.advance("convert", by: 10)
  #expect(said("block 6 of 8, 2% of 1.00 KB, 2 min 40 s left"))
}

@Test func otherStagesCountTokens() {
  #expect(Wording.progress("evaluate", done: 1000, total: 4000, seconds: 2) == "evaluate: 25% of 4,000 tokens, 500 tokens/s, 6.0 s left")
}

@Test func withoutProgressOnlyNotesAndWarningsArePrinted() {
  let capture = Capture()
  let progress = progress(.none, capture, HandClock())
  progress.begin("convert", total: 10)
  progress.advance("convert", by: 10)
  progress.note("said")
  progress.warn("warned")
  #expect(capture.error == "said\nwarning: warned\n")
}

@Test func quietSilencesNotesWarningsAndProgress() throws {
  let capture = Capture()
  let command = try #require(QConvert.parse(["in", "out", "-q"]) as? Convert)
  let session = Session(console: capture.console(), options: command.global, isJSON: false)
  let progress = session.progress()
  progress.begin("convert", total: 10)
  progress.warn("warned")
  #expect(capture.error.isEmpty)
}
