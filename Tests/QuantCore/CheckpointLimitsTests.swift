import QuantCore
import Testing

/// A mixture of 61 blocks with 256 experts, whose matrices are stored in up to four tensors each, fits one file.
@Test func largeMixturesFit() throws {
  try CheckpointLimits.check(tensorsOfFile: 61 * (256 * 3 * 4 + 60) + 2)
  #expect(throws: Failure.self) { try CheckpointLimits.check(tensorsOfFile: CheckpointLimits.tensorsOfFile + 1) }
}
