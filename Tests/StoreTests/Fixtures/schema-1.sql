-- A store of schema 1: that of schema-2.sql without the columns and the keys of JSON that came later. Never edited: MigrationTests open it
-- with every later schema.
BEGIN TRANSACTION;
CREATE TABLE agent (
    name TEXT PRIMARY KEY NOT NULL,
    labels TEXT NOT NULL,
    slots INTEGER NOT NULL,
    address TEXT NOT NULL,
    runtime TEXT NOT NULL,
    version TEXT NOT NULL,
    drained INTEGER NOT NULL,
    lastSeen INTEGER NOT NULL,
    epoch TEXT NOT NULL,
    report INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "agent" VALUES('agent-1','{"arch":"amd64","name":"agent-1","os":"linux"}',2,'127.0.0.1:41979','crun','0.1.0',0,1795291731603675623,'24vkjeit84o19',17);
CREATE TABLE assignment (
    id TEXT PRIMARY KEY NOT NULL,
    build TEXT NOT NULL REFERENCES build (id) ON DELETE CASCADE,
    stage INTEGER NOT NULL,
    agent TEXT NOT NULL,
    epoch TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    firstStep INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "assignment" VALUES('8pd0ve5r8l62-0-1','8pd0ve5r8l62',0,'agent-1','24vkjeit84o19',1,0);
CREATE TABLE build (
    id TEXT PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    user TEXT NOT NULL,
    requestID TEXT NOT NULL,
    request TEXT NOT NULL,
    platform TEXT NOT NULL,
    status TEXT NOT NULL,
    uploaded INTEGER NOT NULL,
    plan TEXT,
    createdAt INTEGER NOT NULL,
    startedAt INTEGER,
    finishedAt INTEGER,
    failure TEXT,
    image TEXT,
    UNIQUE (user, requestID)
) STRICT;
INSERT INTO "build" VALUES('qvd46jv1lq56','app','dev','vmsm4kbgvslv10hs80kbnfvy1','{"contextRoot":"sha256:d72d55853ff39663b36c345c6340419340a80340b30c90318e6d302f20343fc4","dockerfile":"FROM busybox AS base\nRUN --mount=type=cache,id=things,target=/cache echo made > /cache/file; echo built\nFROM base AS tool\nCOPY hello.txt /hello.txt\nFROM busybox\nCOPY --from=tool /hello.txt /copied.txt\nENV A=b\n","dockerfileName":"Dockerfile","options":{"buildArguments":{},"extraHosts":[],"labels":{},"network":"host","noCache":false,"noCacheFilter":[],"noCacheMounts":false,"require":{},"tags":[]},"project":"app","requestID":"vmsm4kbgvslv10hs80kbnfvy1"}','linux/amd64','succeeded',1,'{"images":{"busybox":{"config":{"env":[],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false}],"layers":[{"diffID":"sha256:910cab4923662c4dc7774805e1259d627f419958be063aab6cb47099a0a51336","size":1996800}],"name":"busybox","platform":{"architecture":"amd64","os":"linux"}}},"plan":{"platform":{"architecture":"amd64","os":"linux"},"stages":[{"base":{"image":{"_0":"busybox"}},"config":{"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false},{"createdBy":"RUN /bin/sh -c echo made > /cache/file; echo built","emptyLayer":false}],"name":"base","steps":[{"lines":[2,2],"name":"[base 2/2] RUN --mount=type=cache,id=things,target=/cache echo made > /cache/file; echo built","operation":{"run":{"_0":{"arguments":["/bin/sh","-c","echo made > /cache/file; echo built"],"environment":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"files":[],"mounts":[{"kind":{"cache":{"_0":{"gid":0,"id":"things","mode":493,"sharing":"shared","uid":0}}},"readOnly":false,"target":"/cache"}],"network":"host","unkeyedNames":[],"workingDirectory":"/"}}}}]},{"base":{"stage":{"_0":0}},"config":{"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false},{"createdBy":"RUN /bin/sh -c echo made > /cache/file; echo built","emptyLayer":false},{"createdBy":"COPY hello.txt /hello.txt","emptyLayer":false}],"name":"tool","steps":[{"lines":[4,4],"name":"[tool 1/1] COPY hello.txt /hello.txt","operation":{"copy":{"_0":{"destination":"/hello.txt","excludes":[],"from":{"context":{}},"sources":[{"tree":{"_0":"hello.txt"}}],"unpacksArchives":false}}}}]},{"base":{"image":{"_0":"busybox"}},"config":{"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=b"],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false},{"createdBy":"COPY --from=tool /hello.txt /copied.txt","emptyLayer":false},{"createdBy":"ENV A=b","emptyLayer":true}],"name":"stage-2","steps":[{"lines":[6,6],"name":"[stage-2 2/2] COPY --from=tool /hello.txt /copied.txt","operation":{"copy":{"_0":{"destination":"/copied.txt","excludes":[],"from":{"stage":{"_0":1}},"sources":[{"tree":{"_0":"hello.txt"}}],"unpacksArchives":false}}}}]}],"target":2,"warnings":[]}}',1795291729887315443,1795291729967686944,1795291730632085400,NULL,'{"config":"{\"architecture\":\"amd64\",\"config\":{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\"A=b\"]},\"created\":\"2026-11-21T20:08:50.615Z\",\"history\":[{\"comment\":\"imported root file system\",\"created_by\":\"\"},{\"created\":\"2026-11-21T20:08:50.615Z\",\"created_by\":\"COPY --from=tool /hello.txt /copied.txt\"},{\"created\":\"2026-11-21T20:08:50.615Z\",\"created_by\":\"ENV A=b\",\"empty_layer\":true}],\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[\"sha256:910cab4923662c4dc7774805e1259d627f419958be063aab6cb47099a0a51336\",\"sha256:7ad295a9d7d35318725daf8ed1f2cba112721daeb1bb75107fdac3b203a4f868\"],\"type\":\"layers\"}}","configDigest":"sha256:a508b4d6d7455ca97d90718eb70f9a82584db052a454a0a4c54788cd85eebcb9","digest":"sha256:9f0ec18ed55375bdaa941a8a930cc629f293e1517ecef5ed0403caa7f34cfbb4","layers":[{"diffID":"sha256:910cab4923662c4dc7774805e1259d627f419958be063aab6cb47099a0a51336","size":1996800},{"diffID":"sha256:7ad295a9d7d35318725daf8ed1f2cba112721daeb1bb75107fdac3b203a4f868","size":3072}],"manifest":"{\"config\":{\"digest\":\"sha256:a508b4d6d7455ca97d90718eb70f9a82584db052a454a0a4c54788cd85eebcb9\",\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"size\":598},\"layers\":[{\"digest\":\"sha256:910cab4923662c4dc7774805e1259d627f419958be063aab6cb47099a0a51336\",\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"size\":1996800},{\"digest\":\"sha256:7ad295a9d7d35318725daf8ed1f2cba112721daeb1bb75107fdac3b203a4f868\",\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"size\":3072}],\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"schemaVersion\":2}"}');
INSERT INTO "build" VALUES('50jmr03pj50l','app','dev','3eve8ox0znwuw2tp9hzy86rggg','{"contextRoot":"sha256:2e827d6b58268199a79dbf88c288b7951863f7e77004177786606a5da584095e","dockerfile":"FROM busybox\nRUN echo before the end; exit 7\n","dockerfileName":"ctx/bad","options":{"buildArguments":{},"extraHosts":[],"labels":{},"network":"host","noCache":false,"noCacheFilter":[],"noCacheMounts":false,"require":{},"tags":[]},"project":"app","requestID":"3eve8ox0znwuw2tp9hzy86rggg"}','linux/amd64','failed',1,'{"images":{"busybox":{"config":{"env":[],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false}],"layers":[{"diffID":"sha256:910cab4923662c4dc7774805e1259d627f419958be063aab6cb47099a0a51336","size":1996800}],"name":"busybox","platform":{"architecture":"amd64","os":"linux"}}},"plan":{"platform":{"architecture":"amd64","os":"linux"},"stages":[{"base":{"image":{"_0":"busybox"}},"config":{"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false},{"createdBy":"RUN /bin/sh -c echo before the end; exit 7","emptyLayer":false}],"name":"stage-0","steps":[{"lines":[2,2],"name":"[2/2] RUN echo before the end; exit 7","operation":{"run":{"_0":{"arguments":["/bin/sh","-c","echo before the end; exit 7"],"environment":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"files":[],"mounts":[],"network":"host","unkeyedNames":[],"workingDirectory":"/"}}}}]}],"target":0,"warnings":[]}}',1795291730846126328,1795291730872913226,1795291730976401394,'{"exitCode":7,"lines":[2,2],"message":"process \"/bin/sh -c echo before the end; exit 7\" did not complete successfully: exit code: 7"}',NULL);
INSERT INTO "build" VALUES('8pd0ve5r8l62','app','dev','3sbgnnu3bdeh54uajzxdphmwx','{"contextRoot":"sha256:a240e324e2ad91879a7bf1244e91401b82614e8a1bb57c37f181bd9dd31a8628","dockerfile":"FROM busybox\nRUN --mount=type=cache,id=things,target=/cache echo begun; exec sleep 1000\n","dockerfileName":"ctx/long","options":{"buildArguments":{},"extraHosts":[],"labels":{},"network":"host","noCache":false,"noCacheFilter":[],"noCacheMounts":false,"require":{},"tags":[]},"project":"app","requestID":"3sbgnnu3bdeh54uajzxdphmwx"}','linux/amd64','running',1,'{"images":{"busybox":{"config":{"env":[],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false}],"layers":[{"diffID":"sha256:910cab4923662c4dc7774805e1259d627f419958be063aab6cb47099a0a51336","size":1996800}],"name":"busybox","platform":{"architecture":"amd64","os":"linux"}}},"plan":{"platform":{"architecture":"amd64","os":"linux"},"stages":[{"base":{"image":{"_0":"busybox"}},"config":{"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false},{"createdBy":"RUN /bin/sh -c echo begun; exec sleep 1000","emptyLayer":false}],"name":"stage-0","steps":[{"lines":[2,2],"name":"[2/2] RUN --mount=type=cache,id=things,target=/cache echo begun; exec sleep 1000","operation":{"run":{"_0":{"arguments":["/bin/sh","-c","echo begun; exec sleep 1000"],"environment":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"files":[],"mounts":[{"kind":{"cache":{"_0":{"gid":0,"id":"things","mode":493,"sharing":"shared","uid":0}}},"readOnly":false,"target":"/cache"}],"network":"host","unkeyedNames":[],"workingDirectory":"/"}}}}]}],"target":0,"warnings":[]}}',1795291731286318537,1795291731355187997,NULL,NULL,NULL);
CREATE TABLE duration (
    project TEXT NOT NULL,
    stage TEXT NOT NULL,
    count INTEGER NOT NULL,
    mean REAL NOT NULL,
    PRIMARY KEY (project, stage)
) STRICT, WITHOUT ROWID;
INSERT INTO "duration" VALUES('app','base',1,0.438735023);
INSERT INTO "duration" VALUES('app','stage-2',1,5.63553599999999654812e-02);
INSERT INTO "duration" VALUES('app','tool',1,4.59763089999998264545e-02);
CREATE TABLE event (
    build TEXT NOT NULL REFERENCES build (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (build, sequence)
) STRICT, WITHOUT ROWID;
INSERT INTO "event" VALUES('50jmr03pj50l',1,'{"kind":{"planned":{"stages":[{"lines":[[2,2]],"name":"stage-0","steps":["[2/2] RUN echo before the end; exit 7"]}]}},"sequence":1,"time":"2026-11-21T20:08:50.872945624Z"}');
INSERT INTO "event" VALUES('50jmr03pj50l',2,'{"kind":{"stageStarted":{"agent":"agent-1","attempt":1,"stage":0}},"sequence":2,"time":"2026-11-21T20:08:50.873397063Z"}');
INSERT INTO "event" VALUES('50jmr03pj50l',3,'{"kind":{"stepStarted":{"stage":0,"step":0}},"sequence":3,"time":"2026-11-21T20:08:50.881Z"}');
INSERT INTO "event" VALUES('50jmr03pj50l',4,'{"kind":{"log":{"stage":0,"step":0,"text":"before the end\n"}},"sequence":4,"time":"2026-11-21T20:08:50.92Z"}');
INSERT INTO "event" VALUES('50jmr03pj50l',5,'{"kind":{"stepFinished":{"bytes":{"context":0,"layers":0,"volumes":0},"cached":false,"error":"process \"/bin/sh -c echo before the end; exit 7\" did not complete successfully: exit code: 7","exitCode":7,"stage":0,"status":"failed","step":0}},"sequence":5,"time":"2026-11-21T20:08:50.969Z"}');
INSERT INTO "event" VALUES('50jmr03pj50l',6,'{"kind":{"finished":{"error":{"exitCode":7,"lines":[2,2],"message":"process \"/bin/sh -c echo before the end; exit 7\" did not complete successfully: exit code: 7"},"status":"failed"}},"sequence":6,"time":"2026-11-21T20:08:50.976430978Z"}');
INSERT INTO "event" VALUES('8pd0ve5r8l62',1,'{"kind":{"planned":{"stages":[{"lines":[[2,2]],"name":"stage-0","steps":["[2/2] RUN --mount=type=cache,id=things,target=/cache echo begun; exec sleep 1000"]}]}},"sequence":1,"time":"2026-11-21T20:08:51.355221637Z"}');
INSERT INTO "event" VALUES('8pd0ve5r8l62',2,'{"kind":{"stageStarted":{"agent":"agent-1","attempt":1,"stage":0}},"sequence":2,"time":"2026-11-21T20:08:51.355734327Z"}');
INSERT INTO "event" VALUES('8pd0ve5r8l62',3,'{"kind":{"stepStarted":{"stage":0,"step":0}},"sequence":3,"time":"2026-11-21T20:08:51.372Z"}');
INSERT INTO "event" VALUES('8pd0ve5r8l62',4,'{"kind":{"log":{"stage":0,"step":0,"text":"begun\n"}},"sequence":4,"time":"2026-11-21T20:08:51.547Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',1,'{"kind":{"planned":{"stages":[{"lines":[[2,2]],"name":"base","steps":["[base 2/2] RUN --mount=type=cache,id=things,target=/cache echo made > /cache/file; echo built"]},{"lines":[[4,4]],"name":"tool","steps":["[tool 1/1] COPY hello.txt /hello.txt"]},{"lines":[[6,6]],"name":"stage-2","steps":["[stage-2 2/2] COPY --from=tool /hello.txt /copied.txt"]}]}},"sequence":1,"time":"2026-11-21T20:08:49.967958557Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',2,'{"kind":{"needsContents":{"files":1}},"sequence":2,"time":"2026-11-21T20:08:50.077651252Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',3,'{"kind":{"stageStarted":{"agent":"agent-1","attempt":1,"stage":0}},"sequence":3,"time":"2026-11-21T20:08:50.080240751Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',4,'{"kind":{"stepStarted":{"stage":0,"step":0}},"sequence":4,"time":"2026-11-21T20:08:50.107Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',5,'{"kind":{"log":{"stage":0,"step":0,"text":"built\n"}},"sequence":5,"time":"2026-11-21T20:08:50.26Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',6,'{"kind":{"stepFinished":{"bytes":{"context":0,"layers":1996800,"volumes":0},"cached":false,"exitCode":0,"stage":0,"status":"succeeded","step":0}},"sequence":6,"time":"2026-11-21T20:08:50.497Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',7,'{"kind":{"stageStarted":{"agent":"agent-1","attempt":1,"stage":1}},"sequence":7,"time":"2026-11-21T20:08:50.527834586Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',8,'{"kind":{"stepStarted":{"stage":1,"step":0}},"sequence":8,"time":"2026-11-21T20:08:50.543Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',9,'{"kind":{"stepFinished":{"bytes":{"context":6,"layers":0,"volumes":0},"cached":false,"stage":1,"status":"succeeded","step":0}},"sequence":9,"time":"2026-11-21T20:08:50.558Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',10,'{"kind":{"stageStarted":{"agent":"agent-1","attempt":1,"stage":2}},"sequence":10,"time":"2026-11-21T20:08:50.574950835Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',11,'{"kind":{"stepStarted":{"stage":2,"step":0}},"sequence":11,"time":"2026-11-21T20:08:50.604Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',12,'{"kind":{"stepFinished":{"bytes":{"context":0,"layers":0,"volumes":0},"cached":false,"stage":2,"status":"succeeded","step":0}},"sequence":12,"time":"2026-11-21T20:08:50.615Z"}');
INSERT INTO "event" VALUES('qvd46jv1lq56',13,'{"kind":{"finished":{"image":{"configDigest":"sha256:a508b4d6d7455ca97d90718eb70f9a82584db052a454a0a4c54788cd85eebcb9","digest":"sha256:9f0ec18ed55375bdaa941a8a930cc629f293e1517ecef5ed0403caa7f34cfbb4"},"status":"succeeded"}},"sequence":13,"time":"2026-11-21T20:08:50.632108955Z"}');
CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
INSERT INTO "grdb_migrations" VALUES('1-builds');
INSERT INTO "grdb_migrations" VALUES('1-layers');
INSERT INTO "grdb_migrations" VALUES('1-volumes');
INSERT INTO "grdb_migrations" VALUES('1-agents');
CREATE TABLE image (
    name TEXT NOT NULL,
    platform TEXT NOT NULL,
    image TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    importedAt INTEGER NOT NULL,
    PRIMARY KEY (name, platform)
) STRICT, WITHOUT ROWID;
INSERT INTO "image" VALUES('busybox','linux/amd64','{"config":{"env":[],"exposedPorts":[],"labels":{},"onBuild":[],"volumes":[]},"history":[{"comment":"imported root file system","createdBy":"","emptyLayer":false}],"layers":[{"diffID":"sha256:910cab4923662c4dc7774805e1259d627f419958be063aab6cb47099a0a51336","size":1996800}],"name":"busybox","platform":{"architecture":"amd64","os":"linux"}}',1996800,1795291729596000000);
CREATE TABLE layer (
    digest BLOB PRIMARY KEY NOT NULL,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "layer" VALUES(X'4217D07217BB02E97F019E2A6EDD4367BB154F9125FBF4D1DB92353ED9EA538B',3072);
INSERT INTO "layer" VALUES(X'5F70BF18A086007016E948B04AED3B82103A36BEA41755B6CDDFAF10ACE3C6EF',1024);
INSERT INTO "layer" VALUES(X'7AD295A9D7D35318725DAF8ED1F2CBA112721DAEB1BB75107FDAC3B203A4F868',3072);
INSERT INTO "layer" VALUES(X'910CAB4923662C4DC7774805E1259D627F419958BE063AAB6CB47099A0A51336',1996800);
CREATE TABLE layerHolder (
    agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
    layer BLOB NOT NULL,
    PRIMARY KEY (agent, layer)
) STRICT, WITHOUT ROWID;
INSERT INTO "layerHolder" VALUES('agent-1',X'4217D07217BB02E97F019E2A6EDD4367BB154F9125FBF4D1DB92353ED9EA538B');
INSERT INTO "layerHolder" VALUES('agent-1',X'5F70BF18A086007016E948B04AED3B82103A36BEA41755B6CDDFAF10ACE3C6EF');
INSERT INTO "layerHolder" VALUES('agent-1',X'7AD295A9D7D35318725DAF8ED1F2CBA112721DAEB1BB75107FDAC3B203A4F868');
INSERT INTO "layerHolder" VALUES('agent-1',X'910CAB4923662C4DC7774805E1259D627F419958BE063AAB6CB47099A0A51336');
CREATE TABLE record (
    key BLOB PRIMARY KEY NOT NULL,
    layer BLOB NOT NULL,
    size INTEGER NOT NULL,
    createdAt INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "record" VALUES(X'00FCD0AB7C47A317D5BBEA81B1BC931E08FC89CB2AA322D32CEDDE2F431D991D',X'5F70BF18A086007016E948B04AED3B82103A36BEA41755B6CDDFAF10ACE3C6EF',1024,1795291730497000000);
INSERT INTO "record" VALUES(X'2A4535D13A5B300A649BC378ED177D01D0C9C8B6FCD080596AFB0315BE0BBC2F',X'4217D07217BB02E97F019E2A6EDD4367BB154F9125FBF4D1DB92353ED9EA538B',3072,1795291730558000000);
INSERT INTO "record" VALUES(X'E5EDA1D4452F765AD936AFB94DC76F9B9FED11E2356EC085C9354567D406F7A0',X'7AD295A9D7D35318725DAF8ED1F2CBA112721DAEB1BB75107FDAC3B203A4F868',3072,1795291730615000000);
CREATE TABLE selection (
    chain BLOB NOT NULL,
    path TEXT NOT NULL,
    wildcards INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (chain, path, wildcards)
) STRICT, WITHOUT ROWID;
INSERT INTO "selection" VALUES(X'BBBFF6C61B58192BDF934991EFD9E3D7EB9E3BAF4D1EC8135BC0E8FBD11314E0','hello.txt',1,X'607AC4AA9D705162C3CC5FFA5C67B88D76307D55E0DCE7CDE0FEA403E93D6A56');
CREATE TABLE stage (
    build TEXT NOT NULL REFERENCES build (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    agent TEXT,
    attempts INTEGER NOT NULL,
    placement TEXT,
    PRIMARY KEY (build, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "stage" VALUES('50jmr03pj50l',0,'stage-0','failed','agent-1',1,'agent-1: the only agent that can run it; 0 B to bring, done in about 20 s');
INSERT INTO "stage" VALUES('8pd0ve5r8l62',0,'stage-0','running','agent-1',1,'agent-1: the only agent that can run it; 0 B to bring, done in about 20 s');
INSERT INTO "stage" VALUES('qvd46jv1lq56',0,'base','succeeded','agent-1',1,'agent-1: the only agent that can run it; 2.0 MB to bring, done in about 20 s');
INSERT INTO "stage" VALUES('qvd46jv1lq56',1,'tool','succeeded','agent-1',1,'agent-1: the only agent that can run it; 6 B to bring, done in about 20 s');
INSERT INTO "stage" VALUES('qvd46jv1lq56',2,'stage-2','succeeded','agent-1',1,'agent-1: the only agent that can run it; 0 B to bring, done in about 20 s');
CREATE TABLE step (
    build TEXT NOT NULL,
    stage INTEGER NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    cached INTEGER NOT NULL,
    startedAt INTEGER,
    finishedAt INTEGER,
    exitCode INTEGER,
    key BLOB,
    layer BLOB,
    size INTEGER,
    createdAt INTEGER,
    layerBytes INTEGER NOT NULL,
    contextBytes INTEGER NOT NULL,
    volumeBytes INTEGER NOT NULL,
    PRIMARY KEY (build, stage, number),
    FOREIGN KEY (build, stage) REFERENCES stage (build, number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO "step" VALUES('50jmr03pj50l',0,0,'[2/2] RUN echo before the end; exit 7','failed',0,1795291730881000000,1795291730969000000,7,X'A7FF55B1DAACDD63D1C4BB8C6138C6A882F1CCD014AD1B867288F5FF560CE4DE',NULL,NULL,1795291730969000000,0,0,0);
INSERT INTO "step" VALUES('8pd0ve5r8l62',0,0,'[2/2] RUN --mount=type=cache,id=things,target=/cache echo begun; exec sleep 1000','running',0,1795291731372000000,NULL,NULL,NULL,NULL,NULL,NULL,0,0,0);
INSERT INTO "step" VALUES('qvd46jv1lq56',0,0,'[base 2/2] RUN --mount=type=cache,id=things,target=/cache echo made > /cache/file; echo built','succeeded',0,1795291730107000000,1795291730497000000,0,X'00FCD0AB7C47A317D5BBEA81B1BC931E08FC89CB2AA322D32CEDDE2F431D991D',X'5F70BF18A086007016E948B04AED3B82103A36BEA41755B6CDDFAF10ACE3C6EF',1024,1795291730497000000,1996800,0,0);
INSERT INTO "step" VALUES('qvd46jv1lq56',1,0,'[tool 1/1] COPY hello.txt /hello.txt','succeeded',0,1795291730543000000,1795291730558000000,NULL,X'2A4535D13A5B300A649BC378ED177D01D0C9C8B6FCD080596AFB0315BE0BBC2F',X'4217D07217BB02E97F019E2A6EDD4367BB154F9125FBF4D1DB92353ED9EA538B',3072,1795291730558000000,0,6,0);
INSERT INTO "step" VALUES('qvd46jv1lq56',2,0,'[stage-2 2/2] COPY --from=tool /hello.txt /copied.txt','succeeded',0,1795291730604000000,1795291730615000000,NULL,X'E5EDA1D4452F765AD936AFB94DC76F9B9FED11E2356EC085C9354567D406F7A0',X'7AD295A9D7D35318725DAF8ED1F2CBA112721DAEB1BB75107FDAC3B203A4F868',3072,1795291730615000000,0,0,0);
CREATE TABLE volume (
    project TEXT NOT NULL,
    id TEXT NOT NULL,
    platform TEXT NOT NULL,
    head INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    digest BLOB,
    bytes INTEGER NOT NULL,
    files INTEGER NOT NULL,
    PRIMARY KEY (project, id, platform)
) STRICT, WITHOUT ROWID;
INSERT INTO "volume" VALUES('app','things','linux/amd64',1,0,0,NULL,5,2);
CREATE TABLE volumeHolder (
    agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
    project TEXT NOT NULL,
    id TEXT NOT NULL,
    platform TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (agent, project, id, platform)
) STRICT, WITHOUT ROWID;
INSERT INTO "volumeHolder" VALUES('agent-1','app','things','linux/amd64',1);
CREATE TABLE volumeLock (
    lock TEXT PRIMARY KEY NOT NULL,
    assignment TEXT NOT NULL REFERENCES assignment (id) ON DELETE CASCADE,
    agent TEXT NOT NULL,
    needs TEXT NOT NULL,
    forks TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "volumeLock" VALUES('8pd0ve5r8l62-0-1/0','8pd0ve5r8l62-0-1','agent-1','[{"key":{"id":"things","platform":{"architecture":"amd64","os":"linux"},"project":"app"},"sharing":"shared"}]','[false]');
CREATE INDEX build_created ON build (createdAt);
CREATE INDEX build_open ON build (status) WHERE status IN ('queued', 'running');
CREATE INDEX record_created ON record (createdAt);
CREATE INDEX layerHolder_layer ON layerHolder (layer);
COMMIT;
