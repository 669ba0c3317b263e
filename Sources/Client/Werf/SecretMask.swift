import WerfFrontend
import Yams

/// Takes the values of secrets out of a werf.yaml before it leaves this process: the file is stored with the build, and they must not be.
enum SecretMask {
    /// The text with every character of such a value overwritten; lines and columns stay. Throws ``ClientError`` where a value is given in
    /// a way that this can't follow.
    static func masking(_ text: String, name: String) throws(ClientError) -> String {
        var places: [Place] = []
        do {
            for document in try Yams.compose_all(yaml: text) { places += Self.places(in: document) }
        } catch {
            throw .failed("\(name): \(Printable.line("\(error)"))")
        }
        if places.isEmpty {
            try check(text, name: name)
            return text
        }
        var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { Array($0) }
        for place in places {
            guard overwrite(place, in: &lines) else {
                throw .failed("\(name):\(place.line): \(unclear)")
            }
        }
        let masked = joined(lines)
        try check(masked, name: name)
        return masked
    }

    // A value may also have come by an alias or a merged mapping: what the coordinator will read has to be free of it.
    private static func check(_ masked: String, name: String) throws(ClientError) {
        do throws(WerfError) {
            let config = try WerfConfig(parsing: masked, name: name)
            for secret in try config.secrets(of: config.images.map(\.name)) {
                guard case .value(let value) = secret.source else { continue }
                guard value.unicodeScalars.allSatisfy({ $0 == mask || $0.properties.isWhitespace }) else {
                    throw WerfError(file: name, line: secret.line, message: unclear)
                }
            }
        } catch {
            throw .failed("\(error)")
        }
    }

    private static let unclear = "the value of a secret can't be told from the file: give it by 'env' or 'src'"

    private static func joined(_ lines: [[Unicode.Scalar]]) -> String {
        var scalars = String.UnicodeScalarView()
        for (index, line) in lines.enumerated() {
            if index > 0 { scalars.append("\n") }
            scalars.append(contentsOf: line)
        }
        return String(scalars)
    }

    /// Where a value begins.
    private struct Place {
        /// Both from 1.
        var line: Int
        var column: Int
        var style: Node.Scalar.Style
        var value: String
    }

    private static func places(in document: Node) -> [Place] {
        guard let secrets = document.mapping?["secrets"]?.sequence else { return [] }
        return secrets.compactMap { secret in
            guard let value = secret.mapping?["value"]?.scalar, let mark = value.mark, !value.string.isEmpty else { return nil }
            return Place(line: mark.line, column: mark.column, style: value.style, value: value.string)
        }
    }

    private static func overwrite(_ place: Place, in lines: inout [[Unicode.Scalar]]) -> Bool {
        var (row, column) = (place.line - 1, place.column - 1)
        guard lines.indices.contains(row) else { return false }
        switch place.style {
        case .singleQuoted, .doubleQuoted:
            guard lines[row].indices.contains(column) else { return false }
            let quote = lines[row][column]
            column += 1
            while lines.indices.contains(row) {
                while column < lines[row].count {
                    let scalar = lines[row][column]
                    // An escape is a backslash, or a quote in single quotes, with something behind it: both are overwritten.
                    let isDoubled = quote == "'" && scalar == quote && column + 1 < lines[row].count && lines[row][column + 1] == quote
                    if scalar == quote, !isDoubled { return true }
                    let escaped = isDoubled || quote == "\"" && scalar == "\\"
                    for index in column...min(column + (escaped ? 1 : 0), lines[row].count - 1) { lines[row][index] = mask }
                    column += escaped ? 2 : 1
                }
                (row, column) = (row + 1, 0)
            }
            return false
        case .literal, .folded: (row, column) = (row + 1, 0)
        case .plain, .any: break
        }
        // What is not white space stands in the file as it is in the value.
        var rest = place.value.unicodeScalars.filter { !$0.properties.isWhitespace }[...]
        while let next = rest.first {
            guard lines.indices.contains(row) else { return false }
            guard column < lines[row].count else {
                (row, column) = (row + 1, 0)
                continue
            }
            let scalar = lines[row][column]
            if !scalar.properties.isWhitespace {
                guard scalar == next else { return false }
                lines[row][column] = mask
                rest = rest.dropFirst()
            }
            column += 1
        }
        return true
    }

    private static let mask: Unicode.Scalar = "x"
}
