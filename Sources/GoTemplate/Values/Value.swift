/// A text of Go's: bytes, mostly UTF-8. Swift's `String` compares by canonical equivalence and counts graphemes; templates don't.
typealias Bytes = [UInt8]

/// What a template reckons with.
enum Value {
    /// Go's nil, and what a missing key of a map gives.
    case null
    case bool(Bool)
    case integer(Int64, IntegerType)
    case float(Double)
    case text(Bytes)
    case list(ListValue)
    case map(MapValue)
    case moment(Moment)
    case version(SemanticVersion)
    /// `.Files`
    case files

    /// Go's integer types that templates can tell apart (by `typeOf` and `printf "%T"`); all of them are reckoned in 64 bits.
    enum IntegerType: String {
        case int
        case int64
        case int32
        case uint8
    }

    static func int(_ value: Int) -> Value { .integer(Int64(value), .int) }
    static func int64(_ value: Int64) -> Value { .integer(value, .int64) }
    static func text(_ value: String) -> Value { .text(Array(value.utf8)) }
}

/// An immutable list.
struct ListValue {
    /// What Go's type of the list would name; only `typeOf` and `%T` show it.
    enum ElementType: String {
        case any = "interface {}"
        case text = "string"
        case int = "int"
    }

    let elements: [Value]
    let type: ElementType
    /// Lists within lists: bounds the recursion of whoever walks or frees the value.
    let depth: Int

    init(_ elements: [Value], _ type: ElementType = .any) {
        self.elements = elements
        self.type = type
        var deepest = 0
        if type == .any {
            for case .list(let inner) in elements { deepest = max(deepest, inner.depth) }
        }
        depth = deepest + 1
    }

    init(texts: [Bytes]) { self.init(texts.map { .text($0) }, .text) }
}

/// A map with text keys. A reference, since `set`, `unset` and `merge` change it for all who hold it.
///
/// The ``Machine`` that made it holds every map until its end and empties it then: maps may contain themselves.
final class MapValue {
    private(set) var entries: [Bytes: Value] = [:]
    /// `map[string]string` rather than `map[string]interface {}`.
    let isOfTexts: Bool

    init(isOfTexts: Bool) { self.isOfTexts = isOfTexts }

    var count: Int { entries.count }

    subscript(key: Bytes) -> Value? {
        get { entries[key] }
        set { entries[key] = newValue }
    }

    /// The keys in the order of their bytes, in which Go's templates and formats show them.
    var sortedKeys: [Bytes] { entries.keys.sorted { $0.lexicographicallyPrecedes($1) } }

    func removeAll() { entries.removeAll() }
}
