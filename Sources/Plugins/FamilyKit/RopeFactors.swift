public import QuantCore
import QuantPlatform

/// The frequency factors that a GGUF stores as tensors and a configuration as a rule or as lists.
public enum RopeFactors {
  /// Name of the tensor in a GGUF, and of LongRoPE's two tensors.
  public static let name = "rope_freqs.weight"
  public static let (longName, shortName) = ("rope_factors_long.weight", "rope_factors_short.weight")

  /// The tensors that a GGUF has of these factors.
  static func tables(_ rope: Rope) -> [(role: TensorRole, table: ConstantTensor)] {
    if case .long(let long) = rope.scaling {
      return [
        (.longRopeFactors, ConstantTensor(longName, long.longFactors)), (.shortRopeFactors, ConstantTensor(shortName, long.shortFactors)),
      ]
    }
    return values(rope).map { [(.ropeFactors, ConstantTensor(name, $0))] } ?? []
  }

  /// The tensors of a model whose rotary embedding was read from such tables; empty for any other.
  static func tensors(_ rope: Rope) -> [ModelTensor] {
    if case .llama3 = rope.scaling { return [] }
    return tables(rope).map { role, table in
      let shape = [table.values.count]
      return ModelTensor(
        id: TensorID(role), shape: shape, kind: .constant, places: [.gguf: TensorPlace(table.name, shape)], isOptional: true)
    }
  }

  /// One factor per pair of rotated dimensions, by which its frequency is divided; nil if nothing is scaled.
  ///
  /// Llama 3.1: wavelengths that fit `highFrequency` times into the original context are kept, those that fit less than
  /// `lowFrequency` times are stretched by `factor`, and in between the frequency is blended. Every step is in 32 bits, as
  /// in llama.cpp's converter.
  public static func values(_ rope: Rope) -> [Float]? {
    switch rope.scaling {
    case .none, .linear, .yarn, .long, .dynamic: return nil
    case .proportional: return rope.frequencyFactors()
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
