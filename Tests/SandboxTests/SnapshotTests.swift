import Foundation
import Glibc
import Testing

@testable import Sandbox

@Suite(.enabled(if: Machine.isRoot, "needs root"))
struct SnapshotTests {
    private func layer(_ folder: Machine.Folder, _ name: String, _ files: [String]) throws -> String {
        let layer = "\(folder.path)/\(name)"
        try Files.makeDirectory(layer)
        for file in files { try Files.write(Array(name.utf8), to: layer + "/" + file) }
        return layer
    }

    private func room(_ folder: Machine.Folder) throws -> Snapshot.Room {
        let room = Snapshot.Room(upper: folder.path + "/upper", work: folder.path + "/work")
        for directory in [room.upper, room.work] { try Files.makeDirectory(directory) }
        return room
    }

    private func content(_ path: String) throws -> String { String(decoding: try Files.read(path, limit: 100) ?? [], as: UTF8.self) }

    @Test(arguments: [0, 1, 2, 5]) func `any number of layers can be read`(count: Int) throws {
        let folder = try Machine.Folder()
        let layers = try (0..<count).map { try layer(folder, "l\($0)", ["own-\($0)", "shared"]) }
        let snapshot = try Snapshot.mount(layers: layers, scratch: folder.path)
        defer { snapshot.unmount() }
        #expect(Files.names(in: snapshot.path).sorted() == (count == 0 ? [] : (0..<count).map { "own-\($0)" } + ["shared"]))
        if count > 0 { #expect(try content(snapshot.path + "/shared") == "l\(count - 1)") }
        #expect(mkdir(snapshot.path + "/new", 0o755) != 0)
    }

    @Test func `a layer that comes twice counts where it is uppermost`() throws {
        let folder = try Machine.Folder()
        let first = try layer(folder, "a", ["file"])
        let second = try layer(folder, "b", ["file", "other"])
        let snapshot = try Snapshot.mount(layers: [first, second, first], scratch: folder.path)
        defer { snapshot.unmount() }
        #expect(try content(snapshot.path + "/file") == "a")
        #expect(try content(snapshot.path + "/other") == "b")
    }

    @Test func `what is written goes into the upper, also upon nothing`() throws {
        let folder = try Machine.Folder()
        let room = try room(folder)
        let snapshot = try Snapshot.mount(layers: [], scratch: folder.path, room: room)
        try Files.write([1], to: snapshot.path + "/new")
        snapshot.unmount()
        #expect(Files.names(in: room.upper) == ["new"])
    }

    @Test func `the way of older kernels mounts the same`() throws {
        let folder = try Machine.Folder()
        let room = try room(folder)
        let layers = try (0..<100).map { try layer(folder, "layer-\($0)", ["own-\($0)"]) }
        let merged = folder.path + "/merged"
        try Files.makeDirectory(merged)
        try Snapshot.mountByText(lower: layers, upper: room.upper, work: room.work, at: merged)
        #expect(Files.names(in: merged).count == 100)
        Snapshot(path: merged, upper: nil).unmount()
    }

    @Test func `too many layers are refused in words`() throws {
        let folder = try Machine.Folder()
        let layers = try (0..<501).map { try layer(folder, "\($0)", []) }
        #expect { _ = try Snapshot.mount(layers: layers, scratch: folder.path) } throws: { "\($0)".contains("501 layers are too many") }
    }

    @Test func `the self-test passes here`() throws {
        let folder = try Machine.Folder()
        try Snapshot.selfTest(in: folder.path)
        #expect(Files.names(in: folder.path) == [])
    }

    @Test func `a directory where overlayfs does not work is told`() throws {
        let folder = try Machine.Folder()
        #expect(throws: SandboxError.self) { try Snapshot.selfTest(in: "/proc") }
        _ = folder
    }
}
