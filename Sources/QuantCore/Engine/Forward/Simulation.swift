/// What is rounded while a model runs, beside what its checkpoint stores: how a program would compute that has fewer bits for
/// activations. Layers and blocks that are not named compute exactly.
public struct Simulation: Sendable {
  /// Schemes to which weights are rounded that the checkpoint holds unrounded.
  public var weights: [TensorID: any Scheme] = [:]
  /// How the inputs of linear layers are rounded, by the layer's weight; the output matrix is one of them.
  public var inputs: [TensorID: any ValueRounding] = [:]
  /// How values enter caches, by block and site; keys are rounded behind the rotary embedding.
  public var caches: [Int: [Site: any ValueRounding]] = [:]

  public init() {}

  /// What flows into a layer, rounded where that is simulated.
  func input(_ x: Matrix, of weight: TensorID, parallel: Parallel) -> Matrix {
    guard let rounding = inputs[weight] else { return x }
    var rounded = x
    rounded.round(with: rounding, parallel: parallel)
    return rounded
  }

  /// Rounds values on their way into a cache.
  func round(_ x: inout Matrix, at site: Site, block: Int, parallel: Parallel) {
    guard let rounding = caches[block]?[site] else { return }
    x.round(with: rounding, parallel: parallel)
  }
}
