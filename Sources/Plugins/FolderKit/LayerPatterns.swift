import QuantCore

/// Patterns for some layers of a folder that fit the names of every client, and no other layer.
///
/// The trap: clients match the lists of a configuration against the names of their modules, not against those of tensors. transformers 5
/// renames both while it loads (`vision_tower.…` of a LLaVA becomes `model.vision_tower.…`, `block_sparse_moe.gate` of a Mixtral
/// `mlp.gate`), so full names would miss. What stays the same is the name of a tower, that of the layer itself, and what is between the
/// number of its block and itself.
public struct LayerPatterns {
  /// What stands for one or more layers.
  public enum Entry: Hashable {
    /// The only name that a layer has.
    case name(String)
    /// A regular expression for whole names, from their beginning.
    case expression(String)
  }

  /// Parts of the names of other layers before the last.
  private let otherModules: Set<Substring>
  /// Last parts of the names of other layers.
  private let otherLayers: Set<Substring>
  /// Runs of parts of the names of other layers.
  private let otherRuns: Set<Substring>

  /// - Parameter others: names of the layers that no entry may match.
  public init(besides others: [String]) {
    let names = others.map { $0.split(separator: ".") }
    otherModules = Set(names.flatMap { $0.dropLast() })
    otherLayers = Set(names.compactMap(\.last))
    var runs: Set<Substring> = []
    // Anywhere in them: a pattern does not say what is before it.
    for (name, parts) in zip(others, names) {
      for first in parts.indices {
        for last in parts[first...] { runs.insert(name[parts[first].startIndex..<last.endIndex]) }
      }
    }
    otherRuns = runs
  }

  /// Where the end of a name begins that no client changes: before the number of the block, or further to the left.
  private static func starts(_ parts: [Substring]) -> [Int] {
    let block = max(1, parts.firstIndex { Int($0) != nil } ?? 1) - 1
    return Array((0...block).reversed())
  }

  /// Names that transformers gives to layers (`conversion_mapping.py`), where the last part changes.
  private static let renamed = [
    "gate": "router",  // PhiMoE
    "wq_b": "q_b_proj",  // DeepSeek V4
  ]

  /// The entries for some layers, in their order and without repetition.
  public func entries(for layers: [String]) -> [Entry] {
    var seen: Set<Entry> = []
    return layers.map(entry).filter { seen.insert($0).inserted }
  }

  /// The shortest pattern that matches a layer under all its names, and no other layer.
  private func entry(for name: String) -> Entry {
    let parts = name.split(separator: ".")
    guard parts.count > 1, let layer = parts.last else { return .name(name) }
    let modules = parts.dropLast()
    // Experts: where classes keep those of a layer in one parameter, they look for a pattern with this word.
    if modules.contains(LayerPatterns.experts), isOwn(LayerPatterns.experts) { return within(LayerPatterns.experts) }
    // A tower: a module outside of any numbered block that holds no other layer.
    if let tower = modules.prefix(while: { Int($0) == nil }).first(where: isOwn) { return within(tower) }
    // A kind of layer that no other layer is of.
    if isOwn(layer) { return LayerPatterns.expression(layer, or: other(than: layer), "$") }
    if let module = modules.first(where: isOwn) { return within(module) }
    // One of several of a kind: its block, a module of it, or the layer itself.
    for first in LayerPatterns.starts(parts) {
      guard let last = parts[first...].first(where: { !otherRuns.contains(name[parts[first].startIndex..<$0.endIndex]) }) else { continue }
      let run = name[parts[first].startIndex..<last.endIndex]
      return run.endIndex == name.endIndex ? LayerPatterns.expression(run, "$") : within(run)
    }
    return .name(name)
  }

  private static let experts: Substring = "experts"

  private func isOwn(_ part: Substring) -> Bool { Int(part) == nil && !otherModules.contains(part) && !otherLayers.contains(part) }

  private func other(than layer: Substring) -> String? {
    LayerPatterns.renamed[String(layer)].flatMap { otherLayers.contains($0[...]) ? nil : $0 }
  }

  private func within(_ module: Substring) -> Entry { LayerPatterns.expression(module, #"\..*"#) }

  /// A pattern for whole parts of names, whatever is before them.
  private static func expression(_ parts: Substring, or other: String? = nil, _ end: String) -> Entry {
    let quoted = NamePattern.quoted(String(parts))
    return .expression(#"(.*\.)?"# + (other.map { "(\(quoted)|\(NamePattern.quoted($0)))" } ?? quoted) + end)
  }
}

extension [LayerPatterns.Entry] {
  /// Whether they are no more patterns than a configuration may have.
  public var areFew: Bool { count { if case .expression = $0 { true } else { false } } <= NamePattern.maximumCount }
}
