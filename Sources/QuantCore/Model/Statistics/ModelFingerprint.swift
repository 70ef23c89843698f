/// Distinguishes one model from another without reading all of it.
package enum ModelFingerprint {
  /// Bytes hashed at each position in a tensor, and the number of positions.
  private static let sampleBytes = 4096
  private static let sampleCount = 16

  /// XXH3-128, in hexadecimal, of what is computed and of every tensor's name, shape and type with up to 16 pieces of 4 KiB of its
  /// bytes, evenly spread from its first to its last. For tensors that are stored in several parts, the first and last row are decoded.
  /// - Parameter description: what is computed, as a text that differs if any number or edge of the graph differs.
  package static func of(_ checkpoint: Checkpoint, description: String) -> String {
    let hash = StreamHash()
    func add(_ text: String) { Array(text.utf8).withUnsafeBytes { hash?.update($0) } }
    add(description + "\n")
    for tensor in checkpoint.tensors {
      add("\(tensor.name) \(tensor.shape) \(tensor.storage.schemeName)")
      if let bytes = tensor.storage.verbatim {
        for range in samples(bytes.count) { bytes.slice(range)?.withUnsafeBytes { hash?.update($0) } }
      } else if tensor.storage.isNumeric, tensor.elementCount > 0 {
        for row in [0, tensor.rowCount - 1] {
          var values = [Float](repeating: 0, count: tensor.rowLength)
          values.withUnsafeMutableBufferPointer { buffer in
            if let base = buffer.baseAddress { tensor.decode(rows: row..<row + 1, into: base) }
          }
          values.withUnsafeBytes { hash?.update($0) }
        }
      }
    }
    return hash?.digest().hexadecimal ?? ""
  }

  private static func samples(_ count: Int) -> [Range<Int>] {
    guard count > sampleBytes * sampleCount else { return [0..<count] }
    return (0..<sampleCount).map { i in
      let start = (count - sampleBytes) / (sampleCount - 1) * i
      return i == sampleCount - 1 ? count - sampleBytes..<count : start..<start + sampleBytes
    }
  }
}
