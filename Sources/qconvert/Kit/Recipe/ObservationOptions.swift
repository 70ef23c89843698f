import ArgumentParser

/// What methods observe. Properties are nil or empty where nothing was typed.
struct ObservationOptions: ParsableArguments {
  @OptionGroup var text: CalibrationOptions

  @Option(help: ArgumentHelp("Statistics that calibrate collected, instead of running the model.", valueName: "FILE"))
  var stats: String?

  @Option(help: ArgumentHelp("Activations that methods observe; auto, the default: as they ask.", valueName: "STREAM"))
  var propagate: StreamChoice?

  @Option(help: ArgumentHelp("Products on calibration text: f32 (the default), or bf16 where the processor has them.", valueName: "TYPE"))
  var products: ProductsChoice?

  @Flag(inversion: .prefixedNo, help: "Observe later layers of a block behind its rounded earlier ones.")
  var trueSequential: Bool?
}
