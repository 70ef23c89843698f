/// What each block gets of a token besides hidden states: a part of the token's row in a second table, plus a projection of the hidden
/// states before the first block, normalized, both times factors.
public struct BlockEmbedding: Sendable, Hashable {
  /// Channels for one block. The table has as many columns for each block, the projection as many rows.
  public var width: Int
  /// Rows of the table. Tokens beyond them have the row of token 0.
  public var rows: Int
  /// Rows that the table has in formats in which every token has one: those beyond are zero.
  public var paddedRows: Int
  /// The factor of the rows of the table.
  public var scale: Float
  /// The factor of the projection.
  public var projectionScale: Float
  /// Applied to the part of the projection that a block gets.
  public var norm: Norm
  /// The factor of the sum.
  public var sumScale: Float

  public init(width: Int, rows: Int, scale: Float, projectionScale: Float, norm: Norm, sumScale: Float) {
    self.width = width
    self.rows = rows
    paddedRows = rows
    self.scale = scale
    self.projectionScale = projectionScale
    self.norm = norm
    self.sumScale = sumScale
  }
}

extension CarriedValue {
  /// The id of the token itself, of which blocks get their part of the embedding. Floats hold ids below 2²⁴ exactly.
  package static let token = CarriedValue("token", width: 1)
}

extension ModelDescription {
  /// What flows from block to block besides hidden states, in the order of its columns.
  package var carried: [CarriedValue] {
    var values = embedding.perBlock == nil ? [] : [CarriedValue.token]
    for value in blocks.flatMap({ $0.branches.flatMap(\.part.carried) }) where !values.contains(value) { values.append(value) }
    return values
  }

  /// Columns of the matrix that flows from block to block: hidden states, then the carried values.
  package var stateWidth: Int { carried.reduce(hiddenSize) { $0 + $1.width } }
}

extension TensorRole {
  /// The table, the projection and the norm that make what each block gets of a token.
  public static let blockEmbedding = TensorRole("blockEmbedding")
  public static let blockEmbeddingProjection = TensorRole("blockEmbeddingProjection")
  public static let blockEmbeddingNorm = TensorRole("blockEmbeddingNorm")
  /// The value that all hidden states of a block are multiplied by.
  public static let blockScale = TensorRole("blockScale")
}
