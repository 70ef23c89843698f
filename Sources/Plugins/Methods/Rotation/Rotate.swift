public import QuantCore

/// Rotates the hidden states between blocks, and the values inside of attention, by Hadamard matrices with random signs: what was in one
/// loud channel is spread over all of them, in inputs and in weights.
///
/// A norm without gain gives rotated outputs for rotated inputs, so the gains move into the layers behind the norms; then every layer that
/// reads hidden states gets `W·diag(g)·R`, every layer that adds to them `Rᵀ·W`, the embedding `E·R`, and the output matrix
/// `W·diag(g)·R`. In attention, the rows of values and the columns of the output are rotated head by head. The model computes the same, and no
/// client needs to know. Rotations that a client would have to compute (of queries, keys, and the input of the last matrix of the
/// feed-forward network) are left out.
///
/// The traps: the gain of the last norm goes into the output matrix, which must not be the embedding; biases of layers that add to hidden
/// states rotate too; norms that subtract the mean do not commute with a rotation.
///
/// Source: Ashkboos et al., *QuaRot: Outlier-Free 4-Bit Inference in Rotated LLMs* (arXiv 2404.00456), §4, and Liu et al., *SpinQuant*
/// (arXiv 2405.16406), whose names of the two are R1 and R2.
public struct Rotate: QuantizationMethod {
  public static let id = "rotate"
  public static let summary = "Rotates hidden states and values by Hadamard matrices, so that no channel is loud."
  public static let reference = "arXiv 2404.00456"
  public static let options = [
    OptionDeclaration(name: "hidden", summary: "rotate the hidden states between blocks (R1)", defaultValue: "on"),
    OptionDeclaration(name: "values", summary: "rotate the values of each head (R2)", defaultValue: "on"),
    OptionDeclaration(name: "seed", summary: "choose the random signs, 0 to 1000000", defaultValue: "0"),
  ]

  let hidden: Bool
  let values: Bool
  let seed: UInt64

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws {
    hidden = try options.flag("hidden")
    values = try options.flag("values")
    seed = UInt64(try options.integer("seed", in: 0...1_000_000))
  }

  public var stages: Set<MethodStage> { hidden || values ? [.rewrite] : [] }

  public func obstacle(in model: ModelDescription) -> String? {
    if hidden, let reason = Rotate.obstacleToHidden(model) { return reason }
    if values, let block = model.blocks.first(where: { Rotate.valueHeads(of: $0) == nil }) {
      let has = block.branches.contains { $0.part is Attention }
      return "the values of \(has ? "its attention" : "a block without attention") cannot be rotated (values=off leaves them)"
    }
    return nil
  }

  public func rewrites(of model: ModelDescription, vector: (TensorID) -> [Float]?) -> [TensorID: any TensorRewrite] {
    var result: [TensorID: RotatedTensor] = [:]
    if hidden { rotateHidden(model, vector, &result) }
    if values { rotateValues(model, &result) }
    return result
  }

  // MARK: Hidden states

  private static func obstacleToHidden(_ model: ModelDescription) -> String? {
    let (embedding, head) = (model.embedding, model.head)
    if head.isTied || head.isMissing {
      return "its output matrix is the embedding, which would need the gain of the last norm in one of its uses only"
    }
    if head.pooling != nil || head.isProjected || head.norm?.formula != .rootMeanSquare {
      return "what follows its last block is not a root mean square norm and an output matrix"
    }
    if embedding.isProjected || embedding.positionOffset != nil || embedding.tokenTypes != nil || embedding.norm != nil
      || embedding.perBlock != nil || embedding.lanes != nil
    {
      return "its hidden states are not simply rows of the embedding"
    }
    if model.hasTowers || !model.predictionParts.isEmpty {
      return "other parts than its blocks write or read hidden states (towers, blocks that predict further tokens)"
    }
    for branch in model.blocks.flatMap(\.branches) {
      guard branch.part is Attention || branch.part is FeedForward else {
        return "it has parts other than attention and dense feed-forward networks"
      }
      guard branch.norm?.formula == .rootMeanSquare, branch.outputNorm == nil, branch.sumNorm == nil, branch.residual == .input else {
        return "its blocks have other norms than a root mean square norm before each part"
      }
    }
    return nil
  }

  private func rotateHidden(_ model: ModelDescription, _ vector: (TensorID) -> [Float]?, _ result: inout [TensorID: RotatedTensor]) {
    let rotation = Rotation(size: model.hiddenSize, seed: seed)
    func gain(_ norm: Norm?, block: Int?) -> [Float]? {
      guard let norm, norm.hasGain else { return nil }
      let id = TensorID(norm.role, block: block)
      result[id, default: RotatedTensor()].becomesOne = true
      return vector(id)
    }
    result[TensorID(.tokenEmbedding)] = RotatedTensor(inputs: rotation)
    for (block, description) in model.blocks.enumerated() {
      for branch in description.branches {
        let gain = gain(branch.norm, block: block)
        for (layer, site) in branch.part.linears {
          let id = TensorID(layer, block: block)
          if branch.part.inputSites.contains(site) {
            result[id, default: RotatedTensor()].gain = gain
            result[id, default: RotatedTensor()].inputs = rotation
          } else {
            result[id, default: RotatedTensor()].outputs = rotation
            result[TensorID(layer, block: block, isBias: true), default: RotatedTensor()].inputs = rotation
          }
        }
      }
    }
    result[TensorID(.output)] = RotatedTensor(gain: gain(model.head.norm, block: nil), inputs: rotation)
  }

  // MARK: Values

  /// Channels of a head, if nothing but the mixing of tokens happens between the value and the output matrix.
  private static func valueHeads(of block: BlockDescription) -> Int? {
    let parts = block.branches.compactMap { $0.part as? Attention }
    guard let part = parts.first, parts.count == 1, block.branches.allSatisfy({ $0.part is Attention || $0.part is FeedForward }),
      !part.valuesAreKeys, part.sharing == nil, part.valueNorm == nil, part.clip == nil, part.gate?.isOfHeads ?? true
    else { return nil }
    return part.valueHeadSize ?? part.headSize
  }

  private func rotateValues(_ model: ModelDescription, _ result: inout [TensorID: RotatedTensor]) {
    for (block, description) in model.blocks.enumerated() {
      guard let size = Rotate.valueHeads(of: description) else { continue }
      // Other signs than those of the hidden states.
      let rotation = Rotation(size: size, seed: seed &+ 0x5EED &+ UInt64(block) << 32)
      result[TensorID(.value, block: block), default: RotatedTensor()].outputs = rotation
      result[TensorID(.value, block: block, isBias: true), default: RotatedTensor()].inputs = rotation
      result[TensorID(.attentionOutput, block: block), default: RotatedTensor()].inputs = rotation
    }
  }
}

/// What becomes of one tensor. Rotations are applied to stretches of their size.
struct RotatedTensor: TensorRewrite {
  /// Multiplies the columns first.
  var gain: [Float]?
  /// Rotates each row.
  var inputs: Rotation?
  /// Rotates each column.
  var outputs: Rotation?
  /// Whether all values become 1: a gain that has moved.
  var becomesOne = false

  var mixesRows: Bool { outputs != nil }

  func apply(to rows: inout Matrix) {
    let (count, columns) = (rows.rows, rows.columns)
    rows.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      if becomesOne { return base.update(repeating: 1, count: count * columns) }
      for row in stride(from: 0, to: count * columns, by: max(1, columns)) {
        if let gain {
          for c in 0..<min(columns, gain.count) { base[row + c] *= gain[c] }
        }
        if let inputs {
          for first in stride(from: 0, through: columns - inputs.size, by: inputs.size) { inputs.apply(to: base + row + first, lanes: 1) }
        }
      }
      if let outputs {
        for first in stride(from: 0, through: count - outputs.size, by: outputs.size) {
          outputs.apply(to: base + first * columns, lanes: columns)
        }
      }
    }
  }
}
