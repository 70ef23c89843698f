import QuantCore
import TestSupport

/// The bytes of a safetensors file with one-dimensional tensors of 32-bit floats.
func safetensors(_ tensors: [(name: String, values: [Float])], metadata: String? = nil) -> [UInt8] {
  var data: [UInt8] = []
  var entries = metadata.map { ["\"__metadata__\":\($0)"] } ?? []
  for (name, values) in tensors {
    let start = data.count
    for value in values { withUnsafeBytes(of: value) { data.append(contentsOf: $0) } }
    entries.append(
      "\(JSON.string(name).text()):{\"dtype\":\"F32\",\"shape\":[\(values.count)],\"data_offsets\":[\(start),\(data.count)]}")
  }
  let header = Array("{\(entries.joined(separator: ","))}".utf8)
  return withUnsafeBytes(of: UInt64(header.count)) { Array($0) } + header + data
}

/// The failure that `body` throws, or nil.
func failure(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch {
    return error as? Failure
  }
}

/// Writes text to a file.
func writeText(_ path: String, _ text: String) { writeFile(path, Array(text.utf8)) }
