import FamilyKit
public import QuantCore

/// The towers of Qwen2-VL and Qwen2.5-VL: patches of pairs of images, blocks, and a merger of neighbouring patches.
///
/// The traps: a GGUF holds the convolution over a pair of images as two; `hidden_size` is the width of the language model in Qwen2-VL and
/// of the tower in Qwen2.5-VL, and llama.cpp's converter states it as the inner size of the former.
public enum QwenVLTower: TowerFamily {
  /// Id of the tower.
  public static let id = "qwen-vl"
  /// One sentence for lists.
  public static let summary = "Images: Qwen2-VL and Qwen2.5-VL"
  /// Papers.
  public static let reference = "arXiv:2409.12191, arXiv:2502.13923"

  private static let classOfSecond = "Qwen2VLForConditionalGeneration"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? [] : [classOfSecond, "Qwen2_5_VLForConditionalGeneration"]
  }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    let isSecond = configuration.architecture == classOfSecond
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: 8192)
    sizes.image = try stated.size("image_size", or: 560)
    sizes.patch = try stated.size("patch_size", or: 14)
    sizes.width = isSecond ? try stated.size("embed_dim", or: 1280) : try stated.size("hidden_size", or: 3584)
    sizes.inner = isSecond ? try stated.size("hidden_size", or: 3584) : try stated.size("intermediate_size", or: 3420)
    sizes.blocks = try stated.blocks("depth", or: 32)
    sizes.heads = try stated.size("num_heads", or: 16)
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string(isSecond ? "qwen2vl_merger" : "qwen2.5vl_merger"))
    if !isSecond {
      keys.set("use_silu", .bool(true))
      keys.set("vision.n_wa_pattern", try period(stated))
    }
    keys.set("vision.attention.layer_norm_epsilon", try stated.whole.number("rms_norm_eps", "rms_norm_eps") ?? 1e-6)
    if isSecond { sizes.inner = try QwenVLBlocks.inner(stated, width: sizes.width) }
    let output = isSecond ? try stated.size("hidden_size", or: 3584) : try stated.size("out_hidden_size", or: 3584)
    let merged = sizes.width * (try QwenVLBlocks.mergedPatches(stated))
    let biases = isSecond ? BiasPresence.always : .never
    return Tower(
      family: id, keys: keys,
      sections: [
        TowerSection(
          ["visual."], "", try QwenVLBlocks.patches(stated, sizes)),
        TowerSection(
          blocks: sizes.blocks, ["visual.blocks.*."], "v.blk.*.",
          [.norm("norm1", "ln1", sizes.width, bias: biases)]
            + ["q", "k", "v"].map { .linear("attn.qkv", NamedPlace("attn_\($0)"), sizes.width, sizes.width) }
            + [
              .linear("attn.proj", "attn_out", sizes.width, sizes.width),
              .norm("norm2", "ln2", sizes.width, bias: biases),
            ] + feedForward(sizes, isGated: !isSecond)),
        TowerSection(
          ["visual.merger."], "",
          [
            .norm("ln_q", "v.post_ln", sizes.width, bias: biases), .linear("mlp.0", "mm.0", merged, merged),
            .linear("mlp.2", "mm.2", output, merged),
          ]),
      ]
    ).describe(tensors)
  }

  private static func feedForward(_ sizes: TowerSizes, isGated: Bool) -> [TowerTensor] {
    isGated
      ? [
        .linear("mlp.gate_proj", "ffn_gate", sizes.inner, sizes.width), .linear("mlp.up_proj", "ffn_up", sizes.inner, sizes.width),
        .linear("mlp.down_proj", "ffn_down", sizes.width, sizes.inner),
      ]
      : [.linear("mlp.fc1", "ffn_up", sizes.inner, sizes.width), .linear("mlp.fc2", "ffn_down", sizes.width, sizes.inner)]
  }

  /// Every how many blocks one attends to the whole image instead of windows.
  private static func period(_ stated: TowerKeys) throws(Failure) -> Int {
    let key = "fullatt_block_indexes"
    let list = stated.own.json(key)
    let blocks = list == nil ? [7, 15, 23, 31] : (list?.arrayValue ?? []).map { $0.intValue ?? -1 }
    guard let first = blocks.first, first >= 0, first < 1 << 20 else { throw stated.own.bad(key, "is not a list of blocks") }
    guard blocks.enumerated().allSatisfy({ $1 == first + $0 * (first + 1) }) else {
      throw stated.own.unsupported("tower.windows", "a GGUF has no key for blocks without windows that are not evenly spaced")
    }
    return first + 1
  }
}

/// What towers of Qwen's models have in common.
enum QwenVLBlocks {
  /// Tensors that make hidden states of pairs of images.
  /// - Throws: `Failure` `tower.patches` for patches of other than two images.
  static func patches(_ stated: TowerKeys, _ sizes: TowerSizes) throws(Failure) -> [TowerTensor] {
    guard try stated.size("temporal_patch_size", or: 2) == 2 else {
      throw stated.own.unsupported("tower.patches", "llama.cpp computes only patches of two images")
    }
    return TowerTensor.convolutionsOfPairs(
      "patch_embed.proj.weight", "v.patch_embd.weight", sizes.width, 3, size: sizes.patch)
  }

  /// Patches that become one hidden state of the language model.
  static func mergedPatches(_ stated: TowerKeys) throws(Failure) -> Int {
    let side = try stated.size("spatial_merge_size", or: 2)
    guard side <= 64 else { throw stated.own.bad("spatial_merge_size", "is larger than 64") }
    return side * side
  }

  /// Channels inside the feed-forward network, of which Qwen2-VL states the ratio to its width.
  static func inner(_ stated: TowerKeys, width: Int) throws(Failure) -> Int {
    let inner = try stated.number("mlp_ratio", or: 4) * Double(width)
    guard inner <= 1_048_576 else { throw stated.own.bad("mlp_ratio", "is too large") }
    return Int(inner)
  }
}
