/**
 * Forms in which a guest leaves its disk: as files for containers, or as the parts that a cloud boots
 * it from. Disk formats are `formats/views.ts`; these need the guest's files, so `remotes`.
 */
import { Failure } from '../base/failure.ts'
import type { Packing } from '../bytes/packed-file.ts'

export interface ExportFormat {
  readonly name: string
  /** For the help, in one line. */
  readonly summary: string
  /** What is made: an archive of the root, or parts with their own names beside the output. */
  readonly kind: 'root' | 'squashfs' | 'incus' | 'incus-unified' | 'lxc' | 'ami'
  readonly packing?: Packing
  /** What a name of an output ends in, that tells the format. */
  readonly ending?: RegExp
}

const ROOT = 'the guest’s root as a tar archive'

/** In the order of the help. */
const EXPORT_FORMATS: readonly ExportFormat[] = [
  rootFormat('rootfs.tar', 'none', ROOT),
  rootFormat('rootfs.tar.gz', 'gz', `${ROOT}, compressed`),
  rootFormat('rootfs.tar.xz', 'xz', `${ROOT}, compressed`),
  rootFormat('rootfs.tar.zst', 'zst', `${ROOT}, compressed`),
  {
    name: 'squashfs',
    summary: 'the guest’s root as a squashfs file system',
    kind: 'squashfs',
    packing: 'squashfs',
    ending: /\.squashfs$/,
  },
  {
    name: 'incus',
    summary: 'an image for Incus or LXD: OUTPUT.tar.xz (metadata) and OUTPUT.squashfs',
    kind: 'incus',
  },
  {
    name: 'incus-unified',
    summary: 'an image for Incus or LXD in one tar archive',
    kind: 'incus-unified',
  },
  {
    name: 'lxc',
    summary: 'an image for LXC: OUTPUT.tar.xz (metadata) and its rootfs.tar.xz',
    kind: 'lxc',
  },
  {
    name: 'ami',
    summary: 'machine, kernel and ramdisk image: OUTPUT.ami, OUTPUT.aki, OUTPUT.ari',
    kind: 'ami',
    ending: /\.ami$/,
  },
]

function rootFormat(name: string, packing: Packing, summary: string): ExportFormat {
  const ending = new RegExp(`(^|[./-])${name.replaceAll('.', '\\.')}$`)
  return { name, summary, kind: 'root', packing, ending }
}

/** The format of this name, if it is one of these. */
export function exportFormatOf(name: string): ExportFormat | undefined {
  const word = name.toLowerCase()
  return EXPORT_FORMATS.find((format) => format.name === word)
}

/** The format that a name of an output tells, if it is one of these. */
export function exportFormatOfPath(path: string): ExportFormat | undefined {
  const name = path.toLowerCase()
  return EXPORT_FORMATS.find(({ ending }) => ending?.test(name) === true)
}

const PACKINGS: Readonly<Record<string, Packing>> = {
  '.tar': 'none',
  '.tar.gz': 'gz',
  '.tar.xz': 'xz',
  '.tar.zst': 'zst',
}

/** The files of an export. */
export interface ExportPaths {
  /** The output itself, then what is named after it. */
  readonly paths: readonly [string, ...string[]]
  /** Of the first. */
  readonly packing: Packing
}

/** Which files an export into `output` makes. Fails with USAGE where its name does not fit the form. */
export function exportPathsOf(
  { kind, packing = 'none' }: ExportFormat,
  output: string,
): ExportPaths {
  switch (kind) {
    case 'incus': {
      const { stem, packing } = splitName(output, Object.keys(PACKINGS))
      return { paths: [output, `${stem}.squashfs`], packing }
    }
    case 'incus-unified':
      return { paths: [output], packing: splitName(output, Object.keys(PACKINGS)).packing }
    case 'lxc': {
      // The template reads both with xz. Its own names for them: meta.tar.xz and rootfs.tar.xz.
      const { stem, packing } = splitName(output, ['.tar.xz'])
      const root = stem.endsWith('meta') ? stem.replace(/meta$/, 'rootfs') : `${stem}.rootfs`
      return { paths: [output, `${root}.tar.xz`], packing }
    }
    case 'ami': {
      const { stem } = splitName(output, ['.ami'])
      return { paths: [output, `${stem}.aki`, `${stem}.ari`], packing }
    }
    default:
      return { paths: [output], packing }
  }
}

function splitName(path: string, among: readonly string[]): { stem: string; packing: Packing } {
  const ending = among.find((one) => path.endsWith(one) && path.length > one.length)
  if (ending === undefined)
    throw new Failure('USAGE', `${path}: wanted a name that ends in ${among.join(' or ')}`)
  return { stem: path.slice(0, -ending.length), packing: PACKINGS[ending] ?? 'none' }
}
