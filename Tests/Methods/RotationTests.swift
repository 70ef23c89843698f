import QuantCore
import Testing

@testable import Rotation

/// R, row after row.
private func matrix(_ rotation: Rotation) -> Matrix {
  var result = Matrix(rows: rotation.size, columns: rotation.size)
  for i in 0..<rotation.size { result[i, i] = 1 }
  RotatedTensor(inputs: rotation).apply(to: &result)
  return result
}

@Test(arguments: [1, 2, 3, 8, 12, 45, 96, 100, 576]) func rotationsAreOrthogonalAndSpreadEveryChannel(_ size: Int) {
  let rotation = matrix(Rotation(size: size, seed: 5))
  var largest: Float = 0
  for i in 0..<size {
    for j in 0...i {
      var product = 0.0
      for k in 0..<size { product += Double(rotation[i, k]) * Double(rotation[j, k]) }
      #expect(abs(product - (i == j ? 1 : 0)) < 1e-5, "rows \(i) and \(j)")
      largest = max(largest, abs(rotation[i, j]))
    }
  }
  // Hartley's matrix has entries of up to √2 times the usual one.
  #expect(largest <= (2 / Float(size)).squareRoot() * 1.001)
}

@Test func aPowerOfTwoIsSignsAndSylvestersHadamardMatrix() {
  let rotation = matrix(Rotation(size: 8, seed: 1))
  for i in 0..<8 {
    let sign: Float = rotation[i, 0] > 0 ? 1 : -1
    for j in 0..<8 {
      let hadamard: Float = (i & j).nonzeroBitCount % 2 == 0 ? 1 : -1
      #expect(abs(rotation[i, j] - sign * hadamard / Float(8).squareRoot()) < 1e-6)
    }
  }
  #expect(matrix(Rotation(size: 8, seed: 1)) == rotation && matrix(Rotation(size: 8, seed: 2)) != rotation)
}

@Test func rowsAndColumnsAreRotatedStretchByStretch() {
  var random = SystemlessRandom(seed: 9)
  let weights = Matrix(rows: 12, columns: 8, values: (0..<96).map { _ in random.normal() })
  let inputs = Rotation(size: 4, seed: 3), outputs = Rotation(size: 6, seed: 4), gain = (0..<8).map { Float($0) / 4 - 1 }
  var found = weights
  RotatedTensor(gain: gain, inputs: inputs, outputs: outputs).apply(to: &found)
  let (a, b) = (matrix(inputs), matrix(outputs))
  for row in 0..<12 {
    for column in 0..<8 {
      // By the definition: Rᵀ·W·diag(g)·R in each square.
      var expected = 0.0
      for i in 0..<6 {
        for j in 0..<4 {
          let (r, c) = (row / 6 * 6 + i, column / 4 * 4 + j)
          expected += Double(b[i, row % 6]) * Double(weights[r, c] * gain[c]) * Double(a[j, column % 4])
        }
      }
      #expect(abs(Double(found[row, column]) - expected) < 1e-5)
    }
  }
}
