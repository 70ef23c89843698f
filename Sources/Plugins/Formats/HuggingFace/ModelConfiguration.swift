import FolderKit
import QuantCore

/// The `config.json` of an output: that of the source, with the changes that quantization makes.
enum ModelConfiguration {
  static func json(_ request: OutputRequest) throws -> JSON {
    var members = try stated(request)
    if let (keys, configuration) = try quantization(request) {
      members += keys.map { .init($0, configuration) }
    } else if let name = typeName(request.tensors) {
      // Newer files say `dtype`; clients know both.
      let keys = members.indices.filter { members[$0].key == "torch_dtype" || members[$0].key == "dtype" }
      for index in keys { members[index].value = .string(name) }
      if keys.isEmpty { members.append(.init("torch_dtype", .string(name))) }
    }
    return .object(members)
  }

  /// The source's configuration without its quantization.
  private static func stated(_ request: OutputRequest) throws -> [JSON.Member] {
    let configuration = request.source.configuration
    if let json = configuration?.json, json.objectValue != nil { return unquantized(json) }
    guard configuration?.keyValues != nil else {
      throw Failure(
        .unsupported, "hf.config", "has no config.json, which a Hugging Face folder needs", file: request.source.path,
        remedy: "Give the model's config.json with \(setting: "config").")
    }
    let type = typeName(request.tensors.filter { $0.scheme.grid.kind == .float && $0.shape.count >= 2 }) ?? "bfloat16"
    return try RebuiltFiles.configuration(request) + [.init("torch_dtype", .string(type))]
  }

  /// Without what says how the weights of the source are quantized.
  private static func unquantized(_ json: JSON) -> [JSON.Member] {
    let keys = CompanionFiles.quantizationKeys(in: json)
    return (json.objectValue ?? []).filter { !keys.contains($0.key) }.map { member in
      guard CompanionFiles.languageModels.contains(member.key), member.value.objectValue != nil else { return member }
      return JSON.Member(member.key, .object(unquantized(member.value)))
    }
  }

  /// The configuration of the packings that need one, and its keys; or nil.
  private static func quantization(_ request: OutputRequest) throws -> (keys: [String], json: JSON)? {
    let source = request.source
    let stated = source.naming == HuggingFaceFormat.naming ? source.configuration : request.model?.configurations[HuggingFaceFormat.naming]
    func isUnpacked(_ tensor: PlannedTensor) -> Bool {
      isLinear(tensor, model: request.model)
        || tensor.packing.holdsOuterMatrices && HuggingFaceFormat.outerRole(tensor.name, id: tensor.id) != nil
        || (tensor.packing as? any StackPacking)?.holdsStack(tensor.name, configuration: stated) == true
    }
    if let table = request.tensors.first(where: { $0.scheme.grid.kind != .float && !isUnpacked($0) }) {
      throw Failure(
        .unsupported, "hf.not-linear", "a folder cannot hold this as \(table.scheme.name): clients unpack linear layers only",
        tensor: table.name, remedy: "Choose f16, bf16 or f32 for this tensor.")
    }
    var found: (kind: String, keys: [String], json: JSON)?
    let unquantized = unquantizedModules(request)
    var asked: Set<String> = []
    let described = request.tensors.compactMap { tensor in (tensor.packing as? any FolderPacking).map { (tensor: tensor, packing: $0) } }
    for (tensor, packing) in described where asked.insert(packing.configurationKind).inserted {
      let kind = packing.configurationKind
      let modules = described.filter { $0.packing.configurationKind == kind }.map { tensor, packing in
        QuantizedModule(
          name: QuantizedModule.name(ofWeight: tensor.name), scheme: tensor.scheme, activations: tensor.activations,
          packing: type(of: packing).id)
      }
      guard let json = try packing.configuration(modules: modules, unquantized: unquantized) else { continue }
      if let found {
        throw Failure(
          .unsupported, "hf.mixed-packings",
          "tensors are packed both for '\(found.kind)' and for '\(kind)', but a folder can describe only one",
          tensor: tensor.name, remedy: "Choose schemes that one of the two holds.")
      }
      let described = request.cache.map { packing.configuration(json, addingCache: $0) } ?? json
      found = (kind, packing.furtherConfigurationKeys + ["quantization_config"], described)
    }
    return found.map { ($0.keys, $0.json) }
  }

  /// Files that repeat the configuration for older clients.
  static func files(_ request: OutputRequest, _ configuration: JSON) -> [(name: String, json: JSON)] {
    guard let quantization = configuration["quantization_config"] else { return [] }
    var files: [(name: String, json: JSON)] = []
    for packing in request.tensors.compactMap({ $0.packing as? any FolderPacking }) {
      for file in packing.files(configuration: quantization) where !files.contains(where: { $0.name == file.name }) {
        files.append(file)
      }
    }
    return files
  }

  /// Linear layers, and stacks of experts, that are not quantized. A tied output matrix has no tensor of its own, but clients build
  /// its layer all the same.
  private static func unquantizedModules(_ request: OutputRequest) -> [String] {
    let plain = request.tensors.filter { $0.scheme.grid.kind == .float && isLinear($0, model: request.model) }.map {
      QuantizedModule.name(ofWeight: $0.name)
    }
    // Experts in one stack are parameters of the module that holds them.
    let stacks = request.tensors.filter { $0.scheme.grid.kind == .float && $0.shape.count == 3 && $0.id?.expert != nil }
    var holders: [String] = []
    for stack in stacks {
      let holder = stack.name.split(separator: ".").dropLast().joined(separator: ".")
      if !holders.contains(holder) { holders.append(holder) }
    }
    let hasHead = request.tensors.contains { QuantizedModule.name(ofWeight: $0.name) == "lm_head" }
    return plain + holders + (hasHead ? [] : ["lm_head"])
  }

  private static func isLinear(_ tensor: PlannedTensor, model: ModelDescription?) -> Bool {
    QuantizedModule.isLinear(tensor.name, shape: tensor.shape, id: tensor.id, model: model)
  }

  /// What PyTorch calls the type that holds most of the bytes.
  private static func typeName(_ tensors: [PlannedTensor]) -> String? {
    var bytes: [String: Int] = [:]
    for tensor in tensors { bytes[tensor.scheme.name, default: 0] += tensor.parts.reduce(0) { $0 + $1.byteCount } }
    switch bytes.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })?.key {
    case "f32": return "float32"
    case "f16": return "float16"
    case "bf16": return "bfloat16"
    default: return nil
    }
  }
}
