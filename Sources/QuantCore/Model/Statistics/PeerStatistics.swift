// An expert sees only the tokens that its router sends to it. With fewer tokens than channels, its statistics say more about the text than
// about the expert, and a Gram matrix of them has no inverse. Its peers, the other experts of the block, see tokens of the same kind.

extension [Site: SiteStatistics] {
  /// The statistics with those of experts that few tokens reached supplemented by the mean of all experts of the block: as many tokens of
  /// that kind as are missing from one per channel (shrinkage of a covariance towards a common one, as in regularized discriminant
  /// analysis, https://doi.org/10.1080/01621459.1989.10478752). An expert that no token reached, or that has no such peers, is left out.
  package func supplemented(in graph: BlockGraph) -> [Site: SiteStatistics] {
    var result = filter { !graph.isOfExpert($0.key) }
    for peers in graph.peers {
      let found = peers.compactMap { self[$0] }
      let pool = SiteStatistics.pool(found)
      for site in peers {
        guard var own = self[site], own.tokens > 0 else { continue }
        if own.tokens < own.channels {
          guard let pool, pool.tokens >= pool.channels else { continue }
          let missing = own.channels - own.tokens
          own.supplement(by: pool, tokens: missing)
          own.borrowedTokens = missing
        }
        result[site] = own
      }
    }
    return result
  }
}

extension [Site: SiteStatistics] {
  /// What stands for an expert that no token reached when a range of values is stored: of its peers, the one with the largest value.
  package func widestPeer(of site: Site, in graph: BlockGraph) -> SiteStatistics? {
    let found = graph.peers.first { $0.contains(site) }?.compactMap { self[$0] }.filter { $0.tokens > 0 } ?? []
    return found.max { $0.largestMagnitude < $1.largestMagnitude }
  }
}

extension BlockGraph {
  /// The sites of experts, those that the same layers read together.
  fileprivate var peers: [[Site]] {
    var groups: [(roles: [TensorRole], sites: [Site])] = []
    for site in sites where isOfExpert(site) {
      let roles = consumers(of: site).map(\.role)
      if let index = groups.firstIndex(where: { $0.roles == roles }) {
        groups[index].sites.append(site)
      } else {
        groups.append((roles, [site]))
      }
    }
    return groups.map(\.sites)
  }
}

extension SiteStatistics {
  fileprivate var largestMagnitude: Float { Swift.max(maximum.max() ?? 0, -(minimum.min() ?? 0)) }

  /// The sum over several sites of what can be added; nil without sites.
  fileprivate static func pool(_ sites: [SiteStatistics]) -> SiteStatistics? {
    guard let first = sites.first, sites.contains(where: { $0.tokens < $0.channels }) else { return nil }
    var pool = SiteStatistics(channels: first.channels)
    pool.gram = [Float](repeating: 0, count: first.gram.count)
    pool.meanSquare = [Float](repeating: 0, count: first.meanSquare.count)
    for site in sites where site.tokens > 0 { pool.supplement(by: site, tokens: site.tokens) }
    return pool
  }

  /// Adds some tokens of another site's kind. Ranges and samples stay those of the site itself.
  fileprivate mutating func supplement(by other: SiteStatistics, tokens count: Int) {
    let share = Float(count) / Float(Swift.max(1, other.tokens))
    let (own, all) = (Float(tokens), Float(tokens + count))
    for c in 0..<channels {
      meanAbsolute[c] = (meanAbsolute[c] * own + other.meanAbsolute[c] * Float(count)) / all
      if !meanSquare.isEmpty, !other.meanSquare.isEmpty {
        meanSquare[c] = (meanSquare[c] * own + other.meanSquare[c] * Float(count)) / all
      }
    }
    if gram.count == other.gram.count { for i in gram.indices { gram[i] += share * other.gram[i] } }
    tokens += count
  }
}
