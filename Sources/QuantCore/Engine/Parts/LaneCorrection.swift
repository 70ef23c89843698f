/// Corrects every lane after a block has computed the active one: adds to each what the block made of the prediction of the active one,
/// times a coefficient.
///
/// Its result is the corrected active lane, in place of the hidden states.
public struct LaneCorrection: Part {
  public var router: LaneRouter

  public init(_ router: LaneRouter) { self.router = router }

  private var lanes: Lanes { router.lanes }

  /// The router is that of the prediction.
  public var tensors: [PartTensor] { [PartTensor(.laneCorrection, [lanes.count, lanes.count], .lane)] }
  public var linears: [(layer: Layer, input: Site)] { [] }

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    let coefficients = router.coefficients(input, by: .laneCorrection, in: context)
    var corrected = context.carried(lanes.value)
    let active = lanes.columns(lanes.active)
    var change = input
    change.add(corrected.selecting(columns: active), at: 0..<input.rows, times: -1)
    for row in 0..<input.rows {
      for lane in 0..<lanes.count {
        let first = lanes.columns(lane).lowerBound
        corrected.add(
          change, row: row, columns: 0..<lanes.width, times: coefficients[row, lane] + 1, at: row, columnsFrom: first)
      }
    }
    context.carry(corrected, as: lanes.value)
    return corrected.selecting(columns: active)
  }
}
