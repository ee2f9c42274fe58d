import type { ImageClient } from '../../api/client.ts'
import { Failure } from '../../base/failure.ts'
import type { Context } from '../../base/context.ts'
import type { ServiceFlags } from '../_image-service.ts'
import { formatImage } from './_describe-image.ts'
import { addFieldOptions, type FieldFlags, toFields } from './_image-fields.ts'
import { type DefineImageCommand, subcommand, withService } from './_subcommand.ts'
import { followImport, uploadFile } from './_upload.ts'

interface CreateFlags extends ServiceFlags, FieldFlags {
  id?: string
  file?: string
  store?: string
}

interface ImportFlags extends CreateFlags {
  uri?: string
  checksum?: string
  wait: boolean
}

/** `ingot image create NAME`: a record, and its data as it is. */
export const defineCreate: DefineImageCommand = (image, openCli) => {
  addFieldOptions(subcommand(image, 'create', 'create an image, of a file if one is named'))
    .argument('<name>', 'its name')
    .option('--id <uuid>', 'its id; left out, the service gives one')
    .option('--file <path>', 'its data, stored as it is; - for standard input')
    .option('--store <id>', 'where the data shall stand')
    .action(async (name: string, flags: CreateFlags) => {
      await withService(image, openCli, flags, async (client, cli) => {
        const fields = await withFormats(toFields(flags), flags.file, cli.context)
        const made = await client.create({ ...fields, name, ...(flags.id && { id: flags.id }) })
        const { file, store } = flags
        if (file !== undefined)
          await orDelete(client, made.id, async () => {
            await uploadFile(client, made.id, file, 'file', { store }, cli.context)
          })
        const whole = await client.show(made.id)
        cli.print(cli.json ? JSON.stringify(whole) : formatImage(whole))
      })
    })
}

/** `ingot image import NAME`: a record, and its data taken in by the configured steps. */
export const defineImport: DefineImageCommand = (image, openCli) => {
  addFieldOptions(
    subcommand(image, 'import', 'create an image of a file or an address, checked and made golden'),
  )
    .argument('<name>', 'its name')
    .option('--id <uuid>', 'its id; left out, the service gives one')
    .option('--file <path>', 'its data; - for standard input')
    .option('--uri <url>', 'where the service shall fetch its data')
    .option('--checksum <algorithm:digest>', 'what the data of --uri has to hash to')
    .option('--store <id>', 'where the data shall stand')
    .option('--no-wait', 'do not wait for its end')
    .action(async (name: string, flags: ImportFlags) => {
      const { file, uri, checksum, store } = flags
      if ((file === undefined) === (uri === undefined))
        throw new Failure('USAGE', 'wanted the data by --file or by --uri, one of them')
      if (uri !== undefined && !URL.canParse(uri))
        throw new Failure(
          'USAGE',
          `--uri ${uri}: wanted an address, such as https://example.org/a.qcow2`,
        )
      await withService(image, openCli, flags, async (client, cli) => {
        const fields = await withFormats(toFields(flags), file ?? uri, cli.context)
        const { id } = await client.create({ ...fields, name, ...(flags.id && { id: flags.id }) })
        const now = await orDelete(client, id, async () => {
          if (file !== undefined) await uploadFile(client, id, file, 'stage', {}, cli.context)
          await client.import(id, {
            method:
              uri === undefined
                ? { name: 'glance-direct' }
                : { name: 'web-download', uri, ...(checksum !== undefined && { checksum }) },
            ...(store !== undefined && { stores: [store] }),
          })
          return flags.wait ? await followImport(client, id, cli.context) : await client.show(id)
        })
        cli.print(cli.json ? JSON.stringify(now) : formatImage(now))
      })
    })
}

/** Does what fills a new image; if that fails, the record goes too: without data it is of no use to anybody. */
async function orDelete<T>(client: ImageClient, id: string, fill: () => Promise<T>): Promise<T> {
  try {
    return await fill()
  } catch (error) {
    await client.delete(id).catch(() => {})
    throw error
  }
}

/** Fills in the formats that nobody named: what a file is, by its content; what an address is called. */
async function withFormats(
  fields: Record<string, unknown>,
  place: string | undefined,
  context: Context,
): Promise<Record<string, unknown>> {
  if (fields['disk_format'] !== undefined || place === undefined)
    return place === undefined ? fields : { container_format: 'bare', ...fields }
  return { container_format: 'bare', disk_format: await formatOf(place, context), ...fields }
}

/** Formats that their first or last bytes tell; of what is packed somebody has to look inside. */
const TOLD_AT_A_GLANCE: ReadonlySet<string> = new Set([
  'qcow2',
  'vhd',
  'vhdx',
  'vmdk',
  'vdi',
  'iso',
])

async function formatOf(place: string, context: Context): Promise<string> {
  if (place === '-') return 'raw'
  if (/^https?:/i.test(place))
    return (
      /\.(qcow2|vmdk|vhdx|vhd|vdi|iso)\b/i.exec(new URL(place).pathname)?.[1]?.toLowerCase() ??
      'raw'
    )
  const [{ openFileSource }, { probeFormat }] = await Promise.all([
    import('../../bytes/source.ts'),
    import('../../formats/probe-format.ts'),
  ])
  await using source = await openFileSource(place)
  const probed = await probeFormat(source)
  if (probed === undefined || TOLD_AT_A_GLANCE.has(probed.format)) return probed?.format ?? 'raw'
  const { inspectImage } = await import('../../formats/inspect.ts')
  const { format } = await inspectImage(place, {}, context)
  return format.replace(/\..*$/, '')
}
