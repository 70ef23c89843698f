import QuantCore

/// The file that a result document is written to. It gets its name after the output has got its own.
struct ResultFile {
  /// The final path of the document.
  let path: String
  private let force: Bool
  private let inputs: [String]

  /// Nil if no document is wanted. The default file beside the output is replaced along with it; any other only with `--force`.
  /// - Throws: `Failure` if the document cannot be written there, before anything is converted.
  init?(_ recipe: Recipe, _ plan: ConversionPlan) throws {
    let output = plan.request.output
    guard let path = recipe.report.path(output: output) else { return nil }
    self.path = path
    force = recipe.report == .beside || plan.request.force
    inputs = plan.source.files
    guard ResultFile.spelt(path) != ResultFile.spelt(output) else {
      throw Failure(
        .usage, "report.is-output", "is both the output and the result document", file: path, remedy: "Choose another --report.")
    }
    // Problems with the output's folder are reported for the output itself.
    var isChecked = Files.exists(path)
    if case .file = recipe.report { isChecked = true }
    if isChecked { _ = try transaction([]) }
  }

  /// Writes the document under a temporary name.
  func write(_ document: JSON) throws(Failure) -> OutputTransaction {
    let transaction = try transaction(Array((document.text(pretty: true) + "\n").utf8))
    try transaction.verify()
    return transaction
  }

  private func transaction(_ bytes: [UInt8]) throws(Failure) -> OutputTransaction {
    let layout = OutputLayout(isFolder: false, files: [.init(name: "", size: bytes.count, literals: [(0, bytes)])], placements: [])
    return try OutputTransaction(layout: layout, target: path, force: force, inputs: inputs)
  }

  private static func spelt(_ path: String) -> String { Files.join(Files.folder(of: path), Files.lastComponent(path)) }
}
