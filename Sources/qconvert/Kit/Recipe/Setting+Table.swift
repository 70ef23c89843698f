import QuantCore

extension Setting {
  /// Every setting, in the order of a recipe: the one list behind options, recipes, `--dump-recipe` and what outputs record.
  /// A new option is a property of `ConversionOptions` and a row here.
  static let all: [Setting] = [
    Setting("input", "IN", \.input, \.conversion.input, .text, isRecorded: false),
    Setting("output", "OUT", \.output, \.conversion.output, .text, isRecorded: false),
    Setting("from", "--from", \.from, \.conversion.fromFormat, .text, isRecorded: false),
    Setting("to", "--to", \.to, \.conversion.toFormat, .text),
    Setting("scheme", "--scheme", \.scheme, \.conversion.scheme, .scheme),
    Setting("output_scheme", "--output-scheme", \.outputChoice, \.conversion.outputScheme, .scheme),
    Setting("embedding_scheme", "--embedding-scheme", \.embeddingScheme, \.conversion.embeddingScheme, .scheme),
    Setting("packing", "--packing", \.packing, \.conversion.packing, .text),
    Setting("client", "--for", \.client, \.conversion.client, .text),
    Setting("activations", "--activations", \.activations, \.conversion.activations, .text),
    Setting("kv_cache", "--kv-cache", \.kvCache, \.conversion.keyValueCache, .text),
    Setting("calibrator", "--calibrator", \.calibrator, \.conversion.calibrator, .calibrator),
    Setting("pure", "--pure", \.pure, \.conversion.isPure, .flag),
    Setting("search", "--search", \.search, \.conversion.search, .oneOf(SearchChoice.allCases.map { ($0.rawValue, $0.value) })),
    Setting("methods", "--plugin", \.plugin, \.conversion.methods, .methods),
    Setting("drop_blocks", "--drop-blocks", \.dropBlocks, \.conversion.droppedBlocks, .someNumbers),
    Setting("adapters", "--lora", \.lora, \.conversion.adapters, .adapters, isRecorded: false),
    Setting("base", "--base", \.base, \.conversion.basePath, .text, isRecorded: false),
    Setting("tensors", "--tensor", \.tensor, \.conversion.tensorRules, .tensorRules),
    Setting("keep", "--keep", \.keep, \.conversion.keptTensors, .texts),
    Setting("tensor_types", "--tensor-type", \.tensorType, \.conversion.tensorTypes, .texts),
    Setting("metadata.set", "--set-meta", \.metadataValues, \.conversion.metadataValues, .texts),
    Setting("metadata.drop", "--drop-meta", \.dropMeta, \.conversion.droppedMetadata, .texts),
    Setting("calibration.files", "--calibration", \.text.calibration, \.conversion.calibration.files, .texts, isRecorded: false),
    Setting("calibration.samples", "--samples", \.text.samples, \.conversion.calibration.samples, .wholeNumber(1...1_000_000)),
    Setting("calibration.context", "--context", \.text.context, \.conversion.calibration.context, .wholeNumber(2...1_048_576)),
    Setting("calibration.seed", "--seed", \.text.seed, \.conversion.calibration.seed, .seed),
    Setting(
      "calibration.bos", "--bos", \.text.bos, \.conversion.calibration.bos, .oneOf(BOSChoice.allCases.map { ($0.rawValue, $0.value) })),
    Setting(
      "calibration.propagate", "--propagate", \.propagate, \.conversion.propagation,
      .oneOf(StreamChoice.allCases.map { ($0.rawValue, $0.value) })),
    Setting("calibration.true_sequential", "--true-sequential", \.trueSequential, \.conversion.isTrueSequential, .flag),
    Setting(
      "calibration.products", "--products", \.products, \.conversion.calibration.precision,
      .oneOf(ProductsChoice.allCases.map { ($0.rawValue, $0.value) })),
    Setting("calibration.stats", "--stats", \.stats, \.conversion.statisticsPath, .text, isRecorded: false),
    Setting("importance", "--importance", \.importance, \.conversion.importancePath, .text, isRecorded: false),
    Setting("include_weights", "--include-weights", \.includeWeights, \.conversion.includedImportance, .someTexts),
    Setting("exclude_weights", "--exclude-weights", \.excludeWeights, \.conversion.excludedImportance, .someTexts),
    Setting("config", "--config", \.config, \.conversion.configPath, .text, isRecorded: false),
    Setting("tokenizer", "--tokenizer", \.tokenizer, \.conversion.tokenizerPath, .text, isRecorded: false),
    Setting("pre_tokenizer", "--pre", \.pre, \.conversion.preTokenizer, .text),
    Setting("allow_nonfinite", "--allow-nonfinite", \.allowNonfinite, \.conversion.allowNonfinite, .flag),
    Setting("allow_requantize", "--allow-requantize", \.allowRequantize, \.conversion.allowRequantize, .flag),
    Setting("shard_size", "--shard-size", \.shardSize, \.conversion.shardSize, .size),
    Setting("keep_split", "--keep-split", \.keepSplit, \.conversion.keepsSplit, .flag),
    Setting("force", "--force", \.force, \.conversion.force, .flag, isRecorded: false),
    Setting("resume", "--resume", \.resume, \.conversion.resumes, .flag, isRecorded: false),
    Setting("evaluation.text", "--eval-text", \.evalText, \.evaluation.text, .texts, isRecorded: false),
    Setting("evaluation.context", "--eval-context", \.evalContext, \.evaluation.context, .wholeNumber(2...1_048_576), isRecorded: false),
    Setting(
      "evaluation.windows", "--eval-windows", \.evalWindows, \.evaluation.windows, .wholeNumber(1...1_000_000_000), isRecorded: false),
    Setting("gates", "--fail-if", \.failIf, \.gates, .gates, isRecorded: false),
    Setting("report", "--report", \.reportPlace, \.report, .reportPlace, isRecorded: false),
  ]
}
