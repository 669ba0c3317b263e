import BlockingIO
import BuildPlan
import Digests
import Glibc
import OCI
import Testing

/// An image of two layers that change each other, with everything that a configuration can say.
private struct SampleImage {
    let directory: TemporaryDirectory
    let layers: [LayerDescriptor]
    let image: ImageManifest
    let config: ImageConfig
    let platform = Platform(os: "linux", architecture: "amd64")

    init() throws {
        directory = try TemporaryDirectory()
        try shell(
            """
            cd \(directory.path); mkdir -p 0/bin 0/etc 1/etc
            echo one > 0/etc/one; echo two > 0/etc/two; chown 7:8 0/etc/two; chmod 4755 0/etc/two; ln 0/etc/two 0/etc/three; ln -s one 0/etc/link
            mknod 1/etc/one c 0 0; echo new > 1/etc/new
            """)
        let path = directory.path
        layers = try [0, 1].map { try LayerArchive.write(directory: "\(path)/\($0)", form: .overlayUpper, to: nil) }
        var config = ImageConfig()
        config.env = ["PATH=/bin", "X=y=z"]
        config.cmd = ["sh"]
        config.entrypoint = ["/bin/entry", "-x"]
        config.user = "7:8"
        config.workingDirectory = "/etc"
        config.labels = ["a.b": "c"]
        config.exposedPorts = ["80/tcp"]
        config.volumes = ["/data"]
        config.stopSignal = "SIGTERM"
        self.config = config
        image = try ImageManifest.make(
            config: config, platform: platform,
            history: [
                HistoryEntry(createdBy: "COPY", emptyLayer: false, created: .epoch), HistoryEntry(createdBy: "ENV", emptyLayer: true),
                HistoryEntry(createdBy: "RUN", emptyLayer: false),
            ], layers: layers, created: .epoch)
    }

    func provide(_ layer: LayerDescriptor, _ sink: any ByteSink) throws {
        guard let index = layers.firstIndex(of: layer) else { throw Failure("no such layer") }
        _ = try LayerArchive.write(directory: "\(directory.path)/\(index)", form: .overlayUpper, to: sink)
    }

    func save(docker: Bool, tags: [String] = ["farm/sample:1"], as name: String) throws -> String {
        let path = directory[name]
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(file) }
        let write = docker ? ImageExport.writeDocker : ImageExport.writeOCI
        try write(image.config, image.manifest, layers, tags, FileSink(file), provide)
        return path
    }

    func read(_ path: String, staging: String, platform: Platform? = nil) throws -> ImportedImage {
        mkdir(directory[staging], 0o700)
        return try ImageImport.read(file: path, into: directory[staging], platform: platform ?? self.platform)
    }

    func check(_ imported: ImportedImage, history: Bool = true) throws {
        #expect(imported.config == config)
        #expect(imported.platform == platform)
        #expect(imported.layers.map(\.descriptor) == layers)
        #expect(imported.history.map(\.createdBy) == ["COPY", "ENV", "RUN"])
        for layer in imported.layers {
            #expect(try shell("sha256sum < \(layer.path)").hasPrefix(layer.descriptor.diffID.hex))
        }
    }
}

@Suite(.enabled(if: geteuid() == 0, "needs root"))
struct `Image archives` {
    private let sample: SampleImage

    init() throws { sample = try SampleImage() }

    @Test(arguments: [false, true], ["cat", "gzip", "zstd"])
    func `Our own archives come back as they were`(docker: Bool, compression: String) throws {
        let path = try sample.save(docker: docker, as: "image.tar")
        try shell("\(compression) < \(path) > \(path).compressed")
        try sample.check(sample.read(path + ".compressed", staging: "staging"))
    }

    @Test(arguments: [[], ["name"], ["a:1", "registry.example:5000/b"]] as [[String]])
    func `Tags are told in both forms`(tags: [String]) throws {
        let path = try sample.save(docker: true, tags: tags, as: "image.tar")
        try sample.check(sample.read(path, staging: "staging"))
        let list = try shell("tar -xOf \(path) manifest.json | jq -c '.[0].RepoTags'")
        let names = try shell("tar -xOf \(path) index.json | jq -r '.manifests[].annotations[\"io.containerd.image.name\"]'")
        switch tags.count {
        case 0:
            #expect(list == "[]\n")
            #expect(names == "null\n")
        case 1:
            #expect(list == "[\"name:latest\"]\n")
            #expect(names == "docker.io/library/name:latest\n")
        default:
            #expect(list == "[\"a:1\",\"registry.example:5000/b:latest\"]\n")
            #expect(names == "docker.io/library/a:1\nregistry.example:5000/b:latest\n")
        }
    }

    @Test(.enabled(if: hasProgram("skopeo"), "needs skopeo"))
    func `Skopeo reads and converts what we write, and we read what it writes`() throws {
        let oci = try sample.save(docker: false, as: "oci.tar")
        let docker = try sample.save(docker: true, as: "docker.tar")
        #expect(try shell("skopeo inspect --raw oci-archive:\(oci) | sha256sum").hasPrefix(sample.image.digest.hex))
        #expect(try shell("skopeo inspect --config --raw docker-archive:\(docker) | sha256sum").hasPrefix(sample.image.configDigest.hex))
        let d = sample.directory.path
        try shell(
            """
            cd \(d); skopeo copy -q oci-archive:oci.tar docker-archive:converted-docker.tar:x/y:z
            skopeo copy -q docker-archive:docker.tar oci-archive:converted-oci.tar
            skopeo copy -q docker-archive:docker.tar dir:converted-dir
            skopeo copy -q oci-archive:oci.tar oci:folder:tag
            skopeo copy -q --dest-compress --dest-compress-format zstd oci-archive:oci.tar oci:zstd
            gzip < converted-docker.tar > converted-docker.tar.gz; tar -C folder -cf folder.tar .
            """)
        for (number, name) in ["converted-docker.tar", "converted-docker.tar.gz", "converted-oci.tar", "folder", "folder.tar", "zstd"]
            .enumerated()
        {
            try sample.check(sample.read(sample.directory[name], staging: "staging-\(number)"))
        }
    }

    @Test(.enabled(if: hasProgram("umoci"), "needs umoci"))
    func `Umoci unpacks what we write`() throws {
        _ = try sample.save(docker: false, tags: ["x:tag"], as: "oci.tar")
        try shell(
            "cd \(sample.directory.path); mkdir layout; tar -xf oci.tar -C layout; umoci unpack --image layout:tag bundle >/dev/null 2>&1")
        let files = try shell("cd \(sample.directory.path)/bundle/rootfs/etc; ls; cat new; stat -c '%a %u %g %h' two; readlink link")
        #expect(files == "link\nnew\nthree\ntwo\nnew\n4755 7 8 2\none\n")
        #expect(
            try shell("jq -c .process.args,.process.cwd \(sample.directory.path)/bundle/config.json")
                == "[\"/bin/entry\",\"-x\",\"sh\"]\n\"/etc\"\n")
    }

    @Test(arguments: ["cat", "gzip", "xz"])
    func `A root file system becomes an image of one layer`(compression: String) throws {
        try shell("cd \(sample.directory.path); tar -C 0 -cf - . | \(compression) > root.tar")
        let imported = try sample.read(sample.directory["root.tar"], staging: "staging")
        #expect(imported.platform == sample.platform)
        #expect(imported.config == ImageConfig())
        #expect(imported.layers.count == 1)
        #expect(imported.history.count { !$0.emptyLayer } == 1)
        let layer = imported.layers[0]
        #expect(
            try shell("\(compression == "cat" ? "cat" : compression + " -dc") < \(sample.directory["root.tar"]) | sha256sum").hasPrefix(
                layer.descriptor.diffID.hex))
        #expect(try shell("stat -c %s \(layer.path)") == "\(layer.descriptor.size)\n")
    }

    @Test func `The platform is chosen from an index`() throws {
        let oci = try sample.save(docker: false, tags: [], as: "oci.tar")
        try shell(
            """
            cd \(sample.directory.path); mkdir l; tar -xf \(oci) -C l; cd l
            jq -c '.manifests |= [(.[0] + {platform:{os:"linux",architecture:"arm64"},digest:"sha256:\(Digest.of("x").hex)"}),
                (.[0] + {platform:{os:"linux",architecture:"amd64"}}),
                (.[0] + {platform:{os:"unknown",architecture:"unknown"},annotations:{"vnd.docker.reference.type":"attestation-manifest"}})]' index.json > i
            mv i index.json
            """)
        try sample.check(sample.read(sample.directory["l"], staging: "staging"))
        let missing = #expect(throws: ImageError.self) {
            try sample.read(sample.directory["l"], staging: "none", platform: Platform(os: "linux", architecture: "riscv64"))
        }
        #expect(missing?.description == "the image has no linux/riscv64, only linux/amd64, linux/arm64")
    }

    @Test(arguments: ["config", "manifest", "layer"])
    func `A changed blob is found out`(which: String) throws {
        let oci = try sample.save(docker: false, as: "oci.tar")
        let digests = ["config": sample.image.configDigest, "manifest": sample.image.digest, "layer": sample.layers[1].diffID]
        let blob = try #require(digests[which]).hex
        try shell(
            "cd \(sample.directory.path); mkdir l; tar -xf \(oci) -C l; printf ' ' | dd of=l/blobs/sha256/\(blob) bs=1 seek=20 conv=notrunc 2>/dev/null"
        )
        #expect(throws: ImageError.self) { try sample.read(sample.directory["l"], staging: "staging") }
    }

    @Test func `A Docker archive whose layer was exchanged is found out`() throws {
        let path = try sample.save(docker: true, as: "docker.tar")
        try shell(
            """
            cd \(sample.directory.path); mkdir l; tar -xf \(path) -C l; rm l/index.json l/oci-layout
            cp l/blobs/sha256/\(sample.layers[0].diffID.hex) l/blobs/sha256/\(sample.layers[1].diffID.hex); tar -C l -cf evil.tar .
            """)
        #expect(throws: ImageError.self) { try sample.read(sample.directory["evil.tar"], staging: "staging") }
    }

    @Test func `Links in an archive don't lead to files outside`() throws {
        try shell(
            """
            cd \(sample.directory.path); mkdir l
            echo '[{"Config":"config.json","Layers":[]}]' > l/manifest.json; ln -s /etc/passwd l/config.json; tar -C l -cf evil.tar .
            """)
        let error = #expect(throws: ImageError.self) { try sample.read(sample.directory["evil.tar"], staging: "staging") }
        #expect(error?.description.contains("no readable 'config.json'") == true)
    }

    @Test func `Rubbish is told from images`() throws {
        for (number, content) in ["", "text", String(repeating: "rubbish", count: 1000), "\u{1f}\u{8b}", "{}"].enumerated() {
            let path = sample.directory["rubbish-\(number)"]
            try Array(content.utf8).withUnsafeBytes { try OCITests.save($0, path) }
            #expect(throws: ImageError.self) { try sample.read(path, staging: "staging-\(number)") }
        }
        try shell("mkdir \(sample.directory.path)/empty")
        #expect(throws: ImageError.self) { try sample.read(sample.directory["empty"], staging: "staging") }
        #expect(throws: LayerError.self) { try sample.read(sample.directory["missing"], staging: "staging") }
    }

    @Test func `A layer that gives another number of bytes than it said fails the export`() throws {
        for size in [0, 5000] {
            #expect(throws: LayerError.self) {
                try ImageExport.writeOCI(
                    config: sample.image.config, manifest: sample.image.manifest, layers: sample.layers, tags: [], to: ByteCollector()
                ) { _, sink in try sink.write([UInt8](repeating: 0, count: size)) }
            }
        }
    }

    @Test func `A root file system is exported as it is`() throws {
        let bytes = ByteCollector()
        try ImageExport.writeTar(root: sample.directory["0"], to: bytes)
        let path = sample.directory["root.tar"]
        try bytes.bytes.withUnsafeBytes { try OCITests.save($0, path) }
        #expect(try shell("tar -tf \(path)") == "bin/\netc/\netc/link\netc/one\netc/three\netc/two\n")
    }
}
