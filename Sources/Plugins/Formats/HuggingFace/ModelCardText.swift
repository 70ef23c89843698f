import QuantCore

/// The model card of an output: what it is, how it was made, and what was measured.
struct ModelCardText {
  /// The space for a figure, in bytes.
  private static let slotLength = 48

  private(set) var bytes: [UInt8] = []
  /// The figures, with the offsets of their slots.
  private(set) var slots: [(figure: String, offset: Int)] = []

  /// The card of a model.
  static func model(_ request: OutputRequest) -> ModelCardText {
    let quantized = request.tensors.filter { $0.scheme.grid.kind != .float }.count
    let bytes = request.tensors.reduce(0) { $0 + $1.parts.reduce(0) { $0 + $1.byteCount } }
    var card = ModelCardText(library: "transformers", tags: ["qconvert"], title: request.targetName)
    card.add(
      "Made by qconvert as `\(request.presetName)`: \(quantized) of \(request.tensors.count) tensors are quantized, "
        + "\(bytes) bytes of weights.")
    card.addTables(request)
    return card
  }

  /// The card of an adapter.
  static func adapter(_ request: OutputRequest) -> ModelCardText {
    let ranks = (request.source.adapter?.ranks ?? []).map { String($0) }.joined(separator: ", ")
    var card = ModelCardText(library: "peft", tags: ["lora", "qconvert"], title: request.targetName)
    card.add("A LoRA adapter of rank \(ranks), written by qconvert.")
    card.addTables(request)
    return card
  }

  private init(library: String, tags: [String], title: String) {
    add("---\nlibrary_name: \(library)\ntags:")
    for tag in tags { add("- \(tag)") }
    add("---\n\n# \(title)\n")
  }

  private mutating func add(_ line: String) { bytes += Array((line + "\n").utf8) }

  private mutating func addTables(_ request: OutputRequest) {
    if !request.figures.isEmpty {
      add("\n## Measured\n\n| | |\n|---|---|")
      for figure in request.figures {
        bytes += Array("| \(figure.title.inCell) | ".utf8)
        slots.append((figure.id, bytes.count))
        add(String(repeating: " ", count: ModelCardText.slotLength) + " |")
      }
    }
    if !request.provenance.isEmpty {
      add("\n## Provenance\n\n| | |\n|---|---|")
      for fact in request.provenance { add("| \(fact.key) | \(fact.value.inCell) |") }
    }
  }

  /// The slots, if the card is file `index` of the output.
  func slots(file index: Int) -> [OutputLayout.Slot] {
    slots.map { OutputLayout.Slot(figure: $0.figure, file: index, offset: $0.offset, byteCount: ModelCardText.slotLength) }
  }
}

extension String {
  /// The text, made fit for a cell of a table.
  fileprivate var inCell: String {
    String(map { character in character == "|" ? "/" : character.isNewline ? " " : character })
  }
}
