import type { ImageClient } from '../../api/client.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import { openSparseWriter } from '../../formats/sparse-writer.ts'
import type { ServiceFlags } from '../_image-service.ts'
import { openStdoutSink } from '../_stdout-sink.ts'
import type { Cli } from '../cli.ts'
import { checkOutput } from './_check-output.ts'
import { type DefineImageCommand, subcommand, withService } from './_subcommand.ts'

interface SaveFlags extends ServiceFlags {
  format?: string
  compressed?: boolean
  output?: string
  force?: boolean
}

const HELP = `
Whatever is stored, any format can be had; nothing is converted first:
  ingot image save debian-12 --format vmdk --output debian-12.vmdk
A connection that breaks is taken up again where it ended. \`ingot image formats IMAGE\` lists the formats.`

/** Connections that break before we give up. */
const ATTEMPTS = 5

/** `ingot image save IMAGE`. */
export const defineSave: DefineImageCommand = (image, openCli) => {
  subcommand(image, 'save', 'save the data of an image, in any format')
    .argument('<image>', 'its id or name')
    .option(
      '--format <format>',
      'qcow2, vhd, vhdx, vdi, vmdk, raw, ova, …; left out: as it is stored',
    )
    .option('--compressed', 'the compressed kind of that format')
    .option('-o, --output <path>', 'where; - for standard output')
    .option('--force', 'replace the file if there is one')
    .addHelpText('after', HELP)
    .action(async (name: string, flags: SaveFlags) => {
      await withService(image, openCli, flags, async (client, cli) => {
        const { id } = await client.find(name)
        const { output } = flags
        if (output === '-') return await saveToStdout(client, id, flags, cli)
        if (output === undefined) throw new Failure('USAGE', 'wanted --output PATH, or --output -')
        await checkOutput(output, flags.force ?? false)
        const size = await saveToFile(client, id, output, flags, cli)
        if (cli.json) cli.print(JSON.stringify({ id, path: output, size }))
        else cli.say(`${output}: ${size} bytes`)
      })
    })
}

async function saveToStdout(
  client: ImageClient,
  id: string,
  flags: SaveFlags,
  { context }: Cli,
): Promise<void> {
  const { stream } = await client.download(id, wishOf(flags))
  const sink = openStdoutSink(context.signal)
  for await (const chunk of stream) await sink.write(chunk)
}

/** Whole or not at all; zeros become holes. */
async function saveToFile(
  client: ImageClient,
  id: string,
  path: string,
  flags: SaveFlags,
  { context }: Cli,
): Promise<number> {
  await using file = await openSparseWriter(path)
  let done = 0
  let etag: string | undefined
  for (let attempt = 1, total = -1; done !== total; attempt++)
    try {
      const download = await client.download(id, {
        ...wishOf(flags),
        from: done,
        ...(etag !== undefined && { etag }),
      })
      etag = download.etag
      if (total === -1) total = download.length ?? -1
      for await (const chunk of download.stream) {
        await file.write(done, chunk)
        done += chunk.length
        context.progress({ kind: 'bytes', name: 'save', done, ...(total > 0 && { total }) })
      }
      if (total === -1) total = done
    } catch (error) {
      const isCut = isFailure(error, 'READER_GONE') || isFailure(error, 'IMAGE_TRUNCATED')
      if (!isCut || etag === undefined || attempt === ATTEMPTS) throw error
      context.log.warn('save.resumed', { id, at: done })
    }
  await file.finish(done)
  return done
}

function wishOf({ format, compressed }: SaveFlags) {
  return { ...(format !== undefined && { format }), ...(compressed && { compressed }) }
}
