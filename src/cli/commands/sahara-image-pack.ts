/**
 * `ingot sahara-image-pack`: the command line of OpenStack Sahara's tool of that name.
 * Source: `sahara/cli/image_pack/cli.py`; the differences are listed in docs/sahara.md.
 */
import { type Command, Option } from 'commander'
import { Failure } from '../../base/failure.ts'
import type { Recipe } from '../../recipes/recipe.ts'
import {
  findSaharaPlugins,
  recipeOfVersion,
  type SaharaPlugin,
} from '../../recipes/sahara-plugins.ts'
import { didYouMean } from '../../schema/find-faults.ts'
import { addImageOptions, type ImageFlags, toImageRunOptions } from '../_image-options.ts'
import { addRecipeOptions, readRecipeInput } from '../_recipe-options.ts'
import { exitCodeOf, formatReport } from '../_report.ts'
import type { CommandModule, OpenCli } from '../cli.ts'

interface Flags extends ImageFlags {
  testOnly?: boolean
  debug?: boolean
}

/** What OpenStack's tools take for their configuration and logs; Ingot has its own. */
const IGNORED = [
  '--config-file <file>',
  '--config-dir <dir>',
  '--log-config-append <file>',
  '--log-config <file>',
  '--log-date-format <format>',
  '--log-file <file>',
  '--logfile <file>',
  '--log-dir <dir>',
  '--logdir <dir>',
  '--syslog-log-facility <name>',
  '--nodebug',
  ...['use-syslog', 'use-journal', 'use-json', 'watch-log-file'].flatMap((name) => [
    `--${name}`,
    `--no${name}`,
  ]),
]

export const define: CommandModule['define'] = async (command, argv, openCli) => {
  const paths = valuesOf('--plugin-path', argv)
  const { plugins, notes } = await findSaharaPlugins(paths)
  command
    .usage('--plugin-path DIR --image FILE [options] PLUGIN VERSION [arguments of the recipe]')
    .addOption(
      new Option(
        '--plugin-path <dir>',
        "where plugins are, laid out as Sahara's: NAME/resources/images/image.yaml, or one for each version in NAME/vX_Y_Z; may be repeated",
      ).argParser((value: string, earlier: string[] | undefined) => [...(earlier ?? []), value]),
    )
    .requiredOption('--image <file>', 'the image file to change')
    .option('--test-only', 'check only; the image is not touched')
    .addOption(
      new Option('--notest-only', 'change the image (the default)').implies({ testOnly: false }),
    )
    .addOption(new Option('-d, --debug', 'log every event').implies({ verbose: true }).hideHelp())
  addImageOptions(command)
  for (const flags of IGNORED) command.addOption(new Option(flags).hideHelp())
  command
    .addHelpText('after', () => formatMenu(plugins, notes))
    .argument('[plugin]')
    .allowExcessArguments()
    .allowUnknownOption()
    .action((name: string | undefined) => {
      throw noSuchPlugin(name, plugins, notes)
    })
  for (const plugin of plugins) await definePlugin(command, plugin, argv, openCli)
}

/** The second level of the command line: a plugin and its versions. */
async function definePlugin(
  parent: Command,
  plugin: SaharaPlugin,
  argv: readonly string[],
  openCli: OpenCli,
): Promise<void> {
  const command = parent
    .command(plugin.name, { hidden: true })
    .description(`the recipes of ${plugin.directory}`)
    .usage('VERSION [arguments of the recipe]')
    .addHelpText('after', `\nVersions: ${formatVersions(plugin)}`)
    .exitOverride()
    .helpCommand(false)
    .argument('[version]')
    .allowExcessArguments()
    .allowUnknownOption()
    .action((version: string | undefined) => {
      if (version !== undefined) recipeOfVersion(plugin, version)
      throw new Failure('USAGE', `no version of ${plugin.name} was named`, {
        fix: `Versions: ${formatVersions(plugin)}.`,
      })
    })
  const after = argv.slice(argv.indexOf(plugin.name) + 1)
  const any = plugin.anyVersion === undefined ? undefined : after.find((word) => word[0] !== '-')
  const names = new Set([...plugin.versions.map(({ version }) => version), ...(any ? [any] : [])])
  for (const version of names) {
    const child = command.command(version, { hidden: true }).exitOverride()
    // Only the recipe that is asked for is read, so that a bad one is nobody else's trouble.
    if (argv.includes(plugin.name) && after.includes(version))
      await defineVersion(child, plugin, version, openCli)
  }
}

/** The third level: a version, with an option for each argument of its recipe. */
async function defineVersion(
  command: Command,
  plugin: SaharaPlugin,
  version: string,
  openCli: OpenCli,
): Promise<void> {
  const file = recipeOfVersion(plugin, version)
  command
    .description(`packs ${plugin.name} ${version} by ${file}`)
    .usage('[arguments of the recipe]')
  await addRecipeOptions(command, [file])
  command.action(async () => {
    const flags = command.optsWithGlobals<Flags>()
    const cli = openCli(command)
    const { recipe, values } = await readRecipeInput(file, command)
    for (const option of IGNORED.map((one) => new Option(one)))
      if (option.attributeName() in flags)
        cli.say(`note: ${option.long} is for Sahara's own logs and settings; Ingot ignores it`)
    const installs = values.get('plugin_version') ?? defaultOf('plugin_version', recipe)
    if (installs !== undefined && !isPartOf(installs, version))
      cli.say(`note: this packs ${installs}, not ${version}; --plugin_version says what is packed`)
    const named = { ...recipe, name: `${plugin.name} ${version}` }
    const options = toImageRunOptions(flags, values, cli)
    const { checkImage, packImage } = await import('../../recipes/image-run.ts')
    const report = flags.testOnly
      ? await checkImage(named, options, cli.context)
      : await packImage(named, { ...options, inPlace: false }, cli.context)
    cli.print(cli.json ? JSON.stringify(report) : formatReport(report, cli.terminal))
    if (report.ok && !flags.testOnly)
      cli.say(`Finished packing image for ${plugin.name} at version ${version}`)
    cli.exit(exitCodeOf([report]))
  })
}

function defaultOf(name: string, recipe: Recipe): string | undefined {
  return recipe.args.find((argument) => argument.name === name)?.default
}

/** Whether one version is the beginning of the other: 2.3.2 and 2.3, 5.2.0 and 5.2.0.mrv2. */
function isPartOf(a: string, b: string): boolean {
  return `${a}.`.startsWith(`${b}.`) || `${b}.`.startsWith(`${a}.`)
}

/** Every value of an option among words that have not been parsed yet. */
function valuesOf(flag: string, argv: readonly string[]): string[] {
  return argv.flatMap((word, index) => {
    if (word.startsWith(`${flag}=`)) return [word.slice(flag.length + 1)]
    const value = argv[index + 1]
    return word === flag && value !== undefined ? [value] : []
  })
}

function noSuchPlugin(
  name: string | undefined,
  plugins: readonly SaharaPlugin[],
  notes: readonly string[],
): Failure {
  const names = plugins.map((plugin) => plugin.name)
  const fix =
    names.length > 0
      ? `There are ${names.join(', ')}.`
      : (notes[0] ?? 'Say --plugin-path DIR, before the plugin.')
  const what = name === undefined ? 'no plugin was named' : `no plugin '${name}'`
  return new Failure('USAGE', `${what}${name === undefined ? '' : didYouMean(name, names)}`, {
    fix,
  })
}

function formatMenu(plugins: readonly SaharaPlugin[], notes: readonly string[]): string {
  const lines =
    plugins.length === 0
      ? ['Plugins: none; say --plugin-path DIR, and they are listed here.']
      : ['Plugins:', ...plugins.map((plugin) => `  ${plugin.name}  ${formatVersions(plugin)}`)]
  return ['', ...lines, ...notes.map((note) => `Note: ${note}`)].join('\n')
}

function formatVersions({ versions, anyVersion }: SaharaPlugin): string {
  return [
    ...versions.map(({ version }) => version),
    ...(anyVersion === undefined ? [] : ['any (one recipe for all)']),
  ].join(', ')
}
