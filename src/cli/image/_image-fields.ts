import { type Command, Option } from 'commander'
import { Failure } from '../../base/failure.ts'
import { collect } from './_subcommand.ts'

/** Flags that say what the record of an image holds. */
export interface FieldFlags {
  diskFormat?: string
  containerFormat?: string
  visibility?: string
  minDisk?: string
  minRam?: string
  protected?: boolean
  hidden?: boolean
  tag?: readonly string[]
  property?: readonly string[]
}

export const VISIBILITIES = ['private', 'shared', 'community', 'public']

export function addFieldOptions(command: Command): Command {
  return command
    .option('--disk-format <format>', 'of the data: raw, qcow2, vmdk, …')
    .option('--container-format <format>', 'of the envelope: bare, ova, …')
    .addOption(new Option('--visibility <visibility>', 'who sees it').choices(VISIBILITIES))
    .option('--min-disk <GiB>', 'that a machine needs')
    .option('--min-ram <MiB>', 'that a machine needs')
    .option('--protected', 'it cannot be deleted')
    .option('--no-protected', 'it can be deleted')
    .option('--hidden', 'it is in no list')
    .option('--no-hidden', 'it is in lists')
    .option('--tag <tag>', 'may be repeated', collect)
    .option('--property <name=value>', 'may be repeated', collect)
}

/** The fields that flags give, as they are on the wire. Fails with USAGE. */
export function toFields(flags: FieldFlags): Record<string, unknown> {
  const { diskFormat, containerFormat, visibility, minDisk, minRam, hidden, tag } = flags
  return {
    ...(diskFormat !== undefined && { disk_format: diskFormat }),
    ...(containerFormat !== undefined && { container_format: containerFormat }),
    ...(visibility !== undefined && { visibility }),
    ...(minDisk !== undefined && { min_disk: parseCount('--min-disk', minDisk) }),
    ...(minRam !== undefined && { min_ram: parseCount('--min-ram', minRam) }),
    ...(flags.protected !== undefined && { protected: flags.protected }),
    ...(hidden !== undefined && { os_hidden: hidden }),
    ...(tag !== undefined && { tags: [...tag] }),
    ...parseProperties(flags.property ?? []),
  }
}

/** `{ os_distro: 'debian' }` of `os_distro=debian`. Fails with USAGE. */
function parseProperties(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new Failure('USAGE', `--property ${text}: wanted NAME=VALUE`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

function parseCount(flag: string, text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new Failure('USAGE', `${flag} ${text}: wanted a whole number`)
}
