import Synchronization

/// The largest magnitudes that shared parameters are fitted to. Tensors that share a parameter get the same magnitude, which is found
/// once, before any of them is written.
final class SharedMagnitudes: Sendable {
  /// For the index of each planned tensor, the indices of all that share a parameter with it.
  private let members: [Int: [Int]]
  private let found = Mutex<[Int: Float]>([:])

  init(_ plan: ConversionPlan) {
    struct Place: Hashable {
      var block: Int
      var site: Site
      var grid: Grid
    }
    var places: [Place: [Int]] = [:]
    for (index, tensor) in plan.tensors.enumerated() where tensor.scheme.sharedScale?.sharing == .jointLayers && tensor.repacking == nil {
      guard let id = tensor.id, let block = id.block, let site = plan.model?.input(of: id) else { continue }
      places[Place(block: block, site: site, grid: tensor.scheme.grid), default: []].append(index)
    }
    members = places.values.reduce(into: [:]) { result, indices in
      for index in indices { result[index] = indices }
    }
  }

  /// The largest magnitude of a tensor and all that share a parameter with it.
  /// - Parameter measure: finds the largest magnitude of one tensor.
  func value(for index: Int, _ measure: (Int) throws -> Float) rethrows -> Float {
    if let known = found.withLock({ $0[index] }) { return known }
    let sharing = members[index] ?? [index]
    let largest = try sharing.map(measure).max() ?? 0
    found.withLock { for index in sharing { $0[index] = largest } }
    return largest
  }
}
