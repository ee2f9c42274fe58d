import type { PatchOperation, WireImage } from '../../api/client.ts'
import { Failure } from '../../base/failure.ts'
import type { ServiceFlags } from '../_image-service.ts'
import { formatImage } from './_describe-image.ts'
import { addFieldOptions, type FieldFlags, toFields } from './_image-fields.ts'
import { collect, type DefineImageCommand, subcommand, withService } from './_subcommand.ts'

interface SetFlags extends ServiceFlags, FieldFlags {
  name?: string
  unsetProperty?: readonly string[]
  untag?: readonly string[]
}

/** `ingot image set IMAGE`. */
export const defineSet: DefineImageCommand = (image, openCli) => {
  addFieldOptions(subcommand(image, 'set', 'change the record of an image'))
    .argument('<image>', 'its id or name')
    .option('--name <name>', 'its new name')
    .option('--unset-property <name>', 'take a property away; may be repeated', collect)
    .option('--untag <tag>', 'take a tag away; may be repeated', collect)
    .action(async (name: string, flags: SetFlags) => {
      await withService(image, openCli, flags, async (client, cli) => {
        const found = await client.find(name)
        const operations = toOperations(found, flags)
        if (operations.length === 0) throw new Failure('USAGE', 'nothing to change was named')
        const changed = await client.change(found.id, operations)
        cli.print(cli.json ? JSON.stringify(changed) : formatImage(changed))
      })
    })
}

function toOperations(image: WireImage, flags: SetFlags): PatchOperation[] {
  const { name, untag = [], unsetProperty = [] } = flags
  const { tags: added = [], ...fields } = toFields(flags) as { tags?: readonly string[] }
  const given: Record<string, unknown> = { ...fields, ...(name !== undefined && { name }) }
  const tags = [...new Set([...image.tags, ...added])].filter((tag) => !untag.includes(tag))
  return [
    ...Object.entries(given).map(([key, value]) => ({
      op: Object.hasOwn(image, key) ? ('replace' as const) : ('add' as const),
      path: pointer(key),
      value,
    })),
    ...(added.length + untag.length > 0
      ? [{ op: 'replace' as const, path: '/tags', value: tags }]
      : []),
    ...unsetProperty.map((key) => ({ op: 'remove' as const, path: pointer(key) })),
  ]
}

/** Source: RFC 6901. */
function pointer(key: string): string {
  return `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
}
