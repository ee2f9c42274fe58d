import { Command } from 'commander'
import { Failure } from '../base/failure.ts'
import { addCommonOptions } from './_common-options.ts'
import { COMMANDS } from './commands.ts'

/** Every subcommand with its options, defined but not to be run. */
export async function describeCommands(): Promise<Command[]> {
  return await Promise.all(
    COMMANDS.map(async ({ name, summary, load }) => {
      const command = new Command(name).description(summary)
      await (
        await load()
      ).define(command, [], () => {
        throw new Failure('USAGE', `${name} is only described here`)
      })
      return addCommonOptions(command)
    }),
  )
}
