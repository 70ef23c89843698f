import FamilyKit
public import QuantCore

/// The tower of LFM2-VL: SigLIP 2, then neighbouring patches as one, a norm, and two projections.
///
/// The trap: a folder holds the layer that makes patches with columns by point and then colour, a GGUF as a convolution, by colour and then
/// point.
public enum LFM2VLTower: TowerFamily {
  /// Id of the tower.
  public static let id = "lfm2-vl"
  /// One sentence for lists.
  public static let summary = "Images: SigLIP 2 of LFM2-VL"
  /// Paper.
  public static let reference = "arXiv:2511.23404"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["Lfm2VlForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    var assumed = TowerSizes()
    (assumed.patch, assumed.width, assumed.inner, assumed.blocks, assumed.heads) = (16, 768, 3072, 12, 12)
    var sizes = try SigLIP.sizes(stated, assumed: assumed, textWidth: 2560)
    // The tower takes images of any size; the converter states this one.
    sizes.image = 256
    guard sizes.patch == 16 else {
      throw stated.own.unsupported("tower.patches", "llama.cpp's converter knows only patches of 16 x 16 points for this tower")
    }
    let factor = try stated.whole.size("downsample_factor", "downsample_factor") ?? 2
    guard (1...64).contains(factor) else { throw stated.whole.bad("downsample_factor", "is not from 1 to 64") }
    // Blocks after the one whose output is used; -1 is the last.
    let unused = -((stated.whole.json("vision_feature_layer")?.intValue ?? -1) + 1)
    guard (0..<sizes.blocks).contains(unused) else {
      throw stated.whole.bad("vision_feature_layer", "is not a block, counted from the last")
    }
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string("lfm2"))
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("layer_norm_eps", or: 1e-6))
    keys.set("vision.projector.scale_factor", factor)
    keys.set("use_gelu", .bool(true))
    keys.set("vision.block_count", sizes.blocks - unused)
    let (width, merged) = (sizes.width, sizes.width * factor * factor)
    let inner = try stated.whole.size("projector_hidden_size", "projector_hidden_size") ?? 2560
    let bias: BiasPresence = stated.whole.json("projector_bias")?.boolValue == false ? .never : .always
    var projector: [TowerTensor] = [
      .linear("linear_1", "mm.1", inner, merged, bias: bias), .linear("linear_2", "mm.2", sizes.projection, inner, bias: bias),
    ]
    if stated.whole.json("projector_use_layernorm")?.boolValue != false {
      projector.insert(.norm("layer_norm", "mm.input_norm", merged), at: 0)
    }
    var tower = Tower(
      family: id, keys: keys,
      sections: [
        TowerSection(["vision_tower.vision_model.", "vision_tower."], "", try embeddings(stated, width)),
        TowerSection(
          blocks: sizes.blocks, ["vision_tower.vision_model.encoder.layers.*.", "vision_tower.encoder.layers.*."], "v.blk.*.",
          SigLIP.block(sizes)),
        TowerSection(["multi_modal_projector."], "", projector),
      ])
    tower.unused = ["vision_tower.vision_model.head.", "vision_tower.head."]
    return tower.describe(tensors)
  }

  private static func embeddings(_ stated: TowerKeys, _ width: Int) throws(Failure) -> [TowerTensor] {
    [
      .patches(.whole("embeddings.patch_embedding.weight"), .whole("v.patch_embd.weight"), width, size: 16),
      .vector("embeddings.patch_embedding.bias", "v.patch_embd.bias", width),
      .table("embeddings.position_embedding", "v.position_embd", try stated.size("num_patches", or: 256), width),
      .norm("post_layernorm", "v.post_ln", width),
    ]
  }
}
