/// Which group each column of a matrix belongs to, if a format says so (`g_idx`).
public struct GroupOrder: Sendable {
  /// Nil if groups are neighbouring columns, in order.
  private let groupOfColumn: [Int32]?

  /// - Parameter indices: I32 `[columns]`, or nil: groups are neighbouring columns.
  /// - Throws: `Failure` `groups.index` if these are not valid groups of the columns.
  public init(_ indices: CheckpointTensor?, columns: Int, groups: Int, tensor: String) throws(Failure) {
    guard let indices else {
      groupOfColumn = nil
      return
    }
    guard indices.storage.elementType == .i32, indices.shape == [columns], let bytes = indices.storage.verbatim,
      bytes.count == Checked.product(columns, 4)
    else {
      throw Failure(
        .data, "groups.index", "the group indices are not \(columns) 32-bit integers, one for each column", tensor: tensor)
    }
    let found = bytes.withUnsafeBytes { raw in
      (0..<columns).map { Int32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
    }
    if let column = found.firstIndex(where: { $0 < 0 || $0 >= groups }) {
      throw Failure(
        .data, "groups.index", "column \(column) belongs to group \(found[column]), but there are \(groups) groups", tensor: tensor)
    }
    let length = max(1, columns / max(1, groups))
    groupOfColumn = columns.isMultiple(of: groups) && found.indices.allSatisfy { Int(found[$0]) == $0 / length } ? nil : found
  }

  /// The integers in this order.
  /// - Parameter groupLength: columns per group; nil for whole rows.
  /// - Throws: `Failure` `groups.length` if the columns do not divide into the groups.
  public func storage(
    _ parts: IntegerParts, groupLength: Int?, isSymmetric: Bool, byteCount: Int, tensor: String
  ) throws(Failure) -> any TensorStorage {
    if let groupOfColumn {
      let ordered = OrderedIntegerStorage(parts, groupOfColumn: groupOfColumn, isSymmetric: isSymmetric, byteCount: byteCount)
      if let ordered { return ordered }
    } else if let plain = IntegerStorage(parts, groupLength: groupLength, isSymmetric: isSymmetric, byteCount: byteCount) {
      return plain
    }
    throw Failure(
      .data, "groups.length",
      "\(parts.columns) columns do not divide into \(parts.groups) groups"
        + (groupLength.map { " of \($0)" } ?? ""), tensor: tensor)
  }
}
