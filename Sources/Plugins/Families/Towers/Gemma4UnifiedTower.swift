import FamilyKit
public import QuantCore

/// What takes the place of towers in Gemma 4's unified models: patches and pieces of sound are projected, without any block.
///
/// The traps: a folder holds the points of a patch by place and then colour, a GGUF by colour and then place; so are the gains and biases of
/// the norm before. Positions are by number and then direction in a folder, and the reverse in a GGUF.
public enum Gemma4UnifiedTower: TowerFamily {
  /// Id of the tower.
  public static let id = "gemma4-unified"
  /// One sentence for lists.
  public static let summary = "Images and sound: the projections of Gemma 4 without encoders"
  /// Source.
  public static let reference = "https://ai.google.dev/gemma/docs/core"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["Gemma4UnifiedForConditionalGeneration"] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors), heard = try TowerKeys(configuration, "audio_config", tensors)
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: 2304)
    // The model takes images of any size; the converter states this one.
    sizes.image = 224
    sizes.patch = try stated.size("patch_size", or: 16)
    sizes.width = try stated.size("mm_embed_dim", or: 3840)
    var sound = TowerSizes()
    sound.projection = sizes.projection
    sound.width = try heard.size("audio_embed_dim", or: 640)
    let pooled = try stated.size("pooling_kernel_size", or: 3)
    guard sizes.patch <= 1024, pooled <= 64 else { throw stated.own.bad("patch_size", "is larger than 1024, or is pooled by more than 64") }
    var keys = try stated.imageKeys(sizes)
    keys.setSound(sound)
    keys.set("vision.projector_type", .string("gemma4uv"))
    // What llama.cpp assumes.
    if pooled != 3 { keys.set("vision.projector.scale_factor", pooled) }
    keys.set("vision.attention.layer_norm_epsilon", try stated.number("rms_norm_eps", or: 1e-6))
    keys.set("audio.projector_type", .string("gemma4ua"))
    keys.set("audio.num_mel_bins", 128)
    keys.set("audio.attention.layer_norm_epsilon", try heard.number("rms_norm_eps", or: 1e-6))

    let side = sizes.patch * pooled, points = 3 * side * side, width = sizes.width
    let positions = try stated.size("mm_posemb_size", or: 1120)
    var patches = TowerTensor.patches("patch_dense", "v.patch_embd", width, size: side)
    patches.places[.gguf]?.statedDimensions = nil
    patches.bias = .always
    // Of an order by place and then colour, or by number and then direction, the reverse.
    func reversed(_ place: NamedPlace, _ count: Int) -> NamedPlace { place.ordered(.unitsByTurns(first: 0, size: 1, groups: count)) }
    return Tower(
      family: id, keys: keys,
      sections: [
        TowerSection(
          ["vision_embedder."], "",
          [
            patches, .norm("patch_ln1", reversed("v.patch_norm.1", side * side), points), .norm("patch_ln2", "v.patch_norm.2", width),
            TowerTensor(
              .whole("pos_embedding").shaped([positions, 2, width]),
              reversed(.whole("v.position_embd.weight"), positions).shaped([2, positions, width]).stored(as: "f32"),
              [2 * positions, width],
              .constant),
            .norm("pos_norm", "v.patch_norm.3", width),
          ]),
        TowerSection(
          ["embed_vision."], "", [.linear("embedding_projection", "mm.input_projection", sizes.projection, width, bias: .never)]),
        TowerSection(
          ["embed_audio."], "", [.linear("embedding_projection", "mm.a.input_projection", sizes.projection, sound.width, bias: .never)]),
      ]
    ).describe(tensors)
  }
}
