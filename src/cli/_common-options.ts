import { type Command, Option } from 'commander'

/** The options that every subcommand has. */
export function addCommonOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--json',
        'results as JSON on standard output, progress as JSON lines on standard error',
      ).helpGroup('Common options:'),
    )
    .addOption(new Option('-q, --quiet', 'no progress').helpGroup('Common options:'))
    .addOption(new Option('-v, --verbose', 'log every event').helpGroup('Common options:'))
    .addOption(
      new Option('--config <file>', 'the configuration file (see `ingot config show`)').helpGroup(
        'Common options:',
      ),
    )
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
}
