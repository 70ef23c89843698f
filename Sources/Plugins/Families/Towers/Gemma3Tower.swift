import FamilyKit
public import QuantCore

/// The tower of Gemma 3: SigLIP, then patches pooled to a fixed number, a norm and a projection.
///
/// The traps: the norm's gain is `1 + w`, while those of SigLIP are `w`; the matrix of the projection is stored as `[in, out]` in both
/// formats, and a GGUF holds it in 16 bits whatever the rest has.
public enum Gemma3Tower: TowerFamily {
  /// Id of the tower.
  public static let id = "gemma3"
  /// One sentence for lists.
  public static let summary = "Images: SigLIP of Gemma 3"
  /// Paper.
  public static let reference = "arXiv:2503.19786"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["Gemma3ForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    var assumed = TowerSizes()
    (assumed.image, assumed.patch, assumed.width, assumed.inner, assumed.blocks, assumed.heads) = (224, 16, 768, 3072, 12, 12)
    let sizes = try SigLIP.sizes(stated, assumed: assumed, textWidth: 2304)
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string("gemma3"))
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("layer_norm_eps", or: 1e-6))
    keys.set("use_gelu", .bool(true))
    // Patches per side for each pooled one; 4 is what llama.cpp assumes.
    let pooled = stated.processor["image_seq_length"]?.intValue ?? 256
    guard (1...1_048_576).contains(pooled) else { throw stated.own.bad("image_seq_length", "is not a number of patches") }
    let factor = sizes.patchesPerSide / Int(Double(pooled).squareRoot())
    if factor > 0, factor != 4 { keys.set("vision.projector.scale_factor", factor) }
    var tower = Tower(
      family: id, keys: keys,
      sections: SigLIP.sections(sizes, ["vision_tower.vision_model.", "vision_tower."]) + [
        TowerSection(
          ["multi_modal_projector."], "",
          [
            TowerTensor(
              .whole("mm_input_projection_weight"), .whole("mm.input_projection.weight").stored(as: "f16"),
              [sizes.width, sizes.projection], .projection),
            TowerTensor(
              NamedPlace("mm_soft_emb_norm").storing(.plus(1)), "mm.soft_emb_norm", [sizes.width], .norm),
          ])
      ])
    tower.unused = ["vision_tower.vision_model.head.", "vision_tower.head."]
    return tower.describe(tensors)
  }
}
