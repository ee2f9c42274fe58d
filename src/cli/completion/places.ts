import type { Command, Option } from 'commander'

/** Something that can be typed. */
export interface Word {
  readonly word: string
  readonly summary: string
}

export interface Flag extends Word {
  readonly short: string | undefined
  readonly takesValue: boolean
  /** The values that it takes; empty: any, perhaps a file. */
  readonly choices: readonly string[]
}

/** A place of the command line: behind `ingot factory base`, say. */
export interface Place {
  /** Nothing behind `ingot` itself, then `/factory`, `/factory/base`. */
  readonly path: string
  readonly below: readonly Word[]
  readonly flags: readonly Flag[]
  /** What its arguments may be; empty: anything, perhaps a file. */
  readonly values: readonly string[]
}

/** Every place below the command, and its own: all that its help shows. */
export function placesOf(program: Command): Place[] {
  return placesFrom(program, '', [])
}

/** Flags of a subcommand may also stand behind what is below it; those of the command itself may not. */
function placesFrom(command: Command, path: string, above: readonly Flag[]): Place[] {
  const help = command.createHelp()
  const commands = help.visibleCommands(command)
  const own = help.visibleOptions(command).flatMap(asFlags)
  const flags = [...own, ...above.filter(({ word }) => own.every((one) => one.word !== word))]
  const place = {
    path,
    below: commands.map((one) => ({ word: one.name(), summary: one.description() })),
    flags,
    values: command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices),
  }
  const inherited = path === '' ? [] : flags
  return [place, ...commands.flatMap((one) => placesFrom(one, `${path}/${one.name()}`, inherited))]
}

function asFlags({ long, short, description, required, argChoices = [] }: Option): Flag[] {
  if (!long) return []
  return [{ word: long, short, summary: description, takesValue: required, choices: argChoices }]
}

/** The flags of a place that have a value behind them, as they may be written. */
export function valuedFlags({ flags }: Place): string[] {
  const valued = flags.filter(({ takesValue }) => takesValue)
  return valued.flatMap(({ word, short }) => (short === undefined ? [word] : [word, short]))
}
