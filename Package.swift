// swift-tools-version: 6.2
import PackageDescription

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

/// C libraries of the system: one module map and, where Swift can't import a macro, one shim header each.
let systemLibraries: [Target] = [
    .systemLibrary(name: "COpenSSL", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "CLibrsync", providers: [.apt(["librsync-dev"])]),
    .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .target(name: "CLinux"),
]

/// Pure modules: no I/O, no clock, no randomness.
let pure: [Target] = [
    .target(name: "Digests", dependencies: ["COpenSSL"]),
    .target(name: "BuildPlan", dependencies: ["Digests"]),
    .target(name: "DockerfileFrontend", dependencies: ["BuildPlan"]),
    .target(name: "WerfFrontend", dependencies: ["BuildPlan", "DockerfileFrontend", "Digests", yams]),
    .target(name: "Scheduling", dependencies: ["BuildPlan", "Digests"]),
    .target(name: "GoTemplate", dependencies: ["Digests", yams]),
]

let libraries: [Target] = [
    .target(name: "BlockingIO"),
    .target(name: "FileTree", dependencies: ["BuildPlan", "Digests", "CLinux", "BlockingIO"]),
    .target(name: "TreeSync", dependencies: ["FileTree", "Digests", "BlockingIO", "CLinux", "CLibrsync", "CZstd"]),
    .target(name: "OCI", dependencies: ["BuildPlan", "Digests", "BlockingIO", "CLinux", "CArchive", "CZstd"]),
    .target(name: "Transport", dependencies: [nio, nioPosix, logging, "COpenSSL", "CNGHTTP2"]),
    .target(name: "Certificates", dependencies: ["COpenSSL", "Digests"]),
    .target(name: "FarmAPI", dependencies: [nio, "BuildPlan", "Digests", "Transport"]),
    .target(name: "Daemon", dependencies: ["FarmAPI", "BuildPlan", yams, logging]),
    .target(
        name: "Client",
        dependencies: [
            "FarmAPI", "FileTree", "BlockingIO", "BuildPlan", "Digests", "OCI", "Transport", "Certificates", "GoTemplate", "WerfFrontend",
            logging, yams,
        ]),
]

let agent: [Target] = [
    .target(
        name: "Layers", dependencies: ["OCI", "Digests", "BuildPlan", "BlockingIO", "FileTree", "CLinux", logging],
        path: "agent/Layers"),
    .target(
        name: "FileSteps", dependencies: ["OCI", "Digests", "BuildPlan", "BlockingIO", "FileTree", "CLinux"], path: "agent/FileSteps"),
    .target(name: "Sandbox", dependencies: ["BuildPlan", "BlockingIO", "CLinux", logging], path: "agent/Sandbox"),
    .target(
        name: "Volumes",
        dependencies: [
            "FarmAPI", "BuildPlan", "Digests", "FileTree", "TreeSync", "BlockingIO", "CLinux", "Transport", "Certificates", logging,
        ],
        path: "agent/Volumes"),
    .target(
        name: "FarmAgent",
        dependencies: [
            "FarmAPI", "BuildPlan", "Digests", "Sandbox", "FileSteps", "Layers", "Volumes", "OCI", "FileTree", "TreeSync", "BlockingIO",
            "Transport",
            "Certificates", "CLinux", "Daemon", logging,
        ], path: "agent/FarmAgent"),
    .executableTarget(
        name: "farm-agent", dependencies: ["FarmAgent", "FarmAPI", "Daemon", "Sandbox", arguments, logging], path: "agent/farm-agent"),
]

let coordinator: [Target] = [
    .target(name: "Store", dependencies: ["BuildPlan", "Digests", "FarmAPI", grdb, logging], path: "coordinator/Store"),
    .target(
        name: "FarmCoordinator",
        dependencies: [
            "Store", "Scheduling", "DockerfileFrontend", "WerfFrontend", "BuildPlan", "Digests", "FarmAPI", "FileTree", "OCI", "BlockingIO",
            "Transport", "Certificates", "Daemon", nio, logging,
        ], path: "coordinator/FarmCoordinator"),
    .executableTarget(
        name: "farm-coordinator", dependencies: ["FarmCoordinator", "Store", "FarmAPI", "Certificates", "Daemon", arguments, logging],
        path: "coordinator/farm-coordinator"),
]

let programs: [Target] = [
    .executableTarget(name: "farm", dependencies: ["Client", "FarmAPI", "BuildPlan", arguments, logging])
]

/// What `Benchmarks/` runs.
let benchmarks: [Target] = [
    .executableTarget(
        name: "volume-benchmark",
        dependencies: [
            "Volumes", "FarmAPI", "BuildPlan", "Digests", "BlockingIO", "Transport", "Certificates", logging,
        ],
        path: "Benchmarks/VolumeBenchmark"),
    .executableTarget(
        name: "store-generator",
        dependencies: ["Store", "FarmAPI", "BuildPlan", "Digests", "FileTree", "BlockingIO", arguments, logging],
        path: "Benchmarks/StoreGenerator"),
    .target(
        name: "Simulation", dependencies: ["Scheduling", "BuildPlan", "Digests", "FarmAPI", "Store"], path: "Benchmarks/Simulation"),
    .executableTarget(name: "farm-sim", dependencies: ["Simulation", "Store", arguments], path: "Benchmarks/farm-sim"),
    .executableTarget(
        name: "farm-load",
        dependencies: [
            "FarmAgent", "FarmAPI", "BuildPlan", "Digests", "BlockingIO", "Transport", "Certificates", "Daemon", arguments, logging,
        ],
        path: "Benchmarks/farm-load"),
]

let tests: [Target] = [
    .testTarget(name: "DigestsTests", dependencies: ["Digests"]),
    .testTarget(name: "BlockingIOTests", dependencies: ["BlockingIO"]),
    .testTarget(name: "BuildPlanTests", dependencies: ["Digests", "BuildPlan"]),
    .testTarget(name: "DockerfileFrontendTests", dependencies: ["BuildPlan", "DockerfileFrontend"]),
    .testTarget(name: "GoTemplateTests", dependencies: ["GoTemplate"]),
    .testTarget(name: "WerfConformance", dependencies: ["BuildPlan", "Digests", "DockerfileFrontend", "WerfFrontend"]),
    .testTarget(name: "SchedulingTests", dependencies: ["BuildPlan", "Digests", "Scheduling"]),
    .testTarget(name: "SimulationTests", dependencies: ["BuildPlan", "Digests", "FarmAPI", "Simulation", "Store"]),
    .testTarget(name: "FileTreeTests", dependencies: ["BlockingIO", "BuildPlan", "CLinux", "Digests", "FileTree"]),
    .testTarget(name: "TreeSyncTests", dependencies: ["BlockingIO", "Digests", "TreeSync", "CLinux"], exclude: ["Corpus"]),
    .testTarget(name: "OCITests", dependencies: ["BuildPlan", "Digests", "OCI", "BlockingIO", "CLinux"]),
    .testTarget(name: "TransportTests", dependencies: [nio, nioPosix, "Transport", "Certificates"]),
    .testTarget(name: "CertificatesTests", dependencies: ["Certificates"]),
    .testTarget(name: "FarmAPITests", dependencies: ["FarmAPI"]),
    .testTarget(name: "DaemonTests", dependencies: ["Daemon", logging]),
    .testTarget(name: "ClientTests", dependencies: ["Client", "BuildPlan", "FarmAPI"]),
    .testTarget(name: "LayersTests", dependencies: ["BuildPlan", "Digests", "FileTree", "OCI", "Layers", "BlockingIO"]),
    .testTarget(name: "FileStepsTests", dependencies: ["BlockingIO", "BuildPlan", "CLinux", "Digests", "FileTree", "OCI", "FileSteps"]),
    .testTarget(name: "SandboxTests", dependencies: ["Sandbox", "CLinux"]),
    .testTarget(
        name: "VolumesTests",
        dependencies: [
            "BlockingIO", "BuildPlan", "Digests", "FarmAPI", logging, nio, "Transport", "TreeSync", "Volumes", "Certificates", "CLinux",
        ]),
    .testTarget(
        name: "FarmAgentTests",
        dependencies: [
            logging, "FarmAgent", "Daemon", "FileSteps", "FileTree", "Sandbox", "Volumes", "FarmAPI", "BuildPlan", "BlockingIO", "Digests",
        ]),
    .testTarget(
        name: "StoreTests", dependencies: ["BuildPlan", "Digests", "FarmAPI", grdb, logging, "Store"], exclude: ["Fixtures"]),
    .testTarget(
        name: "FarmCoordinatorTests",
        dependencies: [
            "BuildPlan", "Digests", logging, nio, grdb, "FarmCoordinator", "Daemon", "Store", "FarmAPI", "FileTree", "Transport",
            "Certificates",
        ]),
    .testTarget(name: "ClusterTests", dependencies: ["Client", "FarmAPI", "BlockingIO", "BuildPlan"]),
]

/// For `deploy/fuzz.sh` only: libFuzzer brings the main function, and without it this can't be linked.
let fuzzers: [Target] =
    Context.environment["FARM_FUZZ"] == nil
    ? [] : [.executableTarget(name: "TreeSyncFuzz", dependencies: ["BlockingIO", "Digests", "TreeSync"], path: "Tests/TreeSyncFuzz")]

// The tests' script builds with FARM_WARNINGS_AS_ERRORS; someone who is in the middle of something does not.
let settings: [SwiftSetting] = Context.environment["FARM_WARNINGS_AS_ERRORS"] == nil ? [] : [.treatAllWarnings(as: .error)]
for target in pure + libraries + agent + coordinator + programs + benchmarks + tests + fuzzers { target.swiftSettings = settings }

let package = Package(
    name: "farm",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: systemLibraries + pure + libraries + agent + coordinator + programs + benchmarks + tests + fuzzers,
    swiftLanguageModes: [.v6]
)
