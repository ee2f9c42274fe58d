import { Option } from 'commander'
import type { WireImage } from '../../api/client.ts'
import type { ServiceFlags } from '../_image-service.ts'
import { formatImages } from './_describe-image.ts'
import { VISIBILITIES } from './_image-fields.ts'
import { collect, type DefineImageCommand, subcommand, withService } from './_subcommand.ts'

const STATUSES = [
  'queued',
  'saving',
  'uploading',
  'importing',
  'active',
  'deactivated',
  'killed',
  'deleted',
  'pending_delete',
]

interface ListFlags extends ServiceFlags {
  name?: string
  status?: string
  visibility?: string
  tag?: readonly string[]
  property?: readonly string[]
  hidden?: boolean
  sort?: string
}

/** `ingot image list`. */
export const defineList: DefineImageCommand = (image, openCli) => {
  subcommand(image, 'list', 'list images')
    .option('--name <name>', 'only those of this name')
    .addOption(new Option('--status <status>', 'only those of this status').choices(STATUSES))
    .addOption(
      new Option('--visibility <visibility>', 'only those that are').choices([
        ...VISIBILITIES,
        'all',
      ]),
    )
    .option('--tag <tag>', 'only those with this tag; may be repeated', collect)
    .option('--property <name=value>', 'only those with this property; may be repeated', collect)
    .option('--hidden', 'those that are hidden, instead of the others')
    .option('--sort <key[:asc|desc],…>', 'for example name:asc,size:desc')
    .action(async (flags: ListFlags) => {
      await withService(image, openCli, flags, async (client, cli) => {
        const images: WireImage[] = []
        for await (const one of client.list(toQuery(flags))) images.push(one)
        if (cli.json) cli.print(JSON.stringify(images))
        else if (images.length === 0) cli.say('no images')
        else cli.print(formatImages(images))
      })
    })
}

function toQuery(flags: ListFlags): Record<string, string | readonly string[]> {
  const { name, status, visibility, tag, property = [], hidden, sort } = flags
  const pairs = property.map((text) => {
    const [key = '', ...value] = text.split('=')
    return [key, value.join('=')]
  })
  return {
    limit: '200',
    ...(name !== undefined && { name: `in:"${name.replaceAll('"', '\\"')}"` }),
    ...(status !== undefined && { status }),
    ...(visibility !== undefined && { visibility }),
    ...(tag !== undefined && { tag }),
    ...(hidden === true && { os_hidden: 'true' }),
    ...(sort !== undefined && { sort }),
    ...Object.fromEntries(pairs),
  }
}
