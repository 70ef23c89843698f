import FamilyKit
public import QuantCore

/// The tower of Idefics 3 and SmolVLM: SigLIP, then neighbouring patches as one, and a projection.
public enum Idefics3Tower: TowerFamily {
  /// Id of the tower.
  public static let id = "idefics3"
  /// One sentence for lists.
  public static let summary = "Images: SigLIP of Idefics 3 and SmolVLM"
  /// Papers.
  public static let reference = "arXiv:2408.12637, arXiv:2504.05299"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? [] : ["Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"]
  }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    var assumed = TowerSizes()
    (assumed.image, assumed.patch, assumed.width, assumed.inner, assumed.blocks, assumed.heads) = (224, 32, 1152, 3072, 12, 16)
    let sizes = try SigLIP.sizes(stated, assumed: assumed, textWidth: 4096)
    let factor = try stated.whole.size("scale_factor", "scale_factor") ?? 2
    guard (1...64).contains(factor) else { throw stated.whole.bad("scale_factor", "is not from 1 to 64") }
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string("idefics3"))
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("layer_norm_eps", or: 1e-6))
    keys.set("vision.projector.scale_factor", factor)
    keys.set("use_gelu", .bool(true))
    keys.set("vision.preproc_image_size", stated.processor["size"]?["longest_edge"]?.intValue ?? sizes.image)
    return Tower(
      family: id, keys: keys,
      sections: SigLIP.sections(sizes, ["vision_model."]) + [
        TowerSection(
          ["connector."], "",
          [.linear("modality_projection.proj", "mm.model.fc", sizes.projection, sizes.width * factor * factor, bias: .never)])
      ]
    ).describe(tensors)
  }
}
