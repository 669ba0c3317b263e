import BuildPlan
import Digests
import OCI
import Testing

struct `An image's documents` {
    private let platform = Platform(os: "linux", architecture: "amd64")
    private let layer = LayerDescriptor(diffID: Digest.of("layer"), size: 2048)

    private func config() -> ImageConfig {
        var config = ImageConfig()
        config.user = "1000:1000"
        config.exposedPorts = ["53/udp", "80/tcp"]
        config.env = ["PATH=/bin", "B=2", "A=\"quoted\"\n<&>\u{7}ü"]
        config.entrypoint = ["/bin/sh", "-c"]
        config.cmd = []
        config.volumes = ["/data"]
        config.workingDirectory = "/work"
        config.labels = ["b": "2", "a": "1"]
        config.stopSignal = "SIGINT"
        var check = Healthcheck(test: ["CMD-SHELL", "true"])
        check.interval = 30_000_000_000
        check.retries = 3
        config.healthcheck = check
        config.shell = ["/bin/bash", "-c"]
        config.onBuild = ["RUN true"]
        config.author = "someone"
        return config
    }

    @Test func `The configuration has its one text`() throws {
        let image = try ImageManifest.make(
            config: config(), platform: Platform(os: "linux", architecture: "arm", variant: "v7"),
            history: [
                HistoryEntry(createdBy: "ENV A", emptyLayer: true),
                HistoryEntry(createdBy: "RUN x", comment: "c", emptyLayer: false, created: Timestamp(seconds: 1, nanoseconds: 500_000_000)),
            ], layers: [layer], created: Timestamp(seconds: 2))
        let config = #"""
            {"architecture":"arm","author":"someone","config":{"Cmd":[],"Entrypoint":["/bin/sh","-c"],
            "Env":["PATH=/bin","B=2","A=\"quoted\"\n<&>\u0007ü"],"ExposedPorts":{"53/udp":{},"80/tcp":{}},
            "Healthcheck":{"Interval":30000000000,"Retries":3,"Test":["CMD-SHELL","true"]},"Labels":{"a":"1","b":"2"},
            "OnBuild":["RUN true"],"Shell":["/bin/bash","-c"],"StopSignal":"SIGINT","User":"1000:1000","Volumes":{"/data":{}},
            "WorkingDir":"/work"},"created":"1970-01-01T00:00:02Z","history":[{"created_by":"ENV A","empty_layer":true},
            {"comment":"c","created":"1970-01-01T00:00:01.5Z","created_by":"RUN x"}],"os":"linux",
            "rootfs":{"diff_ids":["LAYER"],"type":"layers"},"variant":"v7"}
            """#.split(separator: "\n").joined().replacing("LAYER", with: layer.diffID.description)
        #expect(String(decoding: image.config, as: UTF8.self) == config)
        #expect(image.configDigest == Digest.of(config))
        let manifest = """
            {"config":{"digest":"\(image.configDigest)","mediaType":"application/vnd.oci.image.config.v1+json","size":\(config.utf8.count)},
            "layers":[{"digest":"\(layer.diffID)","mediaType":"application/vnd.oci.image.layer.v1.tar","size":2048}],
            "mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}
            """.split(separator: "\n").joined()
        #expect(String(decoding: image.manifest, as: UTF8.self) == manifest)
        #expect(image.digest == Digest.of(manifest))
    }

    @Test func `An empty image has no more than it must`() throws {
        let image = try ImageManifest.make(config: ImageConfig(), platform: platform, history: [], layers: [], created: .epoch)
        #expect(
            String(decoding: image.config, as: UTF8.self)
                == #"{"architecture":"amd64","config":{},"created":"1970-01-01T00:00:00Z","history":[],"os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}"#
        )
    }

    @Test func `History and layers must fit`() {
        #expect(throws: ImageError.self) {
            try ImageManifest.make(config: ImageConfig(), platform: platform, history: [], layers: [layer], created: .epoch)
        }
    }
}
