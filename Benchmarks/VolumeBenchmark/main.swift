import Glibc

await Command.run(Array(CommandLine.arguments.dropFirst()))
