import { Option } from 'commander'
import type { WireBuild } from '../../api/factory-wire.ts'
import { formatBuild, formatBuilds, formatEntry } from './_describe-build.ts'
import {
  type DefineFactoryCommand,
  type FactoryFlags,
  subcommand,
  withFactory,
  withWatchedFactory,
} from './_scene.ts'

interface ListFlags extends FactoryFlags {
  readonly type?: string
  readonly status?: string
  readonly target?: string
  readonly name?: string
}

interface ShowFlags extends FactoryFlags {
  readonly document?: string
}

interface LogFlags extends FactoryFlags {
  readonly follow?: boolean
}

/** `ingot factory images`. */
export const defineImages: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'images', 'list factory images, newest first')
    .addOption(
      new Option('--type <type>', 'only those of this type').choices([
        'base',
        'target',
        'provider',
      ]),
    )
    .option('--status <status>', 'NEW, PENDING, BUILDING, COMPLETE, FAILED, …')
    .option('--target <target>', 'only those of this kind of cloud')
    .option('--name <name>', 'only those of this name')
    .action(async (flags: ListFlags) => {
      await withWatchedFactory(factory, openCli, flags, async ({ client, cli }) => {
        const { type, status, target, name } = flags
        const wanted = Object.entries({ type, status: status?.toUpperCase(), target, name })
        const query = wanted.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]))
        const builds: WireBuild[] = []
        for await (const build of client.list(Object.fromEntries(query))) builds.push(build)
        if (cli.json) cli.print(JSON.stringify(builds))
        else if (builds.length === 0) cli.say('no factory images')
        else cli.print(formatBuilds(builds))
      })
    })
}

/** `ingot factory show IMAGE`. */
export const defineShow: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'show', 'show everything about a factory image')
    .argument('<image>', 'its id, or its name: the newest of it')
    .option(
      '--document <kind>',
      'a document instead: icicle, sbom, manifest, report, timeline, screenshot',
    )
    .action(async (name: string, { document, ...flags }: ShowFlags) => {
      await withWatchedFactory(factory, openCli, flags, async ({ client, cli }) => {
        const build = await client.find(name)
        if (document === undefined)
          return cli.print(cli.json ? JSON.stringify(build) : formatBuild(build))
        const bytes = await client.document(build.id, document)
        process.stdout.write(bytes) // a screenshot is no text
      })
    })
}

/** `ingot factory logs IMAGE`. */
export const defineLogs: DefineFactoryCommand = (factory, openCli) => {
  subcommand(factory, 'logs', 'show what a build told: events, output, the console of its guest')
    .argument('<image>', 'its id or name')
    .option('--follow', 'and what it tells from now on, until it has ended')
    .action(async (name: string, { follow, ...flags }: LogFlags) => {
      // Whoever follows it waits for its end, so it is begun if nobody else does it.
      const open = follow === true ? withFactory : withWatchedFactory
      await open(factory, openCli, flags, async ({ client, cli }) => {
        const { id, type, status } = await client.find(name)
        let isSilent = true
        const write = (entry: Parameters<typeof formatEntry>[0]) => {
          isSilent = false
          process.stdout.write(cli.json ? `${JSON.stringify(entry)}\n` : formatEntry(entry))
        }
        if (follow !== true) for await (const entry of client.log(id)) write(entry)
        else
          for await (const event of client.follow(id)) if (event.kind === 'log') write(event.entry)
        if (isSilent) cli.say(`${type} image ${id} (${status}) has told nothing yet`)
      })
    })
}
