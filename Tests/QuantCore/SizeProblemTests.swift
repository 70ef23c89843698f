import Testing

@testable import QuantConversion

/// The choice of types for a size, against an exhaustive search.
@Suite struct SizeProblemTests {
  /// Small problems with costs that fall about as rounding errors do.
  private func problem(seed: UInt64, groups: Int, options: Int) -> SizeProblem {
    var state = seed
    func next() -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 40)
    }
    return SizeProblem(
      (0..<groups).map { _ in
        let weights = 100 + next() % 900
        return (0..<options).map { index in
          let bits = 2 + index
          let cost = Double(1 + next() % 1000) / Double(1 << (2 * bits))
          return SizeProblem.Option(name: "\(index)", bytes: weights * bits + next() % 50, cost: cost)
        }
      })
  }

  private func everything(_ problem: SizeProblem) -> [SizeProblem.Allocation] {
    var choices: [[Int]] = [[]]
    for options in problem.groups { choices = choices.flatMap { choice in options.indices.map { choice + [$0] } } }
    return choices.map { problem.allocation($0) }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64]) func noChoiceWithinASizeIsMuchBetter(seed: UInt64) throws {
    let problem = problem(seed: seed, groups: 5, options: 6)
    let all = everything(problem)
    let (low, high) = (problem.smallest.bytes, problem.largest.bytes)
    for step in 0...10 {
      let size = low + (high - low) * step / 10
      let best = try #require(all.filter { $0.bytes <= size }.min { $0.cost < $1.cost })
      let found = try #require(problem.allocation(bytes: size))
      #expect(found.bytes <= size)
      #expect(found.cost <= 1.1 * best.cost, "size \(size): \(found.cost) instead of \(best.cost)")
      #expect(problem.allocation(found.choice) == found)
    }
    #expect(problem.allocation(bytes: low - 1) == nil)
  }

  @Test(arguments: [11, 12, 13] as [UInt64]) func theFrontIsWhatPricesPerByteChoose(seed: UInt64) {
    let problem = problem(seed: seed, groups: 4, options: 5)
    let all = everything(problem)
    let front = problem.front
    #expect(front.first == problem.smallest)
    for (a, b) in zip(front, front.dropFirst()) { #expect(a.bytes < b.bytes && a.cost > b.cost) }
    for step in 1...40 {
      let price = 0.2 / Double(step * step * step)
      func total(_ allocation: SizeProblem.Allocation) -> Double { allocation.cost + price * Double(allocation.bytes) }
      let best = all.map(total).min() ?? 0
      let found = front.map(total).min() ?? 0
      #expect((found - best).magnitude < 1e-9 * best)
    }
  }

  @Test func manyGroupsFillASizeToTheByte() throws {
    let problem = problem(seed: 21, groups: 60, options: 8)
    for share in [0.1, 0.3, 0.5, 0.7, 0.9] {
      let size = Int(Double(problem.smallest.bytes) * (1 - share) + Double(problem.largest.bytes) * share)
      let found = try #require(problem.allocation(bytes: size))
      #expect(found.bytes <= size && Double(size - found.bytes) < 0.001 * Double(size))
      let relaxed = try #require(problem.front.last { $0.bytes <= size })
      #expect(found.cost <= relaxed.cost)
    }
  }

  @Test(arguments: [31, 32, 33] as [UInt64]) func aCostIsMetByASmallSize(seed: UInt64) throws {
    let problem = problem(seed: seed, groups: 5, options: 6)
    let all = everything(problem)
    for share in [0.9, 0.5, 0.1, 0.01] {
      let cost = problem.largest.cost + (problem.smallest.cost - problem.largest.cost) * share
      let found = try #require(problem.allocation(cost: cost))
      let best = try #require(all.filter { $0.cost <= cost }.min { $0.bytes < $1.bytes })
      #expect(found.cost <= cost && Double(found.bytes) <= 1.05 * Double(best.bytes))
    }
    #expect(problem.allocation(cost: problem.largest.cost / 2) == nil)
  }

  @Test func anOptionThatIsLargerAndNoBetterIsNoOption() {
    let problem = SizeProblem([
      [.init(name: "a", bytes: 10, cost: 3), .init(name: "b", bytes: 12, cost: 3), .init(name: "c", bytes: 12, cost: 1)]
    ])
    #expect(problem.groups[0].map(\.name) == ["a", "c"])
  }
}
