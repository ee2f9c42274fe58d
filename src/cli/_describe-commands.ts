import type { Command } from 'commander'
import { Failure } from '../base/failure.ts'
import { addCommonOptions } from './_common-options.ts'
import { addSubcommand, makeProgram } from './_program.ts'
import { COMMANDS } from './commands.ts'

/** The command with everything below it, and all its options: defined, but not to be run. */
export async function describeCommands(): Promise<Command> {
  const program = await makeProgram()
  for (const { name, summary, load } of COMMANDS) {
    const command = addSubcommand(program, name, summary)
    const module = await load()
    await module.define(command, [], () => {
      throw new Failure('USAGE', `${name} is only described here`)
    })
    addCommonOptions(command)
  }
  return program
}
