import QuantCore

/// Every sentence that the program puts together: errors, progress, summaries.
enum Wording {
  // MARK: Text from files

  /// The text with control characters, line separators and characters that change the direction of writing escaped:
  /// a name from a file must not move a terminal's cursor or pretend to be another.
  static func printable(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x0a: result.append(contentsOf: "\\n".unicodeScalars)
      case 0x0d: result.append(contentsOf: "\\r".unicodeScalars)
      case 0x09: result.append(contentsOf: "\\t".unicodeScalars)
      case 0..<0x20, 0x7f..<0xa0, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069:
        result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  // MARK: Errors

  /// `error: FILE: tensor 'X': byte N: message. Remedy. [id]`
  static func line(_ failure: Failure, style: Style = .plain) -> String {
    var parts: [String] = []
    if let file = failure.file { parts.append(printable(file)) }
    if let tensor = failure.tensor { parts.append("tensor '\(printable(tensor))'") }
    if let offset = failure.byteOffset { parts.append("byte \(offset)") }
    parts.append(sentence(failure.message))
    var text = style.red("error:") + " " + parts.joined(separator: ": ")
    if let remedy = failure.remedy { text += " " + sentence(remedy) }
    return text + " [\(failure.id)]"
  }

  private static func sentence(_ text: String) -> String {
    let text = printable(text)
    guard let last = text.last, !".!?".contains(last) else { return text }
    return text + "."
  }

  /// Name of a kind in JSON documents.
  static func name(_ kind: Failure.Kind) -> String {
    switch kind {
    case .gate: "gate"
    case .differs: "differs"
    case .usage: "usage"
    case .data: "data"
    case .noInput: "no-input"
    case .unsupported: "unsupported"
    case .internalError: "internal"
    case .cannotCreate: "cannot-create"
    case .io: "io"
    case .stopped: "stopped"
    case .config: "config"
    }
  }

  /// The exit codes that commands end with.
  static let exitCodes: [(code: String, meaning: String)] = [
    ("0", "success: an output is complete, verified and in place"),
    (code(.gate), "complete, but a --fail-if rejects it; no OUT"),
    (code(.differs), "compare: tensors are different or missing"),
    (code(.usage), "wrong usage"),
    (code(.data), "input malformed"),
    (code(.noInput), "input missing or unreadable"),
    (code(.unsupported), "not supported (architecture, type, plug-in)"),
    (code(.internalError), "internal error: a bug, with a report id"),
    (code(.cannotCreate), "output cannot be created (it exists, no permission)"),
    (code(.io), "input or output failed while running (disk full, input changed)"),
    (code(.config), "configuration wrong"),
    ("129-143", "ended by a signal (130: SIGINT, 143: SIGTERM), leaving no part of OUT"),
  ]

  private static func code(_ kind: Failure.Kind) -> String { String(kind.rawValue) }

  /// What the parser of the command line found wrong.
  static func usage(_ message: String) -> Failure {
    let text = message.split(separator: "\n").joined(separator: " ")
    let start = text.prefix(1).lowercased() + text.dropFirst()
    return Failure(.usage, "usage.arguments", start, remedy: "'qconvert --help' lists commands, 'qconvert COMMAND --help' what one takes.")
  }

  /// What a page of a mapped input that cannot be read any more means.
  static let lostInput = Failure(
    .io, "input.changed", "an input became shorter, or could not be read any more, while it was in use",
    remedy: "Run the command again; if it happens twice, check the disk.")

  /// Any error as a failure: one that is not ours is a bug, and gets an id that is the same whenever it happens again.
  static func failure(for error: any Error) -> Failure {
    if let failure = error as? Failure { return failure }
    // FNV-1a: short, stable between runs (Swift's own hashes are not), and no secret is involved.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in String(reflecting: error).utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let digits = String(hash, radix: 16).leftPadded(to: 16).replacing(" ", with: "0")
    return Failure(
      .internalError, "internal.unexpected", "the program failed in a way it did not expect (report \(digits))",
      remedy: "Please report this number with the command line.")
  }

  // MARK: Progress

  /// Stages whose work is counted in bytes; that of others is counted in tokens.
  private static let byteStages: Set<String> = ["convert"]

  private static func amount(_ value: Int, _ stage: String) -> String {
    byteStages.contains(stage) ? ByteSize.format(value) : value.grouped + " tokens"
  }

  /// `convert: 25% of 4.58 GB, 120 MB/s, 28 s left`; a complete stage says how long it took.
  static func progress(_ stage: String, done: Int, total: Int, seconds: Double) -> String {
    var parts = ["\(done >= total ? 100 : Int(Double(done) / Double(total) * 100))% of \(amount(total, stage))"]
    if seconds > 0 { parts.append(amount(Int(clamping: Double(done) / seconds), stage) + "/s") }
    if done >= total {
      parts.append("took \(duration(seconds))")
    } else if done > 0 {
      parts.append("\(duration(seconds * Double(total - done) / Double(done))) left")
    }
    return "\(printable(stage)): " + parts.joined(separator: ", ")
  }

  /// `0.4 s`, `28 s`, `4 min 05 s`, `3 h 20 min`.
  static func duration(_ seconds: Double) -> String {
    guard seconds >= 9.95 else { return seconds.fixed(1) + " s" }
    let whole = Int(clamping: seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(two(whole % 60)) s" }
    return "\(whole / 3600) h \(two(whole % 3600 / 60)) min"
  }

  private static func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

  // MARK: Summaries

  /// What `convert` says at the end.
  static func summary(_ report: ConversionReport, output: String) -> String {
    let tensors = report.tensors.count
    return "\(printable(output)): \(size(report.totalSize, report.bitsPerWeight)), \(tensors.grouped) tensors, \(duration(report.seconds))"
  }

  /// What `convert` says about its evaluation.
  static func summary(_ result: EvaluationResult) -> String {
    var parts = ["perplexity \(result.perplexity.value.fixed(4))"]
    if let comparison = result.comparison {
      parts[0] += " (IN: \(comparison.perplexity.value.fixed(4)))"
      parts += ["KLD mean \(comparison.divergence.value.fixed(5))", "p99 \(comparison.divergence99.fixed(5))"]
      parts.append("same top token \(comparison.sameTop.value.fixed(4))")
    }
    return parts.joined(separator: ", ") + " on \(result.tokens.grouped) tokens"
  }

  /// `4.58 GB (4,580,000,000 bytes), 4.83 bits per weight`
  static func size(_ bytes: Int, _ bitsPerWeight: Double) -> String {
    "\(ByteSize.format(bytes)) (\(bytes.grouped) bytes), \(bitsPerWeight.fixed(3)) bits per weight"
  }

  /// What a plan comes to, in two or three lines.
  static func planned(_ plan: ConversionPlan) -> [String] {
    var lines = ["\(printable(plan.mainOutput)): \(size(plan.totalSize, plan.bitsPerWeight)), \(plan.tensors.count.grouped) tensors"]
    if plan.layout.files.count > 1 { lines.append("files: \(plan.layout.files.count)") }
    lines.append("working memory: about \(ByteSize.format(plan.memoryBytes))")
    return lines
  }

  /// `[4096, 11008]`; a scalar is `[]`.
  static func shape(_ shape: [Int]) -> String { "[" + shape.map { String($0) }.joined(separator: ", ") + "]" }
}

extension Int {
  /// The nearest integer to a number of any size; 0 for NaN.
  init(clamping value: Double) {
    if let exact = Int(exactly: value.rounded(.towardZero)) { self = exact } else { self = value > 0 ? .max : value < 0 ? .min : 0 }
  }
}
