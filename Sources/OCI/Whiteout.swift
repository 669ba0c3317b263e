/// How a layer's tar says that something of the layers below is gone (OCI image specification, layer.md).
enum Whiteout {
    static let prefix = Array(".wh.".utf8)
    /// In a directory: nothing of the layers below is seen in it.
    static let opaqueName = Array(".wh..wh..opq".utf8)
    /// Names that aufs kept for itself; they are of no image.
    static let aufsPrefix = Array(".wh..wh.".utf8)
}
