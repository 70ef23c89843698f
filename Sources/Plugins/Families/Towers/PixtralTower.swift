import FamilyKit
public import QuantCore

/// The tower of Pixtral and Mistral 3: images of any size, two-dimensional rotary positions, gated feed-forward layers.
///
/// The traps: a GGUF holds queries and keys in rotary pairs, and a row of the language model's embedding, that of the token that ends a
/// row of patches. llama.cpp does not load a tower without it; its converter skips it where the name of the embedding begins with
/// `language_model.`
public enum PixtralTower: TowerFamily {
  /// Id of the tower.
  public static let id = "pixtral"
  /// One sentence for lists.
  public static let summary = "Images: Pixtral and Mistral 3"
  /// Paper.
  public static let reference = "arXiv:2410.07073"

  private static let classOfThird = "Mistral3ForConditionalGeneration"

  /// Names in `config.json`; those of Llava's class are described by `LlavaTower`, too.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : [classOfThird] }

  /// - Throws: `Failure` with an id `model.*` or `tower.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let stated = try TowerKeys(configuration, "vision_config", tensors)
    let type = stated.own.json("model_type")?.stringValue ?? "(none)"
    guard type == "pixtral" else {
      throw Failure(
        .unsupported, "tower.type", "a tower of type '\(type)' is not known for this class", file: tensors.path,
        remedy: "Leave \(setting: "mmproj") out to convert the language model; only towers of type 'pixtral' are known.")
    }
    var sizes = TowerSizes()
    sizes.projection = try stated.languageWidth(or: 4096)
    sizes.image = try stated.size("image_size", or: 1024)
    sizes.patch = try stated.size("patch_size", or: 16)
    sizes.width = try stated.size("hidden_size", or: 1024)
    sizes.inner = try stated.size("intermediate_size", or: 4096)
    sizes.blocks = try stated.blocks("num_hidden_layers", or: 24)
    sizes.heads = try stated.size("num_attention_heads", or: 16)
    let headSize = try stated.own.headSize(hiddenSize: sizes.width, heads: sizes.heads)
    guard headSize.isMultiple(of: 2) else { throw stated.own.bad("num_attention_heads", "gives heads of odd size") }
    var keys = try stated.imageKeys(sizes)
    keys.set("projector_type", .string("pixtral"))
    keys.set("vision.attention.layer_norm_epsilon", 1e-5)
    try stated.activation(in: &keys, assumed: "gelu")
    let isMerged = configuration.architecture == classOfThird
    let side = try stated.whole.size("spatial_merge_size", "spatial_merge_size") ?? (isMerged ? 2 : nil)
    if let side { keys.set("vision.spatial_merge_size", side) }
    guard (side ?? 1) <= 64 else { throw stated.whole.bad("spatial_merge_size", "is larger than 64") }
    let (width, text) = (sizes.width, sizes.projection)
    var projector = [
      TowerTensor.linear("linear_1", "mm.1", text, width, bias: .optional), .linear("linear_2", "mm.2", text, text, bias: .optional),
    ]
    if isMerged {
      projector += [
        .norm("norm", "mm.input_norm", width, bias: .never),
        TowerTensor(
          "patch_merger.merging_layer", NamedPlace("mm.patch_merger").stored(as: "f32", "f16"), [width, width * (side ?? 1) * (side ?? 1)],
          .constant),
      ]
    }
    return Tower(
      family: id, keys: keys,
      sections: [
        TowerSection(
          ["vision_tower."], "",
          [
            .convolution("patch_conv.weight", "v.patch_embd.weight", width, 3, kernel: [sizes.patch, sizes.patch]),
            .norm("ln_pre", "v.pre_ln", width, bias: .never),
          ]),
        TowerSection(
          blocks: sizes.blocks, headSize: headSize, ["vision_tower.transformer.layers.*."], "v.blk.*.",
          [
            .norm("attention_norm", "ln1", width, bias: .never),
            .linear("attention.q_proj", NamedPlace("attn_q").ordered(.rotaryPairs), width, width, bias: .never),
            .linear("attention.k_proj", NamedPlace("attn_k").ordered(.rotaryPairs), width, width, bias: .never),
            .linear("attention.v_proj", "attn_v", width, width, bias: .never),
            .linear("attention.o_proj", "attn_out", width, width, bias: .never),
            .norm("ffn_norm", "ln2", width, bias: .never),
            .linear("feed_forward.gate_proj", "ffn_gate", sizes.inner, width, bias: .never),
            .linear("feed_forward.up_proj", "ffn_up", sizes.inner, width, bias: .never),
            .linear("feed_forward.down_proj", "ffn_down", width, sizes.inner, bias: .never),
          ]),
        TowerSection(["multi_modal_projector."], "", projector),
        TowerSection([""], "", [try endOfRow(stated, tensors, width: text)]),
      ]
    ).describe(tensors)
  }

  /// The row of the embedding for the token that ends a row of patches.
  private static func endOfRow(_ stated: TowerKeys, _ tensors: Checkpoint, width: Int) throws -> TowerTensor {
    let name = "[IMG_BREAK]"
    guard let token = try stated.token(name) else {
      throw Failure(
        .data, "tower.token", "the tokenizer has no token '\(name)', which ends a row of patches", file: tensors.path,
        remedy: "Add the tokenizer.json that was published with the model to the folder.")
    }
    guard let embedding = tensors.tensors.first(where: { $0.name.hasSuffix("embed_tokens.weight") }), embedding.shape.count == 2,
      embedding.shape[0] > token
    else {
      throw Failure(.data, "tower.token", "there is no embedding with a row for '\(name)'", file: tensors.path)
    }
    // Rows after it are not read either.
    let place = NamedPlace.whole(embedding.name).shaped([embedding.shape[0] - token, embedding.shape[1]]).after(rows: token)
    return TowerTensor(place, .whole("v.token_embd.img_break").shaped([width]).stored(as: "f32"), [1, width], .constant)
  }
}
