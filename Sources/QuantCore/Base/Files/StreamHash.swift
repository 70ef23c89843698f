import CKernels

/// XXH3-128 of bytes that arrive in pieces.
///
/// Unchecked: a stream has one writer at a time, like the bytes that it hashes.
package final class StreamHash: @unchecked Sendable {
  /// The hash of everything added.
  package struct Digest: Equatable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
      self.high = high
      self.low = low
    }

    /// 32 hexadecimal digits, the high half first.
    package var hexadecimal: String {
      [high, low].map { half in
        let digits = String(half, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
      }.joined()
    }
  }

  private let state: OpaquePointer

  /// Nil if there is no memory for the state (a few hundred bytes).
  package init?() {
    guard let state = qc_xxh3_create() else { return nil }
    self.state = state
  }

  package func update(_ bytes: UnsafeRawBufferPointer) {
    if let base = bytes.baseAddress, !bytes.isEmpty { qc_xxh3_update(state, base, bytes.count) }
  }

  package func digest() -> Digest {
    let digest = qc_xxh3_finish(state)
    return Digest(high: digest.high, low: digest.low)
  }

  deinit { qc_xxh3_free(state) }
}
