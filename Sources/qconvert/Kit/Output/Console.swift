import QuantCore
import QuantPlatform
import Synchronization

/// Where text goes: data to standard output, everything else to standard error.
final class Console: Sendable {
  enum Stream: Sendable { case output, error }

  /// What is known about the streams.
  struct Facts: Sendable {
    /// Whether standard output is a terminal.
    var outputIsTerminal = false
    /// Whether standard error is a terminal on which a line can be redrawn.
    var errorIsTerminal = false
    /// Columns of the terminal.
    var width = 80
    /// The environment variable NO_COLOR.
    var noColor: String?
  }

  /// Thrown if the reader of standard output closed it (`| head`): nothing went wrong, and nobody is left to be told.
  struct ReaderGone: Error {}

  /// Writes bytes and returns an `errno`, or 0.
  typealias Sink = @Sendable (Stream, [UInt8]) -> Int32

  let facts: Facts
  private let sink: Sink
  /// The line that is being redrawn at the bottom of standard error; empty for none.
  private let statusLine = Mutex("")

  init(facts: Facts, sink: @escaping Sink) {
    self.facts = facts
    self.sink = sink
  }

  /// The streams of the process.
  static func standard() -> Console {
    var facts = Facts()
    let isDumb = variable("TERM") == nil || variable("TERM") == "dumb"
    facts.outputIsTerminal = isatty(STDOUT_FILENO) == 1 && !isDumb
    facts.errorIsTerminal = isatty(STDERR_FILENO) == 1 && !isDumb
    facts.noColor = variable("NO_COLOR")
    var size = winsize()
    if ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { facts.width = Int(size.ws_col) }
    return Console(facts: facts) { stream, bytes in
      let descriptor = stream == .output ? STDOUT_FILENO : STDERR_FILENO
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if written >= 0 {
          rest = rest.dropFirst(written)
        } else if errno != EINTR {
          return errno
        }
      }
      return 0
    }
  }

  /// Writes data to standard output.
  /// - Throws: `ReaderGone`, or `Failure` of kind io.
  func data(_ text: String) throws { try data(Array(text.utf8)) }

  /// Writes data to standard output.
  /// - Throws: `ReaderGone`, or `Failure` of kind io.
  func data(_ bytes: [UInt8]) throws {
    let problem = sink(.output, bytes)
    if problem == EPIPE { throw ReaderGone() }
    guard problem == 0 else {
      throw Failure(
        .io, "output.stdout", "cannot write to standard output: \(String(cString: strerror(problem)))",
        remedy: "Check where it is redirected to.")
    }
  }

  /// Writes a line to standard error, above the status line. Failures are ignored.
  func line(_ text: String) {
    statusLine.withLock { status in
      let erase = status.isEmpty ? "" : "\r\u{1b}[K"
      _ = sink(.error, Array((erase + text + "\n" + status).utf8))
    }
  }

  /// Redraws the status line; an empty text removes it.
  func status(_ text: String) {
    statusLine.withLock { status in
      guard !(status.isEmpty && text.isEmpty) else { return }
      status = text.truncated(to: facts.width - 1)
      _ = sink(.error, Array(("\r\u{1b}[K" + status).utf8))
    }
  }

  private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
