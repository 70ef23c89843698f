import QuantCore
import SearchedPlugin
import Testing

@Test func theSearchedScaleLosesLessThanThePlainOne() throws {
  let searched = try #require(SearchedSchemes.scheme(named: "searched-g32", modelType: .f16))
  let plain = try #require(IntegerSchemes.scheme(named: "int4-g32", modelType: .f16))
  let weights = Matrix(rows: 2, columns: 64, values: (0..<128).map { $0 % 32 == 5 ? 1 : Float($0 % 7) * 0.11 - 0.33 })
  func squaredError(_ scheme: any Scheme) -> Float {
    let seen = weights.withPanel { scheme.roundTrip($0) }
    return zip(seen, weights.values).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  }
  #expect(searched.grid == plain.grid)
  #expect(squaredError(searched) < squaredError(plain))
}

@Test func aGroupOfZerosStaysZero() throws {
  let scheme = try #require(SearchedSchemes.scheme(named: "searched-g32", modelType: .bf16))
  let weights = Matrix(rows: 1, columns: 32)
  #expect(weights.withPanel { scheme.roundTrip($0) } == weights.values)
}

@Test func otherNamesAreNotItsOwn() {
  #expect(SearchedSchemes.scheme(named: "int4-g32", modelType: .f16) == nil)
  #expect(SearchedSchemes.scheme(named: "searched-g0", modelType: .f16) == nil)
}
