import CBlocks

/// The decoder of a block layout, from `weights` packed weights to as many floats, or nil for a name that is no layout.
/// `weights` must be a whole number of blocks. The bytes need no alignment.
func blockDecoder(
  for schemeName: String
) -> (@Sendable (_ source: UnsafeRawPointer, _ weights: Int, _ destination: UnsafeMutablePointer<Float>) -> Void)? {
  guard let layout = BlockLayout.named(schemeName) else { return nil }
  let decode = layout.decoder
  return { source, weights, destination in decode(source, Int64(weights), destination) }
}
