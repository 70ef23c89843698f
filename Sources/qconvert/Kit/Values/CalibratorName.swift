import QuantCore

extension RangeCalibrator {
  /// The calibrator that an option names.
  /// - Throws: `Failure` `calibrator.unknown`.
  init(known name: String) throws(Failure) {
    guard let found = RangeCalibrator(named: name) else {
      throw Registry.unknown("calibrator", "calibrator.unknown", name, among: RangeCalibrator.names)
    }
    self = found
  }
}
