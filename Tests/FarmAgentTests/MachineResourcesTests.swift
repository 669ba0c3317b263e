import Testing

@testable import FarmAgent

@Suite("What the machine has") struct MachineResourcesTests {
    private func resources(_ files: [String: String]) -> MachineResources {
        let machine = [
            "/proc/self/status": "Name:\tfarm-agent\nCpus_allowed:\tff\nCpus_allowed_list:\t0-5,8,10-10\n",
            "/proc/meminfo": "MemTotal:       16777216 kB\nMemFree:        1 kB\n",
        ]
        return MachineResources { machine.merging(files) { $1 }[$0] }
    }

    @Test func `without cgroups it is what the kernel lets the process use`() {
        let found = resources([:])
        #expect(found.cpus == 8 && found.memory == 16 << 30)
    }

    @Test func `a cgroup above counts as well as the own, in the unified layout`() {
        let found = resources([
            "/proc/self/cgroup": "0::/farm.slice/agent.service\n", "/sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            "/sys/fs/cgroup/farm.slice/agent.service/cpu.max": "max 100000\n", "/sys/fs/cgroup/farm.slice/cpu.max": "250000 100000\n",
            "/sys/fs/cgroup/farm.slice/agent.service/memory.max": "1073741824\n", "/sys/fs/cgroup/farm.slice/memory.max": "max\n",
        ])
        #expect(found.cpus == 2.5 && found.memory == 1 << 30)
    }

    @Test func `and in the older one`() {
        let found = resources([
            "/proc/self/cgroup": "5:memory:/box\n4:cpu,cpuacct:/box\n0::/\n", "/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "50000\n",
            "/sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n", "/sys/fs/cgroup/memory/box/memory.limit_in_bytes": "536870912\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        ])
        #expect(found.cpus == 0.5 && found.memory == 512 << 20)
    }

    @Test func `a container sees its own cgroup at the top, whatever its path is outside`() {
        let found = resources([
            "/proc/self/cgroup": "0::/../../docker/abc\n", "/sys/fs/cgroup/cgroup.controllers": "", "/sys/fs/cgroup/memory.max": "4096\n",
        ])
        #expect(found.memory == 4096)
    }

    @Test(arguments: ["", "nonsense", "0::", "1:2", ":::::"]) func `what can't be read limits nothing`(text: String) {
        let found = resources([
            "/proc/self/cgroup": text, "/sys/fs/cgroup/cgroup.controllers": "", "/sys/fs/cgroup/cpu.max": text,
            "/sys/fs/cgroup/memory.max": text,
        ])
        #expect(found.cpus == 8 && found.memory == 16 << 30)
        #expect(MachineResources { _ in text }.cpus == 1)
    }
}
