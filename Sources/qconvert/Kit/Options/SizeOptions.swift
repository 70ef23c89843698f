import ArgumentParser

/// Types that are chosen for a size. Properties are nil or empty if nothing was typed.
struct SizeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Choose types so that OUT has at most this size.", valueName: "SIZE"))
  var targetSize: String?

  @Option(help: ArgumentHelp("Choose types for this many bits per weight.", valueName: "BITS"))
  var targetBpw: String?

  @Option(help: ArgumentHelp("Choose types for this KL divergence, in nats per token.", valueName: "NATS"))
  var targetKld: String?

  @Option(help: ArgumentHelp("Choose by what 'analyze' measured. (default: measure on --calibration)", valueName: "FILE"))
  var analysis: String?

  @Option(help: ArgumentHelp("Choose from these schemes only.", valueName: "NAME,NAME,..."))
  var prefer: String?
}
