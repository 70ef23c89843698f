import ArgumentParser
import QuantCore

/// Which adapters a model runs with in `eval`, `generate` and `logits`.
struct AdapterOptions: ParsableArguments {
  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Add a LoRA adapter to MODEL, scaled by FACTOR; repeatable.", valueName: "PATH[:FACTOR]"))
  var lora: [String] = []

  /// The model with what the adapters add to it.
  /// - Throws: `Failure` if one cannot be read, or belongs to another model.
  func applied(to checkpoint: Checkpoint, _ opening: Opening) throws -> Checkpoint {
    try checkpoint.merging(lora.map { AdapterRequest(typed: $0) }, opening)
  }
}
