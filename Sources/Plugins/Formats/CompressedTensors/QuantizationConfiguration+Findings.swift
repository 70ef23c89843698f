import QuantCore

/// What clients refuse or silently misread in a folder that qconvert can read.
extension QuantizationConfiguration {
  static func findings(_ configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    guard let groups = try? ConfigGroups(configuration) else { return [] }
    let weights = stored.filter { $0.name.hasSuffix(".weight") || $0.name.hasSuffix(".weight_packed") }
    let modules = Set(weights.map { String($0.name[..<($0.name.lastIndex(of: ".") ?? $0.name.endIndex)]) })
    return keys(configuration) + targets(groups, modules) + words(groups, stored) + zeroPoints(groups, stored)
      + caches(configuration, stored)
  }

  // MARK: The configuration

  private static func keys(_ configuration: JSON) -> [Finding] {
    var findings: [Finding] = []
    let arguments = (configuration["config_groups"]?.objectValue ?? []).flatMap { group in
      ["weights", "input_activations", "output_activations"].compactMap { group.value[$0] }
    }
    let unknown = ["scale_dtype", "zp_dtype"].filter { key in arguments.contains { $0[key]?.isNull == true } }
    if !unknown.isEmpty {
      findings.append(
        Finding(
          .warning, "ct.later-keys",
          "the configuration has keys without a value (\(unknown.joined(separator: ", "))), which compressed-tensors 0.12 refuses"))
    }
    if configuration["sparsity_config"]?.objectValue?.isEmpty == false {
      findings.append(Finding(.warning, "ct.sparsity", "the configuration describes sparse weights (sparsity_config), which vLLM refuses"))
    }
    if let order = arguments.compactMap({ $0["actorder"]?.stringValue }).first(where: { $0 == "group" || $0 == "dynamic" }) {
      findings.append(
        Finding(
          .warning, "ct.act-order",
          "'actorder' is '\(order)': compressed-tensors from 0.19 on and vLLM from 0.32 on refuse groups in the order of activations"))
    }
    return findings
  }

  private static func targets(_ groups: ConfigGroups, _ modules: Set<String>) -> [Finding] {
    groups.targetsWithout(modules).map { target in
      Finding(.error, "ct.target-missing", "the configuration quantizes '\(target)', but no layer has that name")
    }
      + Finding.grouped(
        .warning, "ct.targets-overlap", "matches patterns of several config groups, and clients differ in which they use",
        in: modules.filter { groups.isAmbiguous($0) }.sorted())
  }

  // MARK: Tensors

  /// Codes with a width that does not divide 32.
  private static func words(_ groups: ConfigGroups, _ stored: [CheckpointTensor]) -> [Finding] {
    var (dense, gapped): ([String], [String]) = ([], [])
    let byName = Dictionary(stored.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for tensor in stored where tensor.name.hasSuffix(".weight_packed") && tensor.storage.elementType == .i32 {
      let weight = String(tensor.name.dropLast("_packed".count))
      guard let arguments = groups.group(of: weight)?.arguments, arguments.bits > 0, !32.isMultiple(of: arguments.bits),
        let words = tensor.shape.last, let columns = byName[weight + "_shape"].flatMap({ columns($0) })
      else { continue }
      if WordLayout(bits: arguments.bits).words(for: columns) == words { dense.append(weight) } else { gapped.append(weight) }
    }
    return Finding.grouped(
      .warning, "ct.word-layout",
      "has codes that cross word boundaries: compressed-tensors reads them from 0.18 on, vLLM (0.32) not at all", in: dense)
      + Finding.grouped(
        .warning, "ct.word-layout", "has words with gaps between codes: compressed-tensors reads them before 0.18 only", in: gapped)
  }

  private static func columns(_ shape: CheckpointTensor) -> Int? {
    guard let bytes = shape.storage.verbatim, bytes.count == 16 else { return nil }
    return bytes.withUnsafeBytes { Int(exactly: Int64(littleEndian: $0.loadUnaligned(fromByteOffset: 8, as: Int64.self))) }
  }

  /// Zero points of groups that the configuration calls symmetric, unless they are the middle code, as in such groups.
  private static func zeroPoints(_ groups: ConfigGroups, _ stored: [CheckpointTensor]) -> [Finding] {
    let found = stored.filter { tensor in
      guard tensor.name.hasSuffix(".weight_zero_point"), let bytes = tensor.storage.verbatim, bytes.count > 0 else { return false }
      let arguments = groups.group(of: String(tensor.name.dropLast("_zero_point".count)))?.arguments
      guard let arguments, arguments.isSymmetric else { return false }
      // Signed bytes, or words of codes.
      let isPacked = tensor.storage.elementType == .i32 && 8.isMultiple(of: max(1, arguments.bits))
      let middle: UInt8 = !isPacked ? 0 : arguments.bits == 4 ? 0x88 : arguments.bits == 2 ? 0xaa : 0x80
      return bytes.withUnsafeBytes { $0.contains { $0 != middle } }
    }
    return Finding.grouped(
      .error, "ct.zero-points", "holds zero points, but the configuration says that groups are symmetric: clients ignore them",
      in: found.map(\.name))
  }

  private static func caches(_ configuration: JSON, _ stored: [CheckpointTensor]) -> [Finding] {
    let scales = stored.filter { $0.name.hasSuffix("." + StoredInput.keySuffix) || $0.name.hasSuffix("." + StoredInput.valueSuffix) }
    let isStated = configuration["kv_cache_scheme"]?.isNull == false
    if isStated, scales.isEmpty {
      return [
        Finding(
          .error, "cache.scales-missing", "the configuration rounds cached keys and values, but their scales are missing: clients use 1")
      ]
    }
    return isStated
      ? []
      : Finding.grouped(
        .warning, "cache.scales-unused", "is a scale of cached keys or values, but the configuration does not round them",
        in: scales.map(\.name))
  }
}
