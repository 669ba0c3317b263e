import Testing

@testable import Simulation

@Suite("The simulator") struct SimulationTests {
    @Test(arguments: LoadKind.allCases) func `carries out every stage of a load, the same way each time, and never before it can be done`(
        kind: LoadKind
    ) throws {
        let load = Load.generated(kind, seed: 3, agents: 6, stages: 120)
        try load.check()
        func run() -> Figures {
            var simulator = Simulator(load, FarmPolicy())
            return simulator.run()
        }
        let figures = run()
        #expect(figures.decisions >= load.stageCount)
        #expect(figures.makespan >= figures.lowerBound)
        let again = run()
        #expect(again.makespan == figures.makespan && again.bytes == figures.bytes && again.meanWait == figures.meanWait)
    }

    @Test(arguments: SimplePolicy.Choice.allCases) func `carries out every stage by the ways of others`(choice: SimplePolicy.Choice) {
        let load = Load.generated(.morning, seed: 3, agents: 6, stages: 120)
        var simulator = Simulator(load, SimplePolicy(choice, seed: 1))
        let figures = simulator.run()
        #expect(figures.decisions >= load.stageCount)
        #expect(figures.makespan >= figures.lowerBound)
    }

    @Test(arguments: [LoadKind.morning, .rush, .cold]) func `waits less than the ways of others, on a small load of each kind`(
        kind: LoadKind
    ) {
        let load = Load.generated(kind, seed: 5, agents: 12, stages: 600)
        var simulator = Simulator(load, FarmPolicy())
        let farm = simulator.run()
        for choice in SimplePolicy.Choice.allCases {
            var other = Simulator(load, SimplePolicy(choice, seed: 1))
            #expect(farm.meanWait < other.run().meanWait, "\(choice)")
        }
    }

    @Test func `a load from a file that can't be carried out is refused`() {
        var load = Load.generated(.cold, seed: 1, agents: 2, stages: 10)
        load.builds[0].stages[0].dependencies = [0]
        #expect(throws: LoadError.self) { try load.check() }
    }
}
