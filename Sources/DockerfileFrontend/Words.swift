/// Splits an instruction's arguments at white space that is neither quoted nor escaped; quotes and escapes stay in the words.
struct Words {
    private(set) var words: [String] = []
    /// False when a quote is still open at the end.
    private(set) var isBalanced = true

    init(_ text: String, escape: UInt8) {
        let bytes = text.bytes
        var word: [UInt8] = []
        var inWord = false
        var quote: UInt8?
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if quote == nil, byte.isSpace {
                if inWord { words.append(word.text) }
                word = []
                inWord = false
                continue
            }
            inWord = true
            word.append(byte)
            if byte == escape, quote != UInt8(ascii: "'") {
                if position < bytes.count {
                    word.append(bytes[position])
                    position += 1
                }
            } else if byte == quote {
                quote = nil
            } else if quote == nil, byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            }
        }
        if inWord { words.append(word.text) }
        isBalanced = quote == nil
    }
}
