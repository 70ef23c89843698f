import QuantCore

/// The file that a result document is written to. It gets its name after the output has its own.
struct ResultFile {
  /// Where the document will stand.
  let path: String
  private let force: Bool
  private let inputs: [String]

  /// Nil where no document is wanted. A file named for the output is replaced with it; any other one only with `--force`.
  /// - Throws: `Failure` where the place cannot be, before anything is converted.
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
    // What holds for the output's folder is said of the output.
    var isChecked = Files.exists(path)
    if case .file = recipe.report { isChecked = true }
    if isChecked { _ = try transaction([]) }
  }

  /// The document under a temporary name.
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
