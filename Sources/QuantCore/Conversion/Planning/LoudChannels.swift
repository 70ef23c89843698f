/// Inputs of layers in which some channels are far louder than the others, told from the gains of the norms before them: no text is
/// needed. Rounding to nearest takes no notice of that, and loses much in the columns of these channels.
package struct LoudChannels {
  /// How many times as large as the usual gain one must be. Gains of published models without such channels stay below 20.
  static let threshold: Float = 32
  /// Bits per weight (or per value of an input) above which rounding is fine enough anyway.
  private static let fineBits = 6.0

  private let inputs: (loud: Int, all: Int)

  /// - Parameter tensors: of the output; only the inputs of layers that are coarsely rounded count.
  /// - Throws: `Failure` if the model's tensors cannot be found.
  init(_ tensors: [PlannedTensor], source: Checkpoint, model: ModelDescription) throws(Failure) {
    var coarse: Set<TensorID> = []
    for tensor in tensors where !tensor.isCopy && tensor.repacking == nil && tensor.scheme.grid.kind != .float {
      let bits = tensor.scheme.bitsPerWeight(columns: tensor.shape.last ?? 1)
      if bits < LoudChannels.fineBits || tensor.activations != nil { coarse.formUnion(tensor.pieces.map(\.id)) }
    }
    let weights = try coarse.isEmpty ? nil : ModelWeights(source, model: model)
    var inputs = (loud: 0, all: 0)
    for (block, description) in model.blocks.enumerated() where weights != nil {
      for fold in description.graph.folds {
        guard case .norm(let role) = fold.producer, let gains = weights?.vector(TensorID(role, block: block)),
          description.graph.consumers(of: fold).contains(where: { coarse.contains(TensorID($0, block: block)) })
        else { continue }
        inputs.all += 1
        if LoudChannels.areLoud(gains) { inputs.loud += 1 }
      }
    }
    self.inputs = inputs
  }

  /// Whether one of some gains is far larger than the usual one.
  package static func areLoud(_ gains: [Float]) -> Bool {
    guard gains.allSatisfy(\.isFinite) else { return false }
    let magnitudes = gains.map { abs($0) }.sorted()
    guard let largest = magnitudes.last else { return false }
    return largest > threshold * magnitudes[magnitudes.count / 2]
  }

  /// A warning for a conversion that rounds to nearest; nil if nothing is loud.
  var caution: String? {
    guard inputs.loud > 0 else { return nil }
    return "channels in \(inputs.loud) of \(inputs.all) inputs of layers are more than \(Int(LoudChannels.threshold)) times as loud as the "
      + "usual one, where rounding to nearest loses much: --quality good makes up for it"
  }
}
