import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { asFileFailure, Failure } from '../../base/failure.ts'
import { formatSize } from '../../base/units.ts'
import type { ImageFormat } from '../../formats/open-image.ts'
import type { Listing } from '../../http/listing.ts'
import { parseListen } from '../_listen.ts'
import { imageFormatOption, openServedImage } from '../_served-image.ts'
import { formatTable } from '../_table.ts'
import { untilInterrupted } from '../_until-interrupted.ts'
import type { Cli, CommandModule } from '../cli.ts'

interface ViewFlags {
  format?: string[]
  inputFormat?: ImageFormat
  listen: string
  remote?: boolean
  keep?: string
  level?: string
}

const HELP = `
Nothing is converted: each byte of each format is computed when it is asked for, so any range can be
had at once, and a download can be resumed. Compressed formats begin with compressing the data, once for
all of them, on the first request; with --keep the next run finds it done.
  ingot view disk.qcow2 --listen 127.0.0.1:8080
  curl -O http://127.0.0.1:8080/disk.vhdx
Programs that ask for / are given JSON: every format's path, length and ETag. Serves until Ctrl-C.`

/** `ingot view IMAGE`: serves an image in every format over HTTP. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .usage('IMAGE [--format FORMAT …] [--listen ADDRESS:PORT] [options]')
    .argument('<image>', 'the image file, of any format; it is not changed')
    .option('--format <format>', 'offer this one only; may be repeated (default: all)', collect)
    .addOption(imageFormatOption('--input-format'))
    .option('--listen <address:port>', 'where; port 0 takes any free one', '127.0.0.1:0')
    .option('--remote', 'let --listen name an address that other hosts reach')
    .option('--keep <directory>', 'keep what was compressed there for the next run')
    .option('--level <level>', 'of compression: 1 to 9 (zlib), 1 to 19 (zstd)')
    .addHelpText('after', HELP)
    .action(async (image: string, flags: ViewFlags) => {
      const cli = openCli(command)
      const address = parseListen(flags.listen, flags.remote ?? false)
      const { viewFormatOf } = await import('../../formats/views.ts')
      const formats = flags.format?.map(viewFormatOf)
      const { openViewServer } = await import('../../http/view-server.ts')
      const { readContentDigest } = await import('../../formats/read-content-digest.ts')
      await using served = await openServedImage(image, flags.inputFormat, cli)
      const contentDigest = await readContentDigest(served.disk, served.map, cli.context)
      await using place = await openPlace(flags.keep, cli)
      await using server = await openViewServer(
        { ...served, contentDigest, name: nameOf(image) },
        {
          ...address,
          ...(formats && { formats }),
          storeDirectory: place.path,
          level: parseLevel(flags.level),
        },
        cli.context,
      )
      const listing = server.listing()
      if (cli.json) cli.print(JSON.stringify({ url: server.url, ...listing }))
      else cli.print(describe(server.url, listing))
      await untilInterrupted(cli.context.signal)
    })
}

/** Where compressed clusters go: where the user said, or a directory that goes when the server ends. */
async function openPlace(
  keep: string | undefined,
  { configuration }: Cli,
): Promise<AsyncDisposable & { path: string }> {
  try {
    if (keep !== undefined) {
      await mkdir(keep, { recursive: true })
      return { path: keep, [Symbol.asyncDispose]: async () => {} }
    }
    const path = await mkdtemp(join(configuration.config.temp_dir, 'ingot-view-'))
    return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
  } catch (error) {
    throw asFileFailure(error, keep ?? configuration.config.temp_dir)
  }
}

function describe(url: string, { virtualSize, dataSize, formats }: Listing): string {
  const rows = formats.map(({ name, url: path, state, length, summary }) => [
    name,
    length === undefined ? state : formatSize(length),
    new URL(path, url).href,
    summary,
  ])
  const listed = formatTable(['format', 'size', 'address', ''], rows)
  return `${url}\n${formatSize(virtualSize)}, ${formatSize(dataSize)} of it data; Ctrl-C ends it\n\n${listed}`
}

/** `debian-12` of `images/debian-12.qcow2`. */
function nameOf(image: string): string {
  return basename(image, extname(image))
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value]
}

/** Fails with USAGE. */
function parseLevel(text: string | undefined): number | undefined {
  const level = text === undefined ? undefined : Number(text)
  if (level === undefined || (Number.isInteger(level) && level >= 1 && level <= 19)) return level
  throw new Failure('USAGE', `--level ${text}: wanted a number from 1 to 19`)
}
