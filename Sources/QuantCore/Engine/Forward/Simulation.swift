/// What is rounded while a model runs, besides what its checkpoint stores: how a client would compute that rounds activations.
/// Layers and blocks that are not listed compute exactly.
public struct Simulation: Sendable {
  /// Schemes for weights that the checkpoint holds unquantized.
  public var weights: [TensorID: any Scheme] = [:]
  /// How the inputs of linear layers, including the output matrix, are rounded, by the layer's weight.
  public var inputs: [TensorID: any ValueRounding] = [:]
  /// How values that enter caches are rounded, by block and site; keys are rounded after the rotary embedding.
  public var caches: [Int: [Site: any ValueRounding]] = [:]

  /// The layers of which columns of the input were kept by an `OutlierSplit`, in the model's order; nil if no input is split.
  public func keptColumns(of model: ModelDescription) -> [(weight: ModelTensor, columns: [Int], of: Int)]? {
    guard inputs.values.contains(where: { $0 is OutlierSplit }) else { return nil }
    return model.tensors.compactMap { tensor in
      guard let kept = (inputs[tensor.id] as? OutlierSplit)?.kept, !kept.indices.isEmpty else { return nil }
      return (tensor, kept.indices, kept.count)
    }
  }

  public init() {}

  /// The input of a layer, rounded if that is simulated.
  func input(_ x: Matrix, of weight: TensorID, parallel: Parallel) -> Matrix {
    guard let rounding = inputs[weight] else { return x }
    var rounded = x
    rounded.round(with: rounding, parallel: parallel)
    return rounded
  }

  /// Rounds values that enter a cache, if that is simulated.
  func round(_ x: inout Matrix, at site: Site, block: Int, parallel: Parallel) {
    guard let rounding = caches[block]?[site] else { return }
    x.round(with: rounding, parallel: parallel)
  }
}
