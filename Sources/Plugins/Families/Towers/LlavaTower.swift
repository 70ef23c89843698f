import FamilyKit
public import QuantCore

/// The towers of Llava's class: CLIP with a projector (LLaVA 1.5 and models trained like it), and Pixtral's.
///
/// The traps: the output of a block before the last is used, and a GGUF leaves later blocks out; CLIP's function is not GELU unless the
/// configuration says so. Llama.cpp's converter knows only Pixtral's towers; its older script for CLIP swaps the names of the layers of the
/// feed-forward network, and llama.cpp loads both orders.
public enum LlavaTower: TowerFamily {
  /// Id of the tower.
  public static let id = "llava"
  /// One sentence for lists.
  public static let summary = "Images: CLIP of LLaVA 1.5, and Pixtral"
  /// Paper.
  public static let reference = "arXiv:2310.03744"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["LlavaForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    switch stated.own.json("model_type")?.stringValue {
    case "pixtral": return try PixtralTower.describe(configuration, tensors: tensors)
    case "clip_vision_model": return try describeCLIP(stated, tensors)
    case let type:
      throw Failure(
        .unsupported, "tower.type", "a tower of type '\(type ?? "(none)")' is not known for this class", file: tensors.path,
        remedy: "Leave \(setting: "mmproj") out to convert the language model; known are 'clip_vision_model' and 'pixtral'.")
    }
  }

  private static func describeCLIP(_ stated: TowerKeys, _ tensors: Checkpoint) throws(Failure) -> ModelDescription {
    for (key, known) in [("vision_feature_select_strategy", "default"), ("projector_hidden_act", "gelu")] {
      if let value = stated.whole.json(key)?.stringValue, value != known {
        throw stated.whole.unsupported("tower.projector", "llama.cpp computes towers of this class only with \(key) '\(known)'")
      }
    }
    var sizes = TowerSizes()
    let text = try stated.languageWidth(or: 4096)
    sizes.projection = try stated.size("projection_dim", or: 512)
    sizes.image = try stated.size("image_size", or: 224)
    sizes.patch = try stated.size("patch_size", or: 32)
    sizes.width = try stated.size("hidden_size", or: 768)
    sizes.inner = try stated.size("intermediate_size", or: 3072)
    let blocks = try stated.blocks("num_hidden_layers", or: 12)
    let features = try featureBlocks(stated, blocks)
    sizes.blocks = features.max() ?? blocks
    sizes.heads = try stated.size("num_attention_heads", or: 12)
    var keys = try stated.imageKeys(sizes)
    keys.set("has_text_encoder", .bool(false))
    keys.set("has_llava_projector", .bool(true))
    keys.set("projector_type", .string("mlp"))
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("layer_norm_eps", or: 1e-5))
    keys.set("vision.feature_layer", .i32s(features.map { Int32($0) }))
    let activation = stated.own.json("hidden_act")?.stringValue ?? "quick_gelu"
    guard ["gelu", "quick_gelu"].contains(activation) else {
      throw stated.own.unsupported("tower.activation", "llama.cpp computes this tower with gelu or quick_gelu, not with '\(activation)'")
    }
    keys.set("use_gelu", .bool(activation == "gelu"))
    let prefixes = ["vision_tower.vision_model.", "vision_tower."], width = sizes.width
    let positions = sizes.patchesPerSide * sizes.patchesPerSide + 1
    let bias: BiasPresence = stated.whole.json("multimodal_projector_bias")?.boolValue == false ? .never : .always
    var tower = Tower(
      family: id, keys: keys,
      sections: [
        TowerSection(
          prefixes, "",
          [
            .vector("embeddings.class_embedding", "v.class_embd", width),
            .convolution("embeddings.patch_embedding.weight", "v.patch_embd.weight", width, 3, kernel: [sizes.patch, sizes.patch]),
            TowerTensor(
              "embeddings.position_embedding", NamedPlace("v.position_embd").stored(as: "f32", "f16"), [positions, width], .constant),
            .norm("pre_layrnorm", "v.pre_ln", width),
          ]),
        TowerSection(blocks: sizes.blocks, prefixes.map { $0 + "encoder.layers.*." }, "v.blk.*.", SigLIP.block(sizes)),
        TowerSection(
          ["multi_modal_projector."], "",
          [
            .linear("linear_1", "mm.0", text, width * features.count, bias: bias), .linear("linear_2", "mm.2", text, text, bias: bias),
          ]),
      ])
    let unused = (sizes.blocks..<blocks).map { "encoder.layers.\($0)." } + ["post_layernorm.", "embeddings.position_ids"]
    tower.unused = prefixes.flatMap { prefix in unused.map { prefix + $0 } }
    return tower.describe(tensors)
  }

  /// The numbers of the blocks whose outputs the projector reads, counted from 1.
  private static func featureBlocks(_ stated: TowerKeys, _ blocks: Int) throws(Failure) -> [Int] {
    let key = "vision_feature_layer"
    let value = stated.whole.json(key) ?? .int(-2)
    let stated = stated.whole
    let numbers = (value.arrayValue ?? [value]).map { $0.intValue.map { $0 < 0 ? blocks + $0 + 1 : $0 } ?? 0 }
    guard !numbers.isEmpty, numbers.allSatisfy({ (1...blocks).contains($0) }) else {
      throw stated.bad(key, "is not a block of the tower, or a list of them")
    }
    return numbers
  }
}
