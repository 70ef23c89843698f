public import QuantCore

extension PEFTFormat: AdapterFormat {
  public static var naming: Naming { HuggingFaceFormat.naming }
  /// The PEFT library looks for one file.
  public static var splits: Bool { false }

  public static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor] {
    adapter.updates.flatMap { update in
      let name = prefix + QuantizedModule.name(ofWeight: update.target)
      // The configuration states alpha and rank of each layer, so that the library computes the right scale.
      let scale = update.scale
      return update.isEmbedding
        ? [
          update.outputs(named: name + ".lora_embedding_A", ranksFirst: true, readerScale: scale),
          update.inputs(named: name + ".lora_embedding_B", ranksFirst: false),
        ]
        : [
          update.inputs(named: name + ".lora_A.weight", ranksFirst: true),
          update.outputs(named: name + ".lora_B.weight", ranksFirst: false, readerScale: scale),
        ]
    }
  }

  public static func caution(ofCompanions source: Checkpoint) -> String? { CopiedFiles.caution(of: source) }

  public static func layout(_ request: OutputRequest) throws -> OutputLayout {
    var files = [OutputLayout.File(name: configurationName, text: try configuration(request).text(pretty: true) + "\n")]
    files.append(OutputLayout.File(name: "README.md", bytes: ModelCardText.adapter(request).bytes))
    if request.source.format == id {
      files += try CopiedFiles.copies(from: request.source.path)
      files += try CopiedFiles.others(of: request.source)
    }
    let entries = SafetensorsFile.entries(request.tensors).flatMap { $0 }
    let (file, placements, _) = try SafetensorsFile.layout(
      entries, metadata: SafetensorsFile.metadata(request.provenance), name: weightsName + ".safetensors", file: files.count)
    return OutputLayout(
      isFolder: true, files: files + [file], placements: placements, earlierNames: ["*.qconvert.json"] + CopiedFiles.names)
  }

  /// The source's configuration, or one that is made from what a GGUF says.
  private static func configuration(_ request: OutputRequest) throws(Failure) -> JSON {
    if let json = request.source.configuration?.json { return json }
    guard let adapter = request.source.adapter else {
      throw Failure(.internalError, "adapter.lost", "there is no adapter to describe", file: request.source.path)
    }
    let modules = adapter.updates.map { (name: QuantizedModule.name(ofWeight: $0.target), update: $0) }
    let rank = mostFrequent(modules.map { $0.update.rank }) ?? 1
    let alphas = modules.map { $0.update.scale * Double($0.update.rank) }
    let alpha = mostFrequent(alphas) ?? 1
    let ranks = modules.filter { $0.update.rank != rank }.map { JSON.Member($0.name, .int($0.update.rank)) }
    let exceptions = zip(modules, alphas).filter { $0.1 != alpha }.map { JSON.Member($0.0.name, number($0.1)) }
    return .object([
      .init("peft_type", .string("LORA")), .init("task_type", .string("CAUSAL_LM")),
      .init("base_model_name_or_path", adapter.baseModel.map { .string($0) } ?? .null), .init("r", .int(rank)),
      .init("lora_alpha", number(alpha)), .init("rank_pattern", .object(ranks)), .init("alpha_pattern", .object(exceptions)),
      .init("target_modules", .array(modules.map { .string($0.name) })), .init("bias", .string("none")),
      .init("fan_in_fan_out", .bool(adapter.updates.contains { $0.isTransposed })), .init("inference_mode", .bool(true)),
    ])
  }

  /// The most frequent value; on a tie, the first.
  private static func mostFrequent<Value: Hashable>(_ values: [Value]) -> Value? {
    let counts = Dictionary(grouping: values) { $0 }.mapValues { $0.count }
    return values.max { (counts[$0] ?? 0) < (counts[$1] ?? 0) }
  }

  private static func number(_ value: Double) -> JSON { Int(exactly: value).map { .int($0) } ?? .double(value) }
}
