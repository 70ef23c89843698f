import QuantCore

/// Every sentence that the program composes: errors, progress, summaries.
enum Wording {
  // MARK: Text from files

  /// The text with control characters, line separators and characters that change the direction of writing escaped:
  /// a name from a file must not move a terminal's cursor or look like another name.
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
    if let remedy = failure.remedy { text += " " + sentence(spelled(remedy)) }
    return text + " [\(failure.id)]"
  }

  /// A remedy in the words of the command line.
  static func spelled(_ remedy: Remedy) -> String { remedy.spelled(setting: { "--" + $0 }, command: { "'qconvert \($0)'" }) }

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
    ("0", "success: any output is complete and verified"),
    (code(.gate), "rejected by a --fail-if gate; OUT is left only with --keep-rejected"),
    (code(.differs), "compare: tensors are different or missing"),
    (code(.usage), "usage error"),
    (code(.data), "malformed input"),
    (code(.noInput), "missing or unreadable input"),
    (code(.unsupported), "not supported (architecture, type, plug-in)"),
    (code(.internalError), "internal error: a bug, with a report id"),
    (code(.cannotCreate), "output cannot be created (it already exists, no permission)"),
    (code(.io), "I/O error during the run (disk full, input changed)"),
    (code(.config), "invalid recipe or configuration"),
    ("129-143", "ended by a signal (130: SIGINT, 143: SIGTERM); no part of OUT is left"),
  ]

  private static func code(_ kind: Failure.Kind) -> String { String(kind.rawValue) }

  /// An error of the command-line parser.
  static func usage(_ message: String) -> Failure {
    let text = message.split(separator: "\n").joined(separator: " ")
    let start = text.prefix(1).lowercased() + text.dropFirst()
    return Failure(.usage, "usage.arguments", start, remedy: "See 'qconvert --help' for commands, 'qconvert COMMAND --help' for options.")
  }

  /// The failure of a run that cannot go on: a page of a mapped input can no longer be read, or memory is exhausted.
  static func failure(for loss: InterruptCleanup.Loss) -> Failure {
    switch loss {
    case .input:
      Failure(
        .io, "input.changed", "an input was truncated or became unreadable while it was in use",
        remedy: "Run the command again; if it happens twice, check the disk.")
    case .memory:
      Failure(
        .io, "io.memory", "out of memory",
        remedy: "Raise the limit (ulimit -v), end other programs, or use fewer threads with \(setting: "threads").")
    }
  }

  /// Any error as a failure: one that is not a `Failure` is a bug and gets an id that is the same each time it happens.
  static func failure(for error: any Error) -> Failure {
    if let failure = error as? Failure { return failure }
    // FNV-1a: short, and stable between runs, unlike Swift's own hashes; nothing here is secret.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in String(reflecting: error).utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let digits = String(hash, radix: 16).leftPadded(to: 16).replacing(" ", with: "0")
    return Failure(
      .internalError, "internal.unexpected", "an unexpected error occurred (report \(digits))",
      remedy: "Please report this id with the command line.")
  }

  // MARK: Progress

  /// Stages whose work is counted in bytes; others count tokens.
  private static let byteStages: Set<String> = ["convert"]

  private static func amount(_ value: Int, _ stage: String) -> String {
    byteStages.contains(stage) ? ByteSize.format(value) : value.grouped + " tokens"
  }

  /// Where a stage is that goes from block to block.
  struct BlockProgress {
    /// How many blocks are finished, and how many there are.
    var done: Int
    var count: Int
    /// How many were finished before this run.
    var first: Int
    /// Seconds of the stage until the last of them was finished.
    var seconds: Double

    /// Seconds for the blocks that are left, at the pace of those that this run finished; nil before the first.
    func left(after seconds: Double) -> Double? {
      guard done > first else { return nil }
      return max(0, self.seconds / Double(done - first) * Double(count - done) - (seconds - self.seconds))
    }
  }

  /// `convert: 25% of 4.58 GB, 120 MB/s, 28 s left`, or with the block that is worked on; after a stage, how long it took.
  static func progress(_ stage: String, done: Int, total: Int, seconds: Double, block: BlockProgress? = nil) -> String {
    var parts = ["\(done >= total ? 100 : Int(Double(done) / Double(total) * 100))% of \(amount(total, stage))"]
    if let block, block.done < block.count {
      parts.insert("block \(block.done + 1) of \(block.count)", at: 0)
      // The bytes of a block are written at its end, so that their rate says nothing.
      if let left = block.left(after: seconds) { parts.append("\(duration(left)) left") }
      return "\(printable(stage)): " + parts.joined(separator: ", ")
    }
    if seconds > 0 { parts.append(amount(Int(clamping: Double(done) / seconds), stage) + "/s") }
    if done >= total {
      parts.append("took \(duration(seconds))")
    } else if done > 0, block == nil {
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

  /// What a conversion says that is interrupted.
  static func interrupted(_ plan: ConversionPlan) -> String {
    let output = printable(plan.mainOutput)
    return plan.request.resumes
      ? "interrupted: what is finished is kept beside \(output); give the same command again to go on"
      : "interrupted: nothing of \(output) is left; a run with --resume would keep what is finished, and go on from there"
  }

  // MARK: Summaries

  /// What `convert` prints at the end.
  static func summary(_ report: ConversionReport, output: String) -> String {
    let tensors = report.tensors.count
    return "\(printable(output)): \(size(report.totalSize, report.bitsPerWeight)), \(tensors.grouped) tensors, \(duration(report.seconds))"
  }

  /// What `convert` prints about its evaluation.
  static func summary(_ result: EvaluationResult) -> String {
    var parts = result.perplexity.map { ["perplexity \($0.value.fixed(4))"] } ?? []
    if let vectors = result.vectors {
      parts += [
        "cosine mean \(vectors.cosine.value.fixed(5))", "p1 \(vectors.cosine1.fixed(5))", "minimum \(vectors.cosineMinimum.fixed(5))",
      ]
      if let ranks = vectors.ranks { parts.append("rank correlation \(ranks.fixed(5))") }
    }
    if let comparison = result.comparison, !parts.isEmpty {
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

  /// The totals of a plan, in two or three lines.
  static func planned(_ plan: ConversionPlan) -> [String] {
    var lines = ["\(printable(plan.mainOutput)): \(size(plan.totalSize, plan.bitsPerWeight)), \(plan.tensors.count.grouped) tensors"]
    if let sizes = plan.sizes { lines.append("expected divergence: \(sizes.divergence.fixed(5)) nats per token") }
    if plan.layout.files.count > 1 { lines.append("files: \(plan.layout.files.count)") }
    lines.append("working memory: about \(ByteSize.format(plan.memoryBytes))")
    return lines
  }

  /// `[4096, 11008]`; a scalar is `[]`.
  static func shape(_ shape: [Int]) -> String { "[" + shape.map { String($0) }.joined(separator: ", ") + "]" }
}

extension Int {
  /// The value without its decimals, clamped to the range of integers; 0 for NaN.
  init(clamping value: Double) {
    if let exact = Int(exactly: value.rounded(.towardZero)) { self = exact } else { self = value > 0 ? .max : value < 0 ? .min : 0 }
  }
}
