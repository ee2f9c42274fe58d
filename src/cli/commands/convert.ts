import { basename } from 'node:path'
import { type Command, Option } from 'commander'
import { Failure } from '../../base/failure.ts'
import { formatSize } from '../../base/units.ts'
import type { Sink } from '../../bytes/send-pieces.ts'
import type { ExportFormat } from '../../guests/export-formats.ts'
import type { Converted } from '../../formats/convert-image.ts'
import { addViaOptions, type ViaFlags } from '../_via-options.ts'
import type { Cli, CommandModule } from '../cli.ts'

interface ConvertFlags extends ViaFlags {
  format?: string
  inputFormat?: string
  compress?: string
  level?: string
  keep?: string
  digest?: boolean
}

const HELP = `
The format of the output is told by its ending (disk.qcow2, disk.vhdx, disk.raw.gz, disk.ova), or by
--format. Either file may be -, standard input or output. The input is inspected first: an image that
names other files, or whose tables lie, is refused with what was found (exit code 4).
  ingot convert disk.raw disk.qcow2
  ingot convert disk.vmdk disk.vhdx
  ingot convert --compress=zstd disk.raw disk.qcow2
  curl -s https://example.org/disk.qcow2 | ingot convert - disk.raw
The output takes its name only when it is whole. Like cp, convert does not wait for the disk to have
it; \`sync FILE\` does. With --json the result has the SHA-256 of the output and of the disk's content.

Not the disk but the guest on it is what these formats hold: rootfs.tar (.gz, .xz, .zst), squashfs, incus,
incus-unified, lxc, ami. Its files are read without root and without running anything of it where that
is possible; --via says how they are reached.
  ingot convert disk.qcow2 rootfs.tar.xz
  ingot convert --format incus disk.qcow2 debian.tar.xz        (and debian.squashfs)
  ingot convert --format lxc disk.qcow2 meta.tar.xz            (and rootfs.tar.xz)
  ingot convert disk.qcow2 debian.ami                          (and debian.aki, debian.ari)`

/** The formats that --compress means, of those that are not compressed by themselves. */
const COMPRESSED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  qcow2: { zlib: 'qcow2-zlib', zstd: 'qcow2-zstd' },
  vmdk: { zlib: 'vmdk-stream' },
  raw: { zlib: 'raw.gz', zstd: 'raw.zst' },
}

/** `ingot convert INPUT OUTPUT`: makes an image of one format of an image of any other. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .usage('INPUT OUTPUT [--format FORMAT] [options]')
    .argument('<input>', 'the image file; it is not changed')
    .argument('<output>', 'the file that is made')
    .option('--format <format>', 'of the output; told by its ending when left out')
    .option('--input-format <format>', 'of the input; told by its content when left out')
    .addOption(compressOption())
    .option('--level <level>', 'of compression: 1 to 9 (zlib), 1 to 19 (zstd)')
    .option(
      '--keep <directory>',
      'keep the map and what was compressed there for the next conversion',
    )
    .option('--digest', 'compute SHA-256 of the output and of the content, which takes longer')
    .addHelpText('after', HELP)
  addViaOptions(command)
  takeNoFileForMethod(command)
  command.action(async (input: string, output: string, flags: ConvertFlags) => {
    const cli = openCli(command)
    const form = await exportFormOf(output, flags)
    if (form !== undefined) {
      const { runExport } = await import('../_export.ts')
      return await runExport({ input, output, form, flags }, cli)
    }
    if (flags.via !== 'auto' || flags.trusted || flags.rootFilesystem !== undefined)
      throw new Failure(
        'USAGE',
        'only formats that hold the guest know --via, --trusted, --root-filesystem',
      )
    const { convertImage } = await import('../../formats/convert-image.ts')
    const sink = output === '-' ? await openStdout(cli.context.signal) : undefined
    const startedAt = performance.now()
    const converted = await convertImage(
      {
        input: input === '-' ? openStdin(cli.context.signal) : input,
        output: sink ?? output,
        format: await formatOf(output, flags),
        inputFormat: flags.inputFormat,
        level: parseLevel(flags.level),
        keep: flags.keep,
        digest: cli.json || flags.digest,
        tempDir: cli.configuration.config.temp_dir,
      },
      cli.context,
    )
    report(cli, { input, output, converted, seconds: (performance.now() - startedAt) / 1000 })
  })
}

function compressOption(): Option {
  const help = 'compress the output: zlib (the default, which every reader knows) or zstd'
  const option = new Option('--compress [method]', help).choices(['zlib', 'zstd'])
  option.flags = '--compress[=method]'
  return option
}

/** What follows a bare --compress is a file, not its value. */
function takeNoFileForMethod(command: Command): void {
  const parseOptions = command.parseOptions.bind(command)
  command.parseOptions = (words) => {
    const end = words.indexOf('--')
    return parseOptions(
      words.map((word, at) =>
        word === '--compress' && (end < 0 || at < end) ? '--compress=zlib' : word,
      ),
    )
  }
}

async function openStdout(signal: AbortSignal): Promise<Sink> {
  const { openStdoutSink } = await import('../_stdout-sink.ts')
  return openStdoutSink(signal)
}

/** Standard input, which an interruption ends also while nothing comes. */
function openStdin(signal: AbortSignal): AsyncIterable<Uint8Array> {
  const { stdin } = process
  const onAbort = () => stdin.destroy(new Failure('INTERRUPTED', 'interrupted'))
  signal.addEventListener('abort', onAbort, { once: true })
  return stdin
}

/** The form of a guest, not of a disk, that the output is to have; undefined if it is a disk. */
async function exportFormOf(
  output: string,
  { format }: ConvertFlags,
): Promise<ExportFormat | undefined> {
  const { exportFormatOf, exportFormatOfPath } = await import('../../guests/export-formats.ts')
  return format === undefined ? exportFormatOfPath(output) : exportFormatOf(format)
}

/** Fails with USAGE, FORMAT_UNKNOWN. */
async function formatOf(
  output: string,
  { format, compress: method }: ConvertFlags,
): Promise<string> {
  const { viewFormatOf, viewFormatOfPath } = await import('../../formats/views.ts')
  const found = format === undefined ? viewFormatOfPath(output) : viewFormatOf(format)
  if (found === undefined)
    throw new Failure('USAGE', `${output} does not tell a format by its ending`, {
      fix: 'Say --format.',
    })
  if (method === undefined) return found.name
  const wanted = COMPRESSED[found.name]?.[method]
  if (wanted !== undefined) return wanted
  if (found.needs === (method === 'zlib' ? 'deflate' : 'zstd')) return found.name
  throw new Failure('USAGE', `${found.name} cannot be compressed with ${method}`)
}

/** Fails with USAGE. */
function parseLevel(text: string | undefined): number | undefined {
  const level = text === undefined ? undefined : Number(text)
  if (level === undefined || (Number.isInteger(level) && level >= 1 && level <= 19)) return level
  throw new Failure('USAGE', `--level ${text}: wanted a number from 1 to 19`)
}

function report(
  cli: Cli,
  done: { input: string; output: string; converted: Converted; seconds: number },
): void {
  const { input, output, converted, seconds } = done
  // What goes to standard output is the image, where that is the output.
  const tell = output === '-' ? cli.say : cli.print
  if (cli.json) return tell(JSON.stringify({ input, output, ...converted }))
  const { format, size, virtualSize, dataSize, sha256, contentDigest } = converted
  tell(
    `${output === '-' ? 'standard output' : basename(output)}: ${format}, ${formatSize(size)}; ` +
      `a disk of ${formatSize(virtualSize)}, ${formatSize(dataSize)} of it data; ${seconds.toFixed(1)} s` +
      (sha256 === undefined ? '' : `\nsha256   ${sha256}\ncontent  ${contentDigest}`),
  )
}
