import ArgumentParser
import Logging
import QuantCore

/// `qconvert compare A B`: how two checkpoints of one model differ.
struct Compare: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Compare the weights of two checkpoints of one model, tensor by tensor.",
    discussion: """
      Formats, packings and names may differ: a tensor is equal, re-packed (equal values, stored in another way), different, or
      missing. Exits with code 11 if any tensor is different or missing.
      """)

  @Argument(help: ArgumentHelp("Checkpoint that errors are relative to.", valueName: "A"))
  var first: String

  @Argument(help: ArgumentHelp("Checkpoint to compare with A.", valueName: "B"))
  var second: String

  @Flag(help: "List every tensor, not only those that differ.")
  var all = false

  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let opening = Opening(registry)
    let checkpoints = (try opening.open(first), try opening.open(second))
    for checkpoint in [checkpoints.0, checkpoints.1] { session.warn(about: checkpoint) }
    let comparison = try Comparison(checkpoints.0, checkpoints.1, opening: opening, threads: global.threadCount())
    if !session.isJSON { try session.console.data(text(comparison, style: session.outputStyle)) }
    let failure = failure(comparison)
    let document = JSONOutput.document(members(comparison), failure)
    if let failure { throw Rejection(failure: failure, document: document) }
    if session.isJSON { try session.answer(document, text: "") }
  }

  private func failure(_ comparison: Comparison) -> Failure? {
    guard !comparison.holds else { return nil }
    let wrong = comparison.tensors.filter { $0.verdict == .different || $0.verdict == .missing }
    let worst = wrong.max { ($0.relativeError ?? .infinity) < ($1.relativeError ?? .infinity) }
    let count = "\(wrong.count.grouped) of \(comparison.tensors.count.grouped) tensors are different or missing"
    return Failure(.differs, "compare.differs", count, file: second, tensor: worst?.name)
  }

  private func text(_ comparison: Comparison, style: Style) -> String {
    var table = Table([
      ("TENSOR", .left), ("A", .left), ("B", .left), ("VERDICT", .left), ("REL.ERROR", .right), ("SQNR dB", .right), ("COSINE", .right),
      ("MAX", .right),
    ])
    let shown = comparison.tensors.filter { all || $0.verdict == .different || $0.verdict == .missing }
    for tensor in shown {
      table.add([
        tensor.name, tensor.schemes.first ?? "-", tensor.schemes.second ?? "-", tensor.verdict.rawValue,
        tensor.relativeError?.fixed(6) ?? "", tensor.signalToNoise?.fixed(2) ?? "", tensor.cosine?.fixed(6) ?? "",
        tensor.largestDeviation?.fixed(6) ?? "",
      ])
    }
    let counts = Comparison.Verdict.allCases.compactMap { verdict -> String? in
      let count = comparison.tensors.count { $0.verdict == verdict }
      return count == 0 ? nil : "\(count.grouped) \(verdict.rawValue)"
    }
    let summary = "\(comparison.tensors.count.grouped) tensors: " + counts.joined(separator: ", ") + "\n"
    return shown.isEmpty ? summary : table.text(style: style) + "\n" + summary
  }

  private func members(_ comparison: Comparison) -> [JSON.Member] {
    [
      .init("first", .string(first)),
      .init("second", .string(second)),
      .init("equal", .int(comparison.tensors.count { $0.verdict == .equal })),
      .init("repacked", .int(comparison.tensors.count { $0.verdict == .repacked })),
      .init("different", .int(comparison.tensors.count { $0.verdict == .different })),
      .init("missing", .int(comparison.tensors.count { $0.verdict == .missing })),
      .init(
        "tensors",
        .array(
          comparison.tensors.map { tensor in
            .object([
              .init("name", .string(tensor.name)),
              .init("verdict", .string(tensor.verdict.rawValue)),
              .init("first_scheme", JSONOutput.optional(tensor.schemes.first)),
              .init("second_scheme", JSONOutput.optional(tensor.schemes.second)),
              .init("relative_error", Compare.number(tensor.relativeError)),
              .init("sqnr_db", Compare.number(tensor.signalToNoise)),
              .init("cosine", Compare.number(tensor.cosine)),
              .init("largest_deviation", Compare.number(tensor.largestDeviation)),
            ])
          })),
    ]
  }

  /// JSON has no NaN or infinity: such values become null.
  private static func number(_ value: Double?) -> JSON { JSONOutput.optional(value.flatMap { $0.isFinite ? $0 : nil }) }
}
