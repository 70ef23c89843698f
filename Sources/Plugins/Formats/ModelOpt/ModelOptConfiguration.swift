import QuantCore

/// What ModelOpt writes about a folder: `quantization_config` in config.json (newer versions) and hf_quant_config.json.
struct ModelOptConfiguration {
  /// `FP8`, `NVFP4`, …
  let algorithm: String

  /// Algorithms whose tensors can be read.
  static let read = ["FP8", "NVFP4", "W4A16_NVFP4"]

  /// - Returns: nil if the configuration is not ModelOpt's.
  /// - Throws: `Failure` `modelopt.algorithm` if its algorithm is not supported.
  init?(_ configuration: JSON) throws(Failure) {
    let inner = configuration["quantization"] ?? configuration
    guard configuration["quant_method"]?.stringValue == "modelopt" || configuration["producer"]?["name"]?.stringValue == "modelopt" else {
      return nil
    }
    guard let algorithm = inner["quant_algo"]?.stringValue, ModelOptConfiguration.read.contains(algorithm) else {
      let name = inner["quant_algo"]?.stringValue ?? "no single algorithm"
      throw Failure(
        .unsupported, "modelopt.algorithm",
        "its weights are quantized by ModelOpt with \(name); only \(ModelOptConfiguration.read.joined(separator: ", ")) are supported",
        remedy: "Give the unquantized model.")
    }
    self.algorithm = algorithm
  }

  /// The `quantization_config`, from which `file` derives the other file.
  /// - Parameters:
  ///   - bits: of weights, and of inputs if they are rounded.
  ///   - groupLength: how many weights share a scale; nil: all.
  static func json(_ algorithm: String, bits: Int, groupLength: Int?, roundsInputs: Bool, unquantized: [String]) -> JSON {
    var numbers: [JSON.Member] = [.init("dynamic", .bool(false)), .init("num_bits", .int(bits)), .init("type", .string("float"))]
    if let groupLength { numbers.append(.init("group_size", .int(groupLength))) }
    var group: [JSON.Member] = roundsInputs ? [.init("input_activations", .object(numbers))] : []
    group += [.init("weights", .object(numbers)), .init("targets", .array([.string("Linear")]))]
    return .object([
      .init("config_groups", .object([.init("group_0", .object(group))])),
      .init("ignore", .array(unquantized.map { .string($0) })),
      .init("quant_algo", .string(algorithm)),
      .init("producer", producer),
      .init("quant_method", .string("modelopt")),
    ])
  }

  /// Clients recognise the packing by this name.
  private static let producer = JSON.object([.init("name", .string("modelopt"))])

  /// The configuration with a note that keys and values are cached in FP8.
  static func addingCache(_ configuration: JSON) -> JSON {
    let scheme = JSON.object([.init("dynamic", .bool(false)), .init("num_bits", .int(8)), .init("type", .string("float"))])
    return .object((configuration.objectValue ?? []) + [.init(cacheKey, scheme)])
  }
  private static let cacheKey = "kv_cache_scheme"

  /// Where the scales of a cache are stored: beside the layers that make keys and values.
  static func cacheParts(attention: String) -> (keys: StoredPart, values: StoredPart) {
    func number(_ name: String) -> StoredPart { StoredPart(name: "\(attention).\(name)", shape: [], type: .element(.f32), byteCount: 4) }
    return (number("k_proj.k_scale"), number("v_proj.v_scale"))
  }

  /// The file that clients look for beside config.json.
  static func file(_ configuration: JSON) -> (name: String, json: JSON) {
    let cache: JSON = configuration[cacheKey] == nil ? .null : .string("FP8")
    var inner: [JSON.Member] = [.init("quant_algo", configuration["quant_algo"] ?? .null), .init("kv_cache_quant_algo", cache)]
    if let length = configuration["config_groups"]?["group_0"]?["weights"]?["group_size"] { inner.append(.init("group_size", length)) }
    inner.append(.init("exclude_modules", configuration["ignore"] ?? .array([])))
    return ("hf_quant_config.json", .object([.init("producer", producer), .init("quantization", .object(inner))]))
  }

  // MARK: Checking

  /// Whether clients expect a layer to be quantized; names may contain `*`. For `lm_head` they go by its tensors.
  static func expectsQuantized(_ module: String, _ configuration: JSON) -> Bool? {
    let left = (configuration["ignore"] ?? configuration["quantization"]?["exclude_modules"])?.arrayValue ?? []
    let isLeft = left.compactMap(\.stringValue).contains { name in
      let pattern = name.split(separator: "*", omittingEmptySubsequences: false).map { NamePattern.quoted(String($0)) }
      return NamePattern("^" + pattern.joined(separator: ".*") + "$")?.matches(module) == true
    }
    if isLeft { return false }
    return module == "lm_head" ? nil : true
  }

  static func findings(_ configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    var findings = [
      Finding(
        .warning, "modelopt.scales-dropped",
        "transformers misreads the codes of ModelOpt's packing as weights and silently drops their scales; vLLM reads them correctly")
    ]
    findings += Finding.grouped(
      .error, "modelopt.pre-quant-scale", "scales the inputs of a layer at run time, which qconvert does not do",
      in: stored.map(\.name).filter { $0.hasSuffix(".pre_quant_scale") })
    let inner = configuration["quantization"] ?? configuration
    let rounds = inner["kv_cache_quant_algo"]?.stringValue != nil || configuration["kv_cache_scheme"]?.objectValue != nil
    if rounds, !stored.contains(where: { $0.name.hasSuffix(".k_scale") }) {
      findings.append(
        Finding(
          .error, "cache.scales-missing",
          "the configuration rounds cached keys and values, but their scales are missing: clients use 1"))
    }
    return findings
  }
}
