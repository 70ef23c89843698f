/// Several parts that read the same hidden states, each between norms of its own; their results are added.
///
/// The branches of a block that run beside each other add to the hidden states one by one. Here the sum is a result, which a norm behind
/// the part can normalize as a whole.
public struct BranchSum: Part {
  /// Channels of the hidden states: what every part gives back.
  public var width: Int
  /// Each reads the input, and at most one caches values. What they add to is not used.
  public var branches: [Branch]

  public init(width: Int, _ branches: Branch...) {
    self.width = width
    self.branches = branches
  }

  public func hash(into hasher: inout Hasher) { for branch in branches { hasher.combine(AnyHashable(branch.part)) } }

  public var tensors: [PartTensor] {
    branches.flatMap { branch in
      branch.norms.filter(\.hasGain).map { PartTensor($0.role, [width], .norm) } + branch.part.tensors
    }
  }

  public var linears: [(layer: Layer, input: Site)] { branches.flatMap(\.part.linears) }
  public var folds: [Fold] { BlockGraph(branches).folds }
  public var caches: [CacheSite] { branches.flatMap(\.part.caches) }
  public var carried: [CarriedValue] { branches.flatMap(\.part.carried) }
  public var mixesTokens: Bool { branches.contains(where: \.part.mixesTokens) }
  public var lengthLimits: [Int] { branches.flatMap(\.part.lengthLimits) }

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    var sum = Matrix(rows: input.rows, columns: input.columns)
    for branch in branches {
      let entered = branch.norm.map { context.normed(input, by: $0) } ?? input
      guard var result = branch.part.run(entered, in: context) else { continue }
      if let norm = branch.outputNorm { result = context.normed(result, by: norm) }
      sum.add(result, at: 0..<sum.rows, times: branch.scale)
    }
    return context.isOutputWanted ? sum : nil
  }
}
