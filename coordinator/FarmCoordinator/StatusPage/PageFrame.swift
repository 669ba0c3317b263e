import BuildPlan
import Digests
import FarmAPI
import NIOCore
import Transport

/// What all pages have around them: head, style, script, and the headers that keep anything else out.
enum PageFrame {
    /// - Parameters:
    ///   - live: true where the script should keep the page up to date.
    ///   - events: the address of the build's events, for its log.
    static func response(title: String, status: Int = 200, live: Bool, events: String? = nil, _ content: HTML) -> ServerResponse {
        let script: HTML = live ? "<script>\(PageAssets.script)</script>" : ""
        let page: HTML = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>\(title)</title>
            <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
            <link rel="icon" href="data:,"><style>\(PageAssets.style)</style></head>
            <body\(events.map { " data-events=\"\($0)\"" as HTML } ?? "")>
            <header><a href="/">Farm</a><span id="connection" role="status"></span></header>
            <main>\(content)</main>\(script)</body></html>

            """
        return ServerResponse(status: status, headers: headers, body: .bytes(ByteBuffer(string: page.text)))
    }

    /// Only the style and the script that are here run, nothing is loaded from elsewhere, nobody may frame the page.
    static let headers: [HeaderField] = [
        HeaderField("content-type", "text/html; charset=utf-8"),
        HeaderField("cache-control", "no-store"),
        HeaderField(
            "content-security-policy",
            "default-src 'none'; style-src '\(hash(PageAssets.style))'; script-src '\(hash(PageAssets.script))'; connect-src 'self'; "
                + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        HeaderField("x-content-type-options", "nosniff"),
        HeaderField("referrer-policy", "no-referrer"),
    ]

    /// A hash source of Content Security Policy, level 2.
    static func hash(_ content: HTML) -> String { "sha256-" + Base64.encode(Digest.of(content.text).bytes) }
}

/// What a browser without a token sees.
enum SignInPage {
    static func response(message: String) -> ServerResponse {
        var response = PageFrame.response(
            title: "Farm: sign in", status: 401, live: false,
            """
            <h1>Who are you?</h1>
            <p>\(message)</p>
            <p>On the coordinator's machine, make a token:</p>
            <pre>farm-coordinator token create NAME</pre>
            <p>and open this page once with it: <code>https://…/?token=TOKEN</code>. The browser keeps it until you remove its cookie.</p>
            """)
        response.headers.append(HeaderField("www-authenticate", "Bearer realm=\"farm\""))
        return response
    }
}
