import CBlocks

/// The points of a grid by their levels, and the points to try for a combination of levels that is not a point.
struct GridPoints {
  private let table: qc_neighbours

  init(_ grid: qc_grid) { table = qc_block_neighbours(grid).pointee }

  var count: Int { Int(table.points) }
  /// Number of coordinates of a point.
  var length: Int { Int(table.length) }
  /// Number of levels of a coordinate.
  var levelCount: Int32 { table.levels }

  /// Level of a coordinate of a point.
  func level(_ coordinate: Int, of index: Int) -> Int32 { level(coordinate, packed: table.packed[index]) }

  /// Level of a coordinate of a packed combination, as returned by `neighbours`.
  func level(_ coordinate: Int, packed: UInt16) -> Int32 {
    Int32(packed >> UInt16(table.bits * Int32(coordinate))) & (1 << table.bits - 1)
  }

  private func entry(_ levels: ArraySlice<Int32>) -> UInt32 {
    var packed = 0
    for level in levels.reversed() { packed = packed << Int(table.bits) | Int(clamp(level, 0, table.levels - 1)) }
    return table.entries[packed]
  }

  /// The index of a point, or nil if the levels are not a point.
  func index(_ levels: ArraySlice<Int32>) -> Int? {
    let entry = entry(levels)
    return entry & 255 == 0 ? Int(entry >> 8) : nil
  }

  /// The index of the point with these levels, or otherwise of its first neighbour.
  func nearestIndex(_ levels: ArraySlice<Int32>) -> Int {
    if let index = index(levels) { return index }
    guard let near = neighbours(levels).first else { return 0 }
    return Int(table.entries[Int(near)] >> 8)
  }

  /// The points to try for levels that are not a point, packed: the nearest ones by squared distance of levels, in that order;
  /// equally near ones in the order of their indices.
  func neighbours(_ levels: ArraySlice<Int32>) -> [UInt16] {
    let entry = entry(levels), rows = Int(entry & 255), start = Int(entry >> 8), width = QC_NEIGHBOURS_PER_CHUNK
    let chunks = UnsafeRawPointer(table.chunks)
    return (0..<rows * width).map { place in
      let (column, row) = place.quotientAndRemainder(dividingBy: rows)
      return chunks.load(fromByteOffset: 2 * ((start + row) * width + column), as: UInt16.self)
    }
  }

  /// Replaces each run of levels that is not a point by the neighbour with the smallest Σ w·(scale·value − x)². Also returns which
  /// runs were points before.
  /// - Parameter number: the value of a level before the scale.
  func snap(
    _ levels: [Int32], _ x: [Float], _ w: [Float], scale: Float, number: (Int, Int32) -> Float
  ) -> (levels: [Int32], werePoints: [Bool]) {
    var snapped = levels, werePoints: [Bool] = []
    for start in stride(from: 0, to: levels.count, by: length) {
      let own = start..<start + length
      werePoints.append(index(levels[own]) != nil)
      if werePoints.last == true { continue }
      let candidates = neighbours(levels[own])
      var smallest = Float.greatestFiniteMagnitude, nearest = candidates[0]
      for candidate in candidates {
        var sum: Float = 0
        for i in own {
          let error = scale * number(i, level(i - start, packed: candidate)) - x[i]
          sum += w[i] * error * error
        }
        if sum < smallest { (smallest, nearest) = (sum, candidate) }
      }
      for i in own { snapped[i] = level(i - start, packed: nearest) }
    }
    return (snapped, werePoints)
  }
}
