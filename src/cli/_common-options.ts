import { type Command, Option } from 'commander'

const HEADING = 'Common options:'

/** The options that every subcommand has; made anew for each. */
function makeCommonOptions(): Option[] {
  return [
    new Option(
      '--json',
      'results as JSON on standard output, progress as JSON lines on standard error',
    ),
    new Option('-q, --quiet', 'no progress'),
    new Option('-v, --verbose', 'log every event'),
    new Option('--config <file>', 'the configuration file (see `ingot config show`)'),
  ].map((option) => option.helpGroup(HEADING))
}

/** Adds them below the command's own, and those of all that is below it, so that each help shows them. */
export function addCommonOptions(command: Command): void {
  for (const option of makeCommonOptions()) command.addOption(option)
  command.helpCommand(false).commands.forEach(addCommonOptions)
}

/** Whether a flag is one of them, or of the command itself, so that no recipe's argument can have it. */
export function isTaken(command: Command, flag: string): boolean {
  const known = [...command.options, ...makeCommonOptions(), new Option('-h, --help')]
  return known.some(({ long, short }) => long === flag || short === flag)
}
