public import QuantCore
import QuantPlatform

/// The frequency factors that a GGUF stores as a tensor and a configuration as a rule.
public enum RopeFactors {
  /// Name of the tensor in a GGUF.
  public static let name = "rope_freqs.weight"

  /// The tensor of a model whose rotary embedding was read from such a table; nil for any other.
  static func tensor(_ rope: Rope) -> ModelTensor? {
    guard case .factors(let factors) = rope.scaling else { return nil }
    return ModelTensor(
      id: TensorID(.ropeFactors), shape: [factors.count], kind: .constant, places: [.gguf: TensorPlace(name, [factors.count])],
      isOptional: true)
  }

  /// One factor per pair of rotated dimensions, by which its frequency is divided; nil if nothing is scaled.
  ///
  /// Llama 3.1: wavelengths that fit `highFrequency` times into the original context are kept, those that fit less than
  /// `lowFrequency` times are stretched by `factor`, and in between the frequency is blended. Every step is in 32 bits, as
  /// in llama.cpp's converter.
  public static func values(_ rope: Rope) -> [Float]? {
    switch rope.scaling {
    case .none, .linear, .yarn: return nil
    case .factors(let values): return values
    case .llama3(let factor, let low, let high, let originalContext):
      let context = Float(originalContext)
      let (longest, shortest) = (Double(originalContext) / low, Double(originalContext) / high)
      return (0..<max(0, rope.dimension) / 2).map { pair in
        let exponent = Float(2 * pair) / Float(rope.dimension)
        let frequency = 1 / Float(pow(rope.theta, Double(exponent)))
        let wavelength = (1 / frequency) * Float(2 * Double.pi)
        if Double(wavelength) < shortest { return 1 }
        if Double(wavelength) > longest { return Float(factor) }
        let smooth = ((1 / wavelength) * context - Float(low)) / Float(high - low)
        return 1 / ((1 - smooth) / Float(factor) + smooth)
      }
    }
  }
}
