import CBlocks

/// The points of a grid by their levels, and which of them are looked at in place of a combination of levels that is none.
struct GridPoints {
  private let table: qc_neighbours

  init(_ grid: qc_grid) { table = qc_block_neighbours(grid).pointee }

  var count: Int { Int(table.points) }
  /// Coordinates of a point.
  var length: Int { Int(table.length) }
  /// Levels of a coordinate.
  var levelCount: Int32 { table.levels }

  /// Level of a coordinate of a point.
  func level(_ coordinate: Int, of index: Int) -> Int32 { level(coordinate, packed: table.packed[index]) }

  /// Level of a coordinate of a combination as `neighbours` gives it.
  func level(_ coordinate: Int, packed: UInt16) -> Int32 {
    Int32(packed >> UInt16(table.bits * Int32(coordinate))) & (1 << table.bits - 1)
  }

  private func entry(_ levels: ArraySlice<Int32>) -> UInt32 {
    var packed = 0
    for level in levels.reversed() { packed = packed << Int(table.bits) | Int(clamp(level, 0, table.levels - 1)) }
    return table.entries[packed]
  }

  /// The index of a point, or nil where the levels are those of none.
  func index(_ levels: ArraySlice<Int32>) -> Int? {
    let entry = entry(levels)
    return entry & 255 == 0 ? Int(entry >> 8) : nil
  }

  /// The index of the point with these levels, or of the first one next to them.
  func nearestIndex(_ levels: ArraySlice<Int32>) -> Int {
    if let index = index(levels) { return index }
    guard let near = neighbours(levels).first else { return 0 }
    return Int(table.entries[Int(near)] >> 8)
  }

  /// The points to look at in place of levels that are those of none, packed: the nearest ones by the squared distance of levels,
  /// in that order and of equally near ones in the order of their indices.
  func neighbours(_ levels: ArraySlice<Int32>) -> [UInt16] {
    let entry = entry(levels), rows = Int(entry & 255), start = Int(entry >> 8), width = QC_NEIGHBOURS_PER_CHUNK
    let chunks = UnsafeRawPointer(table.chunks)
    return (0..<rows * width).map { place in
      let (column, row) = place.quotientAndRemainder(dividingBy: rows)
      return chunks.load(fromByteOffset: 2 * ((start + row) * width + column), as: UInt16.self)
    }
  }

  /// Levels that are a point, for each stretch of weights the one with the smallest Σ w·(scale·number − x)² among its neighbours,
  /// and whether they were one before.
  /// - Parameter number: what a level means before the scale.
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
