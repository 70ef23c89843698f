import QuantCore

/// `input_activations` of a config group, and `kv_cache_scheme`.
extension QuantizationConfiguration {
  static func json(_ activations: ActivationScheme) -> JSON {
    if activations == .nvfp4 { return nvfp4Inputs }
    let strategy =
      switch activations.granularity {
      case .token: "token"
      case .group: "group"
      case .tensor: "tensor"
      case .channel: "channel"
      }
    var members: [JSON.Member] = [
      .init("num_bits", .int(activations.element.bits)),
      .init("type", .string(activations.element == .fp8 ? "float" : "int")),
      .init("symmetric", .bool(activations.isSymmetric)),
      .init("dynamic", .bool(!activations.isStatic)),
      .init("strategy", .string(strategy)),
    ]
    if let length = activations.groupLength { members.append(.init("group_size", .int(length))) }
    return .object(members)
  }

  /// The type of local scales is stated: without it, clients that round inputs leave the local scales unrounded.
  private static let nvfp4Inputs = JSON.object([
    .init("num_bits", .int(4)), .init("type", .string("float")), .init("symmetric", .bool(true)), .init("dynamic", .string("local")),
    .init("strategy", .string("tensor_group")), .init("group_size", .int(NVFP4Scheme.length)),
    .init("scale_dtype", .string("torch.float8_e4m3fn")),
  ])

  static func adding(cache scheme: ActivationScheme, to configuration: JSON) -> JSON {
    guard case .object(let members) = configuration else { return configuration }
    return .object(members + [.init("kv_cache_scheme", json(scheme))])
  }

  // MARK: Reading

  /// The scheme that an object with these keys describes, or nil if it is unknown.
  static func inputs(_ json: JSON) -> ActivationScheme? {
    let element: ActivationScheme.Element
    switch (json["type"]?.stringValue ?? "int", json["num_bits"]?.intValue) {
    case ("int", 8): element = .int8
    case ("int", 4): element = .int4
    case ("float", 8): element = .fp8
    case ("float", 4):
      let isNVFP4 = json["strategy"]?.stringValue == "tensor_group" && json["group_size"]?.intValue == NVFP4Scheme.length
      return isNVFP4 && json["dynamic"]?.stringValue == "local" ? .nvfp4 : nil
    default: return nil
    }
    let isSymmetric = json["symmetric"]?.boolValue ?? true
    // `dynamic` may be a word, for schemes that are partly static.
    let isStatic: Bool
    switch json["dynamic"] {
    case .bool(let isDynamic): isStatic = !isDynamic
    case nil: isStatic = true
    default: return nil
    }
    switch (json["strategy"]?.stringValue, isStatic) {
    case ("token", false): return ActivationScheme(element, .token, isSymmetric: isSymmetric)
    case ("tensor", _): return ActivationScheme(element, .tensor, isStatic: isStatic, isSymmetric: isSymmetric)
    case ("group", false):
      guard let length = json["group_size"]?.intValue, length > 0 else { return nil }
      return ActivationScheme(element, .group(length), isSymmetric: isSymmetric)
    default: return nil
    }
  }

  /// How inputs, keys and values are rounded.
  /// - Throws: `Failure` if a stored scale is missing or not one positive value.
  static func activations(_ configuration: JSON, format: String, stored: [CheckpointTensor]) throws -> ActivationRecord {
    var record = ActivationRecord()
    guard let groups = try ConfigGroups(configuration) else { return record }
    let tensors = Dictionary(stored.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for tensor in stored where tensor.name.hasSuffix(".weight_scale") {
      let weight = String(tensor.name.dropLast("_scale".count))
      guard let scheme = groups.group(of: weight)?.inputs else { continue }
      let module = String(weight.dropLast(".weight".count))
      var input = ActivationRecord.Input(scheme)
      if scheme.isStatic {
        let suffix = scheme == .nvfp4 ? StoredInput.globalScaleSuffix : StoredInput.scaleSuffix
        input.scale = try StoredInput.scale("\(module).\(suffix)", tensors)
        if !scheme.isSymmetric { input.zeroPoint = try StoredInput.zeroPoint("\(module).\(StoredInput.zeroPointSuffix)", tensors) }
      }
      record.inputs[module] = input
    }
    guard let cache = configuration["kv_cache_scheme"].flatMap({ inputs($0) }), StoredInput.holds(cache: cache) else { return record }
    for tensor in stored where tensor.name.hasSuffix("." + StoredInput.keySuffix) {
      // The block's number is the first one in a name.
      guard let block = tensor.name.split(separator: ".").lazy.compactMap({ Int($0) }).first else { continue }
      let values = String(tensor.name.dropLast(StoredInput.keySuffix.count)) + StoredInput.valueSuffix
      record.caches[block] = .init(
        keys: try StoredInput.scale(tensor.name, tensors), values: try StoredInput.scale(values, tensors), scheme: cache)
    }
    return record
  }
}
