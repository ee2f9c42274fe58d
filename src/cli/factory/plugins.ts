import type { WireLeftover, WirePart } from '../../api/factory-wire.ts'
import { Failure } from '../../base/failure.ts'
import { didYouMean } from '../../schema/find-faults.ts'
import { listKeys } from '../../schema/list-keys.ts'
import { formatTable } from '../_table.ts'
import {
  type DefineFactoryCommand,
  type FactoryFlags,
  subcommand,
  withFactory,
  withWatchedFactory,
} from './_scene.ts'

interface ReapFlags extends FactoryFlags {
  readonly cloud?: string
  readonly list?: boolean
}

/** `ingot factory plugins [NAME]`. */
export const definePlugins: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'plugins', 'list OS builders and cloud targets, or the parameters of one')
    .argument('[name]', 'the one whose parameters are wanted')
    .action(async (name: string | undefined, flags: FactoryFlags) => {
      await withWatchedFactory(factory, openCli, flags, async ({ client, cli }) => {
        const all = await client.parts()
        const parts = all.filter(
          (one) => name === undefined || [one.name, ...one.aliases].includes(name),
        )
        if (parts.length === 0 && name !== undefined) throw unknownPart(name, all)
        if (cli.json) return cli.print(JSON.stringify(parts))
        const rows = parts.map((one) => [one.type, one.name, describe(one)])
        cli.print(formatTable(['type', 'name', ''], rows))
        if (name !== undefined) for (const part of parts) cli.print(`\n${formatPart(part)}`)
      })
    })
}

function describe({ summary, aliases }: WirePart): string {
  return aliases.length === 0 ? summary : `${summary} (also ${aliases.join(', ')})`
}

function unknownPart(name: string, all: readonly WirePart[]): Failure {
  const known = all.flatMap((one) => [one.name, ...one.aliases])
  const message = `no OS builder or cloud target is called '${name}'${didYouMean(name, known)}`
  return new Failure('PART_UNKNOWN', message)
}

/** What it takes, as tables. */
function formatPart({ name, type, options, provider }: WirePart): string {
  const tables: [string, object][] = [
    [type === 'os' ? `Parameters of builder ${name}` : `Parameters of target ${name}`, options],
    ...(provider === undefined
      ? []
      : [
          ['Definition of a provider', provider.options] as [string, object],
          ['Its credentials', provider.credentials] as [string, object],
        ]),
  ]
  return tables
    .map(([title, schema]) => {
      const rows = listKeys(schema).map(({ key, value, required, meaning }) => [
        key,
        value,
        required ? 'yes' : '',
        meaning,
      ])
      if (rows.length === 0) return `${title}: none`
      return `${title}\n${formatTable(['name', 'takes', 'needed', ''], rows)}`
    })
    .join('\n\n')
}

/** `ingot factory reap [IMAGE]`. */
export const defineReap: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'reap', 'remove what builds left in clouds and nobody needs')
    .argument('[image]', 'of one build only, by its id or name; left out: of all')
    .option('--list', 'say what there is, and remove nothing')
    .option(
      '--cloud <name>',
      'look around in this cloud of clouds.yaml; left out: in the one of OS_… variables',
    )
    .action(async (image: string | undefined, flags: ReapFlags) => {
      await withFactory(factory, openCli, flags, async ({ client, cli }) => {
        const all = await client.leftovers(flags.cloud)
        // Things may be left of a build whose record is gone.
        const isBuild = image === undefined || all.some((one) => one.build_id === image)
        const id = isBuild ? image : (await client.find(image)).id
        const left = flags.list
          ? all.filter((one) => id === undefined || one.build_id === id)
          : await client.reap(id, flags.cloud)
        if (cli.json) cli.print(JSON.stringify(left))
        else if (left.length === 0) cli.say('nothing is left')
        else cli.print(formatLeftovers(left))
        if (!flags.list && left.length > 0) cli.exit(1)
      })
    })
}

function formatLeftovers(left: readonly WireLeftover[]): string {
  const rows = left.map((one) => [one.build_id, one.part, JSON.stringify(one.thing), one.reason])
  return formatTable(['build', 'part', 'thing', 'why it is there'], rows)
}
