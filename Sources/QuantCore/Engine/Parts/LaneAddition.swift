/// Adds what a part makes of the active lane to every lane but the first.
///
/// Its result is the active lane, in place of the hidden states.
public struct LaneAddition: Part {
  public var lanes: Lanes
  /// The part with the norm behind it; it reads the active lane.
  public var branch: Branch
  /// Whether channels of the active lane are multiplied by those of a vector before the part reads them. A checkpoint may hold the vector
  /// even so.
  public var hasScale: Bool

  public init(_ lanes: Lanes, _ branch: Branch, hasScale: Bool) {
    self.lanes = lanes
    self.branch = branch
    self.hasScale = hasScale
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(lanes)
    hasher.combine(AnyHashable(branch.part))
  }

  public var tensors: [PartTensor] {
    [PartTensor(.laneScale, [lanes.width], .vector, isOptional: !hasScale)]
      + branch.norms.filter(\.hasGain).map { PartTensor($0.role, [lanes.width], .norm) } + branch.part.tensors
  }

  public var linears: [(layer: Layer, input: Site)] { branch.part.linears }

  /// The vector scales channels as the gain of a norm does.
  public var folds: [Fold] {
    let sites = branch.part.inputSites
    let entry = hasScale ? sites.prefix(1).map { Fold(site: $0, dependents: Array(sites.dropFirst()), producer: .norm(.laneScale)) } : []
    return entry + branch.part.folds
  }

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    var entered = input
    if hasScale, let scale = context.vector(.laneScale) {
      for i in entered.values.indices { entered.values[i] *= scale[i % scale.count] }
    }
    guard var result = branch.part.run(entered, in: context), context.isOutputWanted else { return nil }
    if let norm = branch.outputNorm { result = context.normed(result, by: norm) }
    var all = context.carried(lanes.value)
    for row in 0..<all.rows {
      for lane in 1..<max(1, lanes.count) {
        all.add(result, row: row, columns: 0..<lanes.width, times: 1, at: row, columnsFrom: lanes.columns(lane).lowerBound)
      }
    }
    context.carry(all, as: lanes.value)
    return all.selecting(columns: lanes.columns(lanes.active))
  }
}
