import FamilyKit
public import QuantCore

/// The towers of Qwen3-VL and Qwen3.5, and those of their mixtures: as Qwen2-VL's, with learned positions and with features of some blocks
/// that are added to the first blocks of the language model.
///
/// The trap: a GGUF names the mergers of these features by the block they come from.
public enum Qwen3VLTower: TowerFamily {
  /// Id of the tower.
  public static let id = "qwen3-vl"
  /// One sentence for lists.
  public static let summary = "Images: Qwen3-VL and Qwen3.5, with their mixtures"
  /// Paper.
  public static let reference = "arXiv:2511.21631"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf
      ? []
      : [
        "Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration", "Qwen3_5ForConditionalGeneration",
        "Qwen3_5MoeForConditionalGeneration",
      ]
  }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    let positions = try stated.size("num_position_embeddings", or: 2304)
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: 4096)
    sizes.patch = try stated.size("patch_size", or: 16)
    sizes.image = try stated.size("image_size", or: Int(Double(positions).squareRoot() * Double(sizes.patch)))
    sizes.width = try stated.size("hidden_size", or: 1152)
    sizes.inner = try stated.size("intermediate_size", or: 4304)
    sizes.blocks = try stated.blocks("depth", or: 27)
    sizes.heads = try stated.size("num_heads", or: 16)
    let sources = try featureBlocks(stated, sizes.blocks, configuration)
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string("qwen3vl_merger"))
    keys.set("use_gelu", .bool(true))
    keys.set("vision.spatial_merge_size", try stated.size("spatial_merge_size", or: 2))
    let text = stated.whole.nested("text_config")
    keys.set("vision.attention.layer_norm_epsilon", try text.number("rms_norm_eps", "rms_norm_eps") ?? 1e-6)
    keys.set("vision.is_deepstack_layers", .bools((0..<sizes.blocks).map { sources.contains($0) }))
    let (width, output) = (sizes.width, try stated.size("out_hidden_size", or: 3584))
    let merged = width * (try QwenVLBlocks.mergedPatches(stated))
    var sections = [
      TowerSection(
        ["visual."], "",
        try QwenVLBlocks.patches(stated, sizes) + [
          .vector("patch_embed.proj.bias", "v.patch_embd.bias", width), .table("pos_embed", "v.position_embd", positions, width),
        ]),
      TowerSection(
        blocks: sizes.blocks, ["visual.blocks.*."], "v.blk.*.",
        [
          .norm("norm1", "ln1", width), .linear("attn.qkv", "attn_qkv", 3 * width, width), .linear("attn.proj", "attn_out", width, width),
          .norm("norm2", "ln2", width), .linear("mlp.linear_fc1", "ffn_up", sizes.inner, width),
          .linear("mlp.linear_fc2", "ffn_down", width, sizes.inner),
        ]),
      TowerSection(
        ["visual.merger."], "",
        [
          .norm("norm", "v.post_ln", width), .linear("linear_fc1", "mm.0", merged, merged), .linear("linear_fc2", "mm.2", output, merged),
        ]),
    ]
    sections += sources.enumerated().map { index, block in
      TowerSection(
        ["visual.deepstack_merger_list.\(index)."], "v.deepstack.\(block).",
        [.norm("norm", "norm", merged), .linear("linear_fc1", "fc1", merged, merged), .linear("linear_fc2", "fc2", output, merged)])
    }
    return Tower(family: id, keys: keys, sections: sections).describe(tensors)
  }

  /// The blocks whose output the language model gets as features, in the order of their mergers.
  private static func featureBlocks(_ stated: TowerKeys, _ blocks: Int, _ configuration: Configuration) throws(Failure) -> [Int] {
    let key = "deepstack_visual_indexes"
    guard let list = stated.own.json(key) else {
      return configuration.architecture?.hasPrefix("Qwen3VL") == true ? [8, 16, 24].filter { $0 < blocks } : []
    }
    let numbers = (list.arrayValue ?? []).compactMap(\.intValue)
    guard let count = list.arrayValue?.count, count == numbers.count, Set(numbers).count == count,
      numbers.allSatisfy({ (0..<blocks).contains($0) })
    else { throw stated.own.bad(key, "is not a list of different blocks of the tower") }
    return numbers
  }
}
