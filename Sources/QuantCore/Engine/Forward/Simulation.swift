/// What is rounded while a model runs, besides what its checkpoint stores: how a client would compute that rounds activations.
/// Layers and blocks that are not listed compute exactly.
public struct Simulation: Sendable {
  /// Schemes for weights that the checkpoint holds unquantized.
  public var weights: [TensorID: any Scheme] = [:]
  /// How the inputs of linear layers, including the output matrix, are rounded, by the layer's weight.
  public var inputs: [TensorID: any ValueRounding] = [:]
  /// How values that enter caches are rounded, by block and site; keys are rounded after the rotary embedding.
  public var caches: [Int: [Site: any ValueRounding]] = [:]

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
