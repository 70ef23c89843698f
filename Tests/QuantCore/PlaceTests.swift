import QuantCore
import Testing

@testable import QuantConversion
@testable import QuantModel

/// From the model's tensors to those of formats and back: every map with its inverse.
@Suite struct PlaceTests {
  /// What formats do to matrices of 6 × 4 or vectors of 6, two of which are stored in each tensor.
  private static let layouts: [(name: String, shape: [Int], places: [RowLayout])] = [
    ("one after another", [12, 4], [RowLayout(), RowLayout(firstRow: 6)]),
    ("pairs", [12, 4], [RowLayout(order: .rotaryPairs(headCount: 1)), RowLayout(firstRow: 6, order: .rotaryPairs(headCount: 3))]),
    ("by turns", [12, 4], [0, 1].map { RowLayout(firstRow: $0, order: .spacedHeads(size: 1, stride: 2)) }),
    ("plus one", [12, 4], [0, 6].map { RowLayout(firstRow: $0, values: .plus(1)) }),
    ("only one of them", [12, 4], [RowLayout(), RowLayout(firstRow: 6, values: .plus(1))]),
    ("times", [12, 4], [0, 6].map { RowLayout(firstRow: $0, values: .times([0.25])) }),
    ("columns", [12, 4], [0, 6].map { RowLayout(firstRow: $0, columns: .units(size: 1, [2, 0, 3, 1])) }),
    ("units of columns", [12, 4], [0, 6].map { RowLayout(firstRow: $0, columns: .units(size: 2, [1, 0]), values: .plus(-2)) }),
    ("stack", [2, 6, 4], [0, 6].map { RowLayout(firstRow: $0) }),
    ("transposed", [4, 12], [0, 6].map { RowLayout(firstRow: $0, isTransposed: true) }),
    ("transposed stack", [2, 4, 6], [0, 6].map { RowLayout(firstRow: $0, isTransposed: true) }),
    // As gpt-oss stores gate and up of each expert, here of three experts with two rows each.
    (
      "transposed by turns", [3, 4, 4],
      [0, 1].map { RowLayout(firstRow: $0, order: .spacedHeads(size: 1, stride: 2), isTransposed: true, values: .plus(1)) }
    ),
    ("transposed columns", [4, 12], [0, 6].map { RowLayout(firstRow: $0, isTransposed: true, columns: .units(size: 2, [1, 0])) }),
  ]
  static let names = layouts.map(\.name)

  private let parallel = Parallel(threads: 2)

  private func matrices() -> [Matrix] {
    (0..<2).map { m in Matrix(rows: 6, columns: 4, values: (0..<24).map { Float(m * 24 + $0) / 8 - 2 }) }
  }

  private func planned(_ shape: [Int], _ pieces: [TensorPiece]) -> PlannedTensor {
    PlannedTensor(
      sourceName: "source", name: "target", shape: shape, scheme: FloatScheme.f32, packing: PlainPacking(), pieces: pieces, parts: [],
      note: nil, isCopy: false)
  }

  private func pieces(_ source: (shape: [Int], places: [RowLayout]), _ target: (shape: [Int], places: [RowLayout])) -> [TensorPiece] {
    (0..<2).map { index in
      TensorPiece(
        id: TensorID(.up, expert: index), shape: [6, 4], source: TensorPlace("source", source.shape, source.places[index]),
        target: TensorPlace("target", target.shape, target.places[index]))
    }
  }

  private func stored(_ shape: [Int], _ values: [Float]) -> CheckpointTensor {
    CheckpointTensor(name: "source", shape: shape, storage: PlainStorage(.f32, ByteView(values.withUnsafeBytes { [UInt8]($0) })))
  }

  /// What the format stores.
  private func written(_ layout: (name: String, shape: [Int], places: [RowLayout])) -> [Float] {
    let map = RowMap(planned(layout.shape, pieces((layout.shape, layout.places), (layout.shape, layout.places))))
    let columns = layout.shape.last ?? 1, rows = layout.shape.dropLast().reduce(1, *)
    // In two steps, like tiles.
    return [0..<1, 1..<rows].flatMap { rows in
      [Float](unsafeUninitializedCapacity: rows.count * columns) { buffer, count in
        if let base = buffer.baseAddress { map.gather(matrices(), rows: rows, columns: columns, into: base) }
        count = rows.count * columns
      }
    }
  }

  private static func placed(_ stored: CheckpointTensor, _ layout: RowLayout, _ shape: [Int]) throws -> PlacedTensor {
    try PlacedTensor(stored, at: TensorPlace(stored.name, stored.shape, layout), shape: shape, file: "")
  }

  @Test(arguments: names) func matricesComeBackAsTheyWere(_ name: String) throws {
    let layout = try #require(Self.layouts.first { $0.name == name })
    let values = written(layout)
    for (matrix, place) in zip(matrices(), layout.places) {
      let placed = try Self.placed(stored(layout.shape, values), place, [6, 4])
      #expect(placed.matrix(parallel: parallel) == matrix)
      var rows = [Float](repeating: 0, count: 12)
      placed.decode(rows: 2..<5, into: &rows)
      #expect(rows == Array(matrix.values[8..<20]))
    }
    let map = RowMap(planned(layout.shape, pieces((layout.shape, layout.places), (layout.shape, layout.places))))
    var back = [Matrix](repeating: Matrix(rows: 6, columns: 4), count: 2)
    map.scatter(values, columns: layout.shape.last ?? 1, into: &back)
    #expect(back == matrices())
  }

  /// Each value is stored where the map says; it is not enough that the inverse restores it.
  @Test(arguments: names) func everyValueIsStoredWhereItsLayoutSays(_ name: String) throws {
    let layout = try #require(Self.layouts.first { $0.name == name })
    let values = written(layout)
    for (matrix, place) in zip(matrices(), layout.places) {
      for row in 0..<6 {
        for column in 0..<4 {
          let output = place.containerRow(of: row, rows: 6), input = place.columns.containerColumn(of: column)
          let width = layout.shape.last ?? 1
          let index = place.isTransposed ? (output / width * 4 + input) * width + output % width : output * width + input
          let expected: Float
          switch place.values {
          case .plus(let constant): expected = matrix[row, column] - constant
          case .times(let factors): expected = factors.reduce(matrix[row, column], /)
          default: expected = matrix[row, column]
          }
          #expect(values[index] == expected)
        }
      }
    }
  }

  /// Between any two formats: row by row if rows stay rows, otherwise through whole matrices; and a value of the output is found in
  /// the source.
  @Test(arguments: names, names) func tensorsMoveBetweenFormats(_ from: String, _ to: String) throws {
    let source = try #require(Self.layouts.first { $0.name == from }), target = try #require(Self.layouts.first { $0.name == to })
    let tensor = planned(target.shape, pieces((source.shape, source.places), (target.shape, target.places)))
    let map = RowMap(tensor)
    let stored = stored(source.shape, written(source))
    let placed = try tensor.pieces.map { try Self.placed(stored, $0.source.layout, $0.shape) }
    let columns = target.shape.last ?? 1, rows = target.shape.dropLast().reduce(1, *)
    let moved = [Float](unsafeUninitializedCapacity: rows * columns) { buffer, count in
      if let base = buffer.baseAddress {
        if placed[0].isTransposed || tensor.isTransposed {
          map.gather(placed.map { $0.matrix(parallel: parallel) }, rows: 0..<rows, columns: columns, into: base)
        } else {
          map.decode(placed, rows: 0..<rows, columns: columns, into: base)
        }
      }
      count = rows * columns
    }
    #expect(moved == written(target))
    let values = stored.matrix().values
    for index in moved.indices {
      let place = map.source(row: index / columns, column: index % columns, columns: columns)
      let piece = try #require(
        tensor.pieces.first { [$0.source.layout.values.model(values[place.index])].contains($0.target.layout.values.model(moved[index])) })
      #expect(place.tensor == piece.source.name && place.columns == source.shape.last)
    }
  }

  @Test func valuesChangeThereAndBack() {
    for map in [ValueMap.same, .plus(1), .times([-3, 0.5]), .negatedExponential] {
      for value: Float in [-0.5, -1, -7.25] { #expect(abs(map.model(map.stored(value)) - value) <= 1e-6 * abs(value), "\(map)") }
    }
    for value: Float in [0.01, 1, 30] { #expect(abs(ValueMap.softplus.model(ValueMap.softplus.stored(value)) - value) <= 1e-6 * value) }
    // As numpy computes log1p(exp(x)).
    #expect(ValueMap.softplus.model(-3) == 0.04858735157374206 && ValueMap.softplus.model(1.5) == 1.7014132779827524)
    #expect(ValueMap.softplus.model(25) == 25)
    #expect(ValueMap.plus(1).model(0.25) == 1.25 && ValueMap.negatedExponential.model(0) == -1 && ValueMap.times([3]).stored(6) == 2)
  }

  /// Vectors of a stack are stored in a tensor of two dimensions.
  @Test func vectorsComeBackAsTheyWere() throws {
    let pieces = (0..<2).map { index in
      let place = TensorPlace("source", [2, 6], RowLayout(firstRow: index * 6, values: .plus(1)))
      return TensorPiece(id: TensorID(.up, expert: index, isBias: true), shape: [6], source: place, target: place)
    }
    let tensor = planned([2, 6], pieces)
    #expect(tensor.isVector)
    let vectors = (0..<2).map { m in (0..<6).map { Float(m * 6 + $0) } }
    let map = RowMap(tensor)
    let values = map.gather(vectors)
    #expect(values == (0..<12).map { Float($0) - 1 })
    for (vector, piece) in zip(vectors, pieces) {
      #expect(try Self.placed(stored([2, 6], values), piece.source.layout, [6]).vector() == vector)
    }
    var back = [[Float]](repeating: [Float](repeating: 0, count: 6), count: 2)
    map.scatter(values, into: &back)
    #expect(back == vectors)
  }
}
