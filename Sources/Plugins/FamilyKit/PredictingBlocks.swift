public import QuantCore

/// Blocks after the last that predict further tokens from the hidden states: multi-token prediction, which llama.cpp calls NextN.
///
/// The model is whole without them, so nothing computes or calibrates them. Clients that draft tokens with them expect them in the same
/// file: a GGUF holds them as further blocks. Each joins the embedding of a token and the hidden state before it, both normalised, by a
/// matrix; what follows is a block like the others. If a checkpoint holds only some of their tensors, or others, none is described.
///
/// Source: DeepSeek-AI, *DeepSeek-V3 Technical Report* (arXiv 2412.19437), section 2.2.
public struct PredictingBlocks: Sendable {
  /// How a folder names them.
  public enum Spelling: Sendable {
    /// As blocks that follow the last; the norm after each has this name.
    case furtherBlocks(outputNorm: String = "shared_head.norm")
    /// Under a prefix of their own, of which there is one block.
    case apart(prefix: String)
    /// The same, with each part of the block in a piece of its own, as models with one part per block have it: the number of the piece
    /// that holds a role. The matrix that joins states is in the first, and the norm after the block in the last.
    case pieces(prefix: String, last: Int, of: @Sendable (TensorRole) -> Int)

    /// What precedes the names of a block that is apart.
    fileprivate var prefix: String? {
      switch self {
      case .furtherBlocks: nil
      case .apart(let prefix), .pieces(let prefix, _, _): prefix
      }
    }
  }

  /// How many the checkpoint holds, complete or not.
  private(set) var count = 0
  /// Whether they have embeddings and output matrices of their own.
  private var hasEmbedding = false
  private var hasHead = false
  private var spelling = Spelling.furtherBlocks()
  private var gain = ValueMap.same
  private var checkpoint: Checkpoint?

  /// The roles of tensors that no other block has.
  private static let ownRoles: [TensorRole] = [
    .predictionInput, .predictionEmbeddingNorm, .predictionStateNorm, .predictionOutputNorm,
  ]
  /// An upper limit; published models have one.
  private static let most = 8

  /// None.
  public init() {}

  /// Those that a checkpoint holds.
  /// - Parameters:
  ///   - blocks: the number of blocks before them.
  ///   - names: of the model, with the prefix of this checkpoint.
  ///   - gain: which values a folder stores for the gain of a norm.
  public init(
    after blocks: Int, in tensors: Checkpoint, _ names: TensorNames, _ spelling: Spelling = .furtherBlocks(), gain: ValueMap = .same
  ) {
    self.spelling = spelling
    self.gain = gain
    checkpoint = tensors
    let naming = tensors.naming
    func holds(_ role: TensorRole, _ index: Int) -> Bool {
      let table = self.names(names, after: blocks, index)
      guard let place = table[role].places[naming] else { return false }
      let prefix = place.isOutside ? "" : (table.prefixes[naming] ?? "") + (table.blockPrefixes[naming] ?? "")
      return tensors[prefix + place.name + place.suffix] != nil
    }
    let most = spelling.prefix == nil ? PredictingBlocks.most : 1
    while count < most, PredictingBlocks.ownRoles.contains(where: { holds($0, count) }) { count += 1 }
    hasEmbedding = count > 0 && holds(.predictionEmbedding, 0)
    hasHead = count > 0 && holds(.predictionOutput, 0)
  }

  /// The names of the tensors of one of them.
  func names(_ model: TensorNames, after blocks: Int, _ index: Int) -> TensorNames {
    var names = model
    let folder: (input: NamedPlace, embeddingNorm: NamedPlace, stateNorm: NamedPlace, outputNorm: NamedPlace)
    names.blockPrefixes = names.blockPrefixes.mapValues { $0.replacing("*", with: "\(blocks + index)") }
    switch spelling {
    case .furtherBlocks(let outputNorm): folder = ("eh_proj", "enorm", "hnorm", NamedPlace(outputNorm))
    case .apart(let prefix):
      names.prefixes[.huggingFace] = ""
      names.blockPrefixes[.huggingFace] = "\(prefix)layers.\(index)."
      func outside(_ name: String) -> NamedPlace { .outside(prefix + name) }
      folder = (outside("fc"), outside("pre_fc_norm_embedding"), outside("pre_fc_norm_hidden"), outside("norm"))
    case .pieces(let prefix, let last, let piece):
      names.prefixes[.huggingFace] = ""
      names.blockPrefixes[.huggingFace] = prefix + "layers."
      names.block = names.block.map { row in
        var row = row
        if let name = row.places[.huggingFace]?.name { row.places[.huggingFace]?.name = "\(piece(row.role)).\(name)" }
        return row
      }
      folder = ("0.eh_proj", "0.enorm", "0.hnorm", NamedPlace("\(last).final_layernorm"))
    }
    names.rename(
      TensorName(.predictionInput, folder.input, "nextn.eh_proj"),
      TensorName(.predictionEmbeddingNorm, folder.embeddingNorm.storing(gain), "nextn.enorm"),
      TensorName(.predictionStateNorm, folder.stateNorm.storing(gain), "nextn.hnorm"),
      TensorName(.predictionOutputNorm, folder.outputNorm.storing(gain), "nextn.shared_head_norm"),
      TensorName(.predictionEmbedding, "embed_tokens", "nextn.embed_tokens"),
      TensorName(.predictionOutput, "shared_head.head", "nextn.shared_head_head"))
    return names
  }

  /// What precedes the names of their tensors in the checkpoint.
  func prefixes(_ model: TensorNames, after blocks: Int) -> [String] {
    guard let naming = checkpoint?.naming else { return [] }
    if let prefix = spelling.prefix, naming == .huggingFace { return [prefix] }
    return (0..<count).map { index in
      let names = names(model, after: blocks, index)
      return (names.prefixes[naming] ?? "") + (names.blockPrefixes[naming] ?? "")
    }
  }

  /// Whether the checkpoint holds all of these tensors, and no others in their blocks.
  /// - Parameter prefixes: of the names of their tensors.
  func holds(_ tensors: [ModelTensor], prefixes: [String]) -> Bool {
    guard let checkpoint else { return false }
    let places = tensors.compactMap { tensor in tensor.place(checkpoint.naming).map { (place: $0, isOptional: tensor.isOptional) } }
    let isComplete = places.allSatisfy { place, isOptional in
      checkpoint[place.name].map { (try? place.check($0, file: checkpoint.path)) != nil } ?? isOptional
    }
    let known = Set(places.map(\.place.name))
    return isComplete
      && checkpoint.tensors.allSatisfy { tensor in
        known.contains(tensor.name) || !prefixes.contains { tensor.name.hasPrefix($0) }
      }
  }

  /// The tensors that each has besides those of a block.
  func tensors(_ n: DecoderNumbers) -> [PartTensor] {
    let norms: [TensorRole] = [.predictionEmbeddingNorm, .predictionStateNorm, .predictionOutputNorm]
    var tensors = [PartTensor(.predictionInput, [n.hiddenSize, 2 * n.hiddenSize], .prediction)]
    tensors += norms.map { PartTensor($0, [n.hiddenSize], .norm) }
    if hasEmbedding { tensors.append(PartTensor(.predictionEmbedding, [n.vocabularySize, n.hiddenSize], .prediction)) }
    if hasHead { tensors.append(PartTensor(.predictionOutput, [n.vocabularySize, n.hiddenSize], .prediction)) }
    return tensors
  }
}

extension TensorRole {
  /// A block that predicts further tokens: the matrix that joins an embedding and a hidden state, the norms of both, and what may
  /// replace the model's own norm, embedding and output matrix.
  static let predictionInput = TensorRole("predictionInput")
  static let predictionEmbeddingNorm = TensorRole("predictionEmbeddingNorm")
  static let predictionStateNorm = TensorRole("predictionStateNorm")
  static let predictionOutputNorm = TensorRole("predictionOutputNorm")
  static let predictionEmbedding = TensorRole("predictionEmbedding")
  static let predictionOutput = TensorRole("predictionOutput")
}

extension TensorKind {
  /// Matrices of blocks that predict further tokens. Folders keep them: their clients do not read codes there.
  static let prediction = TensorKind("predictions", isSensitive: true)
}

extension GGUFKeys {
  /// Counts those of a model among the blocks.
  public mutating func setPredicting(_ model: ModelDescription) {
    let count = model.predictingBlockCount
    guard count > 0 else { return }
    set("block_count", model.blocks.count + count)
    set("nextn_predict_layers", count)
  }
}

extension ModelDescription {
  /// How many blocks that predict further tokens are described.
  public var predictingBlockCount: Int {
    tensors.count { !$0.id.isBias && $0.id.role.rawValue.hasSuffix(TensorRole.predictionInput.rawValue) }
  }
}

extension ConfigurationKeys {
  /// Corrects the number of blocks: that of a GGUF includes those that predict further tokens.
  /// - Throws: `Failure` if no block would be left.
  public func uncountPredictingBlocks(_ n: inout DecoderNumbers) throws(Failure) {
    guard isStored, let count = try size("", "nextn_predict_layers"), count > 0 else { return }
    guard count < n.blockCount else { throw bad(name("", "nextn_predict_layers"), "leaves no block") }
    n.blockCount -= count
  }
}
