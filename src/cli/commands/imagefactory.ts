/**
 * `ingot imagefactory`: the command line of Image Factory. Source: `imagefactory.1` and its parser; the differences are
 * listed in docs/imagefactory.md.
 */
import { type Command, Option } from 'commander'
import { FLAGS, parseImageFactoryWords, SUBCOMMANDS } from '../factory/_imagefactory-words.ts'
import { isJson, RUN_SUBCOMMAND } from '../factory/imagefactory.ts'
import { withFactoryOf } from '../factory/_scene.ts'
import type { CommandModule } from '../cli.ts'

const NO_EFFECT = Object.entries(FLAGS).flatMap(([name, { summary }]) =>
  summary === undefined ? [`--${name}`] : [],
)

const HELP = `
Accepted and of no effect: ${NO_EFFECT.join(' ')}
\`ingot factory\` does the same in Ingot's own words.
  ingot imagefactory base_image debian-12.tdl --parameter builder nova
  ingot imagefactory target_image openstack --template debian-12.tdl --output json
  ingot imagefactory images '{"status": "COMPLETE"}'`

/** Flags may stand anywhere, and two words behind one: our own parser reads them; what is told to Commander is for the help. */
export const define: CommandModule['define'] = (command, argv, openCli) => {
  const run = async () => {
    const words = parseImageFactoryWords(argv)
    const { values } = words
    const [dataDir, endpoint, tokenFile] = ['data-dir', 'endpoint', 'token-file'].map((name) =>
      values.get(name),
    )
    const cli = { ...openCli(command, { data_dir: dataDir }), json: isJson(words) }
    const flags = {
      ...(endpoint !== undefined && { endpoint }),
      ...(tokenFile !== undefined && { tokenFile }),
    }
    await withFactoryOf(cli, flags, (scene) => RUN_SUBCOMMAND[words.subcommand](scene, words))
  }
  const letThrough = (one: Command) => one.allowUnknownOption().allowExcessArguments().action(run)
  letThrough(command).usage('[flags] SUBCOMMAND …').addHelpText('after', HELP)
  for (const [name, { words = [], summary, choices }] of Object.entries(FLAGS)) {
    const flag = [`--${name}`, ...words.map((word) => `<${word}>`)].join(' ')
    const option = new Option(flag, summary).hideHelp(summary === undefined)
    if (choices) option.choices(choices)
    command.addOption(option)
  }
  for (const [name, { operands, summary }] of Object.entries(SUBCOMMANDS)) {
    const below = letThrough(command.command(name).description(summary))
    for (const operand of operands) below.argument(`[${operand}]`)
    below.usage([...operands, '[flags of ingot imagefactory]'].join(' '))
  }
}
