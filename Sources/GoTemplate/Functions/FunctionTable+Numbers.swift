extension FunctionTable {
    /// Sprig's arithmetic. Integers wrap at 64 bits as Go's do; the functions on fractions reckon in decimals.
    mutating func addNumbers() {
        family = .numbers
        add("add", from: 0) { a in .int64(a.values.reduce(0) { $0 &+ Self.integer($1) }) }
        add("add1", count: 1) { a in .int64(Self.integer(a[0]) &+ 1) }
        add("sub", count: 2) { a in .int64(Self.integer(a[0]) &- Self.integer(a[1])) }
        add("mul", from: 1) { a in .int64(a.values.reduce(1) { $0 &* Self.integer($1) }) }
        add("div", count: 2) { a in
            let (x, y) = (Self.integer(a[0]), Self.integer(a[1]))
            guard y != 0 else { throw Complaint("integer divide by zero") }
            return .int64(x.dividedReportingOverflow(by: y).partialValue)
        }
        add("mod", count: 2) { a in
            let (x, y) = (Self.integer(a[0]), Self.integer(a[1]))
            guard y != 0 else { throw Complaint("integer divide by zero") }
            return .int64(x.remainderReportingOverflow(dividingBy: y).partialValue)
        }
        add("max", "biggest", from: 1) { a in .int64(a.values.map(Self.integer).max() ?? 0) }
        add("min", from: 1) { a in .int64(a.values.map(Self.integer).min() ?? 0) }
        add("maxf", from: 1) { a in .float(a.values.map(Self.float).max() ?? 0) }
        add("minf", from: 1) { a in .float(a.values.map(Self.float).min() ?? 0) }
        add("addf", from: 0) { a in .float(DecimalNumber.folded([.float(0)] + a.values, DecimalNumber.sum, +)) }
        add("add1f", count: 1) { a in .float(DecimalNumber.folded([a[0], .int(1)], DecimalNumber.sum, +)) }
        add("subf", from: 1) { a in .float(DecimalNumber.folded(a.values, DecimalNumber.difference, -)) }
        add("mulf", from: 1) { a in .float(DecimalNumber.folded(a.values, DecimalNumber.product, *)) }
        add("divf", from: 1) { a in
            if a.from(1).contains(where: { Self.float($0) == 0 }) { throw Complaint("decimal division by 0") }
            return .float(DecimalNumber.folded(a.values, DecimalNumber.quotient, /))
        }
        add("ceil", count: 1) { a in .float(Self.float(a[0]).rounded(.up)) }
        add("floor", count: 1) { a in .float(Self.float(a[0]).rounded(.down)) }
        add("round", from: 2, to: 3) { a in
            let (value, places) = (Self.float(a[0]), try a.int(1))
            guard abs(places) <= 300 else { throw Complaint("round to \(places) places") }
            let threshold = a.count > 2 ? Self.float(a[2]) : 0.5
            var power = 1.0
            for _ in 0..<abs(places) { power *= 10 }
            let scaled = places < 0 ? value / power : value * power
            let fraction = scaled - scaled.rounded(.towardZero)
            let rounded = fraction >= threshold ? scaled.rounded(.up) : scaled.rounded(.down)
            return .float(places < 0 ? rounded * power : rounded / power)
        }
        add("until", count: 1) { a in
            let end = try a.int(0)
            return try Self.numbers(from: 0, to: end, by: end < 0 ? -1 : 1, a)
        }
        add("untilStep", count: 3) { a in try Self.numbers(from: try a.int(0), to: try a.int(1), by: try a.int(2), a) }
        add("seq", from: 0, to: 3) { a in
            let bounds = try a.values.indices.map { try a.int($0) }
            guard let last = bounds.last else { return .text([]) }
            let first = bounds.count == 1 ? 1 : bounds[0]
            let increment = last < first ? -1 : 1
            let step = bounds.count == 3 ? bounds[1] : increment
            if bounds.count == 3, last < first, step > 0 { return .text([]) }
            guard case .list(let list) = try Self.numbers(from: first, to: last + increment, by: step, a) else { return .text([]) }
            return try a.make(Array(try list.elements.map { try a.format.plain($0) }.joined(separator: Bytes(" "))))
        }
    }

    /// Sprig's untilStep: nothing for a step in the wrong direction.
    private static func numbers(from start: Int, to end: Int, by step: Int, _ a: Arguments) throws -> Value {
        guard step != 0, (end > start) == (step > 0), start != end else { return try a.machine.makeList([], .int) }
        let count = (abs(end - start) - 1) / abs(step) + 1
        guard count <= Limits.listElements else {
            throw Complaint("a list of \(count) numbers is too long: \(Limits.listElements) are allowed", isLimit: true)
        }
        return try a.machine.makeList((0..<count).map { .int(start + $0 * step) }, .int)
    }
}

/// A number of decimal digits, so that 0.1 and 0.2 make 0.3.
struct DecimalNumber {
    private let mantissa: Int128
    /// The digits after the point.
    private let scale: Int

    /// Digits that a quotient is reckoned to.
    private static let quotientDigits = 16
    /// Numbers that are longer are reckoned in binary.
    private static let maximumScale = 30

    private init?(_ value: Double) {
        guard value.isFinite else { return nil }
        let (digits, point) = FloatText.digits(of: value.magnitude)
        guard digits.count <= 18, point <= 18, digits.count - point <= Self.maximumScale, var mantissa = Int128(digits.string) else {
            return nil
        }
        for _ in 0..<max(0, point - digits.count) { mantissa *= 10 }
        self.init(mantissa: value < 0 ? -mantissa : mantissa, scale: max(0, digits.count - point))
    }

    private init(mantissa: Int128, scale: Int) {
        self.mantissa = mantissa
        self.scale = scale
    }

    private var double: Double? { Double("\(mantissa)e-\(scale)") }

    /// The values from left to right by an operation on decimals, or by the binary one where they are too long for that.
    static func folded(
        _ values: [Value], _ operation: (DecimalNumber, DecimalNumber) -> DecimalNumber?, _ binary: (Double, Double) -> Double
    ) -> Double {
        let numbers = values.map(FunctionTable.float)
        guard var result = numbers.first else { return 0 }
        for number in numbers.dropFirst() {
            if let x = DecimalNumber(result), let y = DecimalNumber(number), let exact = operation(x, y)?.double {
                result = exact
            } else {
                result = binary(result, number)
            }
        }
        return result
    }

    private static func aligned(_ a: DecimalNumber, _ b: DecimalNumber) -> (Int128, Int128, Int)? {
        let scale = max(a.scale, b.scale)
        guard let x = scaled(a.mantissa, by: scale - a.scale), let y = scaled(b.mantissa, by: scale - b.scale) else { return nil }
        return (x, y, scale)
    }

    private static func scaled(_ value: Int128, by power: Int) -> Int128? {
        var value = value
        for _ in 0..<power {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product
        }
        return value
    }

    static func sum(_ a: DecimalNumber, _ b: DecimalNumber) -> DecimalNumber? {
        guard let (x, y, scale) = aligned(a, b) else { return nil }
        let (sum, overflow) = x.addingReportingOverflow(y)
        return overflow ? nil : DecimalNumber(mantissa: sum, scale: scale)
    }

    static func difference(_ a: DecimalNumber, _ b: DecimalNumber) -> DecimalNumber? {
        sum(a, DecimalNumber(mantissa: -b.mantissa, scale: b.scale))
    }

    static func product(_ a: DecimalNumber, _ b: DecimalNumber) -> DecimalNumber? {
        let (product, overflow) = a.mantissa.multipliedReportingOverflow(by: b.mantissa)
        return overflow ? nil : DecimalNumber(mantissa: product, scale: a.scale + b.scale)
    }

    static func quotient(_ a: DecimalNumber, _ b: DecimalNumber) -> DecimalNumber? {
        guard let (x, y, _) = aligned(a, b), y != 0, let dividend = scaled(x, by: quotientDigits) else { return nil }
        let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: y)
        let rounds = remainder.magnitude >= y.magnitude - remainder.magnitude
        let isNegative = (dividend < 0) != (y < 0)
        return DecimalNumber(mantissa: quotient + (rounds ? (isNegative ? -1 : 1) : 0), scale: quotientDigits)
    }
}
