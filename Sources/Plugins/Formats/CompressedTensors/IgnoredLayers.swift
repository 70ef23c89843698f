import QuantCore

/// `ignore` of a configuration: the linear layers that are not quantized, in patterns that fit the names of every client.
///
/// The trap: clients match `ignore` against the names of their modules, not against those of tensors. transformers 5 renames both while it
/// loads (`vision_tower.…` of a LLaVA becomes `model.vision_tower.…`, `block_sparse_moe.gate` of a Mixtral `mlp.gate`), so full names
/// would miss, and the client would look for codes. What stays the same is the name of a tower, and that of the layer itself.
struct IgnoredLayers {
  private let quantized: [String]
  /// Parts of the names of quantized layers before the last.
  private let quantizedModules: Set<Substring>
  /// Last parts of the names of quantized layers.
  private let quantizedLayers: Set<Substring>

  /// - Parameter quantized: names of the layers that no entry may match.
  init(besides quantized: [String]) {
    self.quantized = quantized
    quantizedModules = Set(quantized.flatMap { $0.split(separator: ".").dropLast() })
    quantizedLayers = Set(quantized.compactMap { $0.split(separator: ".").last })
  }

  /// Names that transformers gives to layers (`conversion_mapping.py`), where the last part changes.
  private static let renamed = [
    "gate": "router",  // PhiMoE
    "wq_b": "q_b_proj",  // DeepSeek V4
  ]

  /// The entries for some layers, in their order and without repetition.
  func entries(for unquantized: [String]) -> [String] {
    var seen: Set<String> = []
    return unquantized.map(entry).filter { seen.insert($0).inserted }
  }

  /// The shortest pattern that matches a layer under all its names, and no quantized one.
  private func entry(for name: String) -> String {
    let parts = name.split(separator: ".")
    guard parts.count > 1, let layer = parts.last else { return name }
    func isOwn(_ part: Substring) -> Bool { Int(part) == nil && !quantizedModules.contains(part) && !quantizedLayers.contains(part) }
    let modules = parts.dropLast()
    // A tower: a module outside of any numbered block that holds no quantized layer.
    if let tower = modules.prefix(while: { Int($0) == nil }).first(where: isOwn) { return IgnoredLayers.pattern(tower) + #"\..*"# }
    // A kind of layer that is nowhere quantized.
    if isOwn(layer) { return IgnoredLayers.pattern(layer, or: other(than: layer)) + "$" }
    if let module = modules.first(where: isOwn) { return IgnoredLayers.pattern(module) + #"\..*"# }
    // One of several layers of a kind: the end of its name, from the number of its block on.
    let block = max(1, parts.firstIndex { Int($0) != nil } ?? 1) - 1
    for start in stride(from: block, through: 0, by: -1) {
      let end = parts[start...].joined(separator: ".")
      if !quantized.contains(where: { $0 == end || $0.hasSuffix("." + end) }) { return IgnoredLayers.pattern(end[...]) + "$" }
    }
    return name
  }

  private func other(than layer: Substring) -> String? {
    IgnoredLayers.renamed[String(layer)].flatMap { quantizedLayers.contains($0[...]) ? nil : $0 }
  }

  /// A pattern for whole parts of names, whatever is before them.
  private static func pattern(_ parts: Substring, or other: String? = nil) -> String {
    let quoted = NamePattern.quoted(String(parts))
    return #"re:(.*\.)?"# + (other.map { "(\(quoted)|\(NamePattern.quoted($0)))" } ?? quoted)
  }
}
