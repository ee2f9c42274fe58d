import type { DiskFileSystem } from './find-root.ts'

/** A line of a guest's fstab. */
export interface FstabLine {
  /** `UUID=…`, `LABEL=…`, `/dev/vda1`, as written but for quotes. */
  what: string
  /** Absolute: `/boot/efi`. */
  at: string
  type: string
  /** The option `subvol=…` or `subvolid=…`. */
  subvolume: string | undefined
  /** `noauto` or `nofail`: the guest boots without it. */
  optional: boolean
}

const MAX_LINES = 1000

/** Source: fstab(5): six fields, blanks apart, `\040` is a blank, `#` starts a comment line. */
export function parseFstab(text: string): FstabLine[] {
  return text.split('\n', MAX_LINES).flatMap((line) => {
    const [what = '#', at = '', type, options = ''] = line.trim().split(/\s+/)
    if (what.startsWith('#') || !at.startsWith('/') || type === undefined) return []
    const words = options.split(',')
    return [
      {
        what: unescape(what).replaceAll('"', ''),
        at: unescape(at).replace(/(.)\/+$/, '$1'),
        type,
        subvolume: words.find((word) => /^subvol(id)?=[^,\s]+$/.test(word)),
        optional: words.includes('noauto') || words.includes('nofail'),
      },
    ]
  })
}

function unescape(field: string): string {
  return field.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}

/** Whether the first field of a line means this file system. */
export function isNamedBy(fileSystem: DiskFileSystem, what: string): boolean {
  const [, tag, value = ''] =
    /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.+)$/.exec(what) ??
    /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.+)$/.exec(what) ??
    []
  const same = (own: string) => own.toLowerCase() === value.toLowerCase()
  switch (tag?.toUpperCase()) {
    case 'UUID':
      return same(fileSystem.uuid)
    case 'PARTUUID':
      return same(fileSystem.partitionUuid)
    case 'LABEL':
      return fileSystem.label === value
    case 'PARTLABEL':
      return fileSystem.partitionLabel === value
    default:
      return toDevice(fileSystem.device) === toDevice(what)
  }
}

/**
 * One spelling for a device, whatever the guest's bus: `/dev/vda2`, `/dev/nvme0n1p2` and `/dev/sda2`
 * are all `/dev/sda2`; `/dev/mapper/vg-lv` is `/dev/vg/lv`.
 */
export function toDevice(name: string): string {
  const disk = /^\/dev\/(?:(?:[hsv]d|xvd)a|(?:nvme0n1|mmcblk0)(?:p(?=\d))?)(\d*)$/.exec(name)
  if (disk) return `/dev/sda${disk[1]}`
  const volume = /^\/dev\/mapper\/((?:[^-]|--)+)-((?:[^-]|--)+)$/.exec(name)
  return volume ? `/dev/${volume[1]}/${volume[2]}`.replaceAll('--', '-') : name
}
