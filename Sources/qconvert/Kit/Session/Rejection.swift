import QuantCore

/// A failure with the document of what was done until then, such as a gate that rejects a complete result.
struct Rejection: Error {
  let failure: Failure
  /// What `--json` prints.
  let document: JSON
}
