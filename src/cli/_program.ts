import { Command } from 'commander'
import { readVersion } from './_version.ts'

/** The command with nothing below it yet. What is below takes over how help is asked for. */
export async function makeProgram(): Promise<Command> {
  return new Command('ingot')
    .description('Golden images: one recipe builds, packs, validates and provisions.')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .version(await readVersion(), '-V, --version', 'show the version')
    .enablePositionalOptions() // behind a subcommand, `--version` is a recipe's argument
}

/** A subcommand, still without options of its own. What is below it shares them: they may stand anywhere. */
export function addSubcommand(program: Command, name: string, summary: string): Command {
  return program.command(name).description(summary).enablePositionalOptions(false)
}
