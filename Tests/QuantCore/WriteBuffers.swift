import QuantCore
import QuantPlatform
import TestSupport
import Testing

@testable import QuantBase
@testable import QuantModel
@testable import QuantNumbers

/// In whatever pieces bytes are written, they end up in the right places of the file.
@Suite struct WriteBufferTests {
  private let folder = TemporaryFolder()
  private let megabyte = 1 << 20

  private func content(_ count: Int) -> [UInt8] {
    (0..<count).map { (index: Int) -> UInt8 in UInt8(truncatingIfNeeded: (index &* 2_654_435_761) >> 13) }
  }

  /// Writes placements of these lengths, one after another with gaps, by turns in pieces of `piece` bytes, and commits.
  private func write(_ lengths: [Int], piece: Int) throws -> [UInt8] {
    var offset = 100
    let placements = lengths.enumerated().map { index, length in
      defer { offset += length + 37 }
      return OutputLayout.Placement(tensor: index, part: 0, file: 0, offset: offset, byteCount: length)
    }
    let target = folder.file("out-\(piece)-\(lengths.count)")
    let layout = OutputLayout(
      isFolder: false, files: [.init(name: "", size: offset, literals: [])], placements: placements)
    let transaction = try OutputTransaction(layout: layout, target: target, force: true, inputs: [])
    let bytes = content(lengths.max() ?? 0)
    var done = lengths.map { _ in 0 }
    while done != lengths {
      for (index, place) in placements.enumerated() where done[index] < lengths[index] {
        let end = min(lengths[index], done[index] + piece)
        try bytes[done[index]..<end].withUnsafeBytes {
          try transaction.write(file: 0, offset: place.offset + done[index], bytes: $0)
        }
        done[index] = end
      }
    }
    try transaction.commit()
    let found = readFile(target)
    for place in placements {
      let same = found[place.offset..<place.offset + place.byteCount].elementsEqual(bytes.prefix(place.byteCount))
      #expect(same, "\(place.byteCount) bytes in pieces of \(piece)")
    }
    return found
  }

  @Test(arguments: [1000, 69632, 1 << 20, (1 << 20) + 1, 5 << 20]) func bytesOfSeveralPlacementsEndUpInPlace(_ piece: Int) throws {
    let found = try write([1, 3 * megabyte + 5, 70000, megabyte, 2 * megabyte - 237], piece: piece)
    // Bytes between placements stay zero.
    #expect(found.prefix(100).allSatisfy { $0 == 0 })
  }

  @Test func partsOfLinesEndUpInPlace() throws {
    let (lines, width) = (40, 3000)
    let layout = OutputLayout(
      isFolder: false, files: [.init(name: "", size: 64 + lines * width, literals: [])],
      placements: [.init(tensor: 0, part: 0, file: 0, offset: 64, byteCount: lines * width)])
    let target = folder.file("lines")
    let transaction = try OutputTransaction(layout: layout, target: target, force: true, inputs: [])
    let bytes = content(lines * width)
    for columns in [0..<1000, 1000..<1001, 1001..<3000] {
      var slab: [UInt8] = []
      for line in 0..<lines { slab += bytes[line * width + columns.lowerBound..<line * width + columns.upperBound] }
      try slab.withUnsafeBytes {
        try transaction.write(file: 0, offset: 64 + columns.lowerBound, lines: lines, stride: width, bytes: $0)
      }
    }
    // More than there is space for.
    #expect(throws: Failure.self) {
      try [UInt8](repeating: 0, count: lines).withUnsafeBytes {
        try transaction.write(file: 0, offset: 64 + 10, lines: lines, stride: width, bytes: $0)
      }
    }
    try transaction.commit()
    #expect(Array(readFile(target).dropFirst(64)) == bytes)
  }

  @Test func columnsAreHandedOnInSlabsThatFillTheLines() {
    let part = StoredPart(name: "x", shape: [5, 100], type: .element(.u8), byteCount: 500, order: .sideBySide)
    /// The byte at a place of a line.
    func value(_ line: Int, _ place: Int) -> UInt8 { UInt8(line * 40 + place % 40) }
    var expected: [UInt8] = []
    for line in 0..<5 { for place in 0..<100 { expected.append(value(line, place)) } }
    for (own, limit) in [(7, 60), (7, 5), (100, 10), (30, 1 << 20), (1, 500)] {
      var assembly = PartAssembly([part], limit: limit)
      var found = [UInt8](repeating: 255, count: 500)
      for start in stride(from: 0, to: 100, by: own) {
        let count = min(own, 100 - start)
        var piece: [UInt8] = []
        for line in 0..<5 { for i in 0..<count { piece.append(value(line, start + i)) } }
        for slab in assembly.add(piece, to: 0) {
          let length = slab.bytes.count / slab.lines
          #expect(slab.lines == 5 || length == 500)
          for line in 0..<slab.lines {
            for i in 0..<length { found[slab.offset + line * slab.stride + i] = slab.bytes[line * length + i] }
          }
        }
      }
      #expect(found == expected, "\(own) at a time, at most \(limit)")
    }
  }
}
