import ArgumentParser
import QuantCore

/// `qconvert validate PATH`: whether a checkpoint is sound, down to its last value.
struct Validate: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate", abstract: "Check the structure and every value of a checkpoint.",
    discussion: "Reads the whole checkpoint. Exits with code 65 if there are errors; warnings alone do not count.")

  @Argument(help: ArgumentHelp("Checkpoint to check: a file or a folder.", valueName: "PATH"))
  var path: String

  @Option(name: .shortAndLong, help: ArgumentHelp("Read PATH as this format. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Option(help: ArgumentHelp("Read this config.json instead of the one beside PATH.", valueName: "FILE"))
  var config: String?

  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let opening = Opening(registry)
    let checkpoint = try opening.open(path, format: from, configPath: config)
    let validation = try Validation(checkpoint, opening: opening, threads: global.threadCount())
    let errors = validation.findings.filter { $0.severity == .error }
    if !session.isJSON { try session.console.data(text(validation, checkpoint)) }
    let failure = errors.first.map {
      Failure(
        .data, "validate.errors", "\(errors.count.grouped) errors found; the first: \($0.message)", file: path, tensor: $0.tensor)
    }
    let document = JSONOutput.document(members(validation, checkpoint), failure)
    if let failure { throw Rejection(failure: failure, document: document) }
    if session.isJSON { try session.answer(document, text: "") }
  }

  private func text(_ validation: Validation, _ checkpoint: Checkpoint) -> String {
    var text = ""
    for finding in validation.findings {
      let subject = finding.tensor.map { "tensor '\(Wording.printable($0))': " } ?? ""
      text += "\(finding.severity.rawValue): \(subject)\(Wording.printable(finding.message)) [\(finding.id)]\n"
    }
    let count = checkpoint.tensors.count.grouped
    let errors = validation.findings.count { $0.severity == .error }
    return text + "\(count) tensors, \(errors.grouped) errors, \((validation.findings.count - errors).grouped) warnings\n"
  }

  private func members(_ validation: Validation, _ checkpoint: Checkpoint) -> [JSON.Member] {
    [
      .init("path", .string(path)),
      .init("container", .string(checkpoint.format)),
      .init("tensors", .int(checkpoint.tensors.count)),
      .init(
        "findings",
        .array(
          validation.findings.map { finding in
            .object([
              .init("severity", .string(finding.severity.rawValue)),
              .init("id", .string(finding.id)),
              .init("tensor", JSONOutput.optional(finding.tensor)),
              .init("message", .string(finding.message)),
            ])
          })),
    ]
  }
}
