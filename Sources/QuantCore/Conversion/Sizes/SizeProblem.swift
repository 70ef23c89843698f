/// A choice of one option for each of several groups, so that the cost is small and the size stays within a budget.
///
/// A group is a tensor, or several that clients need in one type. The problem is the multiple-choice knapsack; see `allocation(bytes:)`.
package struct SizeProblem: Sendable {
  /// What a group may become.
  package struct Option: Sendable, Equatable {
    /// What stands for it outside: the name of a scheme.
    package var name: String
    package var bytes: Int
    /// What it adds to the divergence.
    package var cost: Double

    package init(name: String, bytes: Int, cost: Double) {
      self.name = name
      self.bytes = bytes
      self.cost = cost
    }
  }

  /// One option for each group.
  package struct Allocation: Sendable, Equatable {
    /// Index of the option of each group.
    package var choice: [Int]
    package var bytes: Int
    package var cost: Double
  }

  /// The options of each group, in the order of their bytes; an option that costs no less than a smaller one is left out.
  package let groups: [[Option]]
  /// Indices of the options on the lower convex hull of each group: those that a price per byte can choose.
  private let hulls: [[Int]]

  /// - Parameter groups: the options of each group, at least one each.
  package init(_ groups: [[Option]]) {
    self.groups = groups.map { options in
      var kept: [Option] = []
      for option in options.sorted(by: { ($0.bytes, $0.cost, $0.name) < ($1.bytes, $1.cost, $1.name) })
      where kept.last.map({ option.cost < $0.cost }) ?? true { kept.append(option) }
      return kept
    }
    hulls = self.groups.map { SizeProblem.hull(of: $0) }
  }

  private static func hull(of options: [Option]) -> [Int] {
    var hull: [Int] = []
    for next in options.indices {
      while hull.count > 1 {
        let (a, b, c) = (options[hull[hull.count - 2]], options[hull[hull.count - 1]], options[next])
        // b lies on or above the line from a to c.
        let falls = (a.cost - b.cost) * Double(c.bytes - b.bytes) > (b.cost - c.cost) * Double(b.bytes - a.bytes)
        if falls { break }
        hull.removeLast()
      }
      hull.append(next)
    }
    return hull
  }

  /// The smallest that the groups can be.
  package var smallest: Allocation { allocation(groups.map { _ in 0 }) }
  /// The largest that can make sense.
  package var largest: Allocation { allocation(groups.map { $0.count - 1 }) }

  package func allocation(_ choice: [Int]) -> Allocation {
    var (bytes, cost) = (0, 0.0)
    for (options, index) in zip(groups, choice) {
      bytes += options[index].bytes
      cost += options[index].cost
    }
    return Allocation(choice: choice, bytes: bytes, cost: cost)
  }

  // MARK: The front

  /// The allocations that a price per byte chooses, from the smallest to the largest: each has the smallest cost of its size.
  ///
  /// From one to the next, a single group takes the next option on its hull: the one that saves most per byte. As hulls are convex, these
  /// steps in the order of what they save are exactly the solutions of the Lagrangian relaxation.
  package var front: [Allocation] {
    var steps: [(saving: Double, group: Int, to: Int)] = []
    for group in groups.indices {
      for (a, b) in zip(hulls[group], hulls[group].dropFirst()) {
        let (from, to) = (groups[group][a], groups[group][b])
        steps.append(((from.cost - to.cost) / Double(to.bytes - from.bytes), group, b))
      }
    }
    steps.sort { ($1.saving, $0.group, $0.to) < ($0.saving, $1.group, $1.to) }
    var current = smallest
    var result = [current]
    for step in steps {
      let (old, new) = (groups[step.group][current.choice[step.group]], groups[step.group][step.to])
      current.choice[step.group] = step.to
      current.bytes += new.bytes - old.bytes
      current.cost += new.cost - old.cost
      result.append(current)
    }
    return result
  }

  // MARK: One size

  /// The allocation of the smallest cost that was found within a size; nil if even the smallest options are larger.
  ///
  /// The Lagrangian relaxation gives the last allocation on the front within the size, and no allocation costs less than the line from it
  /// to the next. What is left of the size is then used by the best changes of one or two groups, as long as there are any.
  package func allocation(bytes: Int) -> Allocation? {
    guard var best = front.last(where: { $0.bytes <= bytes }) else { return nil }
    while let next = improved(best, within: bytes) { best = next }
    return allocation(best.choice)
  }

  /// The smallest allocation that was found with a cost of at most `cost`; nil if the largest options cost more.
  package func allocation(cost: Double) -> Allocation? {
    guard let bound = front.first(where: { $0.cost <= cost }) else { return nil }
    // Costs fall with the size: bisection finds the smallest size whose allocation is good enough.
    var (low, high) = (smallest.bytes, bound.bytes)
    var best = bound
    while low < high {
      let middle = low + (high - low) / 2
      if let found = allocation(bytes: middle), found.cost <= cost {
        best = found
        high = min(middle, found.bytes)
      } else {
        low = middle + 1
      }
    }
    return best
  }

  /// A change of one group.
  private struct Move {
    var group: Int
    var to: Int
    var bytes: Int
    var cost: Double
  }

  /// How far from its present option a group may move.
  private static let reach = 4

  private func improved(_ current: Allocation, within bytes: Int) -> Allocation? {
    let left = bytes - current.bytes
    var moves: [Move] = []
    for (group, options) in groups.enumerated() {
      let now = current.choice[group]
      for to in max(0, now - SizeProblem.reach)...min(options.count - 1, now + SizeProblem.reach) where to != now {
        let move = Move(group: group, to: to, bytes: options[to].bytes - options[now].bytes, cost: options[to].cost - options[now].cost)
        moves.append(move)
      }
    }
    moves.sort { ($0.bytes, $0.cost, $0.group, $0.to) < ($1.bytes, $1.cost, $1.group, $1.to) }
    // For each number of moves in the order of bytes: the two of different groups with the smallest cost.
    var cheapest: [(first: Int, second: Int?)] = []
    for index in moves.indices {
      var (first, second) = cheapest.last.map { ($0.first, $0.second) } ?? (index, nil)
      if moves[index].cost < moves[first].cost {
        if moves[index].group != moves[first].group { second = first }
        first = index
      } else if moves[index].group != moves[first].group, second.map({ moves[index].cost < moves[$0].cost }) ?? true {
        second = index
      }
      cheapest.append((first, second))
    }
    var best: (gain: Double, moves: [Move])?
    func offer(_ chosen: [Move]) {
      let cost = chosen.reduce(0) { $0 + $1.cost }
      // Differences in the last bits of sums are no gain.
      if cost < -1e-12 * current.cost, cost < best?.gain ?? 0 { best = (cost, chosen) }
    }
    var partner = moves.count - 1
    for move in moves {
      if move.bytes <= left { offer([move]) }
      while partner >= 0, moves[partner].bytes + move.bytes > left { partner -= 1 }
      guard partner >= 0 else { break }
      let (first, second) = cheapest[partner]
      if moves[first].group != move.group {
        offer([move, moves[first]])
      } else if let second {
        offer([move, moves[second]])
      }
    }
    guard let best else { return nil }
    var choice = current.choice
    for move in best.moves { choice[move.group] = move.to }
    return allocation(choice)
  }
}
