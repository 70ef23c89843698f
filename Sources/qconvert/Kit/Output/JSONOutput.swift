import QuantCore

/// The documents of `--json`. Keys and their order are part of the interface (`Docs/commands.md`).
enum JSONOutput {
  /// `ok`, the members, and the error if something failed.
  static func document(_ members: [JSON.Member], _ failure: Failure? = nil) -> JSON {
    .object([.init("ok", .bool(failure == nil))] + members + (failure.map { [.init("error", error($0))] } ?? []))
  }

  /// A document as it is printed. JSON allows the control characters U+0080 to U+009F, but a terminal obeys them.
  static func text(_ document: JSON) -> String {
    var result = ""
    for scalar in document.text(pretty: true).unicodeScalars {
      if (0x80...0x9f).contains(scalar.value) {
        result += "\\u00" + String(scalar.value, radix: 16)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result + "\n"
  }

  private static func error(_ failure: Failure) -> JSON {
    .object([
      .init("id", .string(failure.id)),
      .init("kind", .string(Wording.name(failure.kind))),
      .init("file", optional(failure.file)),
      .init("tensor", optional(failure.tensor)),
      .init("offset", optional(failure.byteOffset)),
      .init("message", .string(failure.message)),
      .init("remedy", optional(failure.remedy.map { Wording.spelled($0) })),
    ])
  }

  /// The document of `plan`.
  static func members(_ plan: ConversionPlan) -> [JSON.Member] {
    [
      .init("input", .string(plan.request.input)),
      .init("output", .string(plan.request.output)),
      .init("from", .string(plan.source.format)),
      .init("to", .string(plan.format.id)),
      .init("family", optional(plan.model?.family)),
      .init("bytes", .int(plan.totalSize)),
      .init("bits_per_weight", .double(plan.bitsPerWeight)),
      .init("memory_bytes", .int(plan.memoryBytes)),
      .init(
        "files",
        .array(
          plan.layout.files.map { file in
            // An output that is a single file has the name that was asked for.
            let name = file.name.isEmpty ? Files.lastComponent(plan.request.output) : file.name
            return .object([.init("name", .string(name)), .init("bytes", .int(file.size))])
          })),
      .init(
        "tensors",
        .array(
          plan.tensors.map { tensor in
            .object([
              .init("name", .string(tensor.name)),
              .init("source", .string(tensor.sourceName)),
              .init("shape", ints(tensor.shape)),
              .init("scheme", .string(tensor.scheme.name)),
              .init("activations", optional(tensor.activations?.name)),
              .init("bytes", .int(tensor.byteCount)),
              .init("copied", .bool(tensor.isCopy)),
              .init("note", optional(tensor.note)),
            ])
          })),
    ] + (plan.sizes.map { [.init("expected_kld", .double($0.divergence)), .init("front", front($0.front))] } ?? [])
      + [.init("warnings", strings(plan.warnings))]
  }

  /// Sizes with the divergence to expect.
  static func front(_ points: [SizeOutcome.Point]) -> JSON {
    .array(
      points.map { point in
        .object([
          .init("bytes", .int(point.bytes)), .init("bits_per_weight", .double(point.bitsPerWeight)),
          .init("kld", .double(point.divergence)),
        ])
      })
  }

  static func optional(_ text: String?) -> JSON { text.map { .string($0) } ?? .null }
  static func optional(_ number: Double?) -> JSON { number.map { .double($0) } ?? .null }
  static func optional(_ number: Int?) -> JSON { number.map { .int($0) } ?? .null }
  static func strings(_ texts: [String]) -> JSON { .array(texts.map { .string($0) }) }
  static func ints(_ numbers: [Int]) -> JSON { .array(numbers.map { .int($0) }) }
}

extension PlannedTensor {
  /// Bytes of all stored parts.
  var byteCount: Int { parts.reduce(0) { $0 + $1.byteCount } }
}
