/** The part of `ingot convert` that exports guests: for containers, or as parts that a cloud boots. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { Failure } from '../base/failure.ts'
import { formatSize } from '../base/units.ts'
import type { ExportFormat } from '../guests/export-formats.ts'
import { exportImage } from '../guests/export-image.ts'
import type { ViaFlags } from './_via-options.ts'
import type { Cli } from './cli.ts'

interface ExportRequest {
  readonly input: string
  readonly output: string
  readonly form: ExportFormat
  readonly flags: ExportFlags
}

/** Flags of `convert`; those that only disks have are refused. */
export interface ExportFlags extends ViaFlags {
  compress?: true | string
  inputFormat?: string
  level?: string
  keep?: string
  digest?: boolean
}

const FOR_DISKS = {
  compress: '--compress',
  inputFormat: '--input-format',
  level: '--level',
  keep: '--keep',
} as const

/** Fails with USAGE, and as `exportImage`. */
export async function runExport(request: ExportRequest, cli: Cli): Promise<void> {
  const { input, output, form, flags } = request
  checkFlags(request)
  const { config } = cli.configuration
  const startedAt = performance.now()
  const { files, left } = await exportImage(
    {
      path: input,
      output,
      format: form,
      via: flags.via,
      trusted: flags.trusted ?? false,
      ...(flags.rootFilesystem !== undefined && { rootFileSystem: flags.rootFilesystem }),
      tempDir: config.temp_dir,
      cacheDir: config.cache_dir,
      chooseAccelerator: async () => {
        const { chooseAccelerator } = await import('./_accelerator.ts')
        return await chooseAccelerator(cli)
      },
    },
    cli.context,
  )
  const withDigests = cli.json || flags.digest === true
  const made = await Promise.all(
    files.map(async (file) => ({
      ...file,
      ...(withDigests && { sha256: await digestOf(file.path) }),
    })),
  )
  if (cli.json)
    return cli.print(JSON.stringify({ input, output, format: form.name, files: made, left }))
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  for (const { path, size, sha256 } of made)
    cli.print(
      `${basename(path)}: ${formatSize(size)}${sha256 === undefined ? '' : `\nsha256   ${sha256}`}`,
    )
  cli.say(`${form.name} in ${seconds} s`)
  for (const what of left) cli.say(`left out: ${what}`)
}

function checkFlags({ input, output, form, flags }: ExportRequest): void {
  if (input === '-' || output === '-')
    throw new Failure('USAGE', `${form.name} is made of a file and into files, not of or into -`)
  for (const [name, flag] of Object.entries(FOR_DISKS))
    if (name in flags) throw new Failure('USAGE', `${flag} does not go with ${form.name}`)
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk)
  return hash.digest('hex')
}
