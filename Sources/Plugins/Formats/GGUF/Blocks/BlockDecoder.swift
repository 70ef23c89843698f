/// Decodes whole blocks of the scheme with this name to floats: source, number of weights, destination. Nil where none exists.
func blockDecoder(for schemeName: String) -> (@Sendable (UnsafeRawPointer, Int, UnsafeMutablePointer<Float>) -> Void)? { nil }
