/// A packing of folders: how codes and scales are stored, and read again.
extension Scaffold {
  var packing: String {
    """
    public import QuantCore

    /// Signed 4-bit integers in groups, two to a byte.
    ///
    /// For a matrix `X.weight [out, in]`: `X.weight_codes` U8 `[out, in / 2]`, each code plus 8, that of the even column in the low bits;
    /// `X.weight_scales` F16 `[out, groups]`. A folder says `"quant_method": "\(name)"`.
    public struct \(camel)Packing: FolderPacking, Unpacker {
      public static let id = "\(name)"
      public static let summary = "4-bit integers, two to a byte."
      public static let reference = "the page that describes the layout"

      public init() {}

      // MARK: What it holds

      public func holds(_ grid: Grid) -> Bool { grid.kind == .symmetricInteger && grid.codeBits == 4 && grid.scaleType == .f16 }

      /// Scales are F16, whatever the type of the model.
      public func stored(_ scheme: any Scheme) -> any Scheme { (scheme as? IntegerScheme)?.storing(scales: .f16) ?? scheme }

      public func obstacle(shape: [Int], scheme: any Scheme) -> String? {
        (shape.last ?? 0).isMultiple(of: 8) ? nil : "rows are not a multiple of 8 long"
      }

      // MARK: Writing

      public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
        let (rows, columns) = (shape[0], shape[1])
        let groups = columns / scheme.groupLength(columns: columns)
        return [
          StoredPart(name: name + "_codes", shape: [rows, columns / 2], type: .element(.u8), byteCount: rows * columns / 2),
          StoredPart(name: name + "_scales", shape: [rows, groups], type: .element(.f16), byteCount: rows * groups * 2),
        ]
      }

      /// The bytes of some rows, in the order of `parts`.
      public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
        let codes = stride(from: 0, to: panel.codes.count, by: 2).map { index in
          UInt8(truncatingIfNeeded: panel.codes[index] + 8 | (panel.codes[index + 1] + 8) << 4)
        }
        return [codes, NumberConversion.bytes(of: panel.parameters, as: .f16)]
      }

      public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
        .object([
          .init("quant_method", .string(\(camel)Packing.id)), .init("modules_to_not_convert", .array(unquantized.map { .string($0) })),
        ])
      }

      // MARK: Reading

      public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
        guard configuration["quant_method"]?.stringValue == \(camel)Packing.id else { return nil }
        let scales = Dictionary(
          stored.filter { $0.name.hasSuffix("_scales") }.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return try stored.compactMap { tensor in
          if scales[tensor.name] != nil { return nil }
          guard tensor.name.hasSuffix(".weight_codes") else { return tensor }
          let name = String(tensor.name.dropLast("_codes".count))
          return try \(camel)Packing.weight(name, codes: tensor, scales: scales[name + "_scales"])
        }
      }

      /// A matrix whose rows are decoded on demand. Its codes can be moved into other packings without another rounding.
      private static func weight(_ name: String, codes: CheckpointTensor, scales: CheckpointTensor?) throws(Failure) -> CheckpointTensor {
        guard let scales else { throw Failure(.data, "\(name).scales", "has no scales", tensor: name) }
        // Nothing that comes from a file is computed with unchecked: a shape may be anything.
        guard codes.storage.elementType == .u8, let bytes = codes.storage.verbatim, codes.shape.count == 2, scales.shape.count == 2,
          let columns = Checked.product(codes.shape[1], 2), columns.isMultiple(of: 8), scales.shape[0] == codes.shape[0]
        else {
          throw Failure(.data, "\(name).shape", "has codes of shape \\(codes.shape) and scales of shape \\(scales.shape)", tensor: name)
        }
        let (rows, groups) = (codes.shape[0], scales.shape[1])
        guard
          let numbers = StoredScales(scales, rows: rows, groups: groups, rowStride: groups, groupStride: 1),
          // In a little-endian word of 32 bits the codes follow one another from the lowest bits on.
          let words = PackedIntegers(
            bytes, layout: WordLayout(bits: 4), length: columns, lines: rows, wordStride: 1, lineStride: columns / 8),
          let parts = IntegerParts(
            rows: rows, columns: columns, bits: 4, groups: groups, codes: .alongRows(words), scales: numbers, zeros: .middle),
          let storage = IntegerStorage(
            parts, groupLength: groups == 1 ? nil : columns / groups, isSymmetric: true, byteCount: bytes.count + scales.storage.byteCount)
        else { throw Failure(.data, "\(name).shape", "has \\(groups) groups for \\(columns) columns", tensor: name) }
        return CheckpointTensor(name: name, shape: [rows, columns], storage: storage)
      }
    }

    """
  }

  var packingTests: String {
    """
    import \(camel)Plugin
    import QuantCore
    import Testing

    private let packing = \(camel)Packing()
    private let configuration = JSON.object([.init("quant_method", .string("\(name)"))])

    /// The stored tensors of a matrix of 6 rows and 64 columns, and the values that its codes stand for.
    private func packed() throws -> (stored: [CheckpointTensor], values: [Float]) {
      let plain = try #require(IntegerSchemes.scheme(named: "int4-g32", modelType: .bf16))
      let scheme = packing.stored(plain)
      #expect(packing.holds(scheme.grid) && !packing.holds(plain.grid))
      let weights = Matrix(rows: 6, columns: 64, values: (0..<384).map { Float($0 * 37 % 101) / 50 - 1 })
      var panel = scheme.emptyPanel(rows: 6, columns: 64)
      weights.withPanel { scheme.encode($0, importance: nil, into: &panel) }
      let parts = packing.parts(name: "layer.weight", shape: [6, 64], scheme: scheme)
      let bytes = packing.pack(panel, rows: 0..<6, of: [6, 64], scheme: scheme)
      #expect(parts.map(\\.byteCount) == bytes.map(\\.count))
      let stored = zip(parts, bytes).map { part, bytes in
        let type: ElementType = part.name.hasSuffix("_codes") ? .u8 : .f16
        return CheckpointTensor(name: part.name, shape: part.shape, storage: PlainStorage(type, ByteView(bytes)))
      }
      return (stored, scheme.values(panel))
    }

    @Test func whatIsPackedIsReadAgain() throws {
      let (stored, values) = try packed()
      let norm = CheckpointTensor(name: "norm.weight", shape: [1], storage: PlainStorage(.f16, ByteView([0, 0])))
      let read = try #require(try packing.unpack(configuration: configuration, stored: stored + [norm], metadata: KeyValues()))
      #expect(read.map(\\.name) == ["layer.weight", "norm.weight"])
      #expect(read[0].shape == [6, 64] && read[0].matrix().values == values)
      #expect(read[0].storage.codes?.scheme.grid.groupLength == 32)
    }

    @Test func theFirstByteHoldsTheFirstTwoCodes() throws {
      let (stored, values) = try packed()
      let bytes = try #require(stored[0].storage.verbatim).bytes
      let scale = stored[1].matrix().values[0]
      #expect([Float(bytes[0] & 15) - 8, Float(bytes[0] >> 4) - 8].map { $0 * scale } == Array(values[0..<2]))
    }

    @Test func foldersOfOthersAreLeftToThem() throws {
      let other = JSON.object([.init("quant_method", .string("gptq"))])
      #expect(try packing.unpack(configuration: other, stored: packed().stored, metadata: KeyValues()) == nil)
      #expect(packing.obstacle(shape: [4, 12], scheme: FloatScheme.f32) != nil)
    }

    @Test func brokenFoldersAreRefused() throws {
      let (stored, _) = try packed()
      var short = stored[0]
      short.storage = PlainStorage(.u8, ByteView([0]))
      var wrong = stored[1]
      wrong.shape = [6, 7]
      for tensors in [[stored[0]], [short, stored[1]], [stored[0], wrong]] {
        #expect(throws: Failure.self) { try packing.unpack(configuration: configuration, stored: tensors, metadata: KeyValues()) }
      }
    }

    """
  }
}
