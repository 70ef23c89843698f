/// A fixed number of floats, zero at first, freed with the object. Used by one thread.
final class FloatStorage {
  let base: UnsafeMutablePointer<Float>

  init(count: Int) {
    base = .allocate(capacity: max(1, count))
    base.initialize(repeating: 0, count: max(1, count))
  }

  deinit { base.deallocate() }
}
