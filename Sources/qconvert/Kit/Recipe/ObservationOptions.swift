import ArgumentParser

/// What methods observe. Properties are nil or empty if nothing was typed.
struct ObservationOptions: ParsableArguments {
  @OptionGroup var text: CalibrationOptions

  @Option(help: ArgumentHelp("Use statistics that 'calibrate' collected instead of running the model.", valueName: "FILE"))
  var stats: String?

  @Option(help: ArgumentHelp("Choose the stream that methods observe. (default: auto, as they ask)", valueName: "STREAM"))
  var propagate: StreamChoice?

  @Option(help: ArgumentHelp("Run the model in f32, or in bf16 on processors that have it. (default: f32)", valueName: "TYPE"))
  var products: ProductsChoice?

  @Flag(inversion: .prefixedNo, help: "Observe later layers of a block after its earlier layers are rounded.")
  var trueSequential: Bool?
}
