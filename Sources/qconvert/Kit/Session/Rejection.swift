import QuantCore

/// A failure with the document of what was done until then: a quality gate that a complete result does not pass.
struct Rejection: Error {
  let failure: Failure
  /// What `--json` prints.
  let document: JSON
}
