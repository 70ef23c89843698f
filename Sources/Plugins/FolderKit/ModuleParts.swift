public import QuantCore

/// The stored tensors of a folder whose quantized layers have a weight `X.weight` and parts with longer names beside it.
public struct ModuleParts {
  private let stored: [CheckpointTensor]
  private let byName: [String: CheckpointTensor]
  /// Names of parts that are no weights: scales of weights, of inputs, of caches.
  private let partNames: Set<String>
  /// Quantized layers (their names without `.weight`), in the order of the file.
  public let modules: [String]

  /// - Parameters:
  ///   - weightParts: what is added to `X.weight` for its other parts; a layer with one of them is quantized.
  ///   - moduleParts: what is added to `X.` for further tensors of a quantized layer.
  public init(_ stored: [CheckpointTensor], weightParts: [String], moduleParts: [String]) {
    self.stored = stored
    byName = Dictionary(stored.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let endings = weightParts.map { ".weight" + $0 }
    var modules: [String] = []
    var names: Set<String> = []
    for tensor in stored where !names.contains(tensor.name) {
      guard let ending = endings.first(where: { tensor.name.hasSuffix($0) }) else { continue }
      let module = String(tensor.name.dropLast(ending.count))
      modules.append(module)
      names.formUnion(weightParts.map { module + ".weight" + $0 })
      names.formUnion(moduleParts.map { module + "." + $0 })
    }
    // Scales of a cache belong to an attention, or to the layers that make keys and values.
    for tensor in stored where tensor.name.hasSuffix(".k_scale") || tensor.name.hasSuffix(".v_scale") { names.insert(tensor.name) }
    partNames = names
    self.modules = modules
  }

  /// A stored tensor by its whole name.
  public subscript(name: String) -> CheckpointTensor? { byName[name] }

  /// A stored tensor that must be there.
  /// - Throws: `Failure` `quantized.part-missing`.
  public func part(_ name: String) throws(Failure) -> CheckpointTensor {
    guard let tensor = byName[name] else {
      throw Failure(.data, "quantized.part-missing", "belongs to a quantized layer, and is not there", tensor: name)
    }
    return tensor
  }

  /// The logical tensors: each quantized weight in the place of its codes, parts left out, everything else as it is.
  /// - Parameter weight: makes the weight of a layer.
  public func logical(_ weight: (_ module: String) throws -> CheckpointTensor) throws -> [CheckpointTensor] {
    let quantized = Set(modules)
    for module in modules { _ = try part(module + ".weight") }
    return try stored.filter { !partNames.contains($0.name) }.map { tensor in
      guard tensor.name.hasSuffix(".weight") else { return tensor }
      let module = String(tensor.name.dropLast(".weight".count))
      if quantized.contains(module) { return try weight(module) }
      guard tensor.storage.elementType?.needsScale != true else {
        throw Failure(
          .data, "quantized.part-missing", "has codes of type \(tensor.storage.schemeName) and no scale beside it", tensor: tensor.name)
      }
      return tensor
    }
  }

  /// The scales of 8-bit caches, by block.
  /// - Throws: `Failure` where one of two is missing or no number.
  public func caches() throws(Failure) -> [Int: ActivationRecord.CacheScales] {
    var caches: [Int: ActivationRecord.CacheScales] = [:]
    for tensor in stored where tensor.name.hasSuffix(".k_scale") {
      // The block's number is the first one in a name.
      guard let block = tensor.name.split(separator: ".").lazy.compactMap({ Int($0) }).first else { continue }
      let inAttention = tensor.name.dropLast(".k_scale".count) + ".v_scale"
      let inLayer =
        tensor.name.hasSuffix(".k_proj.k_scale") ? tensor.name.dropLast(".k_proj.k_scale".count) + ".v_proj.v_scale" : inAttention
      caches[block] = .init(keys: try ScaledFloatStorage.scale(tensor), values: try ScaledFloatStorage.scale(part(String(inLayer))))
    }
    return caches
  }
}
