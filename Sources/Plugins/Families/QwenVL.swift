import FamilyKit
public import QuantCore

/// Qwen2-VL, Qwen2.5-VL and Qwen3-VL without their vision towers: Qwen2 and Qwen3. Positions have three components, which are equal in
/// texts, so that the rotary embedding is the usual one.
///
/// The trap: a GGUF states which channels belong to which component.
public enum QwenVL: ModelFamily {
  /// Id of the family.
  public static let id = "qwen-vl"
  /// One sentence for lists.
  public static let summary = "The language models of Qwen2-VL, Qwen2.5-VL and Qwen3-VL with dense feed-forward layers"
  /// Papers.
  public static let reference = "arXiv:2409.12191, arXiv:2502.13923"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf
      ? ["qwen2vl", "qwen3vl"]
      : ["Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", "Qwen3VLForConditionalGeneration"]
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let isThird = ["Qwen3VLForConditionalGeneration", "qwen3vl"].contains(configuration.architecture)
    let name = isThird ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM"
    let view = LanguageModelView(configuration, tensors, as: name)
    let keys = ConfigurationKeys(view.configuration, path: tensors.path)
    let sections = try sections(keys)
    var decoder = LlamaDecoder(family: id, ggufArchitecture: isThird ? "qwen3vl" : "qwen2vl") { _, _ in
      // The class without a tower computes the same.
      LlamaClass(name, isThird ? "qwen3" : "qwen2")
    }
    decoder.rotarySections = sections
    decoder.normalisesHeads = isThird
    decoder.slidingWindow = { keys, blocks throws(Failure) in try keys.windowOfLaterBlocks(blocks) }
    decoder.defaultKeyValueHeads = 32
    if isThird {
      decoder.mayHaveBiases = true
      (decoder.defaultHeadSize, decoder.alwaysStatesHeadSize, decoder.defaultTheta) = (128, true, 5_000_000)
      decoder.furtherKeys = [("n_deepstack_layers", .u32(UInt32(clamping: featureBlocks(configuration, keys))))]
    } else {
      decoder.biased = [.query, .key, .value]
      decoder.defaultNormEpsilon = 1e-5
      (decoder.defaultKeyValueHeads, decoder.defaultTheta) = (8, 1_000_000)
    }
    var model = try decoder.describe(view.configuration, tensors: view.tensors)
    if !isThird {
      model.cautions[.gguf, default: []].append(
        "llama.cpp does not read what norms of 'qwen2vl' add under the root, and adds nothing, so logits differ a little")
    }
    return view.restored(model)
  }

  /// How many of the first blocks get features of images added to their output.
  static func featureBlocks(_ configuration: Configuration, _ keys: ConfigurationKeys) -> Int {
    let stated = configuration.json?["vision_config"]?["deepstack_visual_indexes"]?.arrayValue?.count
    return stated ?? keys.metadata("n_deepstack_layers")?.intValue.flatMap { (0..<1 << 20).contains($0) ? $0 : nil } ?? 0
  }

  /// Pairs of channels for each component of a position.
  static func sections(_ keys: ConfigurationKeys) throws(Failure) -> [Int] {
    if case .i32s(let list)? = keys.metadata("rope.dimension_sections") { return list.map { Int($0) } }
    let stated = keys.json("rope_scaling") ?? keys.json("rope_parameters")
    guard let list = stated?["mrope_section"]?.arrayValue, list.count <= 4 else {
      throw keys.missing("mrope_section", "rope.dimension_sections")
    }
    return list.map { $0.intValue ?? 0 } + [Int](repeating: 0, count: 4 - list.count)
  }
}
