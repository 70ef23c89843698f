/// Predicts every lane from all of them, before a block computes the active one: adds to each a sum of all, with coefficients that the
/// active one chooses.
///
/// Its result is the predicted active lane, in place of the hidden states.
public struct LanePrediction: Part {
  public var router: LaneRouter

  public init(_ router: LaneRouter) { self.router = router }

  private var lanes: Lanes { router.lanes }

  public var tensors: [PartTensor] {
    router.tensors + [PartTensor(.lanePrediction, [lanes.count * lanes.count, lanes.count], .lane)]
  }

  public var linears: [(layer: Layer, input: Site)] { [] }
  public var carried: [CarriedValue] { [lanes.value] }

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    let coefficients = router.coefficients(input, by: .lanePrediction, in: context)
    let before = context.carried(lanes.value)
    var predicted = before
    for row in 0..<input.rows {
      for lane in 0..<lanes.count {
        let first = lanes.columns(lane).lowerBound
        for other in 0..<lanes.count {
          let factor = coefficients[row, lane * lanes.count + other]
          predicted.add(before, row: row, columns: lanes.columns(other), times: factor, at: row, columnsFrom: first)
        }
      }
    }
    context.carry(predicted, as: lanes.value)
    return predicted.selecting(columns: lanes.columns(lanes.active))
  }
}
