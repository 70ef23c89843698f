import ArgumentParser
import QuantCore

/// Whether windows of text begin with the BOS token.
enum BOSChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, on, off

  /// nil: the tokenizer's own rule decides.
  var value: Bool? {
    switch self {
    case .auto: nil
    case .on: true
    case .off: false
    }
  }
}

/// How factors of products on calibration text are rounded.
enum ProductsChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case f32, bf16

  var value: ProductPrecision { self == .bf16 ? .bf16 : .f32 }
}

/// How widely parameters of GGUF blocks are searched for.
enum SearchChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case standard, best

  var value: SearchEffort { self == .best ? .best : .standard }
}

/// How much work a conversion may take for how good a result.
enum QualityChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case fast, good, best

  var value: Quality? { Quality(rawValue: rawValue) }
}

/// What becomes of blocks that predict further tokens.
enum PredictionsChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case kept, alone, none

  var value: PredictionChoice {
    switch self {
    case .kept: .kept
    case .alone: .alone
    case .none: .none
    }
  }
}

/// Which activations methods observe.
enum StreamChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, original, quantized

  /// nil: as the methods ask.
  var value: Propagation? { Propagation(rawValue: rawValue) }
}
